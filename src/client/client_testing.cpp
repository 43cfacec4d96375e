// SPDX-License-Identifier: Apache-2.0
#include "client/client_testing.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <numeric>

#include "channel/endpoint.h"
#include "client/vision_testing.h"
#include "core/tensor.h"
#include "wire/limits.h"

namespace vaccel::client {
namespace {

constexpr uint32_t kModelsInPage = 100;

bool needs_model(const std::string& operator_name) {
  constexpr std::string_view kNames[] = {"infer", "classify", "detect", "segment", "pose", "depth"};
  return std::find(std::begin(kNames), std::end(kNames), operator_name) != std::end(kNames);
}

void wait_for(int fd, short events) {
  pollfd waiting{fd, events, 0};
  ::poll(&waiting, 1, -1);
}

// The number that attribute `name` has; 0: none.
int64_t number(const wire::Call& call, std::string_view name) {
  for (const wire::Attribute& attribute : call.attributes) {
    if (attribute.name == name) return std::get<int64_t>(attribute.value);
  }
  return 0;
}

wire::Tensor tensor(std::string name, int32_t dtype, int64_t count, uint64_t offset, uint64_t bytes) {
  wire::Tensor tensor;
  tensor.name = std::move(name);
  tensor.dtype = dtype;
  tensor.rank = 1;
  tensor.shape[0] = count;
  tensor.offset = offset;
  tensor.bytes = bytes;
  return tensor;
}

template <typename T>
void append(std::vector<std::byte>& bytes, T value) {
  const auto* from = reinterpret_cast<const std::byte*>(&value);
  bytes.insert(bytes.end(), from, from + sizeof value);
}

}  // namespace

// ---- Peer

std::optional<Frame> Peer::read() {
  Frame frame;
  bool has_head = false;
  for (;;) {
    const auto event = channel_.receive(false);
    if (!event) return std::nullopt;
    switch (*event) {
      case channel::Event::kBlocked:
        wait_for(fd_, POLLIN);
        break;
      case channel::Event::kPartial:
        break;
      case channel::Event::kClosed:
        return std::nullopt;
      case channel::Event::kFrame: {
        frame.header = channel_.header();
        frame.body.assign(channel_.body().begin(), channel_.body().end());
        has_head = true;
        if (frame.header.payload_bytes == 0) return frame;
        frame.payload.resize(frame.header.payload_bytes);
        const channel::Destination all{frame.payload.data(), frame.payload.size()};
        channel_.accept_payload({&all, 1});
        break;
      }
      case channel::Event::kPayload:
        if (has_head) return frame;
    }
  }
}

void Peer::send(wire::Kind kind, uint64_t id, std::span<const std::byte> body,
                std::span<const std::byte> payload) {
  if (!channel_.send(kind, id, body, {&payload, payload.empty() ? 0U : 1U}, nullptr).ok()) return;
  while (channel_.sending()) {
    wait_for(fd_, POLLOUT);
    if (!channel_.flush().ok()) return;
  }
}

void Peer::reply_raw(wire::Kind kind, uint64_t id, std::span<const std::byte> body,
                     std::span<const std::byte> payload) {
  const std::lock_guard lock(sending_);
  send(kind, id, body, payload);
}

void Peer::write(std::span<const std::byte> bytes) {
  const std::lock_guard lock(sending_);
  while (!bytes.empty()) {
    const ssize_t count = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count < 0 && errno == EAGAIN) wait_for(fd_, POLLOUT);
    if (count < 0 && errno != EAGAIN) return;
    if (count > 0) bytes = bytes.subspan(static_cast<size_t>(count));
  }
}

void Peer::shut_down() {
  ::shutdown(fd_, SHUT_RDWR);
}

// ---- TestServer

TestServer::TestServer(Options options) : TestServer(fresh_endpoint(), std::move(options)) {}

TestServer::TestServer(const std::string& endpoint, Options options)
    : options_(std::move(options)), endpoint_(endpoint), stop_(::eventfd(0, EFD_CLOEXEC)) {
  auto listener = channel::listen_on(channel::parse_endpoint(endpoint).value(), 0600);
  if (!listener) throw std::runtime_error(listener.error().message());
  listener_ = std::move(*listener);
  if (endpoint_.starts_with("tcp:")) {  // port 0 became another
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    ::getsockname(listener_.fd(), reinterpret_cast<sockaddr*>(&address), &size);
    uint16_t port = 0;
    std::memcpy(&port, reinterpret_cast<const char*>(&address) + 2, sizeof port);
    endpoint_ = "tcp:127.0.0.1:" + std::to_string(__builtin_bswap16(port));
  }
  acceptor_ = std::jthread([this] { accept_all(); });
}

