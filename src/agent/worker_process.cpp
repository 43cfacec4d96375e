// SPDX-License-Identifier: Apache-2.0
#include "agent/worker_process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include "worker/descriptors.h"

namespace vaccel::agent {
namespace {

// The rings to a worker, and the socket on which the two wake each other.
struct WorkerRings {
  std::shared_ptr<channel::Segment> memory;  // shared: kept by the channel that uses it
  UniqueFd wake;                             // the agent's end
  UniqueFd wake_of_worker;                   // and the worker's

  static Result<WorkerRings> create() {
    auto memory = channel::Segment::create("vaccel-rings", channel::kRingPairBytes);
    if (!memory) return Unexpected{memory.error()};
    auto wakes = channel::make_wake_sockets();
    if (!wakes) return Unexpected{wakes.error()};
    WorkerRings rings{std::make_shared<channel::Segment>(std::move(*memory)), std::move((*wakes)[0]),
                      std::move((*wakes)[1])};
    channel::initialise_rings(rings.pair());
    return rings;
  }
  [[nodiscard]] std::byte* pair() const { return memory->at(0, channel::kRingPairBytes)->data(); }
};

// A process that is the first of its namespace cannot be ended by its own abort(): it exits with this instead (worker/main.cpp).
constexpr int kAborted = 128 + SIGABRT;

}  // namespace

Result<std::unique_ptr<WorkerProcess>> WorkerProcess::start(
    jail::Jail& jail, const std::filesystem::path& program, const std::vector<std::string>& arguments,
    const std::filesystem::path& config, const channel::Segment& calls, uint64_t result_bytes) {
  auto results = channel::Segment::create("vaccel-results", result_bytes);
  if (!results) return Unexpected{results.error()};
  auto rings = WorkerRings::create();
  if (!rings) return Unexpected{rings.error()};
  const char* const config_file = config.empty() ? "/dev/null" : config.c_str();
  const UniqueFd config_fd{::open(config_file, O_RDONLY | O_CLOEXEC)};
  if (!config_fd.valid())
    return fail(VACCEL_NOT_FOUND, "cannot open %s: %s", config_file, errno_text(errno).c_str());
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    return fail(VACCEL_RESOURCE_EXHAUSTED, "socketpair: %s", errno_text(errno).c_str());
  }
  UniqueFd ours{ends[0]};
  const UniqueFd theirs{ends[1]};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    return fail(VACCEL_RESOURCE_EXHAUSTED, "socketpair: %s", errno_text(errno).c_str());
  UniqueFd output{ends[0]};
  const UniqueFd output_of_worker{ends[1]};
  auto started = jail.start({.file = program,
                             .arguments = arguments,
                             .descriptors = {{theirs.get(), worker::kChannelFd},
                                             {calls.fd(), worker::kCallsFd},
                                             {results->fd(), worker::kResultsFd},
                                             {rings->memory->fd(), worker::kRingsFd},
                                             {rings->wake_of_worker.get(), worker::kWakeFd},
                                             {config_fd.get(), worker::kConfigFd}},
                             .output = output_of_worker.get()});
  if (!started) return Unexpected{started.error()};
  auto channel = std::make_unique<channel::RingChannel>(channel::StreamChannel{std::move(ours)});
  // The agent never waits in receive(): its reactor spins for all channels together.
  channel->attach(rings->pair(), rings->memory, channel::RingChannel::Side::kClient, std::move(rings->wake),
                  /*spin_ns=*/0);
  return std::unique_ptr<WorkerProcess>(new WorkerProcess(std::move(*started), jail.policy().memory_bytes,
                                                          std::move(channel), std::move(*results),
                                                          std::move(output)));
}

WorkerProcess::~WorkerProcess() {
  if (pid_ <= 0) return;
  kill();
  collect();
}

void WorkerProcess::kill() {
  if (pid_ > 0) ::kill(pid_, SIGKILL);
}

void WorkerProcess::end(int timeout_ms, const std::function<void()>& meanwhile) {
  if (pid_ <= 0) return;
  ::shutdown(channel_->fd(), SHUT_RDWR);
  pollfd waiting{pid_fd_.get(), POLLIN, 0};
  constexpr int kSliceMs = 20;
  bool ended = false;
  for (int waited_ms = 0; !ended && waited_ms < timeout_ms; waited_ms += kSliceMs) {
    meanwhile();
    ended = ::poll(&waiting, 1, kSliceMs) > 0;
  }
  if (!ended) kill();
  collect();
}

std::string WorkerProcess::collect() {
  if (pid_ <= 0) return "has ended";
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = 0;
  ran_out_of_memory_ = cgroup_.ran_out_of_memory();
  cgroup_ = {};
  const bool aborted = WIFEXITED(status) && WEXITSTATUS(status) == kAborted;
  if (WIFEXITED(status) && !aborted) return "exited with status " + std::to_string(WEXITSTATUS(status));
  const int number = aborted ? SIGABRT : WTERMSIG(status);
  end_signal_ = number;
  if (ran_out_of_memory_)
    return "took more memory than the " + std::to_string(memory_bytes_) + " bytes that it may have";
  return "was killed by signal " + std::to_string(number) + " (" + ::sigdescr_np(number) + ")";
}

}  // namespace vaccel::agent
