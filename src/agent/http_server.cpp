// SPDX-License-Identifier: Apache-2.0
#include "agent/http_server.h"

#include <microhttpd.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace vaccel::agent {

struct HttpServer::Callbacks {
  // Called when the request's line and headers are there, and again when it is whole.
  static MHD_Result request(void* self, MHD_Connection* connection, const char* url, const char* method,
                            const char* /*version*/, const char* /*data*/, size_t* data_bytes, void** state) {
    const std::string_view verb = method;
    const bool reads = verb == MHD_HTTP_METHOD_GET || verb == MHD_HTTP_METHOD_HEAD;
    if (*state == nullptr && reads) {
      *state = self;  // any mark will do: an answer in the first call would let no connection be used again
      return MHD_YES;
    }
    *data_bytes = 0;  // what comes with a request is of no interest
    const HttpAnswer answer =
        reads ? static_cast<HttpServer*>(self)->answer_(url)
              : HttpAnswer{MHD_HTTP_METHOD_NOT_ALLOWED, "text/plain; charset=utf-8", "GET and HEAD alone\n"};
    MHD_Response* response = MHD_create_response_from_buffer(
        answer.body.size(), const_cast<char*>(answer.body.data()), MHD_RESPMEM_MUST_COPY);
    if (response == nullptr) return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer.type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    if (!reads) MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    const MHD_Result queued = MHD_queue_response(connection, answer.status, response);
    MHD_destroy_response(response);
    return queued;
  }

  // A client that sends a byte now and then is never idle, so the library's own time limit does not end it.
  static void connection(void* self, MHD_Connection* connection, void** /*state*/,
                         MHD_ConnectionNotificationCode what) {
    auto& server = *static_cast<HttpServer*>(self);
    const MHD_ConnectionInfo* info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (info == nullptr) return;
    const int fd = info->connect_fd;
    if (const auto known = server.connections_.find(fd); known != server.connections_.end()) {
      server.reactor_.cancel(known->second);
      server.connections_.erase(known);
    }
    if (what != MHD_CONNECTION_NOTIFY_STARTED) {
      // Where there were as many as may be, the library listens again only in a turn after this one.
      return server.reactor_.defer([&server] { server.run(); });
    }
    server.connections_[fd] = server.reactor_.after_ms(kMaxConnectionMs, [&server, fd] {
      server.connections_.erase(fd);
      ::shutdown(fd, SHUT_RDWR);  // the library sees that, and closes it
    });
  }
};

Result<std::unique_ptr<HttpServer>> HttpServer::listen(Reactor& reactor, const channel::Endpoint& endpoint,
                                                       mode_t mode, Answer answer) {
  auto socket = channel::listen_on(endpoint, mode);
  if (!socket) return Unexpected{socket.error()};
  std::unique_ptr<HttpServer> server(new HttpServer(reactor, std::move(*socket), std::move(answer)));
  if (Status status = server->start(); !status.ok()) return Unexpected{std::move(status)};
  return server;
}

Status HttpServer::start() {
  const int socket = ::dup(socket_.fd());  // the library closes what it is given
  if (socket < 0) return failure(VACCEL_RESOURCE_EXHAUSTED, "dup: %s", errno_text(errno).c_str());
  daemon_ = MHD_start_daemon(MHD_USE_EPOLL, 0, nullptr, nullptr, &Callbacks::request, this,
                             MHD_OPTION_LISTEN_SOCKET, socket, MHD_OPTION_CONNECTION_LIMIT, kMaxConnections,
                             MHD_OPTION_CONNECTION_MEMORY_LIMIT, kMaxHeaderBytes,
                             MHD_OPTION_CONNECTION_TIMEOUT, static_cast<unsigned>(kMaxConnectionMs / 1000),
                             MHD_OPTION_NOTIFY_CONNECTION, &Callbacks::connection, this, MHD_OPTION_END);
  if (daemon_ == nullptr) {
    ::close(socket);
    return failure(VACCEL_RESOURCE_EXHAUSTED, "libmicrohttpd does not start: %s", errno_text(errno).c_str());
  }
  epoll_ = MHD_get_daemon_info(daemon_, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
  return reactor_.add(epoll_, EPOLLIN, [this](uint32_t) { run(); });
}

HttpServer::~HttpServer() {
  reactor_.cancel(timer_);
  if (epoll_ >= 0) reactor_.remove(epoll_);
  if (daemon_ != nullptr) MHD_stop_daemon(daemon_);
}

// Does what can be done without waiting, and looks when there will be something to do though no descriptor tells.
void HttpServer::run() {
  MHD_run(daemon_);
  reactor_.cancel(timer_);
  MHD_UNSIGNED_LONG_LONG wait_ms = 0;
  if (MHD_get_timeout(daemon_, &wait_ms) != MHD_YES) return;
  timer_ = reactor_.after_ms(static_cast<int64_t>(wait_ms), [this] {
    timer_ = {};
    run();
  });
}

}  // namespace vaccel::agent
