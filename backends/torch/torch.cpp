// SPDX-License-Identifier: Apache-2.0
//
// The backend "torch": TorchScript modules on LibTorch. LibTorch takes its time to load, and every worker loads every
// backend; so all that needs it is in a library of its own, libvaccel-torch.so (engine.cpp), which this one loads with the
// first model. A device that the configuration insists on is looked for at once.
#include <dlfcn.h>
#include <torch/version.h>

#include <atomic>
#include <deque>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include "common/table.h"
#include "failure.h"
#include "options.h"

using vaccel::torch_backend::guarded;
using vaccel::torch_backend::Options;
using vaccel::torch_backend::refuse;

namespace {

// The engine's table, once it is loaded; one for the process.
std::atomic<const vaccel_backend*> engine = nullptr;

// The options, kept until the engine is made.
class KeptOptions {
 public:
  KeptOptions(const vaccel_backend_option* options, size_t count) {
    for (size_t index = 0; index < count; ++index)
      views_.push_back({keep(options[index].key), keep(options[index].value), keep(options[index].where)});
  }
  KeptOptions(const KeptOptions&) = delete;
  KeptOptions& operator=(const KeptOptions&) = delete;
  [[nodiscard]] const std::vector<vaccel_backend_option>& views() const { return views_; }

 private:
  const char* keep(const char* text) { return texts_.emplace_back(text).c_str(); }
  std::deque<std::string> texts_;
  std::vector<vaccel_backend_option> views_;
};

const char* describe_device(const Options& options) {
  if (options.device == "cpu") return "CPU";
  return options.device == "auto" ? "CUDA or CPU, chosen with the first model" : options.device.c_str();
}

}  // namespace

struct vaccel_backend_instance {
  vaccel_backend_instance(const vaccel_backend_host* backend_host, const vaccel_backend_option* given,
                          size_t count)
      : host(backend_host), options(vaccel::torch_backend::parse_options(given, count)), kept(given, count) {}

  const vaccel_backend_host* host;
  Options options;
  KeptOptions kept;
  vaccel_backend_instance* of_engine = nullptr;  // the engine's own; nullptr: not made yet
};

namespace {

// Beside this library.
const vaccel_backend* load_engine() {
  Dl_info info{};
  if (::dladdr(reinterpret_cast<const void*>(&load_engine), &info) == 0 || info.dli_fname == nullptr)
    refuse(VACCEL_INTERNAL, "the backend does not find its own library");
  std::error_code error;
  const auto self = std::filesystem::canonical(info.dli_fname, error);
  const auto file =
      (error ? std::filesystem::path(info.dli_fname) : self).parent_path() / "libvaccel-torch.so";
  // Never unloaded: its threads and thread-local destructors outlive the backend.
  void* library = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (library == nullptr) {
    const char* reason = ::dlerror();
    refuse(VACCEL_UNAVAILABLE, "cannot load LibTorch: %s", reason != nullptr ? reason : file.c_str());
  }
  const auto entry =
      reinterpret_cast<decltype(&vaccel_backend_entry)>(::dlsym(library, VACCEL_BACKEND_ENTRY));
  if (entry == nullptr) refuse(VACCEL_UNAVAILABLE, "%s exports no %s", file.c_str(), VACCEL_BACKEND_ENTRY);
  const vaccel_backend* table = entry();
  if (table->size != sizeof(vaccel_backend) || table->abi_version != VACCEL_BACKEND_ABI)
    refuse(VACCEL_UNAVAILABLE, "%s is of another version of vAccel", file.c_str());
  return table;
}

vaccel_status start_engine(vaccel_backend_instance& instance, const vaccel_backend_error& error) {
  if (instance.of_engine != nullptr) return VACCEL_OK;
  if (engine == nullptr) engine = load_engine();
  const auto& options = instance.kept.views();
  return engine.load()->create(instance.host, options.data(), options.size(), &error, &instance.of_engine);
}

void destroy(vaccel_backend_instance* instance) {
  if (instance->of_engine != nullptr) engine.load()->destroy(instance->of_engine);
  delete instance;
}

vaccel_status create(const vaccel_backend_host* host, const vaccel_backend_option* options,
                     size_t option_count, const vaccel_backend_error* error,
                     vaccel_backend_instance** instance) {
  return guarded(*error, VACCEL_UNAVAILABLE, "", [&] {
    auto* made = new vaccel_backend_instance(host, options, option_count);
    const bool insists = made->options.device != "auto" && made->options.device != "cpu";
    const vaccel_status status =
        insists ? guarded(*error, VACCEL_UNAVAILABLE, "", [&] { return start_engine(*made, *error); })
                : VACCEL_OK;
    if (status == VACCEL_OK) {
      *instance = made;
    } else {
      destroy(made);
    }
    return status;
  });
}

const char* version(vaccel_backend_instance* /*instance*/) {
  return TORCH_VERSION;
}
const char* devices(vaccel_backend_instance* instance) {
  return instance->of_engine != nullptr ? engine.load()->devices(instance->of_engine)
                                        : describe_device(instance->options);
}

int32_t score(vaccel_backend_instance* /*instance*/, const char* format) {
  return std::string(format) == "torchscript" ? 80 : 0;
}

vaccel_status model_open(vaccel_backend_instance* instance, const vaccel_backend_model_source* source,
                         const vaccel_backend_error* error, vaccel_backend_model** model) {
  return guarded(*error, VACCEL_UNAVAILABLE, "", [&] {
    const vaccel_status status = start_engine(*instance, *error);
    return status == VACCEL_OK ? engine.load()->model_open(instance->of_engine, source, error, model)
                               : status;
  });
}

void model_close(vaccel_backend_model* model) {
  engine.load()->model_close(model);
}

void model_describe(vaccel_backend_model* model, const vaccel_tensor_info** inputs, size_t* input_count,
                    const vaccel_tensor_info** outputs, size_t* output_count) {
  engine.load()->model_describe(model, inputs, input_count, outputs, output_count);
}

vaccel_status model_run(vaccel_backend_model* model, vaccel_backend_run* run) {
  return engine.load()->model_run(model, run);
}

vaccel_backend table() {
  vaccel_backend backend = vaccel::backends::table_of("torch", "Models in TorchScript, by LibTorch");
  backend.flags = VACCEL_BACKEND_COPIES_MODELS;
  backend.create = create;
  backend.destroy = destroy;
  backend.version = version;
  backend.devices = devices;
  backend.score = score;
  backend.model_open = model_open;
  backend.model_close = model_close;
  backend.model_describe = model_describe;
  backend.model_run = model_run;
  return backend;
}

}  // namespace

const vaccel_backend* vaccel_backend_entry(void) {
  static const vaccel_backend kBackend = table();
  return &kBackend;
}
