// SPDX-License-Identifier: Apache-2.0
//
// Sockets for endpoints: connecting with a deadline, listening, and the options that every stream of ours has
// (close-on-exec, TCP_NODELAY). What goes over them is stream.h's business.
#pragma once

#include <sys/types.h>

#include <optional>

#include "channel/endpoint.h"
#include "core/status.h"
#include "core/unique_fd.h"

namespace vaccel::channel {

/// A guest's single write above this wedges some vsock devices.
inline constexpr size_t kMaxVsockWrite = 28 * 1024;

/// Connects to a unix, vsock or tcp endpoint.
/// UNAVAILABLE: nobody listens there; PERMISSION_DENIED; DEADLINE_EXCEEDED.
Result<UniqueFd> connect_to(const Endpoint& endpoint, int64_t deadline_ns);

/// A listening socket, non-blocking, and the file that goes with it.
class ListeningSocket {
 public:
  ListeningSocket() = default;
  ListeningSocket(UniqueFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}
  ListeningSocket(ListeningSocket&&) = default;
  ListeningSocket& operator=(ListeningSocket&&) = default;
  ~ListeningSocket();  ///< Removes the unix socket's file.

  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  UniqueFd fd_;
  std::string path_;
};

/// Listens on a unix, hybrid-vsock, vsock or tcp endpoint. A unix socket that nobody answers on (left by a
/// process that died) is replaced; one that somebody answers on is UNAVAILABLE ("in use"), as is a port in
/// use. TCP is for loopback addresses only (INVALID_ARGUMENT): there is no authentication on it.
/// @param mode  Permissions of a unix socket's file.
Result<ListeningSocket> listen_on(const Endpoint& endpoint, mode_t mode);

/// Accepts one connection from a listening socket, non-blocking; an invalid descriptor when there is none
/// now. RESOURCE_EXHAUSTED: out of descriptors or memory.
Result<UniqueFd> accept_from(int listening_fd);

/// The context id at the other end of a vsock connection; 0: it is none.
uint32_t peer_cid_of(int fd);

/// The user that the other end of a unix socket ran as when it connected; nothing: it is another socket.
std::optional<uid_t> peer_uid_of(int fd);

/// The most bytes for one write on this socket: kMaxVsockWrite for vsock, no limit otherwise.
size_t max_write_of(int fd);

}  // namespace vaccel::channel
