// SPDX-License-Identifier: Apache-2.0
#include "raw_peer.h"

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <span>

#include "failure.h"
#include "placement.h"

namespace vaccel::bench {
namespace {

bool read_all(int fd, std::span<std::byte> memory) {
  while (!memory.empty()) {
    const ssize_t count = ::read(fd, memory.data(), memory.size());
    if (count <= 0 && !(count < 0 && errno == EINTR)) return false;
    if (count > 0) memory = memory.subspan(static_cast<size_t>(count));
  }
  return true;
}

bool write_all(int fd, std::span<const std::byte> memory) {
  while (!memory.empty()) {
    const ssize_t count = ::send(fd, memory.data(), memory.size(), MSG_NOSIGNAL);
    if (count < 0 && errno != EINTR) return false;
    if (count > 0) memory = memory.subspan(static_cast<size_t>(count));
  }
  return true;
}

}  // namespace

RawPeer::RawPeer(size_t request_bytes, size_t answer_bytes, int cpu)
    : request_(request_bytes, std::byte{1}), answer_(answer_bytes, std::byte{2}) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    give_up("socketpair: %s", std::strerror(errno));
  socket_ = UniqueFd{ends[0]};
  const UniqueFd theirs{ends[1]};
  const cpu_set_t cpus = cpus_of(cpu);
  pid_ = ::fork();
  if (pid_ < 0) give_up("cannot fork: %s", std::strerror(errno));
  if (pid_ > 0) return;
  // The child: system calls only, on memory that is there; it ends when our end of the socket is closed.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  socket_.reset();
  if (::sched_setaffinity(0, sizeof cpus, &cpus) != 0) ::_exit(1);
  for (int value = 0; read_all(theirs.get(), request_); ++value) {
    std::memset(answer_.data(), value, answer_.size());
    if (!write_all(theirs.get(), answer_)) break;
  }
  ::_exit(0);
}

RawPeer::~RawPeer() {
  // Killed rather than waited for: peers that were forked later hold copies of our end of the socket.
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

void RawPeer::exchange() {
  if (!write_all(socket_.get(), request_) || !read_all(socket_.get(), answer_)) {
    give_up("the raw peer has gone: %s", std::strerror(errno));
  }
}

}  // namespace vaccel::bench
