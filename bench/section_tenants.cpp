// SPDX-License-Identifier: Apache-2.0
//
// tenants: 64 clients on one model whose calls may be joined, beside the best that the same framework reaches in one
// process, whatever the batch and with one run or two at a time; and one lone client of that model, beside the same model
// with joining switched off.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <exception>
#include <fstream>
#include <functional>
#include <iterator>
#include <latch>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "catalogue_model.h"
#include "core/clock.h"
#include "direct_model.h"
#include "failure.h"
#include "section.h"
#include "session.h"
#include "subprocess.h"

namespace vaccel::bench {
namespace {

constexpr const char* kSection = "tenants";
constexpr const char* kJoined = "mobilenet-batch";
constexpr const char* kAlone = "mobilenet-alone";
constexpr int kClients = 64;
constexpr double kSecondsASample = 0.5;  // many times what all clients need for a call each

// Who call at the same time, each again and again; a call has `rows` rows.
struct Callers {
  std::string name;
  size_t rows = 1;
  std::vector<std::function<void()>> calls;
};

// Nanoseconds a row, all callers together.
double row_ns(const Callers& callers, double seconds) {
  const auto enough_ns = static_cast<uint64_t>(seconds * 1e9);
  std::atomic<size_t> done = 0;
  std::vector<std::exception_ptr> failures(callers.calls.size());
  std::latch start(static_cast<std::ptrdiff_t>(callers.calls.size()));
  const Stopwatch all;
  {
    std::vector<std::jthread> threads;
    for (size_t index = 0; index < callers.calls.size(); ++index) {
      threads.emplace_back([&, index] {
        start.arrive_and_wait();
        const Stopwatch stopwatch;
        try {
          do {
            callers.calls[index]();
            ++done;
          } while (stopwatch.elapsed_ns() < enough_ns);
        } catch (...) {
          failures[index] = std::current_exception();
        }
      });
    }
  }
  const auto took_ns = static_cast<double>(all.elapsed_ns());
  for (const std::exception_ptr& failure : failures) {
    if (failure) std::rethrow_exception(failure);
  }
  return took_ns / static_cast<double>(done * callers.rows);
}

Side side_of(const Callers& callers, double seconds) {
  Side side;
  side.burst = [&callers, seconds](size_t samples) {
    std::vector<double> result;
    for (size_t sample = 0; sample < samples; ++sample)
      result.push_back(row_ns(callers, seconds));
    return result;
  };
  return side;
}

// The catalogue of this section: the model, and the same with joining switched off.
void make_catalogue(const Setting& setting, const std::filesystem::path& catalogue) {
  std::filesystem::create_directories(catalogue);
  for (const char* name : {kJoined, kAlone})
    std::filesystem::copy(setting.catalogue / kJoined, catalogue / name);
  const auto file = catalogue / kAlone / "model.toml";
  std::ifstream read(file);
  std::string text{std::istreambuf_iterator<char>(read), {}};
  const std::string name = std::string("name = \"") + kJoined + "\"";
  const size_t at = text.find(name);
  if (at == std::string::npos) give_up("%s has no line %s", file.c_str(), name.c_str());
  text.replace(at, name.size(), std::string("name = \"") + kAlone + "\"");
  std::ofstream(file) << text << "\n[batching]\nenabled = false\n";
}

// The framework called directly, in each way that may be the best.
class DirectWays {
 public:
  explicit DirectWays(const Setting& setting) {
    for (const int64_t rows : {1, 2, 4, 8, 16, 32}) {
      for (const size_t runs : {size_t{1}, size_t{2}}) {
        Callers callers{std::to_string(rows) + " rows, " + std::to_string(runs) + " at a time",
                        static_cast<size_t>(rows),
                        {}};
        while (models_.size() < 2 * ways_.size() + 2)
          models_.push_back(std::make_unique<DirectModel>(setting, kJoined, rows));
        for (size_t run = 0; run < runs; ++run)
          callers.calls.emplace_back([&model = *models_[models_.size() - 1 - run]] { keep(model.infer()); });
        ways_.push_back(std::move(callers));
      }
    }
  }
  [[nodiscard]] const Callers& best(const Setting& setting) const {
    std::vector<Side> sides;
    for (const Callers& way : ways_)
      sides.push_back(side_of(way, 0));
    const auto series = measure(sides, {.seconds = setting.seconds_per_case, .burst = 1});
    size_t best = 0;
    for (size_t index = 1; index < ways_.size(); ++index) {
      if (median(series[index].rounds) < median(series[best].rounds)) best = index;
    }
    return ways_[best];
  }

