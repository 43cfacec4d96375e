// SPDX-License-Identifier: Apache-2.0
//
// Feeds what a client might send to a real agent::Session over a real socket, with a worker's slot behind it in which
// no process runs: calls are admitted, queued and, when the session ends, cancelled. Whatever came, nothing may be left
// of the session: no call in the queue, no memory of the segment taken, no window.
//
// Inputs whose first byte is even are what goes over the socket; the others are records of
//   kind u8, request id u8, body bytes u16, payload bytes u16, payload bytes announced in addition u8
// with their body and payload, sent as well-formed frames after a greeting: so bodies are reached soon.
// fuzz_session_seeds writes such inputs.
#include <sys/epoll.h>
#include <sys/socket.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "agent/session.h"
#include "wire/limits.h"

namespace {

using namespace vaccel;

[[noreturn]] void broken(const char* what) {
  std::fprintf(stderr, "fuzz_session: %s\n", what);
  std::abort();
}

constexpr uint64_t kSegmentBytes = 1 << 20;

class Host final : public agent::SessionHost {
 public:
  explicit Host(agent::Log& log) : log_(log), reactor_(std::move(agent::Reactor::create().value())) {
    limits_.max_payload_bytes = 4096;
    limits_.max_session_bytes_in_flight = 16'384;
    limits_.max_calls_in_flight = 8;
    limits_.max_models_open = 4;
    limits_.session_window_bytes = uint64_t{1} << 20;
    limits_.max_leases = 8;
    limits_.max_device_bytes = 8192;
    limits_.max_device_buffers = 4;
    workers_.push_back(
        agent::WorkerSlot::create(*reactor_, log_,
                                  {.jail = jail_,
                                   .segment_bytes = kSegmentBytes,
                                   .settings_of = [](const std::string&) { return agent::ModelSettings{}; },
                                   .quarantine = &quarantine_,
                                   .metrics = metrics_})
            .value());
  }
  ~Host() override {
    session_.reset();
    reactor_->drop_deferred();
  }

  agent::Reactor& reactor() override { return *reactor_; }
  agent::Log& log() override { return log_; }
  const agent::Limits& limits() const override { return limits_; }
  agent::Traffic& traffic() override { return traffic_; }
  agent::Metrics& metrics() override { return metrics_; }
  const runtime::Catalogue& catalogue() const override { return catalogue_; }
  agent::WorkerSlot& worker_for(const std::string& /*model*/) override { return *workers_.front(); }
  const std::vector<std::unique_ptr<agent::WorkerSlot>>& workers() const override { return workers_; }
  const agent::UploadStore& uploads() const override { return uploads_; }
  Result<agent::WorkerSlot*> own_worker(const std::string& /*tenant*/) override {
    return workers_.front().get();
  }
  void window_ended(uint32_t /*number*/) override {}
  void session_ended(uint64_t /*id*/) override {
    reactor_->defer([this] {
      session_.reset();
      settle(8);
    });
  }

  /// Lets a client say these bytes and hang up, and returns when the session has gone.
  void run(std::span<const std::byte> bytes) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0)
      broken("no socket pair");
    const UniqueFd client{ends[1]};
    session_ = std::make_unique<agent::Session>(
        *this, 1, UniqueFd{ends[0]},
        agent::Origin{.peer = "fuzz", .tenant = tenant_, .vm = nullptr, .takes_descriptors = true},
        tenant_->take(agent::Resource::kSessions).value());
    if (!session_->start().ok()) broken("the session does not start");
    const auto on_client = [&](uint32_t) { serve(client.get(), bytes); };
    if (!reactor_->add(client.get(), EPOLLIN | EPOLLOUT, on_client).ok()) broken("no epoll");
    reactor_->run();
    reactor_->remove(client.get());
    if (traffic_.windows != 0 || traffic_.leased_bytes != 0) broken("a window is left");
    if (traffic_.device_bytes != 0) broken("device memory is left");
    if (tenant_->in_use()) broken("something of the tenant's is left taken");
    if (workers_.front()->load() != 0) broken("calls are left in the queue");
    if (!workers_.front()->allocate(kSegmentBytes)) broken("memory of the segment is left taken");
  }

 private:
  static agent::TenantSettings tight() {
    agent::TenantSettings settings;
    settings.limits = {1, 6, 12'000, 3, 6, uint64_t{512} << 10, 3, 6000};
    return settings;
  }

  // The client: says what it has to say, hears everything, and hangs up.
  void serve(int client, std::span<const std::byte>& bytes) {
    static std::byte answers[65'536];
    ssize_t count = 1;
    while (count > 0)
      count = ::recv(client, answers, sizeof answers, 0);
    if (count == 0) return reactor_->remove(client);
    ssize_t sent = 0;
    while (!bytes.empty() && (sent = ::send(client, bytes.data(), bytes.size(), MSG_NOSIGNAL)) > 0)
      bytes = bytes.subspan(static_cast<size_t>(sent));
    if (sent < 0 && errno == EAGAIN) return;
    ::shutdown(client, SHUT_WR);
    reactor_->change(client, EPOLLIN);
  }

  // Cancelled calls end a few rounds later.
  void settle(int rounds) {
    reactor_->defer([this, rounds] { rounds == 0 ? reactor_->stop() : settle(rounds - 1); });
  }

  agent::Log& log_;
  agent::Metrics metrics_;
  std::unique_ptr<agent::Reactor> reactor_;
  agent::Limits limits_;
  agent::Traffic traffic_;
  agent::Quarantine quarantine_;
  jail::Jail jail_{{}};
  const agent::UploadStore uploads_{{}};
  const std::shared_ptr<agent::Tenant> tenant_ = std::make_shared<agent::Tenant>("fuzz", tight());
  runtime::Catalogue catalogue_;
  std::vector<std::unique_ptr<agent::WorkerSlot>> workers_;
  std::unique_ptr<agent::Session> session_;
};

constexpr size_t kRecordBytes = 7;

// What a session's socket gets to read for records.
std::vector<std::byte> frames_of(std::span<const std::byte> records) {
  std::vector<std::byte> frames;
  const auto add = [&](std::span<const std::byte> bytes) {
    frames.insert(frames.end(), bytes.begin(), bytes.end());
  };
  wire::Encoder encoder;
  const auto hello = encoder.encode(wire::Hello{});
  add(wire::encode_header(
      {wire::Kind::kHello, wire::kNewestVersion, 1, static_cast<uint32_t>(hello.size()), 0}));
  add(hello);
  while (records.size() >= kRecordBytes) {
    const auto number = [&](size_t at) { return std::to_integer<uint32_t>(records[at]); };
    const auto kind = static_cast<wire::Kind>(number(0));
    const uint64_t id = number(1);
    const uint32_t body = number(2) | number(3) << 8;
    const uint32_t payload = number(4) | number(5) << 8;
    const uint32_t more = number(6);
    records = records.subspan(kRecordBytes);
    add(wire::encode_header({kind, wire::kNewestVersion, id, body, uint64_t{payload} + more}));
    const size_t size = std::min<size_t>(records.size(), body + payload);
    add(records.first(size));
    records = records.subspan(size);
  }
  return frames;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static agent::Log log({.level = "error"});
  const auto bytes = std::as_bytes(std::span(data, size));
  if (bytes.empty()) return 0;
  Host host(log);
  if (std::to_integer<int>(bytes.front()) % 2 == 0) {
    host.run(bytes.subspan(1));
  } else {
    host.run(frames_of(bytes.subspan(1)));
  }
  return 0;
}
