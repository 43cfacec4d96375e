// SPDX-License-Identifier: Apache-2.0
//
// What the agent has done, as numbers that only grow: calls by tenant, operator, model and outcome, the time that their
// stages took, refusals, the ends of workers. Sessions and slots add to them as they go, in the agent's one thread; a call
// pays a few additions, since its session keeps the pointer to where it counts. What is now (queues, sessions, leases) is
// not kept here but looked up when somebody asks, see agent_state.h; the text of both is made in metrics_text.h.
//
// Nothing here grows without bound, whatever clients do: operators and models are those of registry and catalogue, what is
// beyond the numbers below counts as "other", and no text of a client's becomes a name.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "vaccel/types.h"

namespace vaccel::agent {

/// Tenants that have figures of their own.
inline constexpr size_t kMostTenantSeries = 100;
/// Pairs of operator and model that have; each has a histogram a stage.
inline constexpr size_t kMostKindSeries = 64;
/// Triples of these and a tenant that have.
inline constexpr size_t kMostCallSeries = 1024;
/// What is beyond these, or has no name of the host's.
inline constexpr const char* kOtherName = "other";
inline constexpr const char* kUnknownOperator = "unknown";

/// How often each range of values was seen, and their sum.
template <size_t kBounds>
class Histogram {
 public:
  /// @param bounds  Rising; the bucket after the last has what is above all of them.
  void add(uint64_t value, const std::array<uint64_t, kBounds>& bounds) {
    size_t index = 0;
    while (index < kBounds && value > bounds[index])
      ++index;
    ++counts_[index];
    sum_ += value;
  }
  [[nodiscard]] const std::array<uint64_t, kBounds + 1>& counts() const { return counts_; }
  [[nodiscard]] uint64_t sum() const { return sum_; }
  [[nodiscard]] uint64_t count() const {
    uint64_t all = 0;
    for (const uint64_t one : counts_)
      all += one;
    return all;
  }

 private:
  std::array<uint64_t, kBounds + 1> counts_{};
  uint64_t sum_ = 0;
};

/// In nanoseconds, from 10 us to 10 s.
inline constexpr std::array<uint64_t, 19> kDurationBounds{
    10'000,      25'000,        50'000,        100'000,       250'000,       500'000,     1'000'000,
    2'500'000,   5'000'000,     10'000'000,    25'000'000,    50'000'000,    100'000'000, 250'000'000,
    500'000'000, 1'000'000'000, 2'500'000'000, 5'000'000'000, 10'000'000'000};
using Durations = Histogram<kDurationBounds.size()>;

inline constexpr std::array<uint64_t, 9> kBatchBounds{1, 2, 4, 8, 16, 32, 64, 128, 256};
using BatchSizes = Histogram<kBatchBounds.size()>;

/// The stages of vaccel_timings that the agent knows of.
enum class Stage : uint8_t { kQueue, kWorker, kDecode, kPrepare, kInfer, kPostprocess, kAgent };
inline constexpr size_t kStages = 7;
const char* name_of(Stage stage);

/// Why a request was turned away before anything was done for it.
enum class Refusal : uint8_t {
  kSessions,      ///< As many sessions are open as may be.
  kLimit,         ///< A limit on calls, bytes, memory or models.
  kRate,          ///< Too many calls in this second.
  kQueue,         ///< As many calls wait as may.
  kDeadline,      ///< Its deadline could not be met.
  kShuttingDown,  ///< The agent, or what the session belongs to, is about to go.
  kUnavailable,   ///< A model or a worker that cannot be used now.
  kNotFound,
  kPermission,
  kInvalid,  ///< Its arguments cannot be right.
  kOther
};
inline constexpr size_t kRefusals = 11;
const char* name_of(Refusal reason);
/// What a failure's code tells of the reason.
Refusal refusal_of(vaccel_status code);

/// How a worker came to its end.
enum class WorkerEnd : uint8_t {
  kExit,      ///< It exited by itself.
  kSignal,    ///< A signal killed it: a crash, or the kernel for want of memory.
  kProtocol,  ///< It said what no worker says, and was killed.
  kStart,     ///< It could not be started at all.
  kHang,      ///< It did not come to an end with a call, and was killed.
  kStopped    ///< The agent wanted it to end.
};
inline constexpr size_t kWorkerEnds = 6;
const char* name_of(WorkerEnd reason);

inline constexpr size_t kStatusCodes = VACCEL_INTERNAL + 1;

/// Of one tenant.
struct TenantMetrics {
  std::string name;
  uint32_t sessions = 0;  ///< Now.
  uint64_t sessions_opened = 0;
  uint64_t protocol_errors = 0;
  uint64_t copied_bytes = 0;  ///< Of tensors that came or went over a stream or through a ring.
  uint64_t window_bytes = 0;  ///< Of tensors that lay in a window and were not moved by the agent.
  uint64_t calls = 0;         ///< That ended, however.
  uint64_t failed_calls = 0;
  std::array<uint64_t, kRefusals> refused{};
  Durations queue_wait;
  Durations call_duration;
};

/// Of one operator with one model, of all tenants.
struct KindMetrics {
  std::string operator_name;
  std::string model;  ///< "": none.
  uint64_t calls = 0;
  uint64_t failed_calls = 0;
  std::array<Durations, kStages> stages;
  BatchSizes batches;
};

/// Of one operator with one model, of one tenant: what a session keeps the pointer to.
struct CallMetrics {
  TenantMetrics& tenant;
  KindMetrics& kind;
  std::array<uint64_t, kStatusCodes> by_code{};

