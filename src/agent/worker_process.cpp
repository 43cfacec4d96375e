// SPDX-License-Identifier: Apache-2.0
#include "agent/worker_process.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include "worker/descriptors.h"

namespace vaccel::agent {
namespace {

// posix_spawn's objects, destroyed on every path.
struct SpawnSetup {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;

  SpawnSetup() {
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawnattr_init(&attributes);
    // The agent blocks the signals that it reads from a descriptor; a worker must not inherit that.
    sigset_t none;
    ::sigemptyset(&none);
    ::posix_spawnattr_setsigmask(&attributes, &none);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  }
  ~SpawnSetup() {
    ::posix_spawn_file_actions_destroy(&actions);
    ::posix_spawnattr_destroy(&attributes);
  }
  SpawnSetup(const SpawnSetup&) = delete;
  SpawnSetup& operator=(const SpawnSetup&) = delete;
};

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

// A copy of a descriptor above those that the worker gets, so that placing one never closes another.
UniqueFd above_inherited(int fd) {
  return UniqueFd{::fcntl(fd, F_DUPFD_CLOEXEC, 64)};
}

}  // namespace

Result<std::unique_ptr<WorkerProcess>> WorkerProcess::start(const std::filesystem::path& program,
                                                            const std::vector<std::string>& arguments,
                                                            const channel::Segment& calls,
                                                            uint64_t result_bytes) {
  auto results = channel::Segment::create("vaccel-results", result_bytes);
  if (!results) return Unexpected{results.error()};
  auto rings = WorkerRings::create();
  if (!rings) return Unexpected{rings.error()};
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    return fail(VACCEL_RESOURCE_EXHAUSTED, "socketpair: %s", errno_text(errno).c_str());
  }
  UniqueFd ours{ends[0]};
  const UniqueFd low_end{ends[1]};
  const std::pair<int, int> inherited[] = {{low_end.get(), worker::kChannelFd},
                                           {calls.fd(), worker::kCallsFd},
                                           {results->fd(), worker::kResultsFd},
                                           {rings->memory->fd(), worker::kRingsFd},
                                           {rings->wake_of_worker.get(), worker::kWakeFd}};
  SpawnSetup setup;
  std::vector<UniqueFd> copies;
  for (const auto& [ours_fd, theirs_fd] : inherited) {
    copies.push_back(above_inherited(ours_fd));
    if (!copies.back().valid())
      return fail(VACCEL_RESOURCE_EXHAUSTED, "out of file descriptors: %s", errno_text(errno).c_str());
    ::posix_spawn_file_actions_adddup2(&setup.actions, copies.back().get(), theirs_fd);
  }

  std::vector<char*> argv{const_cast<char*>(program.c_str())};
  for (const std::string& argument : arguments)
    argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  pid_t pid = 0;
  if (const int error =
          ::posix_spawn(&pid, program.c_str(), &setup.actions, &setup.attributes, argv.data(), environ);
      error != 0) {
    return fail(VACCEL_UNAVAILABLE, "cannot start %s: %s", program.c_str(), errno_text(error).c_str());
  }
  UniqueFd pid_fd{static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))};
  if (!pid_fd.valid()) {
    const int error = errno;
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    return fail(VACCEL_RESOURCE_EXHAUSTED, "pidfd_open: %s", errno_text(error).c_str());
  }
  auto channel = std::make_unique<channel::RingChannel>(channel::StreamChannel{std::move(ours)});
  // The agent never waits in receive(): its reactor spins for all channels together.
  channel->attach(rings->pair(), rings->memory, channel::RingChannel::Side::kClient, std::move(rings->wake),
                  /*spin_ns=*/0);
  return std::unique_ptr<WorkerProcess>(
      new WorkerProcess(pid, std::move(pid_fd), std::move(channel), std::move(*results)));
}

WorkerProcess::~WorkerProcess() {
  if (pid_ <= 0) return;
  kill();
  collect();
}

void WorkerProcess::kill() {
  if (pid_ > 0) ::kill(pid_, SIGKILL);
}

void WorkerProcess::end(int timeout_ms) {
  if (pid_ <= 0) return;
  ::shutdown(channel_->fd(), SHUT_RDWR);
  pollfd waiting{pid_fd_.get(), POLLIN, 0};
  if (::poll(&waiting, 1, timeout_ms) <= 0) kill();
  collect();
}

std::string WorkerProcess::collect() {
  if (pid_ <= 0) return "has ended";
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = 0;
  if (WIFEXITED(status)) return "exited with status " + std::to_string(WEXITSTATUS(status));
  const int number = WTERMSIG(status);
  end_signal_ = number;
  return "was killed by signal " + std::to_string(number) + " (" + ::sigdescr_np(number) + ")";
}

}  // namespace vaccel::agent
