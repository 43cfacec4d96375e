// SPDX-License-Identifier: Apache-2.0
#include "checked_load.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <exception>

#include "core/clock.h"
#include "failure.h"
#include "session.h"

namespace vaccel::bench {
namespace {

constexpr uint32_t kCallsOfASession = 100;
constexpr useconds_t kBeforeTryingAgainUs = 1'000;
constexpr size_t kMostProblems = 8;
// For pause() and recovery(): longer than any call may take.
constexpr auto kWait = std::chrono::nanoseconds(2 * CheckedLoad::kPatienceNs);

}  // namespace

struct CheckedLoad::Client {
  uint32_t seed = 0;
  uint32_t calls = 0;                // of the present session
  std::unique_ptr<Session> session;  // the client's thread's
  // Guarded by the load's mutex:
  bool resting = false;
  int64_t awaited_ns = 0;  // a right answer is awaited to a call made after that
  int64_t came_ns = 0;     // when that came; 0: it has not
};

CheckedLoad::CheckedLoad(std::string endpoint, size_t clients) : endpoint_(std::move(endpoint)) {
  for (size_t index = 0; index < clients; ++index) {
    clients_.push_back(std::make_unique<Client>());
    clients_.back()->seed = static_cast<uint32_t>(index) << 24;
  }
  for (const auto& client : clients_)
    threads_.emplace_back([this, &one = *client] { run(one); });
}

CheckedLoad::~CheckedLoad() {
  stop_ = true;
  {
    const std::lock_guard lock(mutex_);
    paused_ = false;
  }
  changed_.notify_all();
  threads_.clear();
}

void CheckedLoad::run(Client& client) {
  while (!stop_) {
    if (!wait_while_paused(client)) call_once(client);
  }
}

// Returns whether it had to.
bool CheckedLoad::wait_while_paused(Client& client) {
  std::unique_lock lock(mutex_);
  if (!paused_) return false;
  lock.unlock();
  client.session.reset();
  lock.lock();
  client.resting = true;
  changed_.notify_all();
  changed_.wait(lock, [this] { return !paused_; });
  client.resting = false;
  return true;
}

void CheckedLoad::call_once(Client& client) {
  if (!client.session) {
    try {
      client.session = std::make_unique<Session>(endpoint_);
      client.calls = 0;
    } catch (const std::exception&) {  // the agent is not there at present
      ::usleep(kBeforeTryingAgainUs);
      return;
    }
  }
  const int64_t began_ns = now_ns();
  const Outcome outcome = checked_call(client.session->get(), client.seed++, began_ns + kPatienceNs);
  count(client, outcome, began_ns);
  if (!outcome.is_right()) ::usleep(kBeforeTryingAgainUs);
  if (++client.calls >= kCallsOfASession) client.session.reset();
}

void CheckedLoad::count(Client& client, const Outcome& outcome, int64_t began_ns) {
  const std::string said = vaccel_error_message();
  const int64_t now = now_ns();
  const std::lock_guard lock(mutex_);
  const auto tell = [&](uint64_t& number, const std::string& what) {
    ++number;
    if (totals_.problems.size() < kMostProblems)
      totals_.problems.push_back("call " + std::to_string(client.seed - 1) + ": " + what);
  };
  if (!outcome.wrong.empty()) {
    tell(totals_.wrong, outcome.wrong);
  } else if (outcome.status == VACCEL_DEADLINE_EXCEEDED || now - began_ns > kPatienceNs) {
    tell(totals_.stuck, "no answer in " + std::to_string((now - began_ns) / 1'000'000) + " ms: " + said);
  } else if (outcome.status == VACCEL_UNAVAILABLE) {
    ++totals_.unavailable;
  } else if (outcome.status != VACCEL_OK) {
    tell(totals_.refused, std::string(vaccel_status_name(outcome.status)) + ": " + said);
  } else {
    ++totals_.right;
    if (!outcome.by_worker) return;
    if (client.awaited_ns != 0 && client.came_ns == 0 && began_ns >= client.awaited_ns) {
      client.came_ns = now;
      changed_.notify_all();
    }
  }
}

void CheckedLoad::pause() {
  std::unique_lock lock(mutex_);
  paused_ = true;
  const auto all_rest = [this] {
    return std::ranges::all_of(clients_, [](const auto& client) { return client->resting; });
  };
  if (!changed_.wait_for(lock, kWait, all_rest))
    give_up("a client has been waiting for an answer for longer than its call may take");
}

void CheckedLoad::resume() {
  {
    const std::lock_guard lock(mutex_);
    paused_ = false;
  }
  changed_.notify_all();
}

void CheckedLoad::expect_answers() {
  const std::lock_guard lock(mutex_);
  for (const auto& client : clients_) {
    client->awaited_ns = now_ns();
    client->came_ns = 0;
  }
}

Recovery CheckedLoad::recovery(int64_t since_ns) {
  std::unique_lock lock(mutex_);
  const auto all_came = [this] {
    return std::ranges::all_of(clients_, [](const auto& client) { return client->came_ns != 0; });
  };
  if (!changed_.wait_for(lock, kWait, all_came)) give_up("a client gets no right answer any more");
  Recovery recovery{1e18, 0};
  for (const auto& client : clients_) {
    const auto took_ns = static_cast<double>(client->came_ns - since_ns);
    recovery.first_ns = std::min(recovery.first_ns, took_ns);
    recovery.all_ns = std::max(recovery.all_ns, took_ns);
  }
  return recovery;
}

LoadTotals CheckedLoad::totals() const {
  const std::lock_guard lock(mutex_);
  return totals_;
}

}  // namespace vaccel::bench
