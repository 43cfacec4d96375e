// SPDX-License-Identifier: Apache-2.0
//
// Clients that load an agent with calls of all kinds (checked_call.h) in the background, each with a session that it opens
// anew now and then, while something is done to the agent: whether every answer is right, none is waited for in vain, and
// how soon answers come again.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "checked_call.h"

namespace vaccel::bench {

struct LoadTotals {
  uint64_t right = 0;
  uint64_t unavailable = 0;           ///< As it is said of calls that something was killed under.
  uint64_t wrong = 0;                 ///< Answers that are not what they must be.
  uint64_t stuck = 0;                 ///< Calls that were not answered within kPatience.
  uint64_t refused = 0;               ///< For any other reason, of which there is none.
  std::vector<std::string> problems;  ///< Sentences about the first of those three.
};

/// How long it took from some moment on until a worker's right answer came.
struct Recovery {
  double first_ns = 0;  ///< To any client.
  double all_ns = 0;    ///< To the last one of the clients.
};

class CheckedLoad {
 public:
  static constexpr int64_t kPatienceNs = 10'000'000'000;

  /// Starts so many clients, a thread each.
  CheckedLoad(std::string endpoint, size_t clients);
  ~CheckedLoad();
  CheckedLoad(const CheckedLoad&) = delete;
  CheckedLoad& operator=(const CheckedLoad&) = delete;

  /// Waits until no client has a session. Throws when one does not come back from a call.
  void pause();
  void resume();
  /// From now on right answers are awaited, to calls that are made from now on.
  void expect_answers();
  /// Waits until each client has had one. Throws when it does not come.
  /// @param since_ns  What was done then is what they recover from.
  Recovery recovery(int64_t since_ns);
  [[nodiscard]] LoadTotals totals() const;

 private:
  struct Client;
  void run(Client& client);
  void call_once(Client& client);
  void count(Client& client, const Outcome& outcome, int64_t began_ns);
  bool wait_while_paused(Client& client);

  const std::string endpoint_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool paused_ = false;  // guarded by mutex_
  LoadTotals totals_;    // likewise
  std::atomic<bool> stop_ = false;
  std::vector<std::unique_ptr<Client>> clients_;
  std::vector<std::jthread> threads_;
};

}  // namespace vaccel::bench
