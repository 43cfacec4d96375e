// SPDX-License-Identifier: Apache-2.0
//
// hostile: what tenants feel of another one that brings models which loop for ever, take all memory, name files of the host, or are none.
#include <openssl/evp.h>

#include <array>
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "backends/onnxruntime/hostile_models_testing.h"
#include "measure.h"
#include "section.h"
#include "session.h"
#include "subprocess.h"
#include "tenant_load.h"

namespace vaccel::bench {
namespace {

constexpr const char* kSection = "hostile";
constexpr size_t kOthers = 4;
constexpr int64_t kCostUs = 500;           // of a call of theirs, in the worker
constexpr uint64_t kPatienceUs = 100'000;  // of the hostile tenant's own calls
constexpr size_t kRounds = 5;

std::string tables() {
  // Half a CPU for it: this machine may have two, and clients, agent and worker share them.
  std::string text = "[uploads]\ndirectory = \"FOLDER/uploads\"\nmemory = \"512M\"\ncpus = 0.5\n";
  const auto add = [&text](const std::string& name) {
    text += "[[tenant]]\nname = \"" + name + "\"\nlisten = [\"unix:FOLDER/" + name + ".sock\"]\n";
  };
  for (size_t index = 0; index < kOthers; ++index)
    add("t" + std::to_string(index));
  add("hostile");
  return text;
}

std::string endpoint_of(const WorkFolder& folder, const std::string& tenant) {
  return "unix:" + (folder.path() / (tenant + ".sock")).string();
}

std::string sha256(const std::string& bytes) {
  std::array<unsigned char, 32> digest{};
  unsigned size = 0;
  EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, EVP_sha256(), nullptr);
  std::string text;
  for (const unsigned char byte : digest) {
    constexpr const char* kDigits = "0123456789abcdef";
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

vaccel_attribute text(const char* name, const std::string& value) {
  vaccel_attribute attribute{};
  attribute.name = name;
  attribute.type = VACCEL_ATTRIBUTE_STRING;
  attribute.value.string = value.c_str();
  return attribute;
}

vaccel_attribute integer(const char* name, size_t value) {
  vaccel_attribute attribute{};
  attribute.name = name;
  attribute.type = VACCEL_ATTRIBUTE_INT;
  attribute.value.integer = static_cast<int64_t>(value);
  return attribute;
}

bool upload(const Session& session, const std::string& bytes) {
  const std::string digest = sha256(bytes);
  const vaccel_attribute attributes[] = {text("sha256", digest), integer("bytes", bytes.size())};
  const auto shape = static_cast<int64_t>(bytes.size());
  vaccel_tensor data{};
  data.name = "data";
  data.data = const_cast<char*>(bytes.data());
  data.bytes = bytes.size();
  data.shape = &shape;
  data.rank = 1;
  data.dtype = VACCEL_UINT8;
  return vaccel_call(session.get(), "vaccel.upload", nullptr, attributes, 2, &data, 1, nullptr, nullptr) ==
         VACCEL_OK;
}

bool put(const Session& session, const std::string& model) {
  const std::string description =
      "task = \"infer\"\n[model]\nfile = \"model.onnx\"\nformat = \"onnx\"\nsha256 = \"" + sha256(model) +
      "\"\n";
  if (!upload(session, model) || !upload(session, description)) return false;
  const std::string files = "model.onnx " + sha256(model) + "\nmodel.toml " + sha256(description) + "\n";
  const std::string name = "hostile";
  const vaccel_attribute attributes[] = {text("name", name), text("files", files)};
  return vaccel_call(session.get(), "vaccel.put_model", nullptr, attributes, 2, nullptr, 0, nullptr,
                     nullptr) == VACCEL_OK;
}

bool run(const Session& session) {
  const float values[4] = {1, 2, 3, 4};
  const int64_t shape = 4;
  vaccel_tensor x{};
  x.name = "x";
  x.data = const_cast<float*>(values);
  x.bytes = sizeof values;
  x.shape = &shape;
  x.rank = 1;
  x.dtype = VACCEL_FLOAT32;
  auto options = VACCEL_INIT(vaccel_call_options);
  options.deadline_ns = vaccel_deadline_after_us(kPatienceUs);
  return vaccel_infer(session.get(), "own/hostile", &x, 1, &options, nullptr) == VACCEL_OK;
}

// A tenant that brings one hostile model after the other, and runs it.
class Hostile {
 public:
  explicit Hostile(std::string endpoint)
      : models_{onnxruntime::testing::endless_model(), onnxruntime::testing::huge_model(),
                onnxruntime::testing::model_with_weights_in("/etc/passwd"), std::string(1'000'000, '\x0a')},
        thread_([this, at = std::move(endpoint)](const std::stop_token& stop) { go_on(at, stop); }) {}

  [[nodiscard]] size_t tried() const { return tried_; }
  [[nodiscard]] size_t worked() const { return worked_; }

 private:
  void go_on(const std::string& endpoint, const std::stop_token& stop) {
    const Session session(endpoint);
    const std::string name = "hostile";
    const vaccel_attribute attribute = text("name", name);
    for (size_t index = 0; !stop.stop_requested(); ++index) {
      ++tried_;
      if (put(session, models_[index % models_.size()]) && run(session)) ++worked_;
      [[maybe_unused]] const vaccel_status deleted = vaccel_call(
          session.get(), "vaccel.delete_model", nullptr, &attribute, 1, nullptr, 0, nullptr, nullptr);
    }
  }

  const std::vector<std::string> models_;
  std::atomic<size_t> tried_ = 0;
  std::atomic<size_t> worked_ = 0;
  std::jthread thread_;  // last: it uses the others
};

std::vector<double> all_latencies(const std::vector<TenantFigures>& figures) {
  std::vector<double> all;
  for (const TenantFigures& one : figures)
    all.insert(all.end(), one.latencies.begin(), one.latencies.end());
  return all;
}

}  // namespace

void measure_hostile(const Setting& setting, Report& report) {
  const WorkFolder folder(setting, {.keys = "worker.threads = 1\n", .tables = tables()});
  const AgentProcess agent(setting, folder);
  std::vector<TenantLoad> loads;
  for (size_t index = 0; index < kOthers; ++index)
    loads.push_back({endpoint_of(folder, "t" + std::to_string(index)), 1, 0});
  // A call that fails ends the section.
  const TenantClients others(loads, [](const Session& session) {
    const vaccel_attribute attribute = integer("microseconds", kCostUs);
    session.call("reference.delay", nullptr, &attribute);
  });
  std::vector<double> p99;
  std::vector<double> p99_alone;
  size_t tried = 0;
  size_t worked = 0;
  size_t calls = 0;
  for (size_t round = 0; round < kRounds; ++round) {
    p99_alone.push_back(quantile(all_latencies(others.run(setting.seconds_per_case)), 0.99));
    const Hostile hostile(endpoint_of(folder, "hostile"));
    const auto latencies = all_latencies(others.run(setting.seconds_per_case));
    p99.push_back(quantile(latencies, 0.99));
    calls += latencies.size();
    tried += hostile.tried();
    worked += hostile.worked();
  }
  report.add(kSection, {.name = "p99 of 4 others while one brings hostile models",
                        .unit = Unit::kMilliseconds,
                        .ours = p99,
                        .beside_name = "without it",
                        .beside = p99_alone,
                        .goal = Goal::at_most_times(2)});
  report.add(kSection, {.name = "their calls meanwhile, of which none failed",
                        .unit = Unit::kCount,
                        .ours = {static_cast<double>(calls)}});
  report.add(kSection,
             {.name = "hostile models brought", .unit = Unit::kCount, .ours = {static_cast<double>(tried)}});
  report.add(kSection, {.name = "hostile models that ran to an end",
                        .unit = Unit::kCount,
                        .ours = {static_cast<double>(worked)},
                        .goal = Goal::at_most(0)});
}

}  // namespace vaccel::bench