TestServer::~TestServer() {
  const uint64_t one = 1;
  EXPECT_EQ(::write(stop_.get(), &one, sizeof one), static_cast<ssize_t>(sizeof one));
  acceptor_.join();
  drop_connections();
  threads_.clear();
}

void TestServer::drop_connections() {
  const std::lock_guard lock(mutex_);
  for (const auto& peer : peers_)
    peer->shut_down();
  peers_.clear();
}

void TestServer::accept_all() {
  for (;;) {
    pollfd waiting[] = {{listener_.fd(), POLLIN, 0}, {stop_.get(), POLLIN, 0}};
    ::poll(waiting, 2, -1);
    if (waiting[1].revents != 0) return;
    auto socket = channel::accept_from(listener_.fd());
    if (!socket || !socket->valid()) continue;
    auto peer = std::make_shared<Peer>(std::move(*socket));
    const std::lock_guard lock(mutex_);
    ++connections;
    peers_.push_back(peer);
    threads_.emplace_back([this, peer] { serve(*peer); });
  }
}

void TestServer::serve(Peer& peer) {
  while (const auto frame = peer.read()) {
    if (options_.hook && options_.hook(peer, *frame)) continue;
    answer(peer, *frame);
  }
  peer.shut_down();
}

void TestServer::answer(Peer& peer, const Frame& frame) {
  const uint64_t id = frame.header.request_id;
  switch (frame.header.kind) {
    case wire::Kind::kHello:
      peer.reply(id, wire::Welcome{.version = 1,
                                   .server = "test server",
                                   .max_payload_bytes = options_.max_payload_bytes,
                                   .max_calls_in_flight = 64});
      return;
    case wire::Kind::kOpenWindow:
      peer.reply(id, wire::Failure{.code = VACCEL_UNIMPLEMENTED, .message = "the test server has no window"});
      return;
    case wire::Kind::kOpenModel: {
      const auto open = wire::decode_open_model(frame.body).value();
      if (open.name.starts_with("missing")) {
        peer.reply(id, wire::Failure{.code = VACCEL_NOT_FOUND, .message = "no model '" + open.name + "'"});
        return;
      }
      ++models_opened;
      const auto handle = static_cast<uint32_t>(peer.models.size() + 1);
      peer.models[handle] = open.name;
      peer.reply(id, wire::ModelOpened{handle});
      return;
    }
    case wire::Kind::kDescribe:
      describe(peer, frame);
      return;
    case wire::Kind::kCall:
      ++calls;
      answer_call(peer, frame);
      return;
    case wire::Kind::kCancel: {
      const uint64_t request = wire::decode_cancel(frame.body).value().request;
      ++cancels;
      if (std::erase(peer.held, request) > 0) {
        --holding;
        peer.reply(request, wire::Failure{.code = VACCEL_CANCELLED, .message = "cancelled by its caller"});
      }
      return;
    }
    default:
      peer.shut_down();
  }
}

