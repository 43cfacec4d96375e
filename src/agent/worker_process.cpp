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
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    return fail(VACCEL_RESOURCE_EXHAUSTED, "socketpair: %s", errno_text(errno).c_str());
  }
  UniqueFd ours{ends[0]};
  const UniqueFd low_end{ends[1]};
  const UniqueFd theirs = above_inherited(low_end.get());
  const UniqueFd calls_fd = above_inherited(calls.fd());
  const UniqueFd results_fd = above_inherited(results->fd());
  if (!theirs.valid() || !calls_fd.valid() || !results_fd.valid()) {
    return fail(VACCEL_RESOURCE_EXHAUSTED, "out of file descriptors: %s", errno_text(errno).c_str());
  }
  SpawnSetup setup;
  ::posix_spawn_file_actions_adddup2(&setup.actions, theirs.get(), worker::kChannelFd);
  ::posix_spawn_file_actions_adddup2(&setup.actions, calls_fd.get(), worker::kCallsFd);
  ::posix_spawn_file_actions_adddup2(&setup.actions, results_fd.get(), worker::kResultsFd);

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
  return std::unique_ptr<WorkerProcess>(new WorkerProcess(
      pid, std::move(pid_fd), channel::StreamChannel{std::move(ours)}, std::move(*results)));
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
  ::shutdown(channel_.fd(), SHUT_RDWR);
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
  return "was killed by signal " + std::to_string(number) + " (" + ::sigdescr_np(number) + ")";
}

}  // namespace vaccel::agent
