// SPDX-License-Identifier: Apache-2.0
//
// Models that a tenant brings: uploaded in pieces, resumed, run in a worker of its own, deleted, within its quota, and unknown to
// everybody else. And hostile ones, which hurt their tenant alone.
#include <gtest/gtest.h>

#include <chrono>
#include <cstring>
#include <fstream>

#include "backends/onnxruntime/hostile_models_testing.h"
#include "backends/onnxruntime/onnx_testing.h"
#include "core/clock.h"
#include "support/agent_process.h"
#include "support/own_models.h"
#include "support/raw_client.h"
#include "support/real_parts.h"

namespace vaccel::integration {
namespace {

using onnxruntime::testing::endless_model;
using onnxruntime::testing::huge_model;
using onnxruntime::testing::identity;
using onnxruntime::testing::kFloat;
using onnxruntime::testing::model_with_weights_in;

constexpr size_t kPiece = size_t{1} << 20;

// What a library would do.
class Uploader {
 public:
  explicit Uploader(const std::string& endpoint) : client_(endpoint) {}

  Answer piece(const std::string& of, size_t offset, size_t bytes, size_t whole = 0) {
    wire::Call call = bytes == 0 ? call_of("vaccel.upload") : call_with_bytes("vaccel.upload", bytes);
    call.attributes = {text("sha256", sha256(of).c_str()),
                       integer("bytes", static_cast<int64_t>(whole != 0 ? whole : of.size())),
                       integer("offset", static_cast<int64_t>(offset))};
    const std::string part = of.substr(offset, bytes);
    return client_.ask(++id_, call, std::as_bytes(std::span(part)));
  }
  static int64_t have(const Answer& answer) {
    int64_t number = -1;
    EXPECT_TRUE(answer.is_result()) << answer.text();
    if (answer.is_result()) std::memcpy(&number, answer.output(0).data(), sizeof number);
    return number;
  }
  /// All of a file. @return how many pieces it took.
  size_t file(const std::string& bytes) {
    size_t pieces = 0;
    for (int64_t at = have(piece(bytes, 0, 0)); at >= 0 && static_cast<size_t>(at) < bytes.size(); ++pieces) {
      const auto offset = static_cast<size_t>(at);
      at = have(piece(bytes, offset, std::min(kPiece, bytes.size() - offset)));
    }
    return pieces;
  }
  Answer put(const std::string& name, const std::map<std::string, std::string>& files) {
    std::string list;
    for (const auto& [file, bytes] : files)
      list += file + " " + sha256(bytes) + "\n";
    return client_.ask(
        ++id_, call_of("vaccel.put_model", {text("name", name.c_str()), text("files", list.c_str())}));
  }
  /// A model of one ONNX file, all the way.
  Answer model(const std::string& name, const std::string& onnx) {
    const std::string description = description_of(onnx);
    file(onnx);
    file(description);
    return put(name, {{"model.onnx", onnx}, {"model.toml", description}});
  }
  Answer remove(const std::string& name) {
    return client_.ask(++id_, call_of("vaccel.delete_model", {text("name", name.c_str())}));
  }
  Answer open(const std::string& name) { return client_.ask(++id_, wire::OpenModel{name}); }
  /// Runs an open model on four floats.
  Answer infer(uint32_t model, uint64_t timeout_us = 0) {
    const float values[4] = {1, 2, 3, 4};
    wire::Call call = call_of("infer");
    call.model = model;
    call.timeout_us = timeout_us;
    wire::Tensor tensor{.name = "x", .dtype = VACCEL_FLOAT32, .rank = 1, .bytes = sizeof values};
    tensor.shape[0] = 4;
    call.inputs.push_back(tensor);
    return client_.ask(++id_, call, std::as_bytes(std::span(values)));
  }
  RawClient& client() { return client_; }