void TestServer::answer_call(Peer& peer, const Frame& frame) {
  const uint64_t id = frame.header.request_id;
  const auto call = wire::decode_call(frame.body, {.payload_bytes = frame.payload.size()});
  if (!call) {
    peer.reply(id, wire::Failure::from(call.error()));
    return;
  }
  last_timeout_us = call->timeout_us;
  last_priority = call->priority;
  const std::string& name = call->operator_name;
  if (needs_model(name) && !peer.models.contains(call->model)) {
    peer.reply(id, wire::Failure{.code = VACCEL_INVALID_ARGUMENT,
                                 .message = "no model has handle " + std::to_string(call->model)});
  } else if (name == "vaccel.echo" || name == "infer" || name == "test.echo") {
    peer.reply(id, wire::CallResult{.outputs = call->inputs, .timings = {}}, frame.payload);
  } else if (name == "test.sum") {
    uint64_t sum = 0;
    for (const wire::Tensor& input : call->inputs) {
      for (uint64_t index = 0; index < input.bytes; ++index)
        sum += static_cast<uint64_t>(frame.payload[input.offset + index]);
    }
    std::vector<std::byte> payload;
    append(payload, sum);
    peer.reply(id, wire::CallResult{.outputs = {tensor("sum", VACCEL_UINT64, 1, 0, 8)}, .timings = {}},
               payload);
  } else if (name == "test.fill") {
    const auto size = static_cast<size_t>(number(*call, "bytes"));
    const std::vector<std::byte> payload(size, static_cast<std::byte>(number(*call, "value")));
    peer.reply(
        id,
        wire::CallResult{.outputs = {tensor("data", VACCEL_UINT8, static_cast<int64_t>(size), 0, size)},
                         .timings = {}},
        payload);
  } else if (name == "test.hold") {
    peer.held.push_back(id);
    ++holding;
  } else if (name == "test.delay") {
    std::this_thread::sleep_for(std::chrono::milliseconds(number(*call, "ms")));
    peer.reply(id, wire::CallResult{});
  } else if (name == "test.fail") {
    peer.reply(id, wire::Failure{.code = static_cast<vaccel_status>(number(*call, "code")),
                                 .message = "as asked",
                                 .retry_after_us = static_cast<uint32_t>(number(*call, "retry_after_us"))});
  } else if (needs_model(name)) {
    std::vector<NamedTensor> results;
    for (size_t image = 0; image < call->inputs.size(); ++image) {
      for (NamedTensor& result : vision_tensors(*call, peer.models[call->model], image))
        results.push_back(std::move(result));
    }
    reply_with(peer, id, results);
  } else {
    peer.reply(id, wire::Failure{.code = VACCEL_NOT_FOUND, .message = "no operator '" + name + "'"});
  }
}

void TestServer::describe(Peer& peer, const Frame& frame) {
  const auto wanted = wire::decode_describe(frame.body).value();
  wire::Description description;
  description.server = "test server";
  description.worker_count = 2;
  description.model_count = options_.model_count;
  if (wanted.subject == wire::Subject::kServer) {
    description.backends.push_back({"reference", "1.0", "CPU", ""});
    description.backends.push_back({"broken", "", "", "its library is not here"});
  } else if (wanted.subject == wire::Subject::kModels) {
    const uint32_t end = std::min(options_.model_count, wanted.start + kModelsInPage);
    for (uint32_t index = wanted.start; index < end; ++index) {
      wire::ModelInfo model;
      model.name = "model" + std::to_string(index);
      model.task = "infer";
      description.models.push_back(model);
    }
    description.more = end < options_.model_count;
  } else if (wanted.subject == wire::Subject::kOperators) {
    const uint32_t end = std::min(options_.operator_count, wanted.start + kModelsInPage);
    for (uint32_t index = wanted.start; index < end; ++index) {
      description.operators.push_back({"test.operator" + std::to_string(index),
                                       "Does nothing",
                                       {{VACCEL_OPERATOR_ATTRIBUTE, "top", "integer >= 1", "how many"}},
                                       {{"reference", VACCEL_FLOAT32, 80}, {"broken", 0, 0}}});
    }
    description.more = end < options_.operator_count;
  } else {
    wire::ModelInfo model;
    model.name = wanted.model;
    model.task = "classify";
    model.inputs.push_back({"image", VACCEL_FLOAT32, 4, {1, 3, -1, -1}});
    model.outputs.push_back({"anything", VACCEL_STRING, -1, {}});
    model.metadata = {{"producer", "a test"}, {"note", ""}};
    description.models.push_back(model);
  }
  peer.reply(frame.header.request_id, description);
}

// ---- Helpers

std::string fresh_endpoint() {
  static std::atomic<int> counter = 0;
  return "unix:/tmp/vaccel-client-test-" + std::to_string(::getpid()) + "-" + std::to_string(counter++);
}

SessionPtr open_session(const std::string& endpoint) {
  vaccel_session* session = nullptr;
  EXPECT_EQ(vaccel_open(endpoint.c_str(), nullptr, &session), VACCEL_OK) << vaccel_error_message();
  return SessionPtr{session};
}

std::vector<uint8_t> bytes_of(const vaccel_tensor& tensor) {
  const auto* bytes = static_cast<const uint8_t*>(tensor.data);
  return {bytes, bytes + tensor.bytes};
}

std::vector<uint8_t> pattern(size_t size, uint32_t seed) {
  std::vector<uint8_t> bytes(size);
  for (size_t index = 0; index < size; ++index)
    bytes[index] = static_cast<uint8_t>(index * 31 + (index >> 8) + seed * 17);
  return bytes;
}

uint64_t sum_of(std::span<const uint8_t> bytes) {
  return std::accumulate(bytes.begin(), bytes.end(), uint64_t{0});
}

}  // namespace vaccel::client
