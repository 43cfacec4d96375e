// SPDX-License-Identifier: Apache-2.0
//
// A small HTTP server within the agent's reactor, for who watches it: Prometheus, probes, people with curl. libmicrohttpd
// does HTTP; here are its descriptor and its timers, and what a client may take: so many connections, so many bytes of
// request, so much time. It has no thread, and knows of the paths only that somebody answers them. GET and HEAD alone.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "agent/reactor.h"
#include "channel/socket.h"

struct MHD_Daemon;

namespace vaccel::agent {

struct HttpAnswer {
  unsigned status = 200;
  const char* type = "text/plain";  ///< Lives for ever.
  std::string body;
};

class HttpServer {
 public:
  /// More are not taken until some have gone.
  static constexpr unsigned kMaxConnections = 16;
  /// Of a request's line and headers, and of an answer's.
  static constexpr size_t kMaxHeaderBytes = 8 * 1024;
  /// From a connection's beginning to its end, whatever its client does.
  static constexpr int64_t kMaxConnectionMs = 10'000;

  using Answer = std::function<HttpAnswer(std::string_view path)>;

  /// Listens on a unix socket or a loopback address: nothing authenticates here. UNAVAILABLE: it is in use.
  /// @param mode  Of the unix socket.
  /// @param answer  Called in the reactor's thread.
  static Result<std::unique_ptr<HttpServer>> listen(Reactor& reactor, const channel::Endpoint& endpoint,
                                                    mode_t mode, Answer answer);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

 private:
  struct Callbacks;  // what libmicrohttpd calls

  HttpServer(Reactor& reactor, channel::ListeningSocket socket, Answer answer)
      : reactor_(reactor), socket_(std::move(socket)), answer_(std::move(answer)) {}
  Status start();
  void run();

  Reactor& reactor_;
  channel::ListeningSocket socket_;
  Answer answer_;
  MHD_Daemon* daemon_ = nullptr;
  int epoll_ = -1;
  Reactor::TimerId timer_;
  std::map<int, Reactor::TimerId> connections_;  // by descriptor: when each is ended
};

}  // namespace vaccel::agent