 private:
  RawClient client_;
  uint64_t id_ = 1;
};

std::string small_model() {
  return identity(kFloat, {4}).file();
}

TEST(Uploads, AModelIsBroughtUsedAndDeleted) {
  const AgentProcess agent(with_uploads());
  Uploader acme(endpoint_of(agent, "acme"));
  EXPECT_EQ(acme.open("own/id").code, VACCEL_NOT_FOUND);
  EXPECT_EQ(agent.workers().size(), 1u);
  const Answer put = acme.model("id", small_model());
  ASSERT_TRUE(put.is_result()) << put.text();
  EXPECT_EQ(agent.workers().size(), 2u) << "one of its own";
  const Answer opened = acme.open("own/id");
  ASSERT_EQ(opened.kind, wire::Kind::kModelOpened) << opened.text();
  const Answer result = acme.infer(opened.model);
  ASSERT_TRUE(result.is_result()) << result.text();
  float values[4] = {};
  std::memcpy(values, result.output(0).data(), sizeof values);
  EXPECT_EQ(values[3], 4);
  const Answer listed = acme.client().ask(100, wire::Describe{wire::Subject::kModels, "", 0});
  ASSERT_EQ(listed.description.models.size(), 1u) << listed.text();
  EXPECT_EQ(listed.description.models[0].name, "own/id");
  const Answer described = acme.client().ask(101, wire::Describe{wire::Subject::kModel, "own/id", 0});
  ASSERT_EQ(described.description.models.size(), 1u) << described.text();
  EXPECT_EQ(described.description.models[0].inputs.size(), 1u);

  EXPECT_TRUE(acme.remove("id").is_result());
  EXPECT_EQ(acme.open("own/id").code, VACCEL_NOT_FOUND);
  EXPECT_EQ(acme.remove("id").code, VACCEL_NOT_FOUND);
  EXPECT_TRUE(std::filesystem::is_empty(agent.folder() / "uploads" / "acme" / "files"));
}

TEST(Uploads, ARealModelRecognisesACat) {
  VACCEL_NEEDS_MOBILENET();
  const AgentProcess agent(with_uploads());
  Uploader acme(endpoint_of(agent, "acme"));
  std::map<std::string, std::string> files;
  for (const char* name : {"model.toml", "model.onnx", "labels.txt"})
    acme.file(files[name] = read_file(real_catalogue() / "mobilenet" / name));
  const Answer put = acme.put("cat", files);
  ASSERT_TRUE(put.is_result()) << put.text();
  const Answer opened = acme.open("own/cat");
  ASSERT_EQ(opened.kind, wire::Kind::kModelOpened) << opened.text();
  const std::string picture = read_file(photo("chelsea.png"));
  wire::Call call = call_with_bytes("classify", picture.size());
  call.inputs[0].name = "image";
  call.attributes = {integer("top", 1)};
  call.model = opened.model;
  const Answer result = acme.client().ask(200, call, std::as_bytes(std::span(picture)));
  ASSERT_TRUE(result.is_result()) << result.text();
  std::string all;
  for (size_t index = 0; index < result.result.outputs.size(); ++index) {
    const auto bytes = result.output(index);
    all.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  EXPECT_NE(all.find("Egyptian cat"), std::string::npos);
}

TEST(Uploads, GoOnWhereTheyWereInterrupted) {
  const std::string bytes(3 * kPiece + 7, 'x');
  AgentProcess agent(with_uploads());
  {
    Uploader acme(endpoint_of(agent, "acme"));
    EXPECT_EQ(Uploader::have(acme.piece(bytes, 0, kPiece)), static_cast<int64_t>(kPiece));
    EXPECT_EQ(Uploader::have(acme.piece(bytes, 0, kPiece)), static_cast<int64_t>(kPiece))
        << "a piece that is there already";
    EXPECT_EQ(Uploader::have(acme.piece(bytes, 2 * kPiece, kPiece)), static_cast<int64_t>(kPiece))
        << "one that comes too early";
  }
  agent.kill();
  agent.start();
  Uploader acme(endpoint_of(agent, "acme"));
  EXPECT_EQ(Uploader::have(acme.piece(bytes, 0, 0)), static_cast<int64_t>(kPiece))
      << "also after the agent's death";
  EXPECT_EQ(acme.file(bytes), 3u);
  EXPECT_EQ(acme.file(bytes), 0u) << "the second time it is there at once";
}

TEST(Uploads, NobodyElseCanTell) {
  const AgentProcess agent(with_uploads());
  Uploader acme(endpoint_of(agent, "acme"));
  ASSERT_TRUE(acme.model("id", small_model()).is_result());
  Uploader other(endpoint_of(agent, "other"));
  EXPECT_EQ(Uploader::have(other.piece(small_model(), 0, 0)), 0) << "the same file is none that it has";
  const Answer hers = other.open("own/id");
  const Answer none = other.open("own/xx");
  EXPECT_EQ(hers.code, VACCEL_NOT_FOUND);
  EXPECT_EQ(hers.sentence.size(), none.sentence.size()) << hers.sentence;
  EXPECT_EQ(other.remove("id").code, VACCEL_NOT_FOUND);
  EXPECT_TRUE(
      other.client().ask(100, wire::Describe{wire::Subject::kModels, "", 0}).description.models.empty());
  EXPECT_TRUE(other.model("id", identity(kFloat, {2}).file()).is_result()) << "a name of its own";
}

TEST(Uploads, QuotasHold) {
  const AgentProcess agent(with_uploads("max_bytes = 4096\nmax_models = 1"));
  Uploader acme(endpoint_of(agent, "acme"));
  const std::string most(4096, 'a');
  EXPECT_EQ(acme.piece(most + "b", 0, 0).code, VACCEL_RESOURCE_EXHAUSTED) << "one over";
  EXPECT_EQ(Uploader::have(acme.piece(most, 0, 10)), 10) << "at it";
  EXPECT_EQ(acme.piece("b", 0, 1).code, VACCEL_RESOURCE_EXHAUSTED) << "what was announced counts";
  // Nobody has gone on with it for two hours.
  for (const auto& part : std::filesystem::directory_iterator(agent.folder() / "uploads" / "acme" / "files"))
    std::filesystem::last_write_time(part,
                                     std::filesystem::file_time_type::clock::now() - std::chrono::hours(2));
  EXPECT_TRUE(acme.piece("b", 0, 1).is_result()) << "it has made way";
  EXPECT_EQ(acme.piece(most, 0, 10).code, VACCEL_RESOURCE_EXHAUSTED) << "a byte over, now";
  Uploader other(endpoint_of(agent, "other"));
  ASSERT_TRUE(other.model("one", small_model()).is_result()) << "others have their own";
  const Answer two = other.model("two", identity(kFloat, {2}).file());
  EXPECT_EQ(two.code, VACCEL_RESOURCE_EXHAUSTED) << two.text();
  EXPECT_TRUE(other.remove("one").is_result());
  EXPECT_TRUE(other.model("two", identity(kFloat, {2}).file()).is_result());
}

TEST(Uploads, ATenantCanHaveAQuotaOfItsOwn) {
  const AgentProcess agent(with_uploads());
  Uploader acme(endpoint_of(agent, "acme"));
  Uploader other(endpoint_of(agent, "other"));
  const std::string most(100, 'a');
  ASSERT_EQ(agent.vaccelctl({"tenant", "set", "acme", "max_upload_bytes=100"}).status, 0);
  EXPECT_EQ(acme.piece(most + "b", 0, 1).code, VACCEL_RESOURCE_EXHAUSTED) << "one over";
  EXPECT_EQ(Uploader::have(acme.piece(most, 0, 1)), 1) << "at it";
  EXPECT_EQ(Uploader::have(other.piece(most + "b", 0, 1)), 1) << "of one tenant alone";
  ASSERT_EQ(agent.vaccelctl({"tenant", "set", "other", "max_upload_models=2"}).status, 0);
  ASSERT_TRUE(other.model("one", small_model()).is_result());
  ASSERT_TRUE(other.model("two", identity(kFloat, {2}).file()).is_result());
  EXPECT_EQ(other.model("three", identity(kFloat, {3}).file()).code, VACCEL_RESOURCE_EXHAUSTED);
  ASSERT_EQ(agent.vaccelctl({"tenant", "set", "acme", "max_upload_models=0"}).status, 0);
  const Answer none = acme.piece("c", 0, 1);
  EXPECT_EQ(none.code, VACCEL_PERMISSION_DENIED);
  EXPECT_NE(none.text().find("may not bring models of its own"), std::string::npos) << none.text();
}

TEST(Uploads, HaveARate) {
  const AgentProcess agent(with_uploads("bytes_per_second = 4096"));
  Uploader acme(endpoint_of(agent, "acme"));
  const std::string bytes(20'000, 'r');
  EXPECT_EQ(Uploader::have(acme.piece(bytes, 0, 10'000)), 10'000) << "more than a second's worth, on credit";
  const Answer refused = acme.piece(bytes, 10'000, 10'000);
  EXPECT_EQ(refused.code, VACCEL_RESOURCE_EXHAUSTED) << refused.text();
  EXPECT_GT(refused.retry_after_us, 500'000u);
  EXPECT_LT(refused.retry_after_us, 3'000'000u);
  Uploader other(endpoint_of(agent, "other"));
  EXPECT_TRUE(other.piece(bytes, 0, 1000).is_result()) << "of one tenant alone";
}

// What is charged is what is taken: a frame that announces more than its tensor is refused before anything is.
TEST(Uploads, APayloadIsItsTensor) {
  const AgentProcess agent(with_uploads());
  Uploader acme(endpoint_of(agent, "acme"));
  wire::Call call = call_with_bytes("vaccel.upload", 1);
  call.attributes = {text("sha256", sha256("x").c_str()), integer("bytes", 1)};
  const std::string more(100'000, 'x');
  EXPECT_EQ(acme.client().ask(900, call, std::as_bytes(std::span(more))).code, VACCEL_INVALID_ARGUMENT);
  call.inputs[0].offset = 50'000;
  EXPECT_EQ(acme.client().ask(901, call, std::as_bytes(std::span(more))).code, VACCEL_INVALID_ARGUMENT);
  EXPECT_TRUE(acme.piece("x", 0, 1).is_result());
}

// A name that ends one tenant's workers is nothing to another who uses it, too.
TEST(Uploads, QuarantineIsATenantsOwn) {
  if (is_sanitized()) GTEST_SKIP() << "skipped: a sanitizer's memory is no measure";
  const AgentProcess agent(with_uploads("memory = \"256M\""));
  Uploader acme(endpoint_of(agent, "acme"));
  for (int time = 0; time < 4; ++time) {
    (void)acme.model("cat", huge_model());
    const Answer opened = acme.open("own/cat");
    if (opened.kind == wire::Kind::kModelOpened) (void)acme.infer(opened.model, 1'000'000);
    (void)acme.remove("cat");
  }
  Uploader other(endpoint_of(agent, "other"));
  EXPECT_TRUE(other.model("cat", small_model()).is_result());
  EXPECT_EQ(other.open("own/cat").kind, wire::Kind::kModelOpened);
}

TEST(Uploads, WhatIsWrongIsTold) {
  const AgentProcess agent(with_uploads());
  Uploader acme(endpoint_of(agent, "acme"));
  const std::string model = small_model();
  const std::string description = description_of(model);
  acme.file(description);
  EXPECT_EQ(acme.put("id", {{"model.onnx", model}, {"model.toml", description}}).code, VACCEL_NOT_FOUND)
      << "a file that is not there";
  acme.file(model);
  EXPECT_EQ(acme.put("id", {{"model.onnx", model}}).code, VACCEL_INVALID_ARGUMENT) << "no description";
  EXPECT_EQ(acme.put("../id", {{"model.onnx", model}, {"model.toml", description}}).code,
            VACCEL_INVALID_ARGUMENT);
  EXPECT_EQ(acme.put("id", {{"../x", model}, {"model.toml", description}}).code, VACCEL_INVALID_ARGUMENT);
  ASSERT_TRUE(acme.put("id", {{"model.onnx", model}, {"model.toml", description}}).is_result());
  EXPECT_TRUE(acme.put("id", {{"model.onnx", model}, {"model.toml", description}}).is_result())
      << "the same again";
  EXPECT_EQ(acme.model("id", identity(kFloat, {2}).file()).code, VACCEL_INVALID_ARGUMENT)
      << "another of that name";
  // Bytes that are not what their SHA-256 says.
  const std::string liar = identity(kFloat, {3}).file();
  std::string changed = liar;
  changed.back() ^= 1;
  wire::Call call = call_with_bytes("vaccel.upload", changed.size());
  call.attributes = {text("sha256", sha256(liar).c_str()),
                     integer("bytes", static_cast<int64_t>(changed.size()))};
  ASSERT_TRUE(acme.client().ask(500, call, std::as_bytes(std::span(changed))).is_result());
  const Answer refused = acme.model("liar", liar);
  EXPECT_NE(refused.sentence.find("SHA-256"), std::string::npos) << refused.text();
  EXPECT_EQ(acme.open("own/liar").code, VACCEL_NOT_FOUND) << "it did not become a model";
  EXPECT_EQ(acme.file(liar), 1u) << "and its file has gone";
}

TEST(Uploads, AreOffUnlessConfiguredAndPermitted) {
  const AgentProcess off;
  Uploader anybody(off.endpoint());
  EXPECT_EQ(anybody.piece("x", 0, 1).code, VACCEL_UNIMPLEMENTED);
  EXPECT_EQ(anybody.open("own/id").code, VACCEL_NOT_FOUND);
  AgentSetup setup = with_uploads();
  setup.more += "models = [\"mobilenet\"]\n";  // of the last tenant
  const AgentProcess agent(std::move(setup));
  Uploader other(endpoint_of(agent, "other"));
  EXPECT_EQ(other.piece("x", 0, 1).code, VACCEL_PERMISSION_DENIED);
}

TEST(Uploads, TheWorkerGoesWhenNobodyNeedsIt) {
  const AgentProcess agent(with_uploads("idle_ms = 200"));
  Uploader acme(endpoint_of(agent, "acme"));
  ASSERT_TRUE(acme.model("id", small_model()).is_result());
  EXPECT_TRUE(eventually([&] { return agent.workers().size() == 1; }));
  const Answer opened = acme.open("own/id");
  ASSERT_EQ(opened.kind, wire::Kind::kModelOpened) << opened.text();
  EXPECT_TRUE(eventually([&] { return agent.workers().size() == 1; }));
  EXPECT_TRUE(acme.infer(opened.model).is_result()) << "and is there again when somebody does";
}

// ---- Hostile ones

// A neighbour whose calls go on whatever happens.
void expect_neighbours_are_served(const AgentProcess& agent, pid_t shared_worker) {
  expect_serves(endpoint_of(agent, "other"));
  EXPECT_TRUE(is_running(shared_worker)) << "the worker of the catalogue's models has nothing to do with it";
}

pid_t shared_worker_of(const AgentProcess& agent) {
  return agent.workers().front();
}

TEST(Uploads, RubbishIsNoModel) {
  const AgentProcess agent(with_uploads());
  const pid_t shared = shared_worker_of(agent);
  Uploader acme(endpoint_of(agent, "acme"));
  for (const std::string& rubbish : {std::string("rubbish"), std::string(100'000, '\xff'),
                                     small_model().substr(0, 20), std::string(1'000'000, '\x0a')}) {
    const Answer answer = acme.model("bad", rubbish);
    EXPECT_FALSE(answer.is_result());
    EXPECT_EQ(acme.open("own/bad").code, VACCEL_NOT_FOUND);
  }
  EXPECT_TRUE(acme.model("good", small_model()).is_result());
  expect_neighbours_are_served(agent, shared);
}

TEST(Uploads, OneThatLoopsForEverIsEndedAtItsDeadline) {
  const AgentProcess agent(with_uploads());
  const pid_t shared = shared_worker_of(agent);
  Uploader acme(endpoint_of(agent, "acme"));
  const Answer put = acme.model("endless", endless_model());
  ASSERT_TRUE(put.is_result()) << put.text();
  const Answer opened = acme.open("own/endless");
  ASSERT_EQ(opened.kind, wire::Kind::kModelOpened) << opened.text();
  const Answer late = acme.infer(opened.model, 200'000);
  EXPECT_EQ(late.code, VACCEL_DEADLINE_EXCEEDED) << late.text();
  expect_neighbours_are_served(agent, shared);
  // Whether the framework stopped when it was told, or was ended: nothing computes any more.
  EXPECT_TRUE(eventually(
      [&] {
        int64_t before = 0;
        for (const pid_t pid : agent.workers())
          before += cpu_ms(pid);
        ::usleep(300'000);
        int64_t after = 0;
        for (const pid_t pid : agent.workers())
          after += cpu_ms(pid);
        return after - before < 150;
      },
      20'000));
  ASSERT_TRUE(acme.model("good", small_model()).is_result()) << "and its tenant goes on";
}

TEST(Uploads, OneThatEatsMemoryHurtsItsTenantAlone) {
  if (is_sanitized()) GTEST_SKIP() << "skipped: a sanitizer's memory is no measure";
  const AgentProcess agent(with_uploads("memory = \"512M\""));
  const pid_t shared = shared_worker_of(agent);
  Uploader acme(endpoint_of(agent, "acme"));
  (void)acme.model("huge", huge_model());  // some are refused when they are loaded
  const Answer opened = acme.open("own/huge");
  if (opened.kind == wire::Kind::kModelOpened) {
    EXPECT_FALSE(acme.infer(opened.model).is_result());
  }
  expect_neighbours_are_served(agent, shared);
  EXPECT_TRUE(eventually([&] { return acme.model("good", small_model()).is_result(); }));
}

// A model's file may say that its weights lie in another: that one is none of the host's.
TEST(Uploads, OneThatNamesOtherFilesGetsNone) {
  const AgentProcess agent(with_uploads());
  const pid_t shared = shared_worker_of(agent);
  Uploader acme(endpoint_of(agent, "acme"));
  for (const char* file : {"/etc/passwd", "../../../../../../etc/passwd", "/proc/self/environ"}) {
    const std::string model = model_with_weights_in(file);
    const Answer answer = acme.model("thief", model);
    EXPECT_FALSE(answer.is_result()) << file;
  }
  expect_neighbours_are_served(agent, shared);
}

}  // namespace
}  // namespace vaccel::integration
