// SPDX-License-Identifier: Apache-2.0
#include "agent/control.h"

#include <sys/epoll.h>

#include "channel/stream.h"
#include "wire/messages.h"

namespace vaccel::agent {
namespace {

/// Operators type, and scripts come one after the other; one more is told to try again.
constexpr size_t kMaxClients = 32;
/// For what a client owes: its greeting, the rest of a frame, the reading of an answer.
constexpr int64_t kTimeoutMs = 10'000;
/// Frames served at one go before others have their turn.
constexpr int kFramesAtOnce = 8;
/// How long the listener rests when descriptors have run out.
constexpr int64_t kAcceptPauseMs = 100;

}  // namespace

// One connection. It has one request at a time: the next is read when the last is answered.
class Control::Client {
 public:
  Client(Control& control, uint64_t id, UniqueFd socket)
      : control_(control), id_(id), channel_(std::move(socket)), self_(std::make_shared<Client*>(this)) {}
  ~Client() {
    *self_ = nullptr;
    control_.reactor_.remove(channel_.fd());
    control_.reactor_.cancel(timer_);
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  Status start() {
    watch();
    return control_.reactor_.add(channel_.fd(), interest_, [this](uint32_t events) { on_ready(events); });
  }

  void refuse(const Status& status) {
    send(0, wire::Failure::from(status));
    closing_ = true;
    update();
  }

 private:
  void on_ready(uint32_t events) {
    if (ended_) return;
    if ((events & EPOLLOUT) != 0) {
      if (!channel_.flush().ok()) return end();
    }
    if ((events & (EPOLLHUP | EPOLLERR)) != 0 && (closing_ || waiting_)) return end();
    if (!closing_ && !waiting_) receive();
    update();
  }

  void receive() {
    for (int turn = 0; turn < kFramesAtOnce && !closing_ && !waiting_ && !channel_.sending(); ++turn) {
      const auto event = channel_.receive(false);
      if (!event) return event.error().code() == VACCEL_PROTOCOL_ERROR ? refuse(event.error()) : end();
      if (*event == channel::Event::kBlocked) return;
      if (*event == channel::Event::kClosed) return end();
      if (*event != channel::Event::kFrame) continue;
      const wire::Header header = channel_.header();
      Status status = header.payload_bytes > 0 ? failure(VACCEL_PROTOCOL_ERROR, "a %s frame has no payload",
                                                         wire::kind_name(header.kind))
                                               : handle_frame(header);
      if (status.ok()) continue;
      send(header.request_id, wire::Failure::from(status));
      closing_ = status.code() == VACCEL_PROTOCOL_ERROR;
    }
    if (!closing_ && !waiting_ && !channel_.sending()) {
      // More may be in the channel's own buffer, which no event tells of.
      control_.reactor_.defer([self = self_] {
        if (Client* client = *self) client->on_ready(0);
      });
    }
  }

  Status handle_frame(const wire::Header& header) {
    if (header.request_id == 0) {
      return failure(VACCEL_PROTOCOL_ERROR, "a %s frame has request id 0", wire::kind_name(header.kind));
    }
    if (!greeted_) return handle_greeting(header);
    switch (header.kind) {
      case wire::Kind::kAttachVm:
        return handle_attach(header.request_id);
      case wire::Kind::kDetachVm:
        return handle_detach(header.request_id);
      case wire::Kind::kReadStatus:
        return handle_read_status(header.request_id);
      case wire::Kind::kSetTenant:
        return handle_set_tenant(header.request_id);
      case wire::Kind::kReadTenant:
        return handle_read_tenant(header.request_id);
      case wire::Kind::kReload:
        return handle_reload(header.request_id);
      case wire::Kind::kLiftQuarantine:
        return handle_lift_quarantine(header.request_id);
      default:
        return failure(
            VACCEL_PROTOCOL_ERROR,
            "a %s frame has no place on the control socket; functions connect to the agent's endpoint",
            wire::kind_name(header.kind));
    }
  }

  Status handle_greeting(const wire::Header& header) {
    if (header.kind != wire::Kind::kHello) {
      return failure(VACCEL_PROTOCOL_ERROR, "the first frame must be a hello, not a %s frame",
                     wire::kind_name(header.kind));
    }
    const auto hello = wire::decode_hello(channel_.body());
    if (!hello) return failure(VACCEL_PROTOCOL_ERROR, "%s", hello.error().message().c_str());
    const auto version = wire::negotiate_version(*hello);
    if (!version) {
      refuse(version.error());
      return {};
    }
    channel_.set_version(*version);
    greeted_ = true;
    send(header.request_id, wire::Welcome{*version, "vacceld " VACCEL_VERSION_TEXT, 0, 1});
    return {};
  }

  Status handle_attach(uint64_t id) {
    const auto attach = wire::decode_attach_vm(channel_.body());
    if (!attach) return attach.error();
    waiting_ = true;
    control_.agent_.attach(*attach, [self = self_, id](Result<wire::VmAttached> attached) {
      if (Client* client = *self)
        attached ? client->answer(id, *attached) : client->fail(id, attached.error());
    });
    return {};
  }

  Status handle_detach(uint64_t id) {
    const auto detach = wire::decode_detach_vm(channel_.body());
    if (!detach) return detach.error();
    waiting_ = true;
    control_.agent_.detach(detach->name, [self = self_, id](Status status) {
      if (Client* client = *self) status.ok() ? client->answer(id, wire::Done{}) : client->fail(id, status);
    });
    return {};
  }

  Status handle_read_status(uint64_t id) {
    const auto read = wire::decode_read_status(channel_.body());
    if (!read) return read.error();
    send(id, control_.agent_.status(*read));
    return {};
  }

  Status handle_set_tenant(uint64_t id) {
    const auto set = wire::decode_set_tenant(channel_.body());
    if (!set) return set.error();
    Tenants& tenants = control_.agent_.tenants();
    if (Status status = set->remove ? tenants.remove(set->name) : tenants.set(set->name, set->settings);
        !status.ok())
      return status;
    control_.log_.line(LogLevel::kInfo, {.tenant = set->name}, "tenant '%s' was %s", set->name.c_str(),
                       set->remove ? "removed" : "changed");
    send(id, wire::Done{});
    return {};
  }

  Status handle_read_tenant(uint64_t id) {
    const auto read = wire::decode_read_tenant(channel_.body());
    if (!read) return read.error();
    const auto tenant = control_.agent_.tenants().find(read->name);
    if (!tenant) return tenant.error();
    send(id, wire::TenantSettings{toml_of((*tenant)->settings())});
    return {};
  }

  Status handle_reload(uint64_t id) {
    if (const auto reload = wire::decode_reload(channel_.body()); !reload) return reload.error();
    auto notes = control_.agent_.reload();
    if (!notes) return notes.error();
    send(id, wire::Reloaded{std::move(*notes)});
    return {};
  }

  Status handle_lift_quarantine(uint64_t id) {
    const auto lift = wire::decode_lift_quarantine(channel_.body());
    if (!lift) return lift.error();
    if (!control_.agent_.release(lift->subject)) {
      return failure(VACCEL_NOT_FOUND, "nothing is held against '%s'", printable(lift->subject).c_str());
    }
    send(id, wire::Done{});
    return {};
  }

  template <typename Message>
  void answer(uint64_t id, const Message& message) {
    waiting_ = false;
    send(id, message);
    // Not from within: the agent is in the middle of something.
    control_.reactor_.defer([self = self_] {
      if (Client* client = *self) client->on_ready(0);
    });
  }

  void fail(uint64_t id, const Status& status) { answer(id, wire::Failure::from(status)); }

  template <typename Message>
  void send(uint64_t id, const Message& message) {
    if (!channel_.send(Message::kKind, id, encoder_.encode(message), {}, nullptr).ok()) broken_ = true;
  }

  void update() {
    if (ended_) return;
    if (broken_ || (closing_ && !channel_.sending())) return end();
    const bool reading = !closing_ && !waiting_ && !channel_.sending();
    const uint32_t wanted = (reading ? EPOLLIN : 0u) | (channel_.sending() ? EPOLLOUT : 0u);
    if (wanted != interest_) control_.reactor_.change(channel_.fd(), wanted);
    interest_ = wanted;
    watch();
  }

  // A client that has greeted may be silent for as long as it likes, between two requests.
  void watch() {
    const bool owes = !greeted_ || channel_.within_frame() || channel_.sending();
    if (owes == timer_.set()) return;
    control_.reactor_.cancel(timer_);
    if (owes) timer_ = control_.reactor_.after_ms(kTimeoutMs, [this] { end(); });
  }

  void end() {
    if (std::exchange(ended_, true)) return;
    control_.client_ended(id_);
  }

  Control& control_;
  const uint64_t id_;
  channel::StreamChannel channel_;
  wire::Encoder encoder_;
  uint32_t interest_ = EPOLLIN;
  Reactor::TimerId timer_;
  bool greeted_ = false;
  bool waiting_ = false;  // for the agent to do what was asked
  bool closing_ = false;
  bool broken_ = false;
  bool ended_ = false;
  std::shared_ptr<Client*> self_;  // nulled when this client goes: what a late answer finds
};

Control::Control(Reactor& reactor, Log& log, Agent& agent) : reactor_(reactor), log_(log), agent_(agent) {}

Control::~Control() {
  reactor_.cancel(pause_);
  if (socket_.fd() >= 0) reactor_.remove(socket_.fd());
}

Status Control::listen(const std::string& path) {
  auto endpoint = channel::parse_endpoint("unix:" + path);
  if (!endpoint) return endpoint.error().within("control socket");
  auto socket = channel::listen_on(*endpoint, 0600);
  if (!socket) return socket.error().within("control socket");
  socket_ = std::move(*socket);
  log_.info("control socket %s", path.c_str());
  return reactor_.add(socket_.fd(), EPOLLIN, [this](uint32_t) { accept(); });
}

void Control::accept() {
  auto socket = channel::accept_from(socket_.fd());
  if (!socket) {
    log_.warning("control socket: %s", socket.error().message().c_str());
    reactor_.change(socket_.fd(), 0);
    pause_ = reactor_.after_ms(kAcceptPauseMs, [this] {
      pause_ = {};
      reactor_.change(socket_.fd(), EPOLLIN);
    });
    return;
  }
  if (!socket->valid()) return;
  const bool full = clients_.size() >= kMaxClients;
  const uint64_t id = next_client_++;
  auto& client = *clients_.emplace(id, std::make_unique<Client>(*this, id, std::move(*socket))).first->second;
  if (!client.start().ok()) return client_ended(id);
  if (full)
    client.refuse(failure(VACCEL_RESOURCE_EXHAUSTED, "%zu programs use the control socket", kMaxClients));
}

void Control::client_ended(uint64_t id) {
  reactor_.defer([this, id] { clients_.erase(id); });
}

}  // namespace vaccel::agent
