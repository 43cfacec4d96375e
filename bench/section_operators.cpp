// SPDX-License-Identifier: Apache-2.0
//
// operators: what each model of the catalogue, and a product of matrices, cost through the library beside the framework
// called directly in this process: in process, and through agent and worker with everything in the window. ONNX Runtime
// and OpenBLAS are called from here, the other frameworks from libraries of their own.
#include <dlfcn.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "catalogue_model.h"
#include "direct_model.h"
#include "failure.h"
#include "peer_library.h"
#include "section.h"
#include "session.h"
#include "subprocess.h"

namespace vaccel::bench {
namespace {

constexpr const char* kSection = "operators";
// Of sums of 1024 products of numbers below 1, whose order differs.
constexpr float kProductTolerance = 1e-3f;

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

// Measures, or tells why that is not possible here.
void or_skip(const char* name, Report& report, const std::function<void()>& measure_it) {
  try {
    measure_it();
  } catch (const PeerMissing& missing) {
    report.skip(kSection, name, missing.what());
  }
}

void expect_in_catalogue(const Setting& setting, const char* model) {
  if (!is_in_catalogue(setting, model))
    throw PeerMissing("it is not in the catalogue; scripts/make-catalogue makes it");
}

// ---- Models

constexpr const char* kModels[] = {"mobilenet", "ssd-mobilenet", "deeplabv3", "posenet", "fastdepth"};

void measure_model(const char* model, const std::vector<Way>& ways, const Setting& setting, Report& report) {
  expect_in_catalogue(setting, model);
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

// ---- Models on the other frameworks

struct FrameworkModel {
  const char* backend;
  const char* model;
};
constexpr FrameworkModel kFrameworkModels[] = {
    {"tflite", "mobilenet-tflite"}, {"torch", "mobilenet-torchscript"}, {"opencv", "mobilenet-opset10"}};

void expect_same(const std::string& what, std::span<const float> ours, const PeerResult& theirs,
                 float tolerance) {
  if (ours.size() != theirs.count)
    give_up("%s has %zu values through vAccel and %zu directly", what.c_str(), ours.size(), theirs.count);
  for (size_t index = 0; index < ours.size(); ++index) {
    if (!(std::fabs(ours[index] - theirs.data[index]) <= tolerance)) {
      give_up("value %zu of %s is %g through vAccel and %g directly", index, what.c_str(),
              static_cast<double>(ours[index]), static_cast<double>(theirs.data[index]));
    }
  }
}

void measure_beside_framework(const FrameworkModel& one, const std::vector<Way>& ways, const Setting& setting,
                              Report& report) {
  const PeerLibrary library(setting, one.backend);
  expect_in_catalogue(setting, one.model);
  const CatalogueModel model(setting, one.model);
  const std::vector<int64_t> shape = model.input_shape();
  const std::vector<float> picture = model.prepared(setting.photo);
  const char* input_name = model.description().image->input.c_str();
  const PeerTensor peer_input{input_name, picture.data(), shape.data(), shape.size()};
  const auto peer = library.make({.model_file = model.file().c_str(),
                                  .output_name = model.description().classify->output.c_str(),
                                  .inputs = &peer_input,
                                  .input_count = 1});
  for (const Way& way : ways) {
    const PeerResult theirs = peer->run();
    const Tensor input(way.session, input_name, VACCEL_FLOAT32, shape, std::as_bytes(std::span(picture)));
    const Tensor place(way.session, nullptr, VACCEL_FLOAT32, {},
                       std::vector<std::byte>(theirs.count * sizeof(float)));
    const auto ours = [&] { keep(way.session.infer(input.view(), place.view(), one.model, one.backend)); };
    ours();
    expect_same(one.model, {static_cast<const float*>(place.view()->data), theirs.count}, theirs, 1e-4f);
    add("infer " + std::string(one.model), way, library.call(), Side{ours}, Side{[&] { keep(peer->run()); }},
        setting, report);
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

// Two matrices of n x n: in this process's own memory, for whoever is called directly, and in a session's.
struct Factors {
  explicit Factors(int size)
      : n(size),
        count(static_cast<size_t>(n) * static_cast<size_t>(n)),
        a(some_numbers(count, 1)),
        b(some_numbers(count, 2)) {}

  int n;
  size_t count;
  std::vector<float> a;
  std::vector<float> b;
};

class SharedProduct {
 public:
  SharedProduct(const Factors& factors, const Session& session)
      : factors_(factors), session_(session), buffer_(session, 3 * factors.count * sizeof(float)) {
    std::ranges::copy(factors.a, shared());
    std::ranges::copy(factors.b, shared() + factors.count);
  }
  void multiply(const char* backend) const {
    session_.multiply(factors_.n, shared(), shared() + factors_.count, product().data(), backend);
  }
  [[nodiscard]] std::span<float> product() const { return {shared() + 2 * factors_.count, factors_.count}; }

 private:
  [[nodiscard]] float* shared() const { return reinterpret_cast<float*>(buffer_.bytes().data()); }

  const Factors& factors_;
  const Session& session_;
  Buffer buffer_;
};

void measure_product(const Factors& factors, const DirectBlas& direct, const Way& way, const Setting& setting,
                     Report& report) {
  std::vector<float> theirs(factors.count);
  const SharedProduct shared(factors, way.session);
  const auto ours = [&] { shared.multiply("openblas"); };
  const auto beside = [&] { direct.multiply(factors.n, factors.a.data(), factors.b.data(), theirs.data()); };
  const std::string name = "gemm " + std::to_string(factors.n) + "^3, float32";
  ours();
  beside();
  expect_same(name, shared.product(), {theirs.data(), theirs.size()}, kProductTolerance);
  add(name, way, "cblas_sgemm", Side{ours}, Side{beside}, setting, report);
}

void measure_products(const std::vector<Way>& ways, const Setting& setting, Report& report) {
  const auto blas = DirectBlas::load();
  if (!blas) return report.skip(kSection, "gemm", "no libopenblas.so.0 here");
  for (const int n : {256, 1024}) {
    const Factors factors(n);
    for (const Way& way : ways)
      measure_product(factors, *blas, way, setting, report);
  }
}

void measure_opencl_product(const std::vector<Way>& ways, const Setting& setting, Report& report) {
  const PeerLibrary library(setting, "opencl");
  const Factors factors(1024);
  const int64_t shape[] = {factors.n, factors.n};
  const PeerTensor inputs[] = {{"a", factors.a.data(), shape, 2}, {"b", factors.b.data(), shape, 2}};
  const auto peer = library.make({.inputs = inputs, .input_count = 2});
  for (const Way& way : ways) {
    const SharedProduct shared(factors, way.session);
    const auto ours = [&] { shared.multiply("opencl"); };
    const std::string name = "gemm 1024^3, float32, opencl";
    ours();
    expect_same(name, shared.product(), peer->run(), kProductTolerance);
    add(name, way, library.call(), Side{ours}, Side{[&] { keep(peer->run()); }}, setting, report);
  }
}

// What it saves that weights stay where the work is done, for a session that shares no memory.
void measure_resident_weights(const Session& session, const Setting& setting, Report& report) {
  constexpr int64_t kRows = 4096;
  constexpr int64_t kColumns = 1024;
  const std::vector<float> weights = some_numbers(kRows * kColumns, 3);
  const std::vector<float> input = some_numbers(kColumns, 4);
  const DeviceBuffer resident(session, std::as_bytes(std::span(weights)), "openblas");
  std::vector<float> ours(kRows), theirs(kRows);
  const auto with = [&](const void* matrix, std::vector<float>& result) {
    return [&session, &input, matrix, &result] {
      session.apply(kRows, kColumns, matrix, input.data(), result.data(), "openblas");
    };
  };
  const Side stays{with(resident.address(), ours)};
  const Side travels{with(weights.data(), theirs)};
  const std::string name = "gemv 4096 x 1024, float32, weights in a device buffer";
  stays.sample();
  travels.sample();
  expect_same(name, ours, {theirs.data(), theirs.size()}, kProductTolerance);
  add(name, {"no window", session, 0.5}, "weights travel", stays, travels, setting, report);
}

}  // namespace

void measure_operators(const Setting& setting, Report& report) {
  const WorkFolder folder(setting);
  const AgentProcess agent(setting, folder);
  const Session local(folder.local_endpoint());
  const Session remote(folder.agent_endpoint());
  const std::vector<Way> ways{{"in process", local, 1.01}, {"through the agent", remote, 1.03}};
  for (const char* model : kModels) {
    or_skip(model, report, [&] { measure_model(model, ways, setting, report); });
  }
  for (const FrameworkModel& one : kFrameworkModels) {
    or_skip(one.model, report, [&] { measure_beside_framework(one, ways, setting, report); });
  }
  const std::vector<Way> product_ways{{"in process", local, 1.01}, {"through the window", remote, 1.05}};
  measure_products(product_ways, setting, report);
  if (DirectBlas::load())
    measure_resident_weights(Session(folder.agent_endpoint(), VACCEL_OPEN_NO_WINDOW), setting, report);
  or_skip("gemm, opencl", report, [&] { measure_opencl_product(product_ways, setting, report); });
}

}  // namespace vaccel::bench
