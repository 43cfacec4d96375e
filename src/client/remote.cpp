// SPDX-License-Identifier: Apache-2.0
#include "client/remote.h"

#include <utility>

#include "client/request.h"
#include "core/clock.h"

namespace vaccel::client {
namespace {

constexpr size_t kMostItems = 100'000;  // an agent that lists more of anything has lost its way

Status too_late(const CallSpec& spec) {
  return failure(VACCEL_DEADLINE_EXCEEDED, "the deadline passed before the result of '%s'%s%s%s was here",
                 spec.operator_name, spec.model != nullptr ? " on model '" : "",
                 spec.model != nullptr ? spec.model : "", spec.model != nullptr ? "'" : "");
}

// A submitted call. The connection is shared because it may be replaced while this is under way.
class RemoteRequest final : public vaccel_request, private CallExchange {
 public:
  RemoteRequest(const CallSpec& spec, const RequestTraits& its_traits, CompletionQueue& completions)
      : vaccel_request(its_traits),
        CallExchange(true, spec.places, now_ns(), spec.deadline_ns),
        completions_(completions),
        deadline_ns_(spec.deadline_ns) {}

  ~RemoteRequest() override {
    if (connection_) connection_->abandon(*this, failure(VACCEL_CANCELLED, "the request was freed"));
    completions_.remove(*this);
  }

  CallExchange& exchange() { return *this; }
  /// Before it is sent: once it is, another thread may complete it and hand it out.
  void on(std::shared_ptr<Connection> connection) { connection_ = std::move(connection); }

  [[nodiscard]] bool done() const override { return Exchange::done(); }
  [[nodiscard]] const Status& status() const override { return Exchange::status(); }
  OutputsPtr& outputs() override { return CallExchange::outputs(); }
  void cancel() override { connection_->cancel(*this); }
  void handed_out() override { completions_.remove(*this); }

  bool wait(int64_t deadline_ns) override {
    if (connection_->wait(*this, earlier(deadline_ns, deadline_ns_))) return true;
    if (!has_passed(deadline_ns_, now_ns())) return false;
    connection_->abandon(*this, Connection::expired());
    return true;
  }

 private:
  void completed() override { completions_.push(*this); }

