// SPDX-License-Identifier: Apache-2.0
//
// libvaccel-runtime.so: the Runtime as a table of C functions, and the one symbol that returns it. Nothing is
// thrown across it: what is thrown below (the standard library runs out of memory or threads) ends here, as a
// status.
#include <exception>
#include <filesystem>
#include <new>
#include <system_error>

#include "runtime/memory.h"
#include "runtime/runtime.h"
#include "runtime/runtime_abi.h"

namespace vaccel::runtime {
namespace {

constexpr const char* kDefaultConfig = "/etc/vaccel/vaccel.toml";

vaccel_status tell(const ErrorSink* error, const Status& status) {
  if (!status.ok() && error != nullptr && error->set != nullptr) {
    error->set(error->context, status.message().c_str());
  }
  return status.code();
}

// Runs `body`, which returns a Status.
template <typename Body>
vaccel_status guarded(const ErrorSink* error, Body body) {
  try {
    return tell(error, body());
  } catch (const std::bad_alloc&) {
    return tell(error, Status(VACCEL_RESOURCE_EXHAUSTED, "no memory"));
  } catch (const std::exception& exception) {
    return tell(error, Status(VACCEL_INTERNAL, std::string("unexpected: ") + exception.what()));
  }
}

Result<RuntimeConfig> configuration(const char* path) {
  if (path != nullptr && path[0] != '\0') return read_runtime_config(path);
  std::error_code ignored;
  if (std::filesystem::exists(kDefaultConfig, ignored)) return read_runtime_config(kDefaultConfig);
  return RuntimeConfig{};
}

vaccel_status create(const char* config_path, const ErrorSink* error, Runtime** runtime) {
  return guarded(error, [&]() -> Status {
    auto config = configuration(config_path);
    if (!config) return config.error();
    auto made = Runtime::create(std::move(*config));
    if (!made) return made.error();
    *runtime = made->release();
    return {};
  });
}

void destroy(Runtime* runtime) {
  delete runtime;
}

vaccel_status open_model(Runtime* runtime, const char* name, const ErrorSink* error, Model** model) {
  return guarded(error, [&]() -> Status {
    const auto opened = runtime->open_model(name);
    if (!opened) return opened.error();
    *model = *opened;
    return {};
  });
}

void close_model(Runtime* runtime, Model* model) {
  runtime->close_model(model);
}

vaccel_status call(Runtime* runtime, RuntimeCall* call) {
  try {
    return runtime->call(*call).code();
  } catch (const std::bad_alloc&) {
    return tell(&call->error, Status(VACCEL_RESOURCE_EXHAUSTED, "no memory for the call"));
  } catch (const std::exception& exception) {
    return tell(&call->error, Status(VACCEL_INTERNAL, std::string("unexpected: ") + exception.what()));
  }
}

vaccel_status post(Runtime* runtime, void (*work)(void* argument), void* argument) {
  return guarded(nullptr, [&] { return runtime->post(work, argument); });
}

vaccel_status describe(Runtime* runtime, const ErrorSink* error, const vaccel_agent** description) {
  return guarded(error, [&]() -> Status {
    *description = &runtime->describe();
    return {};
  });
}

vaccel_status list_models(Runtime* runtime, const ErrorSink* error, const vaccel_model_list** list) {
  return guarded(error, [&]() -> Status {
    *list = &runtime->list_models();
    return {};
  });
}

vaccel_status describe_model(Runtime* runtime, const char* name, const ErrorSink* error,
                             const vaccel_model** description) {
  return guarded(error, [&]() -> Status {
    const auto described = runtime->describe_model(name);
    if (!described) return described.error();
    *description = *described;
    return {};
  });
}

vaccel_status allocate_memory(Runtime* runtime, const char* backend, size_t bytes, const ErrorSink* error,
                              Memory** memory, MemoryPlace* place) {
  return guarded(error, [&]() -> Status {
    auto allocated = runtime->allocate_memory(backend != nullptr ? backend : "", bytes);
    if (!allocated) return allocated.error();
    const BackendLibrary* device = (*allocated)->backend();
    *place = {(*allocated)->bytes().data(), device != nullptr ? device->name() : nullptr};
    *memory = allocated->release();
    return {};
  });
}

void free_memory(Runtime*, Memory* memory) {
  delete memory;
}

vaccel_status list_operators(Runtime* runtime, const ErrorSink* error, const vaccel_operator_list** list) {
  return guarded(error, [&]() -> Status {
    *list = &runtime->list_operators();
    return {};
  });
}

constexpr RuntimeTable kTable{sizeof(RuntimeTable),
                              kRuntimeAbi,
                              0,
                              create,
                              destroy,
                              open_model,
                              close_model,
                              call,
                              post,
                              describe,
                              list_models,
                              describe_model,
                              list_operators,
                              allocate_memory,
                              free_memory};

}  // namespace
}  // namespace vaccel::runtime

extern "C" [[gnu::visibility("default")]] const vaccel::runtime::RuntimeTable* vaccel_runtime_entry();
extern "C" const vaccel::runtime::RuntimeTable* vaccel_runtime_entry() {
  return &vaccel::runtime::kTable;
}
