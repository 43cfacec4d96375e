// SPDX-License-Identifier: Apache-2.0
#include "framework.h"

#include <ATen/Parallel.h>
#include <c10/core/Device.h>
#include <c10/util/Exception.h>
#include <torch/csrc/jit/runtime/print_handler.h>
#include <torch/cuda.h>
#include <torch/version.h>

#include "failure.h"

namespace vaccel::torch_backend {
namespace {

enum LogLevel { kDebug = 0, kWarning = 2 };

thread_local const vaccel_backend_host* listening = nullptr;
torch::jit::PrintHandler print_before = nullptr;

void log_line(LogLevel level, std::string line) {
  while (!line.empty() && line.back() == '\n')
    line.pop_back();
  if (listening != nullptr) listening->log(listening->context, level, line.c_str());
}

// One handler for the process; a program that uses LibTorch itself keeps its own on its own threads.
void print(const std::string& text) {
  if (listening != nullptr) return log_line(kDebug, "a model prints: " + text);
  if (print_before != nullptr) print_before(text);
}

#if TORCH_VERSION_MAJOR >= 2
namespace warning_handling = c10::WarningUtils;
class WarningHandler : public c10::WarningHandler {
  void process(const c10::Warning& warning) override { log_line(kWarning, line_of(warning.msg())); }
};
#else
namespace warning_handling = c10::Warning;
class WarningHandler : public c10::WarningHandler {
  void process(const c10::SourceLocation& /*location*/, const std::string& message,
               const bool /*verbatim*/) override {
    log_line(kWarning, line_of(message));
  }
};
#endif

}  // namespace

struct Listener::Warnings {
  WarningHandler handler;
  warning_handling::WarningHandlerGuard guard{&handler};
};

Listener::Listener(const vaccel_backend_host* host)
    : warnings_(std::make_unique<Warnings>()), before_(listening) {
  listening = host;
}

Listener::~Listener() {
  listening = before_;
}

std::string choose_device(const Options& options) {
  if (options.device == "cpu") return "cpu";
  const size_t count = torch::cuda::is_available() ? torch::cuda::device_count() : 0;
  if (options.device == "auto") return count > 0 ? "cuda:0" : "cpu";
  const c10::Device device(options.device);
  const auto index = static_cast<size_t>(device.has_index() ? device.index() : 0);
  if (index >= count) {
    refuse(VACCEL_UNAVAILABLE,
           "[backend.torch] device is \"%s\", and LibTorch %s sees %zu CUDA devices here; \"auto\" takes "
           "what there "
           "is",
           options.device.c_str(), TORCH_VERSION, count);
  }
  return "cuda:" + std::to_string(index);
}

std::string device_text(const std::string& device) {
  return device == "cpu" ? "CPU" : "CUDA: " + device;
}

void set_up_framework(const Options& options) {
  if (options.threads > 0) at::set_num_threads(options.threads);
  const torch::jit::PrintHandler now = torch::jit::getPrintHandler();
  if (now != print) {
    print_before = now;
    torch::jit::setPrintHandler(print);
  }
}

}  // namespace vaccel::torch_backend
