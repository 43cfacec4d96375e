// SPDX-License-Identifier: Apache-2.0
//
// local: what the library and the runtime add when both are in the caller's own process.
#include "direct_model.h"
#include "failure.h"
#include "models_beside.h"
#include "section.h"
#include "session.h"
#include "subprocess.h"
#include "virtual_call.h"

namespace vaccel::bench {
namespace {

constexpr size_t kCallsPerSample = 1000;
constexpr size_t kInputBytes = 600'000;

void measure_noop(const Setting& setting, const Session& session, const std::string& name,
                  const vaccel_tensor* input, Report& report) {
  const std::unique_ptr<Operation> operation = make_operation();
  const size_t input_count = input != nullptr ? 1 : 0;
  const Side ours{[&] {
                    for (size_t call = 0; call < kCallsPerSample; ++call)
                      session.call_for_nothing("reference.noop", input);
                  },
                  kCallsPerSample};
  const Side beside{[&] {
                      for (size_t call = 0; call < kCallsPerSample; ++call)
                        check(operation->run(input, input_count), "virtual call");
                    },
                    kCallsPerSample};
  const auto series = measure(std::vector{ours, beside}, {.seconds = setting.seconds_per_case});
  report.add("local", {.name = name,
                       .unit = Unit::kNanoseconds,
                       .ours = series[0].rounds,
                       .beside_name = "virtual call",
                       .beside = series[1].rounds,
                       .goal = Goal::at_most_more(30),
                       .our_samples = series[0].samples,
                       .beside_samples = series[1].samples});
}

}  // namespace

void measure_local(const Setting& setting, Report& report) {
  const WorkFolder folder(setting);
  const Session session(folder.local_endpoint());
  measure_noop(setting, session, "no-op call", nullptr, report);
  const Tensor input("x", VACCEL_UINT8, {kInputBytes}, some_bytes(kInputBytes));
  measure_noop(setting, session, "no-op call, 600 KB input", input.view(), report);
  DirectModel direct(setting);
  measure_models_beside("local", setting, session, {.goal = Goal::at_most_times(1.01)}, direct, report);
}

}  // namespace vaccel::bench