  /// A call ended of which no times are known: one that the agent answers itself, or that was given up.
  void ended(vaccel_status code) {
    ++by_code[static_cast<size_t>(code)];
    ++tenant.calls;
    ++kind.calls;
    if (code != VACCEL_OK) {
      ++tenant.failed_calls;
      ++kind.failed_calls;
    }
  }
  /// A worker has answered. @param batch  How many calls were run together with it, itself included.
  void ended(vaccel_status code, const vaccel_timings& timings, uint32_t batch);
};

/// What has been done for one tenant, or with one model. There are as many of these as there are tenants and models: no series
/// of /metrics that is called "other" hides one.
struct Totals {
  uint64_t calls = 0;  ///< That ended, however.
  uint64_t failed_calls = 0;
  uint64_t refused = 0;       ///< Of a tenant.
  uint64_t copied_bytes = 0;  ///< Likewise; as in TenantMetrics.
  uint64_t window_bytes = 0;
  void ended(vaccel_status code) {
    ++calls;
    failed_calls += code != VACCEL_OK ? 1 : 0;
  }
  bool operator==(const Totals&) const = default;
};

/// Where a call counts. Holds nothing: series, tenant and model outlive the session that has it.
struct CallFigures {
  CallMetrics* series = nullptr;
  Totals* tenant = nullptr;
  Totals* model = nullptr;  ///< null: the call has none.

  void ended(vaccel_status code) const {
    series->ended(code);
    count(code);
  }
  void ended(vaccel_status code, const vaccel_timings& timings, uint32_t batch) const {
    series->ended(code, timings, batch);
    count(code);
  }

 private:
  void count(vaccel_status code) const {
    tenant->ended(code);
    if (model != nullptr) model->ended(code);
  }
};

/// Of a model's being loaded.
struct LoadMetrics {
  uint64_t loaded = 0;
  uint64_t failed = 0;
};

class Metrics {
 public:
  Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  /// Where a tenant counts, for as long as this lives. "": "default".
  TenantMetrics& tenant(std::string_view name);
  /// Where calls count, if some did; nullptr: see add_calls().
  [[nodiscard]] CallMetrics* find_calls(const TenantMetrics& tenant, std::string_view operator_name,
                                        std::string_view model);
  /// The names are the host's own: of its registry, of its catalogue.
  CallMetrics& add_calls(TenantMetrics& tenant, std::string_view operator_name, std::string_view model);

  /// What has been done with a model of the catalogue, for as long as this lives.
  Totals& model_totals(std::string_view model);

  void worker_started() { ++worker_starts_; }
  void worker_ended(WorkerEnd reason) { ++worker_ends_[static_cast<size_t>(reason)]; }
  /// @param model  Of the catalogue.
  void model_loaded(const std::string& model, bool ok);

  // ---- For whoever tells

  using CallKey = std::pair<std::string, std::string>;  ///< Operator and model.
  struct LessKey {
    using is_transparent = void;
    template <typename One, typename Other>
    bool operator()(const One& one, const Other& other) const {
      const int order = std::string_view(one.first).compare(other.first);
      return order != 0 ? order < 0 : std::string_view(one.second) < std::string_view(other.second);
    }
  };
  using CallMap = std::map<CallKey, std::unique_ptr<CallMetrics>, LessKey>;
  using TenantMap = std::map<std::string, std::unique_ptr<TenantMetrics>, std::less<>>;

  [[nodiscard]] const TenantMap& tenants() const { return tenants_; }
  [[nodiscard]] const std::map<const TenantMetrics*, CallMap>& calls() const { return calls_; }
  [[nodiscard]] const std::map<CallKey, std::unique_ptr<KindMetrics>, LessKey>& kinds() const {
    return kinds_;
  }
  [[nodiscard]] Totals totals_of(std::string_view model) const {
    const auto found = models_.find(model);
    return found != models_.end() ? found->second : Totals{};
  }
  [[nodiscard]] uint64_t worker_starts() const { return worker_starts_; }
  [[nodiscard]] const std::array<uint64_t, kWorkerEnds>& worker_ends() const { return worker_ends_; }
  [[nodiscard]] const std::map<std::string, LoadMetrics, std::less<>>& loads() const { return loads_; }

 private:
  KindMetrics& kind(std::string_view operator_name, std::string_view model);

  TenantMap tenants_;
  std::map<const TenantMetrics*, CallMap> calls_;
  size_t call_series_ = 0;
  std::map<std::string, Totals, std::less<>> models_;
  std::map<CallKey, std::unique_ptr<KindMetrics>, LessKey> kinds_;
  uint64_t worker_starts_ = 0;
  std::array<uint64_t, kWorkerEnds> worker_ends_{};
  std::map<std::string, LoadMetrics, std::less<>> loads_;
};

}  // namespace vaccel::agent
