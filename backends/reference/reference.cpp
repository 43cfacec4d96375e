// SPDX-License-Identifier: Apache-2.0
//
// The backend "reference": operators without models and without dependencies, for tests and benchmarks of
// everything around them, and the shortest example of a backend.
//
//   reference.echo      inputs come back as outputs
//   reference.noop      takes anything, returns nothing
//   reference.delay     attribute microseconds: returns after that time, or when the call is cancelled
//   reference.checksum  "sum" uint64 []: all bytes of all inputs, added up
//   reference.fill      attributes bytes, value: "data" uint8 [bytes], each of that value
//   reference.fault     attribute kind, see fault(); only with the option `faults = true`
//
// Its linear algebra, see linalg.h, is what answers where nobody else does.
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <new>

#include "linalg.h"
#include "vaccel/backend.h"

struct vaccel_backend_instance {
  bool faults;
};

namespace {

constexpr int64_t kLongestDelayUs = int64_t{3600} * 1'000'000;
constexpr int64_t kMostBytes = int64_t{1} << 40;

[[gnu::format(printf, 3, 4)]] vaccel_status refuse(const vaccel_backend_error& error, vaccel_status status,
                                                   const char* format, ...) {
  char sentence[512];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(sentence, sizeof sentence, format, arguments);
  va_end(arguments);
  return error.fail(error.context, status, sentence);
}

int64_t now_ns() {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

// ---- Attributes

const vaccel_attribute* find(const vaccel_backend_run& run, const char* name) {
  for (size_t index = 0; index < run.attribute_count; ++index) {
    if (std::strcmp(run.attributes[index].name, name) == 0) return &run.attributes[index];
  }
  return nullptr;
}

// The attribute's value in *value; one that is not there is `fallback`, or a failure where that is -1.
vaccel_status integer(const vaccel_backend_run& run, const char* name, int64_t fallback, int64_t most,
                      int64_t* value) {
  const vaccel_attribute* attribute = find(run, name);
  if (attribute == nullptr && fallback < 0) {
    return refuse(run.error, VACCEL_INVALID_ARGUMENT, "attribute '%s', an integer, is missing", name);
  }
  if (attribute == nullptr) {
    *value = fallback;
    return VACCEL_OK;
  }
  if (attribute->type != VACCEL_ATTRIBUTE_INT || attribute->value.integer < 0 ||
      attribute->value.integer > most) {
    return refuse(run.error, VACCEL_INVALID_ARGUMENT, "attribute '%s' must be an integer, 0 to %lld", name,
                  static_cast<long long>(most));
  }
  *value = attribute->value.integer;
  return VACCEL_OK;
}

const char* text(const vaccel_backend_run& run, const char* name, const char* fallback) {
  const vaccel_attribute* attribute = find(run, name);
  return attribute != nullptr && attribute->type == VACCEL_ATTRIBUTE_STRING ? attribute->value.string
                                                                            : fallback;
}

// ---- Operators

size_t element_size(int32_t dtype) {
  switch (dtype) {
    case VACCEL_INT8:
    case VACCEL_UINT8:
    case VACCEL_BOOL:
      return 1;
    case VACCEL_FLOAT16:
    case VACCEL_BFLOAT16:
    case VACCEL_INT16:
    case VACCEL_UINT16:
      return 2;
    case VACCEL_FLOAT32:
    case VACCEL_INT32:
    case VACCEL_UINT32:
      return 4;
    default:
      return 8;
  }
}

// The runtime has checked that this does not overflow and that the data are there.
size_t bytes_of(const vaccel_tensor& tensor) {
  if (tensor.dtype == VACCEL_STRING) return tensor.bytes;
  size_t bytes = element_size(tensor.dtype);
  for (int32_t axis = 0; axis < tensor.rank; ++axis)
    bytes *= static_cast<size_t>(tensor.shape[axis]);
  return bytes;
}

vaccel_status echo(vaccel_backend_instance* /*instance*/, vaccel_backend_run* run) {
  for (size_t index = 0; index < run->input_count; ++index) {
    const vaccel_tensor& input = run->inputs[index];
    const size_t bytes = bytes_of(input);
    void* output = run->output(run->context, index, input.name != nullptr ? input.name : "",
                               static_cast<vaccel_dtype>(input.dtype), input.rank, input.shape, bytes);
    if (output == nullptr) return VACCEL_RESOURCE_EXHAUSTED;
    if (bytes > 0) std::memcpy(output, input.data, bytes);
  }
  return VACCEL_OK;
}

vaccel_status noop(vaccel_backend_instance* /*instance*/, vaccel_backend_run* /*run*/) {
  return VACCEL_OK;
}

// Sleeps on an eventfd that the interrupt writes to.
vaccel_status delay(vaccel_backend_instance* /*instance*/, vaccel_backend_run* run) {
  int64_t microseconds = 0;
  const vaccel_status status = integer(*run, "microseconds", -1, kLongestDelayUs, &microseconds);
  if (status != VACCEL_OK) return status;
  int event = ::eventfd(0, EFD_CLOEXEC);
  if (event < 0)
    return refuse(run->error, VACCEL_RESOURCE_EXHAUSTED, "no descriptor to sleep on: %s", strerror(errno));
  run->on_cancel(
      run->context,
      [](void* argument) {
        const uint64_t one = 1;
        // Cannot fail: the counter is far from its limit.
        [[maybe_unused]] const ssize_t written = ::write(*static_cast<int*>(argument), &one, sizeof one);
      },
      &event);
  const int64_t until = now_ns() + microseconds * 1000;
  bool woken = false;
  for (int64_t left = until - now_ns(); left > 0 && !woken; left = until - now_ns()) {
    const timespec rest{left / 1'000'000'000, left % 1'000'000'000};
    pollfd wait{event, POLLIN, 0};
    woken = ::ppoll(&wait, 1, &rest, nullptr) > 0;
  }
  run->on_cancel(run->context, nullptr, nullptr);
  ::close(event);
  if (!woken) return VACCEL_OK;
  const bool late = run->deadline_ns != 0 && now_ns() >= run->deadline_ns;
  return refuse(run->error, late ? VACCEL_DEADLINE_EXCEEDED : VACCEL_CANCELLED, "the delay was ended early");
}

vaccel_status checksum(vaccel_backend_instance* /*instance*/, vaccel_backend_run* run) {
  uint64_t sum = 0;
  for (size_t index = 0; index < run->input_count; ++index) {
    const auto* bytes = static_cast<const uint8_t*>(run->inputs[index].data);
    const size_t count = bytes_of(run->inputs[index]);
    for (size_t at = 0; at < count; ++at)
      sum += bytes[at];
  }
  void* output = run->output(run->context, 0, "sum", VACCEL_UINT64, 0, nullptr, sizeof sum);
  if (output == nullptr) return VACCEL_RESOURCE_EXHAUSTED;
  std::memcpy(output, &sum, sizeof sum);
  return VACCEL_OK;
}

vaccel_status fill(vaccel_backend_instance* /*instance*/, vaccel_backend_run* run) {
  int64_t bytes = 0;
  int64_t value = 0;
  vaccel_status status = integer(*run, "bytes", -1, kMostBytes, &bytes);
  if (status == VACCEL_OK) status = integer(*run, "value", 0, 255, &value);
  if (status != VACCEL_OK) return status;
  void* output = run->output(run->context, 0, "data", VACCEL_UINT8, 1, &bytes, static_cast<size_t>(bytes));
  if (output == nullptr) return VACCEL_RESOURCE_EXHAUSTED;
  std::memset(output, static_cast<int>(value), static_cast<size_t>(bytes));
  return VACCEL_OK;
}

[[noreturn]] void hang() {
  while (true)
    ::pause();  // deaf to cancellation
}

// Touches the memory, and keeps it until the process ends: what a leak does to its host.
vaccel_status allocate(vaccel_backend_run* run) {
  int64_t bytes = 0;
  const vaccel_status status = integer(*run, "bytes", -1, kMostBytes, &bytes);
  if (status != VACCEL_OK) return status;
  void* memory = std::malloc(static_cast<size_t>(bytes));
  if (memory == nullptr) {
    return refuse(run->error, VACCEL_RESOURCE_EXHAUSTED, "no memory: %lld bytes",
                  static_cast<long long>(bytes));
  }
  std::memset(memory, 1, static_cast<size_t>(bytes));
  static std::atomic<void*> kept;  // the compiler must not drop it
  kept.store(memory, std::memory_order_relaxed);
  return VACCEL_OK;
}

vaccel_status fault(vaccel_backend_instance* instance, vaccel_backend_run* run) {
  if (!instance->faults) {
    return refuse(run->error, VACCEL_PERMISSION_DENIED,
                  "faults are off; [backend.reference] faults = true turns them on");
  }
  const char* kind = text(*run, "kind", "");
  if (std::strcmp(kind, "error") == 0) {
    return refuse(run->error, VACCEL_INTERNAL, "%s", text(*run, "message", "a fault that was asked for"));
  }
  if (std::strcmp(kind, "abort") == 0) std::abort();
  if (std::strcmp(kind, "exit") == 0) ::_exit(3);
  if (std::strcmp(kind, "segfault") == 0) {
    // A fault, and not a signal: the first process of a namespace gets none from itself.
    void* const page = ::mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    *static_cast<volatile int*>(page) = 1;
  }
  if (std::strcmp(kind, "hang") == 0) hang();
  if (std::strcmp(kind, "allocate") == 0) return allocate(run);
  return refuse(run->error, VACCEL_INVALID_ARGUMENT,
                "attribute 'kind' is '%s'; it must be error, abort, exit, segfault, hang or allocate", kind);
}

// ---- The table

vaccel_status create(const vaccel_backend_host* /*host*/, const vaccel_backend_option* options,
                     size_t option_count, const vaccel_backend_error* error,
                     vaccel_backend_instance** instance) {
  vaccel_backend_instance made{false};
  for (size_t index = 0; index < option_count; ++index) {
    const vaccel_backend_option& option = options[index];
    const bool is_true = std::strcmp(option.value, "true") == 0;
    if (std::strcmp(option.key, "faults") != 0) {
      return refuse(*error, VACCEL_INVALID_ARGUMENT, "%s: unknown option '%s'; there is: faults",
                    option.where, option.key);
    }
    if (!is_true && std::strcmp(option.value, "false") != 0) {
      return refuse(*error, VACCEL_INVALID_ARGUMENT, "%s: 'faults' is %s; it must be true or false",
                    option.where, option.value);
    }
    made.faults = is_true;
  }
  *instance = new (std::nothrow) vaccel_backend_instance(made);
  return *instance != nullptr ? VACCEL_OK : refuse(*error, VACCEL_RESOURCE_EXHAUSTED, "no memory");
}

void destroy(vaccel_backend_instance* instance) {
  delete instance;
}
const char* version(vaccel_backend_instance* /*instance*/) {
  return "1";
}
const char* devices(vaccel_backend_instance* /*instance*/) {
  return "CPU";
}

// What takes any tensors describes none.
constexpr vaccel_tensor_info kSum{"sum", nullptr, 0, VACCEL_UINT64};
constexpr int64_t kAnySize = -1;
constexpr vaccel_tensor_info kData{"data", &kAnySize, 1, VACCEL_UINT8};
constexpr vaccel_backend_attribute kDelayAttributes[] = {
    {"microseconds", VACCEL_ATTRIBUTE_INT, 1, "how long it takes"}};
constexpr vaccel_backend_attribute kFillAttributes[] = {
    {"bytes", VACCEL_ATTRIBUTE_INT, 1, "how many"},
    {"value", VACCEL_ATTRIBUTE_INT, 0, "0 to 255; default: 0"}};
constexpr vaccel_backend_attribute kFaultAttributes[] = {
    {"kind", VACCEL_ATTRIBUTE_STRING, 1, "error, abort, exit, segfault, hang or allocate"},
    {"message", VACCEL_ATTRIBUTE_STRING, 0, "of kind error: its sentence"},
    {"bytes", VACCEL_ATTRIBUTE_INT, 0, "of kind allocate: how many"}};

constexpr vaccel_backend_operator kOperators[] = {
    {"reference.echo", "The inputs come back as outputs", echo, nullptr, 0, nullptr, 0, nullptr, 0},
    {"reference.noop", "Takes anything, returns nothing", noop, nullptr, 0, nullptr, 0, nullptr, 0},
    {"reference.delay", "Returns after `microseconds`", delay, nullptr, 0, nullptr, 0, kDelayAttributes, 1},
    {"reference.checksum", "The sum of all bytes of all inputs", checksum, nullptr, 0, &kSum, 1, nullptr, 0},
    {"reference.fill", "`bytes` bytes of `value`", fill, nullptr, 0, &kData, 1, kFillAttributes, 2},
    {"reference.fault", "Fails as `kind` says; for tests", fault, nullptr, 0, nullptr, 0, kFaultAttributes,
     3},
};

constexpr vaccel_backend table() {
  vaccel_backend backend{};
  backend.size = sizeof backend;
  backend.abi_version = VACCEL_BACKEND_ABI;
  backend.name = "reference";
  backend.description = "Operators without models, for tests and benchmarks, and plain linear algebra";
  backend.create = create;
  backend.destroy = destroy;
  backend.version = version;
  backend.devices = devices;
  backend.operators = kOperators;
  backend.operator_count = sizeof kOperators / sizeof *kOperators;
  backend.linalg = &vaccel::reference::kLinalg;
  return backend;
}

constexpr vaccel_backend kBackend = table();

}  // namespace

const vaccel_backend* vaccel_backend_entry(void) {
  return &kBackend;
}