  CompletionQueue& completions_;
  const int64_t deadline_ns_;
  std::shared_ptr<Connection> connection_;
};

}  // namespace

Result<std::unique_ptr<Transport>> RemoteTransport::open(Settings settings, CompletionQueue& completions) {
  std::unique_ptr<RemoteTransport> transport{new RemoteTransport(std::move(settings), completions)};
  auto connection = transport->connect(0);
  if (!connection) return Unexpected{connection.error()};
  transport->connection_ = std::move(*connection);
  return transport;
}

RemoteTransport::RemoteTransport(Settings settings, CompletionQueue& completions)
    : settings_(std::move(settings)), endpoint_(settings_.endpoint.text()), completions_(completions) {}

Result<RemoteTransport::ConnectionPtr> RemoteTransport::connect(int64_t deadline_ns) const {
  const int64_t limit_ns = now_ns() + settings_.connect_timeout_ns;
  auto greeted =
      greet(settings_.endpoint, settings_.client_name, settings_.sharing, earlier(limit_ns, deadline_ns));
  if (!greeted) return Unexpected{greeted.error()};
  return ConnectionPtr{new Connection(std::move(*greeted), endpoint_, completions_, *buffers_)};
}

Result<RemoteTransport::ConnectionPtr> RemoteTransport::connection(int64_t deadline_ns) {
  std::unique_lock lock(mutex_);
  for (;;) {
    if (connection_ && !connection_->lost()) return connection_;
    if (!connecting_) break;
    const uint64_t awaited = attempts_ + 1;
    while (attempts_ < awaited) {
      if (!connected_.wait(lock, deadline_ns)) {
        return fail(VACCEL_DEADLINE_EXCEEDED, "the deadline passed while connecting to %s again",
                    endpoint_.c_str());
      }
    }
    // If it was the deadline of the one who tried that passed, this thread tries itself.
    if (!last_attempt_.ok() && last_attempt_.code() != VACCEL_DEADLINE_EXCEEDED)
      return Unexpected{last_attempt_};
  }
  connecting_ = true;
  lock.unlock();
  auto made = connect(deadline_ns);
  lock.lock();
  connecting_ = false;
  ++attempts_;
  last_attempt_ = made ? Status{} : made.error();
  if (made) connection_ = *made;
  connected_.notify_all();
  return made;
}

template <typename Send>
Result<RemoteTransport::ConnectionPtr> RemoteTransport::send_once(int64_t deadline_ns, Send send) {
  for (bool first = true;; first = false) {
    auto current = connection(deadline_ns);
    if (!current) return current;
    bool unsent = false;
    Status status = send(*current, unsent);
    if (status.ok()) return current;
    if (!first || !unsent || status.code() == VACCEL_DEADLINE_EXCEEDED) return Unexpected{std::move(status)};
  }
}

Status RemoteTransport::send_call(Connection& connection, const CallSpec& spec, CallExchange& exchange,
                                  bool& unsent) {
  uint32_t model = 0;
  if (spec.model != nullptr) {
    const auto handle = connection.open_model(spec.model, spec.deadline_ns, unsent);
    if (!handle) return handle.error();
    model = *handle;
  }
  return connection.send_call(spec, model, exchange, unsent);
}

Status RemoteTransport::call(const CallSpec& spec, OutputsPtr* outputs) {
  BlockingCall exchange(outputs != nullptr, spec.places, now_ns());
  const auto connection = send_once(spec.deadline_ns, [&](const ConnectionPtr& current, bool& unsent) {
    return send_call(*current, spec, exchange, unsent);
  });
  if (!connection) return connection.error();
  if (!(*connection)->wait(exchange, spec.deadline_ns)) (*connection)->abandon(exchange, too_late(spec));
  if (exchange.status().ok() && outputs != nullptr) *outputs = std::move(exchange.outputs());
  return exchange.status();
}

Result<std::unique_ptr<vaccel_request>> RemoteTransport::submit(const CallSpec& spec,
                                                                const RequestTraits& traits) {
  auto request = std::make_unique<RemoteRequest>(spec, traits, completions_);
  const auto connection = send_once(spec.deadline_ns, [&](const ConnectionPtr& current, bool& unsent) {
    request->on(current);
    return send_call(*current, spec, request->exchange(), unsent);
  });
  if (!connection) return Unexpected{connection.error()};
  (*connection)->watch_for_results();
  return request;
}

Result<std::unique_ptr<vaccel_buffer>> RemoteTransport::allocate_buffer(size_t bytes, uint64_t alignment,
                                                                        bool must_be_shared) {
  Slab slab;
  std::string no_window;
  const auto connection = send_once(0, [&](const ConnectionPtr& current, bool& unsent) -> Status {
    no_window = current->no_window();
    if (!current->window()) return {};
    auto leased = current->slab(bytes, alignment, 0, unsent);
    if (!leased) return leased.error();
    slab = std::move(*leased);
    return {};
  });
  if (!connection) return Unexpected{connection.error()};
  if (slab.valid()) {
    return std::make_unique<vaccel_buffer>(BufferMemoryPtr{new BufferMemory(std::move(slab), bytes)},
                                           buffers_);
  }
  if (must_be_shared) {
    return fail(VACCEL_UNIMPLEMENTED, "this session shares no memory with the agent at %s: %s",
                endpoint_.c_str(), no_window.c_str());
  }
  return ordinary_buffer(bytes, alignment);
}

Result<std::unique_ptr<vaccel_buffer>> RemoteTransport::allocate_on_device(const char* backend,
                                                                           size_t bytes) {
  BufferMemoryPtr memory;
  const auto connection = send_once(0, [&](const ConnectionPtr& current, bool& unsent) -> Status {
    auto allocated = current->allocate_memory(backend != nullptr ? backend : "", bytes, unsent);
    if (!allocated) return allocated.error();
    memory = std::move(*allocated);
    return {};
  });
  if (!connection) return Unexpected{connection.error()};
  return std::make_unique<vaccel_buffer>(std::move(memory), buffers_);
}

Result<bool> RemoteTransport::is_in_place(const void* data, size_t bytes) {
  if (!buffers_->any()) return false;
  ConnectionPtr current;
  {
    const std::lock_guard lock(mutex_);
    current = connection_;
  }
  auto found =
      buffers_->find(data, bytes, {current->window().get(), static_cast<const DeviceHome*>(current.get())});
  if (!found) return Unexpected{found.error()};
  return found->has_value();
}

void RemoteTransport::take_in() {
  ConnectionPtr current;
  {
    const std::lock_guard lock(mutex_);
    current = connection_;
  }
  if (!current) return;
  current->take_in();
  current->end_expired();
}

Status RemoteTransport::ping(int64_t deadline_ns) {
  CallSpec echo;
  echo.operator_name = "vaccel.echo";
  echo.deadline_ns = deadline_ns;
  return call(echo, nullptr);
}

Status RemoteTransport::load_model(const char* name) {
  const auto opened = send_once(0, [&](const ConnectionPtr& current, bool& unsent) -> Status {
    const auto handle = current->open_model(name, 0, unsent);
    return handle ? Status{} : handle.error();
  });
  return opened ? Status{} : opened.error();
}

Result<wire::Description> RemoteTransport::describe(const wire::Describe& what, AgentLimits* limits) {
  DescribeExchange exchange;
  const auto connection = send_once(0, [&](const ConnectionPtr& current, bool& unsent) {
    return current->send_describe(what, exchange, unsent);
  });
  if (!connection) return Unexpected{connection.error()};
  (*connection)->wait(exchange, 0);
  if (!exchange.status().ok()) return Unexpected{exchange.status()};
  if (limits != nullptr) {
    const wire::Welcome& welcome = (*connection)->welcome();
    const auto& window = (*connection)->window();
    *limits = {welcome.version, welcome.max_payload_bytes, welcome.max_calls_in_flight,
               window ? window->description() : "none: " + (*connection)->no_window(),
               window ? window->max_leased_bytes() : 0};
  }
  return std::move(exchange.description());
}

template <typename Item>
Result<std::vector<Item>> RemoteTransport::read_pages(wire::Subject subject, const char* what,
                                                      std::vector<Item> wire::Description::*items) {
  std::vector<Item> all;
  for (;;) {
    auto page =
        describe({.subject = subject, .model = {}, .start = static_cast<uint32_t>(all.size())}, nullptr);
    if (!page) return Unexpected{page.error()};
    std::vector<Item>& some = *page.*items;
    if (page->more && (some.empty() || all.size() > kMostItems)) {
      return fail(VACCEL_PROTOCOL_ERROR,
                  "the agent at %s says that there are more than %zu %s, and does not list them",
                  endpoint_.c_str(), all.size(), what);
    }
    all.insert(all.end(), std::make_move_iterator(some.begin()), std::make_move_iterator(some.end()));
    if (!page->more) return all;
  }
}

Result<std::unique_ptr<ModelList>> RemoteTransport::list_models() {
  auto models = read_pages(wire::Subject::kModels, "models", &wire::Description::models);
  if (!models) return Unexpected{models.error()};
  return std::make_unique<ModelList>(std::move(*models));
}

Result<std::unique_ptr<OperatorList>> RemoteTransport::list_operators() {
  auto operators = read_pages(wire::Subject::kOperators, "operators", &wire::Description::operators);
  if (!operators) return Unexpected{operators.error()};
  return std::make_unique<OperatorList>(std::move(*operators));
}

Result<std::unique_ptr<Model>> RemoteTransport::describe_model(const char* name) {
  auto description = describe({.subject = wire::Subject::kModel, .model = name, .start = 0}, nullptr);
  if (!description) return Unexpected{description.error()};
  if (description->models.size() != 1)
    return fail(VACCEL_PROTOCOL_ERROR, "the agent at %s described %zu models when asked for one",
                endpoint_.c_str(), description->models.size());
  return std::make_unique<Model>(std::move(description->models.front()));
}

Result<std::unique_ptr<Agent>> RemoteTransport::describe_agent() {
  AgentLimits limits;
  auto description = describe({.subject = wire::Subject::kServer, .model = {}, .start = 0}, &limits);
  if (!description) return Unexpected{description.error()};
  return std::make_unique<Agent>(endpoint_, std::move(*description), limits);
}

}  // namespace vaccel::client
