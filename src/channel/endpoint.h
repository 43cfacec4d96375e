// SPDX-License-Identifier: Apache-2.0
//
// Endpoints: where an agent listens or a client connects, as text and as a value. Parsing only; sockets are
// in socket.h.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/status.h"

namespace vaccel::channel {

/// The agent's default places; docs/operations.md says how to move them.
inline constexpr const char* kDefaultUnixSocket = "/run/vaccel/agent.sock";
inline constexpr const char* kDefaultControlSocket = "/run/vaccel/control.sock";
inline constexpr uint32_t kDefaultPort = 4411;
inline constexpr uint32_t kHostCid = 2;
inline constexpr uint32_t kAnyCid = 0xffffffff;

struct Endpoint {
  enum class Scheme {
    kUnix,         ///< unix:/path
    kVsock,        ///< vsock:CID:PORT; CID "any" to listen on all
    kTcp,          ///< tcp:HOST:PORT; HOST is an address literal or "localhost"
    kHybridVsock,  ///< hvsock:/path:PORT: to listen only, on the unix socket /path_PORT
    kLocal,        ///< local: or local:/path/to/config.toml
  };
  Scheme scheme = Scheme::kLocal;
  std::string path;  ///< kUnix, kHybridVsock: of the socket; kLocal: of the configuration, may be empty.
  std::string host;  ///< kTcp
  uint32_t cid = 0;  ///< kVsock
  uint32_t port = 0;

  /// In the form that parse_endpoint() reads.
  [[nodiscard]] std::string text() const;
  /// The unix socket of kUnix and kHybridVsock.
  [[nodiscard]] std::string socket_path() const;
};

/// INVALID_ARGUMENT says which form was expected.
Result<Endpoint> parse_endpoint(std::string_view text);

}  // namespace vaccel::channel
