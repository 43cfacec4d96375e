// SPDX-License-Identifier: Apache-2.0
#include "engine.h"

#include <algorithm>
#include <ctime>

namespace vaccel::opencl {
namespace {

Context make_context(const OpenCl& cl, const Device& device) {
  const cl_context_properties properties[] = {CL_CONTEXT_PLATFORM,
                                              reinterpret_cast<cl_context_properties>(device.platform), 0};
  int error = CL_SUCCESS;
  Context context(cl.clCreateContext(properties, 1, &device.id, nullptr, nullptr, &error),
                  {cl.clReleaseContext});
  check(error, "clCreateContext");
  return context;
}

// "OpenCL 3.0 PoCL 3.1 ..." -> "OpenCL 3.0"
std::string short_version(const std::string& words) {
  const size_t second = words.find(' ', words.find(' ') + 1);
  return words.substr(0, second);
}

}  // namespace

Engine::Engine(const vaccel_backend_host* host, const Options& options)
    : cl_(OpenCl::load(options.library)),
      blast_(ClBlast::load(options.clblast)),
      device_(choose_device(cl_, options)),
      most_bytes_(options.buffer_limit == 0 ? device_.most_bytes
                                            : std::min(options.buffer_limit, device_.most_bytes)),
      version_(short_version(device_.platform_version) + ", CLBlast " + blast_.version),
      devices_(describe(device_)),
      context_(make_context(cl_, device_)),
      programs_(cl_, context_.get(), device_, host, options.cache),
      memories_(device_),
      lanes_(cl_, context_.get(), device_, memories_, most_bytes_) {
  for (const vaccel_dtype dtype : options.warm_up)
    warm_up(*this, dtype);
}

Engine::~Engine() {
  // CLBlast knows its programs by the context's address, which may be another context's tomorrow.
  blast_.CLBlastClearCache();
}

bool Engine::takes(vaccel_dtype dtype) const {
  return dtype == VACCEL_FLOAT64 ? device_.has_doubles : type_name(dtype)[0] != '\0';
}

Launch Engine::launch(const Lane& lane, vaccel_dtype dtype, const char* kernel) {
  return {lane, device_, programs_.kernel(dtype, kernel), dtype == VACCEL_FLOAT64};
}

void stop_if_cancelled(const vaccel_backend_run& run) {
  if (run.cancelled(run.context) == 0) return;
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  const int64_t now_ns = int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
  const bool late = run.deadline_ns != 0 && now_ns >= run.deadline_ns;
  refuse(late ? VACCEL_DEADLINE_EXCEEDED : VACCEL_CANCELLED, "the call was ended early");
}

}  // namespace vaccel::opencl
