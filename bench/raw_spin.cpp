// SPDX-License-Identifier: Apache-2.0
#include "raw_spin.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <new>

#include "core/clock.h"
#include "failure.h"
#include "placement.h"

namespace vaccel::bench {
namespace {

constexpr size_t kExchangesPerSample = 100;
constexpr uint64_t kSleep = ~uint64_t{0};  // instead of a number: the burst is over, answered as any other
constexpr int64_t kPatienceNs = 5'000'000'000;
constexpr size_t kLooksBeforeClock = 1'000'000;

// A whole cache line. The number is written last and read first.
struct alignas(64) Line {
  std::atomic<uint64_t> number{0};
  std::array<uint64_t, 7> payload{};

  void write(const std::array<uint64_t, 7>& bytes, uint64_t next) {
    payload = bytes;
    number.store(next, std::memory_order_release);
  }
};

// For when something has gone wrong, or the other process is slow to wake up.
template <typename Done>
void wait_by_clock(const Done& done) {
  for (const int64_t until = now_ns() + kPatienceNs; !done();) {
    if (now_ns() > until) give_up("the process that spins does not answer");
  }
}

}  // namespace

struct RawSpin::Lines {
  Line request;
  Line answer;
};

RawSpin::RawSpin(int cpu) {
  void* memory = ::mmap(nullptr, sizeof(Lines), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) give_up("mmap: %s", std::strerror(errno));
  memory_ = Mapping{memory, sizeof(Lines)};
  lines_ = new (memory) Lines;
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    give_up("socketpair: %s", std::strerror(errno));
  wake_up_ = UniqueFd{ends[0]};
  const UniqueFd theirs{ends[1]};
  const cpu_set_t cpus = cpus_of(cpu);
  pid_ = ::fork();
  if (pid_ < 0) give_up("cannot fork: %s", std::strerror(errno));
  if (pid_ > 0) return;
  // The child: system calls only; it ends when our end of the socket is closed.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  wake_up_.reset();
  if (::sched_setaffinity(0, sizeof cpus, &cpus) != 0) ::_exit(1);
  answer(theirs.get());
}

RawSpin::~RawSpin() {
  // Killed rather than waited for: peers that were forked later hold copies of our end of the socket.
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

void RawSpin::answer(int wake_up) {
  uint64_t seen = 0;
  char byte = 0;
  while (::read(wake_up, &byte, 1) == 1) {
    for (;;) {
      const uint64_t number = lines_->request.number.load(std::memory_order_acquire);
      if (number == seen) continue;
      seen = number;
      lines_->answer.write(lines_->request.payload, number);
      if (number == kSleep) break;
    }
  }
  ::_exit(0);
}

void RawSpin::exchange(uint64_t number) {
  std::array<uint64_t, 7> payload{};
  payload.fill(number);
  lines_->request.write(payload, number);
  const auto answered = [&] { return lines_->answer.number.load(std::memory_order_acquire) == number; };
  for (size_t looks = 0; !answered(); ++looks) {
    if (looks == kLooksBeforeClock) wait_by_clock(answered);
  }
  if (lines_->answer.payload != payload) give_up("the process that spins answers something else");
}

std::vector<double> RawSpin::burst(size_t samples) {
  if (::send(wake_up_.get(), "", 1, MSG_NOSIGNAL) != 1) give_up("the process that spins has gone");
  exchange(++number_);  // Waits until it is awake.
  std::vector<double> result;
  result.reserve(samples);
  for (size_t sample = 0; sample < samples; ++sample) {
    const Stopwatch stopwatch;
    for (size_t count = 0; count < kExchangesPerSample; ++count)
      exchange(++number_);
    result.push_back(static_cast<double>(stopwatch.elapsed_ns()) / kExchangesPerSample);
  }
  exchange(kSleep);
  return result;
}

}  // namespace vaccel::bench
