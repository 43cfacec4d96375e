// SPDX-License-Identifier: Apache-2.0
#include "models_beside.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <optional>

#include "failure.h"

namespace vaccel::bench {
namespace {

struct Comparison {
  const char* section;
  const Setting& setting;
  const Session& session;
  const ModelCalls& calls;
  DirectModel& direct;
  Report& report;

  void add(const std::string& name, const char* beside_name, const std::vector<Side>& sides) const;
  void classify() const;
  void infer() const;
};

void Comparison::add(const std::string& name, const char* beside_name, const std::vector<Side>& sides) const {
  const auto series = measure(sides, {.seconds = setting.seconds_per_case, .burst = 1});
  report.add(section, {.name = name + calls.how,
                       .unit = Unit::kMicroseconds,
                       .ours = series[0].rounds,
                       .beside_name = beside_name,
                       .beside = series[1].rounds,
                       .goal = calls.goal,
                       .our_samples = series[0].samples,
                       .beside_samples = series[1].samples});
}

void Comparison::classify() const {
  const std::vector<std::byte> file = read_file(setting.photo);
  std::optional<Buffer> buffer;
  std::span<const std::byte> image = file;
  if (calls.in_buffers) {
    image = buffer.emplace(session, file.size()).bytes();
    std::ranges::copy(file, buffer->bytes().begin());
  }
  const int32_t ours = session.classify(image);
  const int32_t theirs = direct.classify(file);
  if (ours != theirs) give_up("the best class is %d through vAccel and %d directly", ours, theirs);
  add("classify, " + setting.photo.filename().string(), "decode, prepare, OrtRun",
      {Side{[&] { keep(session.classify(image)); }}, Side{[&] { keep(direct.classify(file)); }}});
}

void Comparison::infer() const {
  const auto bytes = std::as_bytes(direct.input());
  const Tensor ordinary(direct.input_name(), VACCEL_FLOAT32, direct.input_shape(),
                        {bytes.begin(), bytes.end()});
  std::optional<Tensor> shared;
  std::optional<Tensor> place;
  if (calls.in_buffers) {
    shared.emplace(session, direct.input_name(), VACCEL_FLOAT32, direct.input_shape(), bytes);
    place.emplace(session, nullptr, VACCEL_FLOAT32, std::vector<int64_t>{},
                  std::vector<std::byte>(direct.output_bytes()));
  }
  const vaccel_tensor* input = (shared ? *shared : ordinary).view();
  const vaccel_tensor* output = place ? place->view() : nullptr;
  const float ours = session.infer(input, output);
  const float theirs = direct.infer();
  if (!(std::fabs(ours - theirs) <= 1e-5f)) {
    give_up("the first score is %g through vAccel and %g directly", static_cast<double>(ours),
            static_cast<double>(theirs));
  }
  add("infer, " + std::to_string(bytes.size() / 1000) + " KB tensor", "OrtRun",
      {Side{[&] { keep(session.infer(input, output)); }}, Side{[&] { keep(direct.infer()); }}});
}

}  // namespace

void measure_models_beside(const char* section, const Setting& setting, const Session& session,
                           const ModelCalls& calls, DirectModel& direct, Report& report) {
  const Comparison comparison{section, setting, session, calls, direct, report};
  comparison.classify();
  comparison.infer();
}

std::vector<std::byte> read_file(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(stream), {}};
  if (!stream || text.empty()) give_up("cannot read %s", file.c_str());
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

}  // namespace vaccel::bench
