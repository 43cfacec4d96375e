// SPDX-License-Identifier: Apache-2.0
//
// /metrics, /healthz and /readyz of a live agent, as Prometheus and probes see them; and HTTP clients that mean no good.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "support/agent_process.h"
#include "support/raw_client.h"

namespace vaccel::integration {
namespace {

class MetricsOfAnAgent : public testing::Test {
 protected:
  [[nodiscard]] std::string socket() const { return (agent_.folder() / "metrics.sock").string(); }

  [[nodiscard]] UniqueFd connect() const {
    UniqueFd fd{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    const timeval patience{30, 0};
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    socket().copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    return fd;
  }

  // Sends what it is given, and reads until the agent closes the connection.
  [[nodiscard]] std::string say(const std::string& request) const {
    const UniqueFd fd = connect();
    (void)::send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL);
    std::string answer;
    char piece[4096];
    for (ssize_t got = 0; (got = ::recv(fd.get(), piece, sizeof piece, 0)) > 0;)
      answer.append(piece, static_cast<size_t>(got));
    return answer;
  }
  [[nodiscard]] std::string get(const std::string& path) const {
    return say("GET " + path + " HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n");
  }
  static std::string body_of(const std::string& answer) {
    const size_t end = answer.find("\r\n\r\n");
    return end == std::string::npos ? "" : answer.substr(end + 4);
  }

  AgentProcess agent_{{.more = "[metrics]\nlisten = \"unix:FOLDER/metrics.sock\"\n"}};
};

TEST_F(MetricsOfAnAgent, CountsWhatWasCalledAndPrometheusHasNothingToComplainAbout) {
  RawClient client(agent_.endpoint());
  const auto bytes = some_bytes(1000, 1);
  EXPECT_TRUE(client.ask(2, call_with_bytes("vaccel.echo", 1000), bytes).is_result());
  EXPECT_TRUE(client.ask(3, call_of("reference.noop")).is_result());
  EXPECT_EQ(client.ask(4, call_of("no such \"operator\"")).code, VACCEL_NOT_FOUND);
  EXPECT_EQ(client.ask(5, wire::OpenModel{"none"}).code, VACCEL_NOT_FOUND);
  EXPECT_TRUE(
      RawClient(agent_.endpoint(), RawClient::Greet::kNo).send_text("no frame, but long enough to be one"));
  std::string text;
  ASSERT_TRUE(eventually([&] {
    text = body_of(get("/metrics"));
    return text.find("vaccel_protocol_errors_total{tenant=\"default\"} 1\n") != std::string::npos;
  })) << text;
  for (const char* line :
       {R"(vaccel_calls_total{tenant="default",operator="vaccel.echo",model="",code="OK"} 1)",
        R"(vaccel_calls_total{tenant="default",operator="reference.noop",model="",code="OK"} 1)",
        R"(vaccel_calls_total{tenant="default",operator="unknown",model="",code="NOT_FOUND"} 1)",
        R"(vaccel_refusals_total{tenant="default",reason="not_found"} 1)",
        R"(vaccel_tensor_bytes_total{tenant="default",path="copied"} 2000)",
        R"(vaccel_workers{state="ready"} 1)", "vaccel_ready 1"})
    EXPECT_NE(text.find(std::string("\n") + line + "\n"), std::string::npos) << line << "\n" << text;
  EXPECT_EQ(text.find("no such"), std::string::npos) << "a client's text became a label";

  const char* parts = std::getenv("VACCEL_TEST_PARTS");
  const std::string promtool = std::string(parts != nullptr ? parts : "build/parts") + "/promtool/promtool";
  if (!std::filesystem::exists(promtool))
    GTEST_SKIP() << "no " << promtool << "; scripts/setup --for test brings it";
  write_file(agent_.folder() / "metrics.txt", text);
  const std::string said = (agent_.folder() / "said").string();
  const std::string command =
      promtool + " check metrics <" + (agent_.folder() / "metrics.txt").string() + " >" + said + " 2>&1";
  EXPECT_EQ(std::system(command.c_str()), 0) << read_file(said);
  EXPECT_EQ(read_file(said), "");
}

TEST_F(MetricsOfAnAgent, IsReadyUntilItShutsDown) {
  EXPECT_TRUE(get("/healthz").starts_with("HTTP/1.1 200 ")) << get("/healthz");
  EXPECT_TRUE(get("/readyz").starts_with("HTTP/1.1 200 ")) << get("/readyz");
  EXPECT_TRUE(get("/").starts_with("HTTP/1.1 404 "));
  EXPECT_TRUE(say("POST /metrics HTTP/1.1\r\nHost: here\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                  .starts_with("HTTP/1.1 405 "));
  RawClient client(agent_.endpoint());
  client.send(2, call_of("reference.delay", {integer("microseconds", 60'000'000)}));
  ASSERT_TRUE(client.ask(3, call_of("reference.noop")).is_result());
  agent_.signal(SIGTERM);
  std::string answer;
  EXPECT_TRUE(eventually([&] { return (answer = get("/readyz")).starts_with("HTTP/1.1 503 "); })) << answer;
  EXPECT_NE(answer.find("the agent is shutting down: 1 sessions"), std::string::npos) << answer;
  EXPECT_TRUE(get("/healthz").starts_with("HTTP/1.1 200 "));
  client.drop();
}

TEST_F(MetricsOfAnAgent, SaysHowAWorkerEnded) {
  agent_.kill_worker();
  std::string text;
  EXPECT_TRUE(eventually([&] {
    text = body_of(get("/metrics"));
    return text.find("\nvaccel_worker_starts_total 2\n") != std::string::npos;
  })) << text;
  EXPECT_NE(text.find("\nvaccel_worker_ends_total{reason=\"signal\"} 1\n"), std::string::npos) << text;
}

// Whoever sends too much, nothing, or reads nothing has a connection for a while, and no function notices.
TEST_F(MetricsOfAnAgent, HostileClientsAreEndedAndNobodyNotices) {
  const std::string endless = say("GET /metrics HTTP/1.1\r\nX: " + std::string(64 * 1024, 'x'));
  EXPECT_EQ(endless.find("vaccel_build_info"), std::string::npos);
  (void)say(std::string(4096, '\0') + "\r\n\r\n");
  std::vector<UniqueFd> silent;
  for (int count = 0; count < 20; ++count) {
    silent.push_back(connect());
    const std::string request = count % 2 == 0 ? "GET /me" : "GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n";
    (void)::send(silent.back().get(), request.data(), request.size(), MSG_NOSIGNAL);
  }
  expect_serves(agent_.endpoint());
  // They are ended without doing anything, and then there is room again.
  std::string answer;
  EXPECT_TRUE(eventually([&] { return (answer = get("/healthz")).starts_with("HTTP/1.1 200 "); }, 120'000))
      << answer;
}

}  // namespace
}  // namespace vaccel::integration
