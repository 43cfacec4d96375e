// SPDX-License-Identifier: Apache-2.0
//
// Calls of one model from many sessions, of several tenants, that run together in a worker: each gets what it would get
// alone, and one that is wrong fails alone.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cmath>
#include <cstring>

#include "support/agent_process.h"
#include "support/raw_client.h"
#include "support/real_parts.h"

namespace vaccel::integration {
namespace {

constexpr const char* kModel = "mobilenet-batch";
constexpr size_t kValues = size_t{3} * 224 * 224;

std::vector<std::byte> picture(int seed) {
  std::vector<float> values(kValues);
  for (size_t index = 0; index < kValues; ++index)
    values[index] = std::sin(static_cast<float>(index) * 0.001F * static_cast<float>(seed + 1));
  std::vector<std::byte> bytes(kValues * sizeof(float));
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

wire::Call infer_of(uint32_t model, int64_t width = 224) {
  wire::Call call = call_of("infer");
  call.model = model;
  wire::Tensor input{.name = "input", .dtype = VACCEL_FLOAT32, .rank = 4, .shape = {1, 3, 224, width}};
  input.bytes = static_cast<uint64_t>(3 * 224 * width) * sizeof(float);
  call.inputs = {input};
  return call;
}

std::vector<float> scores_of(const Answer& answer) {
  EXPECT_TRUE(answer.is_result()) << answer.text();
  if (!answer.is_result()) return {};
  const auto bytes = answer.output(0);
  std::vector<float> scores(bytes.size() / sizeof(float));
  std::memcpy(scores.data(), bytes.data(), bytes.size());
  return scores;
}

void expect_same(const std::vector<float>& one, const std::vector<float>& other) {
  ASSERT_EQ(one.size(), other.size());
  for (size_t index = 0; index < one.size(); ++index)
    ASSERT_NEAR(one[index], other[index], 1e-5F * std::fabs(other[index]) + 1e-7F) << index;
}

class JointCalls : public ::testing::Test {
 protected:
  // The catalogue's model, with another word on batching.
  static AgentSetup setup(const std::filesystem::path& catalogue, const std::string& batching) {
    std::filesystem::create_directories(catalogue);
    std::filesystem::copy(real_catalogue() / kModel, catalogue / kModel);
    const auto file = catalogue / kModel / "model.toml";
    write_file(file, read_file(file) + "\n[batching]\n" + batching);
    return {.more =
                "[metrics]\nlisten = \"unix:FOLDER/metrics.sock\"\n"
                "[[tenant]]\nname = \"a\"\nlisten = [\"unix:FOLDER/a.sock\"]\n"
                "[[tenant]]\nname = \"b\"\nlisten = [\"unix:FOLDER/b.sock\"]\n",
            .catalogue = catalogue,
            .all_backends = true};
  }
  static uint32_t open(RawClient& client) {
    const Answer opened = client.ask(2, wire::OpenModel{kModel});
    EXPECT_EQ(opened.kind, wire::Kind::kModelOpened) << opened.text();
    return opened.model;
  }
  static std::string of(const AgentProcess& agent, const std::string& tenant) {
    return "unix:" + (agent.folder() / (tenant + ".sock")).string();
  }
  // Of a series, from the agent's metrics.
  static double metric(const AgentProcess& agent, const std::string& series) {
    const UniqueFd fd{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    (agent.folder() / "metrics.sock").string().copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    const std::string request = "GET /metrics HTTP/1.0\r\n\r\n";
    (void)::send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL);
    std::string text;
    char piece[4096];
    for (ssize_t got = 0; (got = ::recv(fd.get(), piece, sizeof piece, 0)) > 0;)
      text.append(piece, static_cast<size_t>(got));
    const size_t at = text.find("\n" + series + " ");
    return at == std::string::npos ? 0 : std::stod(text.substr(at + series.size() + 2));
  }

  TemporaryFolder folder_;
};

TEST_F(JointCalls, OfManySessionsAndTenantsGetTheirOwnResults) {
  VACCEL_NEEDS(real_catalogue() / kModel / "model.toml");
  const AgentProcess agent(setup(folder_.path() / "joined", "max_size = 8\ntuned = false\nruns = 1\n"));
  const AgentProcess single(setup(folder_.path() / "single", "enabled = false\n"));
  constexpr int kSessions = 12;
  constexpr uint64_t kRounds = 3;
  RawClient alone(single.endpoint());
  const uint32_t model_alone = open(alone);
  std::vector<std::unique_ptr<RawClient>> clients;
  std::vector<uint32_t> models;
  std::vector<std::vector<std::byte>> pictures;
  for (int session = 0; session < kSessions; ++session) {
    clients.push_back(std::make_unique<RawClient>(of(agent, session % 2 == 0 ? "a" : "b")));
    models.push_back(open(*clients.back()));
    pictures.push_back(picture(session));
  }
  std::vector<std::vector<float>> expected;
  for (int session = 0; session < kSessions; ++session)
    expected.push_back(scores_of(alone.ask(10 + static_cast<uint64_t>(session), infer_of(model_alone),
                                           pictures[static_cast<size_t>(session)])));
  for (uint64_t round = 0; round < kRounds; ++round) {
    for (size_t session = 0; session < kSessions; ++session)
      ASSERT_TRUE(clients[session]->send(10 + round, infer_of(models[session]), pictures[session]));
    for (size_t session = 0; session < kSessions; ++session) {
      const auto answer = clients[session]->await(10 + round, 60'000);
      ASSERT_TRUE(answer);
      expect_same(scores_of(*answer), expected[session]);
      EXPECT_EQ(answer->result.batch, 0u) << "nobody is told with whom it ran";
      EXPECT_EQ(answer->result.calls_wanted, 0u);
    }
  }
  const std::string labels = "{operator=\"infer\",model=\"mobilenet-batch\"}";
  const double calls = metric(agent, "vaccel_batch_size_count" + labels);
  const double sizes = metric(agent, "vaccel_batch_size_sum" + labels);
  EXPECT_EQ(calls, kSessions * kRounds);
  EXPECT_GT(sizes, calls * 1.2) << "some ran together";
}

TEST_F(JointCalls, AWrongOneAndACancelledOneFailAlone) {
  VACCEL_NEEDS(real_catalogue() / kModel / "model.toml");
  const AgentProcess agent(setup(folder_.path() / "joined", "max_size = 8\ntuned = false\nruns = 1\n"));
  std::vector<std::unique_ptr<RawClient>> clients;
  std::vector<uint32_t> models;
  const auto input = picture(1);
  for (int session = 0; session < 6; ++session) {
    clients.push_back(std::make_unique<RawClient>(of(agent, session % 2 == 0 ? "a" : "b")));
    models.push_back(open(*clients.back()));
  }
  const auto expected = scores_of(clients[0]->ask(10, infer_of(models[0]), input));
  const std::vector<std::byte> narrow(size_t{3} * 224 * 100 * sizeof(float));
  for (uint64_t round = 20; round < 23; ++round) {
    for (size_t session = 0; session < clients.size(); ++session) {
      const bool is_wrong = session == 2;
      ASSERT_TRUE(clients[session]->send(round, infer_of(models[session], is_wrong ? 100 : 224),
                                         is_wrong ? narrow : input));
    }
    clients[5]->send(1000, wire::Cancel{round});
    for (size_t session = 0; session < clients.size(); ++session) {
      const auto answer = clients[session]->await(round, 60'000);
      ASSERT_TRUE(answer);
      if (session == 2) {
        EXPECT_EQ(answer->code, VACCEL_INVALID_ARGUMENT) << answer->text();
      } else if (session != 5 || answer->is_result()) {  // it may have been too late to cancel
        expect_same(scores_of(*answer), expected);
      } else {
        EXPECT_EQ(answer->code, VACCEL_CANCELLED) << answer->text();
      }
    }
  }
}

}  // namespace
}  // namespace vaccel::integration
