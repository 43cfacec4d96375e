// SPDX-License-Identifier: Apache-2.0
#include "models_beside.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>

#include "failure.h"

namespace vaccel::bench {
namespace {

void add(const char* section, const std::string& name, const char* beside_name,
         const std::vector<Series>& series, double at_most_times, Report& report) {
  report.add(section, {.name = name,
                       .unit = Unit::kMicroseconds,
                       .ours = series[0].rounds,
                       .beside_name = beside_name,
                       .beside = series[1].rounds,
                       .goal = Goal::at_most_times(at_most_times),
                       .our_samples = series[0].samples,
                       .beside_samples = series[1].samples});
}

void measure_classify(const char* section, const Setting& setting, const Session& session,
                      DirectModel& direct, double at_most_times, Report& report) {
  const std::vector<std::byte> image = read_file(setting.photo);
  const int32_t ours = session.classify(image);
  const int32_t theirs = direct.classify(image);
  if (ours != theirs) give_up("the best class is %d through vAccel and %d directly", ours, theirs);
  const std::vector sides{Side{[&] { keep(session.classify(image)); }},
                          Side{[&] { keep(direct.classify(image)); }}};
  add(section, "classify, " + setting.photo.filename().string(), "decode, prepare, OrtRun",
      measure(sides, {.seconds = setting.seconds_per_case, .burst = 1}), at_most_times, report);
}

void measure_infer(const char* section, const Setting& setting, const Session& session, DirectModel& direct,
                   double at_most_times, Report& report) {
  const auto bytes = std::as_bytes(direct.input());
  const Input input(direct.input_name(), VACCEL_FLOAT32, direct.input_shape(), {bytes.begin(), bytes.end()});
  const float ours = session.infer(input.view());
  const float theirs = direct.infer();
  if (!(std::fabs(ours - theirs) <= 1e-5f)) {
    give_up("the first score is %g through vAccel and %g directly", static_cast<double>(ours),
            static_cast<double>(theirs));
  }
  const std::vector sides{Side{[&] { keep(session.infer(input.view())); }},
                          Side{[&] { keep(direct.infer()); }}};
  add(section, "infer, " + std::to_string(bytes.size() / 1000) + " KB tensor", "OrtRun",
      measure(sides, {.seconds = setting.seconds_per_case, .burst = 1}), at_most_times, report);
}

}  // namespace

void measure_models_beside(const char* section, const Setting& setting, const Session& session,
                           DirectModel& direct, double at_most_times, Report& report) {
  measure_classify(section, setting, session, direct, at_most_times, report);
  measure_infer(section, setting, session, direct, at_most_times, report);
}

std::vector<std::byte> read_file(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(stream), {}};
  if (!stream || text.empty()) give_up("cannot read %s", file.c_str());
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

}  // namespace vaccel::bench
