// SPDX-License-Identifier: Apache-2.0
#include "channel/endpoint.h"

#include <sys/un.h>

#include <charconv>

namespace vaccel::channel {
namespace {

constexpr const char* kForms =
    "expected unix:/path, vsock:CID:PORT, tcp:HOST:PORT, hvsock:/path:PORT or local:[/path/to/config.toml]";

bool parse_number(std::string_view text, uint32_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size() && !text.empty();
}

Unexpected bad(std::string_view text, const char* why) {
  return fail(VACCEL_INVALID_ARGUMENT, "endpoint '%s': %s; %s", printable(text).c_str(), why, kForms);
}

// The path must fit sockaddr_un with its NUL.
bool fits_socket_address(const std::string& path) {
  return path.size() < sizeof(sockaddr_un{}.sun_path);
}

}  // namespace

std::string Endpoint::text() const {
  switch (scheme) {
    case Scheme::kUnix:
      return "unix:" + path;
    case Scheme::kVsock:
      return "vsock:" + (cid == kAnyCid ? "any" : std::to_string(cid)) + ":" + std::to_string(port);
    case Scheme::kTcp:
      return "tcp:" + host + ":" + std::to_string(port);
    case Scheme::kHybridVsock:
      return "hvsock:" + path + ":" + std::to_string(port);
    case Scheme::kLocal:
      return "local:" + path;
  }
  return {};
}

std::string Endpoint::socket_path() const {
  return scheme == Scheme::kHybridVsock ? path + "_" + std::to_string(port) : path;
}

Result<Endpoint> parse_endpoint(std::string_view text) {
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos) return bad(text, "no scheme");
  const std::string_view scheme = text.substr(0, colon);
  const std::string_view rest = text.substr(colon + 1);
  if (rest.find('\0') != std::string_view::npos) return bad(text, "a NUL in it");
  Endpoint endpoint;
  if (scheme == "local") {
    endpoint.scheme = Endpoint::Scheme::kLocal;
    endpoint.path = rest;
    return endpoint;
  }
  if (scheme == "unix") {
    endpoint.scheme = Endpoint::Scheme::kUnix;
    endpoint.path = rest;
    if (rest.empty()) return bad(text, "no path");
    if (!fits_socket_address(endpoint.socket_path())) return bad(text, "the path is over 107 bytes");
    return endpoint;
  }
  const size_t last_colon = rest.rfind(':');
  if (scheme != "vsock" && scheme != "tcp" && scheme != "hvsock") return bad(text, "no such scheme");
  if (last_colon == std::string_view::npos) return bad(text, "no port");
  if (!parse_number(rest.substr(last_colon + 1), endpoint.port)) return bad(text, "the port is not a number");
  const std::string_view where = rest.substr(0, last_colon);
  if (where.empty()) return bad(text, "nothing before the port");
  if (scheme == "vsock") {
    endpoint.scheme = Endpoint::Scheme::kVsock;
    if (where == "any") {
      endpoint.cid = kAnyCid;
    } else if (!parse_number(where, endpoint.cid)) {
      return bad(text, "the CID is not a number");
    }
    return endpoint;
  }
  endpoint.path = where;
  if (scheme == "hvsock") {
    endpoint.scheme = Endpoint::Scheme::kHybridVsock;
    if (!fits_socket_address(endpoint.socket_path())) return bad(text, "the path is over 107 bytes");
    return endpoint;
  }
  endpoint.scheme = Endpoint::Scheme::kTcp;
  endpoint.host = where;
  endpoint.path.clear();
  if (endpoint.port > 65535) return bad(text, "the port is over 65535");
  return endpoint;
}

}  // namespace vaccel::channel
