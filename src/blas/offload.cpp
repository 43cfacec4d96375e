// SPDX-License-Identifier: Apache-2.0
#include "blas/offload.h"

#include <pthread.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <mutex>

namespace vaccel::blas {
namespace {

// From this size on, a product takes longer than its way to the host and back, where the host's processor is this one and
// both have the same good BLAS; docs/blas.md says how to find it anew.
constexpr double kDefaultLeastOperations = 3e7;

// And by those that do more with each element that travels: an outer product does not, however large it is.
constexpr double kLeastOperationsPerElement = 64;

// After a failure to reach an agent, everything is computed here for so long.
constexpr int64_t kPatienceNs = 10'000'000'000;
constexpr uint32_t kConnectTimeoutMs = 1000;

int64_t now_ns() {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

struct Settings {
  double least_operations = kDefaultLeastOperations;
  bool verbose = false;
};

const Settings& settings() {
  static const Settings read = [] {
    Settings settings;
    if (const char* text = std::getenv("VACCEL_BLAS_MIN_FLOPS")) {
      char* end = nullptr;
      const double value = std::strtod(text, &end);
      if (end != text && *end == '\0' && value >= 0) {
        settings.least_operations = value;
      } else {
        std::fprintf(stderr, "libvaccel-blas: VACCEL_BLAS_MIN_FLOPS is '%s'; it must be a number >= 0\n",
                     text);
      }
    }
    const char* verbose = std::getenv("VACCEL_BLAS_VERBOSE");
    settings.verbose = verbose != nullptr && std::strcmp(verbose, "1") == 0;
    return settings;
  }();
  return read;
}

// What a process has of this library. A child after fork() gets another: the session is its parent's.
struct Process {
  std::mutex opening;
  std::atomic<vaccel_session*> session = nullptr;
  std::atomic<int64_t> not_before_ns = 0;
  std::atomic<bool> told = false;
  std::atomic<uint64_t> on_host = 0;
  std::atomic<uint64_t> here = 0;
  std::atomic<uint64_t> passed_on = 0;

  // An agent's session; nullptr: there is none.
  vaccel_session* get() {
    if (vaccel_session* open = session.load(std::memory_order_acquire)) return open;
    const std::lock_guard lock(opening);
    if (vaccel_session* open = session.load(std::memory_order_acquire)) return open;
    if (now_ns() < not_before_ns.load(std::memory_order_relaxed)) return nullptr;
    auto options = VACCEL_INIT(vaccel_open_options);
    options.connect_timeout_ms = kConnectTimeoutMs;
    vaccel_session* opened = nullptr;
    if (vaccel_open(nullptr, &options, &opened) != VACCEL_OK) {
      give_up_for_now("no agent", vaccel_error_message());
      return nullptr;
    }
    // Nobody asked for a runtime in this process; that is only where discovery ends.
    if (std::getenv("VACCEL_ENDPOINT") == nullptr &&
        std::strncmp(vaccel_session_endpoint(opened), "local:", 6) == 0) {
      vaccel_close(opened);
      give_up_for_now("no agent", "none was found, and VACCEL_ENDPOINT is not set");
      return nullptr;
    }
    session.store(opened, std::memory_order_release);
    return opened;
  }

  void give_up_for_now(const char* what, const char* why) {
    not_before_ns.store(now_ns() + kPatienceNs, std::memory_order_relaxed);
    tell(what, why);
  }
  void tell(const char* what, const char* why) {
    if (settings().verbose && !told.exchange(true))
      std::fprintf(stderr, "libvaccel-blas: %s: %s; products are computed here\n", what, why);
  }
};

std::atomic<Process*> the_process = nullptr;

void begin_in_child() {
  // The old one stays behind with whatever lock was held in it.
  the_process.store(new Process, std::memory_order_release);
}

Process& process() {
  if (Process* one = the_process.load(std::memory_order_acquire)) return *one;
  static std::once_flag once;
  std::call_once(once, [] {
    the_process.store(new Process, std::memory_order_release);
    ::pthread_atfork(nullptr, nullptr, begin_in_child);
  });
  return *the_process.load(std::memory_order_acquire);
}

bool is_worth_it(const Product& product) {
  if (product.m <= 0 || product.n <= 0 || product.k <= 0) return false;
  const double least = settings().least_operations;
  const double m = product.m;
  const double n = product.n;
  const double k = product.k;
  const double operations = 2 * m * n * k;
  return operations >= least &&
         (least == 0 || operations >= kLeastOperationsPerElement * (m * k + k * n + m * n));
}

thread_local bool is_computing_here = false;

vaccel_status compute(vaccel_session* session, const Product& product) {
  const ComputeHere local_sessions_do;  // with a BLAS that may find its way here
  return vaccel_gemm(session, product.dtype, static_cast<vaccel_order>(product.order),
                     static_cast<vaccel_transpose>(product.transpose_a),
                     static_cast<vaccel_transpose>(product.transpose_b), product.m, product.n, product.k,
                     product.alpha, product.a, product.lda, product.b, product.ldb, product.beta, product.c,
                     product.ldc, nullptr);
}

// Arguments that BLAS would refuse go to the next one, for it to say so.
bool is_ours_to_say(vaccel_status status) {
  return status != VACCEL_OK && status != VACCEL_INVALID_ARGUMENT;
}

[[gnu::destructor]] void say_goodbye() {
  const Process* one = the_process.load(std::memory_order_acquire);
  if (one == nullptr || !settings().verbose) return;
  const vaccel_session* session = one->session.load(std::memory_order_acquire);
  std::fprintf(stderr,
               "libvaccel-blas: %llu products on the host (%s), %llu here; %llu other calls passed on\n",
               static_cast<unsigned long long>(one->on_host.load()),
               session != nullptr ? vaccel_session_endpoint(session) : "no session",
               static_cast<unsigned long long>(one->here.load()),
               static_cast<unsigned long long>(one->passed_on.load()));
}

}  // namespace

ComputeHere::ComputeHere() : before_(is_computing_here) {
  is_computing_here = true;
}
ComputeHere::~ComputeHere() {
  is_computing_here = before_;
}

bool compute_on_host(const Product& product) {
  if (is_computing_here) return false;
  Process& own = process();
  if (!is_worth_it(product) || now_ns() < own.not_before_ns.load(std::memory_order_relaxed)) {
    own.here.fetch_add(1, std::memory_order_relaxed);
    return false;
  }
  vaccel_session* session = own.get();
  const vaccel_status status = session != nullptr ? compute(session, product) : VACCEL_INVALID_ARGUMENT;
  if (status == VACCEL_OK) {
    own.on_host.fetch_add(1, std::memory_order_relaxed);
    return true;
  }
  if (status == VACCEL_UNAVAILABLE || status == VACCEL_DEADLINE_EXCEEDED || status == VACCEL_PROTOCOL_ERROR) {
    own.give_up_for_now(vaccel_status_name(status), vaccel_error_message());
  } else if (is_ours_to_say(status)) {
    own.tell(vaccel_status_name(status), vaccel_error_message());
  }
  own.here.fetch_add(1, std::memory_order_relaxed);
  return false;
}

void count_passed_on() {
  if (!is_computing_here) process().passed_on.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace vaccel::blas