 private:
  std::vector<std::unique_ptr<DirectModel>> models_;
  std::vector<Callers> ways_;
};

struct Client {
  Client(const std::string& endpoint, const DirectModel& model, std::span<const std::byte> picture)
      : session(endpoint), input(session, model.input_name(), VACCEL_FLOAT32, model.input_shape(), picture) {}
  Session session;
  Tensor input;
};

void measure_many(const std::vector<std::unique_ptr<Client>>& clients, const Setting& setting,
                  Report& report) {
  Callers ours{"", 1, {}};
  for (const auto& client : clients)
    ours.calls.emplace_back(
        [&one = *client] { keep(one.session.infer(one.input.view(), nullptr, kJoined)); });
  const DirectWays direct(setting);
  const Callers& best = direct.best(setting);
  const double seconds = std::min(kSecondsASample, setting.seconds_per_case);
  (void)row_ns(ours, seconds);  // the worker learns
  const auto series = measure(std::vector{side_of(ours, seconds), side_of(best, seconds)},
                              {.seconds = setting.seconds_per_case, .burst = 1});
  report.add(kSection, {.name = std::to_string(kClients) + " clients, a call of all together",
                        .unit = Unit::kMicroseconds,
                        .ours = series[0].rounds,
                        .beside_name = "OrtRun, " + best.name,
                        .beside = series[1].rounds,
                        .goal = Goal::at_most_times(1 / 0.95),
                        .our_samples = series[0].samples,
                        .beside_samples = series[1].samples});
}

void measure_lone(const Client& client, const Setting& setting, Report& report) {
  const auto call = [&](const char* model) {
    return Side{[&client, model] { keep(client.session.infer(client.input.view(), nullptr, model)); }};
  };
  const auto series =
      measure(std::vector{call(kJoined), call(kAlone)}, {.seconds = setting.seconds_per_case, .burst = 1});
  report.add(kSection, {.name = "one lone client",
                        .unit = Unit::kMicroseconds,
                        .ours = series[0].rounds,
                        .beside_name = "joining switched off",
                        .beside = series[1].rounds,
                        .goal = Goal::at_most_times(1.02),
                        .our_samples = series[0].samples,
                        .beside_samples = series[1].samples});
}

}  // namespace

void measure_tenants(const Setting& setting, Report& report) {
  if (!is_in_catalogue(setting, kJoined))
    return report.skip(kSection, kJoined, "it is not in the catalogue; scripts/make-catalogue makes it");
  const WorkFolder models(setting);
  Setting own = setting;
  own.catalogue = models.path() / "catalogue";
  make_catalogue(setting, own.catalogue);
  const WorkFolder folder(own, {.keys = "worker.threads = " + std::to_string(kClients) + "\n"});
  const AgentProcess agent(own, folder);
  DirectModel direct(own, kJoined);
  for (size_t index = 0; index < direct.input().size(); ++index)
    direct.input()[index] = static_cast<float>(index % 255) / 255;  // any picture
  std::vector<std::unique_ptr<Client>> clients;
  for (int index = 0; index < kClients; ++index)
    clients.push_back(
        std::make_unique<Client>(folder.agent_endpoint(), direct, std::as_bytes(direct.input())));
  const float ours = clients.front()->session.infer(clients.front()->input.view(), nullptr, kJoined);
  const float theirs = direct.infer();
  if (!(std::fabs(ours - theirs) <= 1e-4f * std::max(1.0f, std::fabs(theirs)))) {
    give_up("the first value of %s is %g through vAccel and %g directly", kJoined, static_cast<double>(ours),
            static_cast<double>(theirs));
  }
  measure_lone(*clients.front(), own, report);
  measure_many(clients, own, report);
}

}  // namespace vaccel::bench
