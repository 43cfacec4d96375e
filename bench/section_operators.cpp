// SPDX-License-Identifier: Apache-2.0
//
// operators: what each model of the catalogue, and a product of matrices, cost through the library beside the framework
// called directly in this process: in process, and through agent and worker with everything in the window.
#include <dlfcn.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "direct_model.h"
#include "failure.h"
#include "section.h"
#include "session.h"
#include "subprocess.h"

namespace vaccel::bench {
namespace {

constexpr const char* kSection = "operators";

struct Way {
  const char* how;
  const Session& session;
  double goal;  ///< At most so many times the direct call.
};

// Ours and theirs, call by call.
void add(const std::string& name, const Way& way, const char* beside_name, const Side& ours,
         const Side& beside, const Setting& setting, Report& report) {
  const auto series = measure(std::vector{ours, beside}, {.seconds = setting.seconds_per_case, .burst = 1});
  report.add(kSection, {.name = name + ", " + way.how,
                        .unit = Unit::kMicroseconds,
                        .ours = series[0].rounds,
                        .beside_name = beside_name,
                        .beside = series[1].rounds,
                        .goal = Goal::at_most_times(way.goal),
                        .our_samples = series[0].samples,
                        .beside_samples = series[1].samples});
}

// ---- Models

constexpr const char* kModels[] = {"mobilenet", "ssd-mobilenet", "deeplabv3", "posenet", "fastdepth"};

bool is_in_catalogue(const Setting& setting, const char* model) {
  std::error_code error;
  return std::filesystem::exists(setting.catalogue / model / "model.toml", error);
}

void measure_model(const char* model, const std::vector<Way>& ways, const Setting& setting, Report& report) {
  DirectModel direct(setting, model);
  for (size_t index = 0; index < direct.input().size(); ++index)
    direct.input()[index] = static_cast<float>(index % 255) / 255;  // any picture
  const auto bytes = std::as_bytes(direct.input());
  for (const Way& way : ways) {
    const Tensor input(way.session, direct.input_name(), VACCEL_FLOAT32, direct.input_shape(), bytes);
    const float ours = way.session.infer(input.view(), nullptr, model);
    const float theirs = direct.infer();
    if (!(std::fabs(ours - theirs) <= 1e-4f * std::max(1.0f, std::fabs(theirs)))) {
      give_up("the first value of %s is %g through vAccel and %g directly", model, static_cast<double>(ours),
              static_cast<double>(theirs));
    }
    add("infer " + std::string(model), way, "OrtRun",
        Side{[&] { keep(way.session.infer(input.view(), nullptr, model)); }},
        Side{[&] { keep(direct.infer()); }}, setting, report);
  }
}

// ---- Products

// OpenBLAS, called directly: CBLAS's enumerations are numbers of its standard.
class DirectBlas {
 public:
  /// Nothing where there is no OpenBLAS.
  static std::unique_ptr<DirectBlas> load() {
    void* library = ::dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (library == nullptr) return nullptr;
    const auto sgemm = reinterpret_cast<Sgemm*>(::dlsym(library, "cblas_sgemm"));
    return sgemm != nullptr ? std::unique_ptr<DirectBlas>(new DirectBlas(sgemm)) : nullptr;
  }
  void multiply(int n, const float* a, const float* b, float* c) const {
    sgemm_(VACCEL_ROW_MAJOR, VACCEL_NO_TRANSPOSE, VACCEL_NO_TRANSPOSE, n, n, n, 1, a, n, b, n, 0, c, n);
  }

 private:
  using Sgemm = void(int, int, int, int, int, int, float, const float*, int, const float*, int, float, float*,
                     int);
  explicit DirectBlas(Sgemm* sgemm) : sgemm_(sgemm) {}
  Sgemm* sgemm_;
};

std::vector<float> some_numbers(size_t count, uint32_t seed) {
  std::minstd_rand random(seed);
  std::uniform_real_distribution<float> between(-1, 1);
  std::vector<float> numbers(count);
  for (float& number : numbers)
    number = between(random);
  return numbers;
}

void measure_product(int n, const DirectBlas& direct, const Way& way, const Setting& setting,
                     Report& report) {
  const size_t count = static_cast<size_t>(n) * static_cast<size_t>(n);
  const std::vector<float> a = some_numbers(count, 1);
  const std::vector<float> b = some_numbers(count, 2);
  std::vector<float> theirs(count);
  const Buffer buffer(way.session, 3 * count * sizeof(float));
  auto* const shared = reinterpret_cast<float*>(buffer.bytes().data());
  std::ranges::copy(a, shared);
  std::ranges::copy(b, shared + count);
  float* const c = shared + 2 * count;
  const auto ours = [&] { way.session.multiply(n, shared, shared + count, c, "openblas"); };
  const auto beside = [&] { direct.multiply(n, a.data(), b.data(), theirs.data()); };
  ours();
  beside();
  for (size_t index = 0; index < count; ++index) {
    if (std::fabs(c[index] - theirs[index]) > 1e-3f)
      give_up("a product of %d x %d is another one directly", n, n);
  }
  add("gemm " + std::to_string(n) + "^3, float32", way, "cblas_sgemm", Side{ours}, Side{beside}, setting,
      report);
}

}  // namespace

void measure_operators(const Setting& setting, Report& report) {
  const WorkFolder folder(setting);
  const AgentProcess agent(setting, folder);
  const Session local(folder.local_endpoint());
  const Session remote(folder.agent_endpoint());
  const std::vector<Way> ways{{"in process", local, 1.01}, {"through the agent", remote, 1.03}};
  for (const char* model : kModels) {
    if (is_in_catalogue(setting, model))
      measure_model(model, ways, setting, report);
    else
      report.skip(kSection, model, "it is not in the catalogue; scripts/make-catalogue makes it");
  }
  const auto blas = DirectBlas::load();
  if (!blas) return report.skip(kSection, "gemm", "no libopenblas.so.0 here");
  for (const int n : {256, 1024}) {
    measure_product(n, *blas, {"in process", local, 1.01}, setting, report);
    measure_product(n, *blas, {"through the window", remote, 1.05}, setting, report);
  }
}

}  // namespace vaccel::bench
