// SPDX-License-Identifier: Apache-2.0
//
// For the tests of this room: a server that speaks the protocol over a real socket, well or, where a test tells it
// to, badly. It runs operators that are easy to check, and does nothing else that an agent does.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "channel/socket.h"
#include "channel/stream.h"
#include "vaccel/vaccel.h"
#include "wire/messages.h"

namespace vaccel::client {

/// A frame that the server got, with its payload.
struct Frame {
  wire::Header header;
  std::vector<std::byte> body;
  std::vector<std::byte> payload;
};

/// The server's end of one connection.
class Peer {
 public:
  explicit Peer(UniqueFd socket) : fd_(socket.get()), channel_(std::move(socket)) {}

  /// Reads the next frame; nothing at the connection's end.
  std::optional<Frame> read();
  template <typename Body>
  void reply(uint64_t id, const Body& body, std::span<const std::byte> payload = {}) {
    const std::lock_guard lock(sending_);
    wire::Encoder encoder;
    send(Body::kKind, id, encoder.encode(body), payload);
  }
  /// Sends a frame whose body is what the test says it is.
  void reply_raw(wire::Kind kind, uint64_t id, std::span<const std::byte> body,
                 std::span<const std::byte> payload);
  /// Sends bytes that need not be a frame.
  void write(std::span<const std::byte> bytes);
  /// Ends the connection, both ways.
  void shut_down();

  std::map<uint32_t, std::string> models;  ///< Open ones. Of the thread that reads.
  std::vector<uint64_t> held;  ///< Calls of "test.hold", answered when they are cancelled. Likewise.

 private:
  void send(wire::Kind kind, uint64_t id, std::span<const std::byte> body,
            std::span<const std::byte> payload);

  int fd_;
  channel::StreamChannel channel_;
  std::mutex sending_;
};

/// Listens from construction to destruction, and serves each connection on a thread.
///
/// Operators: "vaccel.echo", "infer" and "test.echo" return their inputs; "test.sum" the sum of all input bytes as
/// uint64; "test.fill" `bytes` bytes of `value`; "test.hold" answers only when cancelled; "test.delay" after `ms`;
/// "test.fail" fails with `code`; of the vision operators vision_testing.h tells.
/// Models: every name but those that begin with "missing" can be opened.
class TestServer {
 public:
  /// Looks at a frame first. @return whether it dealt with it.
  using Hook = std::function<bool(Peer&, const Frame&)>;

  struct Options {
    uint64_t max_payload_bytes = uint64_t{1} << 30;
    uint32_t model_count = 3;     ///< How many are listed.
    uint32_t operator_count = 2;  ///< Likewise.
    Hook hook;
  };

  TestServer() : TestServer(Options{}) {}
  explicit TestServer(Options options);
  /// On a given endpoint, for a server that comes back where another was.
  TestServer(const std::string& endpoint, Options options);
  ~TestServer();

  [[nodiscard]] const std::string& endpoint() const { return endpoint_; }

  // What happened so far.
  std::atomic<int> connections = 0;
  std::atomic<int> calls = 0;
  std::atomic<int> cancels = 0;
  std::atomic<int> models_opened = 0;
  std::atomic<uint64_t> last_timeout_us = 0;
  std::atomic<int32_t> last_priority = 0;
  std::atomic<int> holding = 0;

  /// Ends all connections; it goes on listening.
  void drop_connections();

 private:
  void accept_all();
  void serve(Peer& peer);
  void answer(Peer& peer, const Frame& frame);
  void answer_call(Peer& peer, const Frame& frame);
  void describe(Peer& peer, const Frame& frame);

  Options options_;
  std::string endpoint_;
  channel::ListeningSocket listener_;
  UniqueFd stop_;
  std::mutex mutex_;
  std::list<std::shared_ptr<Peer>> peers_;
  std::list<std::jthread> threads_;
  std::jthread acceptor_;
};

/// A unix endpoint that nobody else uses.
std::string fresh_endpoint();

/// A session that is closed at the end of its scope.
struct CloseSession {
  void operator()(vaccel_session* session) const { vaccel_close(session); }
};
using SessionPtr = std::unique_ptr<vaccel_session, CloseSession>;

/// Opens a session, which must succeed.
SessionPtr open_session(const std::string& endpoint);

/// A dense tensor over `values`, which must outlive it, with its shape.
class TensorView {
 public:
  template <typename T>
  TensorView(const char* name, int dtype, std::vector<T>& values, std::vector<int64_t> shape)
      : shape_(std::move(shape)) {
    view_.name = name;
    view_.data = values.data();
    view_.bytes = values.size() * sizeof(T);
    view_.shape = shape_.data();
    view_.rank = static_cast<int32_t>(shape_.size());
    view_.dtype = dtype;
  }
  TensorView(const TensorView&) = delete;
  TensorView& operator=(const TensorView&) = delete;

  vaccel_tensor& operator*() { return view_; }
  vaccel_tensor* operator&() { return &view_; }

 private:
  std::vector<int64_t> shape_;
  vaccel_tensor view_{};
};

/// The bytes of a result, to compare with.
std::vector<uint8_t> bytes_of(const vaccel_tensor& tensor);

/// `size` bytes that differ from place to place and from seed to seed.
std::vector<uint8_t> pattern(size_t size, uint32_t seed);

/// The sum that "test.sum" returns.
uint64_t sum_of(std::span<const uint8_t> bytes);

}  // namespace vaccel::client
