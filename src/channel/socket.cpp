// SPDX-License-Identifier: Apache-2.0
#include "channel/socket.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
// linux/vm_sockets.h wants sys/socket.h first.
#include <linux/vm_sockets.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <limits>

#include "core/clock.h"

namespace vaccel::channel {
namespace {

struct Address {
  union {
    sockaddr generic;
    sockaddr_un unix_socket;
    sockaddr_vm vsock;
    sockaddr_in in;
    sockaddr_in6 in6;
  };
  socklen_t size = 0;
  bool loopback = false;

  Address() : generic{} { std::memset(&unix_socket, 0, sizeof unix_socket); }
};

// No resolver: a guest has no DNS, a name that resolves elsewhere tomorrow is no identity, and glibc's
// resolver is heavy.
Result<Address> tcp_address(const Endpoint& endpoint) {
  Address address;
  std::string host = endpoint.host == "localhost" ? "127.0.0.1" : endpoint.host;
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  if (inet_pton(AF_INET, host.c_str(), &address.in.sin_addr) == 1) {
    address.in.sin_family = AF_INET;
    address.in.sin_port = htons(static_cast<uint16_t>(endpoint.port));
    address.size = sizeof address.in;
    address.loopback = (ntohl(address.in.sin_addr.s_addr) >> 24) == 127;
    return address;
  }
  if (inet_pton(AF_INET6, host.c_str(), &address.in6.sin6_addr) == 1) {
    address.in6.sin6_family = AF_INET6;
    address.in6.sin6_port = htons(static_cast<uint16_t>(endpoint.port));
    address.size = sizeof address.in6;
    address.loopback = IN6_IS_ADDR_LOOPBACK(&address.in6.sin6_addr);
    return address;
  }
  return fail(VACCEL_INVALID_ARGUMENT, "endpoint '%s': '%s' is not an IPv4 or IPv6 address, nor 'localhost'",
              endpoint.text().c_str(), printable(endpoint.host).c_str());
}

Result<Address> address_of(const Endpoint& endpoint) {
  Address address;
  switch (endpoint.scheme) {
    case Endpoint::Scheme::kUnix:
    case Endpoint::Scheme::kHybridVsock: {
      const std::string path = endpoint.socket_path();
      address.unix_socket.sun_family = AF_UNIX;
      std::memcpy(address.unix_socket.sun_path, path.c_str(),
                  path.size() + 1);  // parse_endpoint saw that it fits
      address.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
      return address;
    }
    case Endpoint::Scheme::kVsock:
      address.vsock.svm_family = AF_VSOCK;
      address.vsock.svm_cid = endpoint.cid;
      address.vsock.svm_port = endpoint.port;
      address.size = sizeof address.vsock;
      return address;
    case Endpoint::Scheme::kTcp:
      return tcp_address(endpoint);
    case Endpoint::Scheme::kLocal:
      break;
  }
  return fail(VACCEL_INVALID_ARGUMENT, "endpoint '%s' has no socket", endpoint.text().c_str());
}

vaccel_status code_of_connect_error(int error) {
  switch (error) {
    case EACCES:
    case EPERM:
      return VACCEL_PERMISSION_DENIED;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      return VACCEL_RESOURCE_EXHAUSTED;
    default:
      return VACCEL_UNAVAILABLE;
  }
}

const char* connect_hint(int error) {
  switch (error) {
    case ENOENT:
    case ECONNREFUSED:
    case ECONNRESET:
    case ETIMEDOUT:
      return "; is the agent (vacceld) running and listening there?";
    case EACCES:
    case EPERM:
      return "; this user may not use the agent's socket";
    case EAFNOSUPPORT:
    case ENODEV:
      return "; this system has no such transport";
    default:
      return "";
  }
}

Unexpected connect_failure(const Endpoint& endpoint, int error) {
  return fail(code_of_connect_error(error), "cannot connect to %s: %s%s", endpoint.text().c_str(),
              errno_text(error).c_str(), connect_hint(error));
}

int timeout_ms(int64_t deadline_ns) {
  if (deadline_ns == 0) return -1;
  const int64_t left = deadline_ns - now_ns();
  if (left <= 0) return 0;
  const int64_t milliseconds = (left + 999'999) / 1'000'000;
  return static_cast<int>(std::min<int64_t>(milliseconds, std::numeric_limits<int>::max()));
}

void set_stream_options(int fd, int family) {
  if (family == AF_INET || family == AF_INET6) {
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
}

// Whether somebody answers on the unix socket at `address`.
bool is_answered(const Address& address) {
  const UniqueFd probe{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (!probe.valid()) return true;
  // EAGAIN: its backlog is full, so somebody is there.
  return ::connect(probe.get(), &address.generic, address.size) == 0 || errno == EAGAIN;
}

Status remove_stale_socket(const Endpoint& endpoint, const Address& address) {
  const std::string path = endpoint.socket_path();
  struct stat file {};
  if (::lstat(path.c_str(), &file) != 0) return {};
  if (!S_ISSOCK(file.st_mode)) {
    return failure(VACCEL_INVALID_ARGUMENT, "cannot listen on %s: %s exists and is not a socket",
                   endpoint.text().c_str(), path.c_str());
  }
  if (is_answered(address)) {
    return failure(VACCEL_UNAVAILABLE, "cannot listen on %s: another process listens there",
                   endpoint.text().c_str());
  }
  ::unlink(path.c_str());
  return {};
}

}  // namespace

Result<UniqueFd> connect_to(const Endpoint& endpoint, int64_t deadline_ns) {
  const auto address = address_of(endpoint);
  if (!address) return Unexpected{address.error()};
  const int family = address->generic.sa_family;
  UniqueFd fd{::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (!fd.valid()) return connect_failure(endpoint, errno);
  while (::connect(fd.get(), &address->generic, address->size) != 0) {
    if (errno == EINTR) continue;
    if (errno == EAGAIN &&
        family == AF_UNIX) {  // The listener's backlog is full: no event tells when it is not.
      if (has_passed(deadline_ns, now_ns())) break;
      ::poll(nullptr, 0, 1);
      continue;
    }
    if (errno != EINPROGRESS) return connect_failure(endpoint, errno);
    pollfd waiting{fd.get(), POLLOUT, 0};
    const int ready = ::poll(&waiting, 1, timeout_ms(deadline_ns));
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 0) break;
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return connect_failure(endpoint, error);
    set_stream_options(fd.get(), family);
    return fd;
  }
  if (has_passed(deadline_ns, now_ns())) {
    return fail(VACCEL_DEADLINE_EXCEEDED, "cannot connect to %s: no answer in time", endpoint.text().c_str());
  }
  set_stream_options(fd.get(), family);
  return fd;
}

ListeningSocket::~ListeningSocket() {
  if (fd_.valid() && !path_.empty()) ::unlink(path_.c_str());
}

Result<ListeningSocket> listen_on(const Endpoint& endpoint, mode_t mode) {
  const auto address = address_of(endpoint);
  if (!address) return Unexpected{address.error()};
  if (endpoint.scheme == Endpoint::Scheme::kTcp && !address->loopback) {
    return fail(VACCEL_INVALID_ARGUMENT,
                "cannot listen on %s: tcp is for loopback addresses only, since it has no authentication",
                endpoint.text().c_str());
  }
  const bool is_unix = address->generic.sa_family == AF_UNIX;
  if (is_unix) {
    if (Status status = remove_stale_socket(endpoint, *address); !status.ok())
      return Unexpected{std::move(status)};
  }
  UniqueFd fd{::socket(address->generic.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (!fd.valid()) {
    return fail(VACCEL_UNAVAILABLE, "cannot listen on %s: %s", endpoint.text().c_str(),
                errno_text(errno).c_str());
  }
  if (endpoint.scheme == Endpoint::Scheme::kTcp) {
    const int on = 1;
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  }
  // The file must never be wider open than `mode`, not even between bind and chmod.
  const mode_t mask = is_unix ? ::umask(0777 & ~mode) : 0;
  const int bound = ::bind(fd.get(), &address->generic, address->size);
  const int bind_error = errno;
  if (is_unix) ::umask(mask);
  if (bound != 0) {
    const auto code =
        bind_error == EACCES || bind_error == EPERM ? VACCEL_PERMISSION_DENIED : VACCEL_UNAVAILABLE;
    return fail(code, "cannot listen on %s: %s", endpoint.text().c_str(), errno_text(bind_error).c_str());
  }
  ListeningSocket socket{std::move(fd), is_unix ? endpoint.socket_path() : std::string{}};
  if (::listen(socket.fd(), SOMAXCONN) != 0) {
    return fail(VACCEL_UNAVAILABLE, "cannot listen on %s: %s", endpoint.text().c_str(),
                errno_text(errno).c_str());
  }
  return socket;
}

Result<UniqueFd> accept_from(int listening_fd) {
  for (;;) {
    sockaddr_storage peer{};
    socklen_t size = sizeof peer;
    UniqueFd fd{
        ::accept4(listening_fd, reinterpret_cast<sockaddr*>(&peer), &size, SOCK_CLOEXEC | SOCK_NONBLOCK)};
    if (fd.valid()) {
      set_stream_options(fd.get(), peer.ss_family);
      return fd;
    }
    switch (errno) {
      case EINTR:
      case ECONNABORTED:
        continue;
      case EAGAIN:
        return UniqueFd{};
      default:
        return fail(VACCEL_RESOURCE_EXHAUSTED, "cannot accept a connection: %s", errno_text(errno).c_str());
    }
  }
}

uint32_t peer_cid_of(int fd) {
  Address peer;
  peer.size = sizeof peer.unix_socket;  // the largest
  if (::getpeername(fd, &peer.generic, &peer.size) != 0 || peer.generic.sa_family != AF_VSOCK) return 0;
  return peer.vsock.svm_cid;
}

std::optional<uid_t> peer_uid_of(int fd) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || peer.uid == static_cast<uid_t>(-1))
    return std::nullopt;
  return peer.uid;
}

size_t max_write_of(int fd) {
  int domain = 0;
  socklen_t size = sizeof domain;
  if (::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_VSOCK)
    return kMaxVsockWrite;
  return std::numeric_limits<size_t>::max();
}

}  // namespace vaccel::channel
