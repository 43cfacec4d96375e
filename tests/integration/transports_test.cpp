// SPDX-License-Identifier: Apache-2.0
//
// Where an agent listens and who reaches it: unix, hybrid vsock (the host's side, a unix socket), tcp on loopback; and
// what is said where nobody listens, somebody else does, or one may not. AF_VSOCK itself is tested within guests.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <thread>

#include "channel/socket.h"
#include "core/clock.h"
#include "support/agent_process.h"
#include "support/library.h"
#include "support/raw_client.h"

namespace vaccel::integration {
namespace {

#define EXPECT_NOT_OPENED(endpoint, expected, words)       \
  do {                                                     \
    const auto refused = open_session((endpoint), 1000);   \
    EXPECT_EQ(refused.status, expected) << refused.text(); \
    EXPECT_TRUE(refused.says(words)) << refused.text();    \
    EXPECT_EQ(refused.value, nullptr);                     \
  } while (false)

TEST(Transports, OneAgentServesAllOfThemAlike) {
  const std::string port = std::to_string(free_tcp_port());
  const std::string port6 = std::to_string(free_tcp_port());
  const AgentProcess agent(
      {.listen = {"tcp:127.0.0.1:" + port, "hvsock:FOLDER/v.sock:4411", "unix:FOLDER/two.sock"}});
  const std::string hybrid = "unix:" + (agent.folder() / "v.sock_4411").string();
  for (const std::string& endpoint : {agent.endpoint(), "unix:" + (agent.folder() / "two.sock").string(),
                                      hybrid, "tcp:127.0.0.1:" + port, "tcp:localhost:" + port}) {
    SCOPED_TRACE(endpoint);
    const Session session(endpoint);
    EXPECT_EQ(std::string(vaccel_session_endpoint(session.get())), endpoint);
    for (const size_t size : {size_t{64}, size_t{100'000}, size_t{5'000'000}}) {
      const auto bytes = some_bytes(size, 1);
      const auto echo = session.call("reference.echo", {}, {bytes_tensor(bytes)});
      ASSERT_TRUE(echo.ok()) << echo.text();
      EXPECT_TRUE(std::ranges::equal(data_of(echo.value->tensors[0]), bytes));
    }
    uint64_t round_trip_ns = 0;
    EXPECT_EQ(vaccel_ping(session.get(), nullptr, &round_trip_ns), VACCEL_OK);
    EXPECT_GT(round_trip_ns, 0u);
  }
}

TEST(Transports, NobodyThereIsSaidWithWhatToDo) {
  const TemporaryFolder folder;
  EXPECT_NOT_OPENED("unix:" + (folder.path() / "none.sock").string(), VACCEL_UNAVAILABLE, "vacceld");
  EXPECT_NOT_OPENED("tcp:127.0.0.1:" + std::to_string(free_tcp_port()), VACCEL_UNAVAILABLE, "vacceld");
  EXPECT_NOT_OPENED("unix:" + (folder.path() / "nowhere" / "none.sock").string(), VACCEL_UNAVAILABLE,
                    "none.sock");
  EXPECT_NOT_OPENED("carrier-pigeon:home", VACCEL_INVALID_ARGUMENT, "carrier-pigeon");
  EXPECT_NOT_OPENED("tcp:127.0.0.1:99999", VACCEL_INVALID_ARGUMENT, "99999");
  EXPECT_NOT_OPENED("unix:", VACCEL_INVALID_ARGUMENT, "unix");
  // A file that is no socket, and a socket that nobody listens on any more.
  write_file(folder.path() / "file", "text");
  EXPECT_NOT_OPENED("unix:" + (folder.path() / "file").string(), VACCEL_UNAVAILABLE, "file");
  const auto endpoint = channel::parse_endpoint("unix:" + (folder.path() / "stale").string()).value();
  const UniqueFd fd{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  endpoint.socket_path().copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  EXPECT_NOT_OPENED(endpoint.text(), VACCEL_UNAVAILABLE, "stale");
}

// Somebody who listens and is no agent: says `words` to whoever comes, then closes or stays.
class Impostor {
 public:
  Impostor(const std::string& endpoint, std::string words, bool closes)
      : listening_(channel::listen_on(channel::parse_endpoint(endpoint).value(), 0600).value()),
        thread_([this, words = std::move(words), closes](const std::stop_token& stop) {
          std::vector<UniqueFd> kept;
          while (!stop.stop_requested()) {
            auto peer = channel::accept_from(listening_.fd());
            if (peer && peer->valid()) {
              EXPECT_GE(::send(peer->get(), words.data(), words.size(), MSG_NOSIGNAL), 0);
              if (!closes) kept.push_back(std::move(*peer));
            } else {
              std::this_thread::sleep_for(std::chrono::milliseconds(2));
            }
          }
        }) {}

 private:
  channel::ListeningSocket listening_;
  std::jthread thread_;
};

TEST(Transports, WhoAnswersAndIsNoAgentIsRecognised) {
  const TemporaryFolder folder;
  const std::string endpoint = "unix:" + (folder.path() / "s").string();
  {
    const Impostor web(endpoint, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", false);
    EXPECT_NOT_OPENED(endpoint, VACCEL_PROTOCOL_ERROR, "does not speak vAccel");
  }
  {
    const Impostor silent(endpoint, "", false);
    EXPECT_NOT_OPENED(endpoint, VACCEL_DEADLINE_EXCEEDED, "");
  }
  {
    const Impostor hasty(endpoint, "", true);
    const auto refused = open_session(endpoint, 1000);
    EXPECT_TRUE(refused.status == VACCEL_UNAVAILABLE || refused.status == VACCEL_PROTOCOL_ERROR)
        << refused.text();
  }
}

TEST(Transports, ASessionTooManyIsSaidToBeOne) {
  const AgentProcess agent({.limits = "max_sessions = 1"});
  const Session session(agent.endpoint());
  EXPECT_NOT_OPENED(agent.endpoint(), VACCEL_RESOURCE_EXHAUSTED, "most sessions, 1");
  EXPECT_EQ(vaccel_ping(session.get(), nullptr, nullptr), VACCEL_OK);
}

TEST(Transports, AnAgentDoesNotTakeAnothersPlace) {
  const std::string tcp = "tcp:127.0.0.1:" + std::to_string(free_tcp_port());
  const AgentProcess agent({.listen = {tcp}});
  const Ended same_port = AgentProcess::run_to_end({.listen = {tcp}});
  EXPECT_EQ(same_port.status, 1);
  EXPECT_NE(same_port.log.find("cannot listen on " + tcp), std::string::npos) << same_port.log;
  EXPECT_NE(same_port.log.find("in use"), std::string::npos) << same_port.log;
  const Ended same_socket = AgentProcess::run_to_end({.listen = {agent.endpoint()}});
  EXPECT_EQ(same_socket.status, 1);
  EXPECT_NE(same_socket.log.find("another process listens there"), std::string::npos) << same_socket.log;
  expect_serves(agent.endpoint());
  expect_serves(tcp);
}

TEST(Transports, WhereAnAgentMayNotListen) {
  const auto refused = [](const std::string& listen, int status, const std::string& words) {
    SCOPED_TRACE(listen);
    const Ended ended = AgentProcess::run_to_end({.listen = {listen}});
    EXPECT_EQ(ended.status, status);
    EXPECT_NE(ended.log.find(words), std::string::npos) << ended.log;
  };
  refused("tcp:0.0.0.0:4411", 2, "loopback");
  refused("tcp:[::]:4411", 2, "loopback");
  refused("local:", 2, "cannot listen on 'local:'");
  refused("nonsense", 2, "nonsense");
  refused("unix:FOLDER/no/such/folder/s", 1, "No such file or directory");
  refused("unix:FOLDER/vaccel.toml", 2, "is not a socket");
}

TEST(Transports, WithoutPermissionNeitherSideGetsThrough) {
  if (::geteuid() != 0) GTEST_SKIP() << "skipped: needs root, to be somebody else";
  const AgentProcess agent;
  struct stat file {};
  ASSERT_EQ(::stat(agent.socket().c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 0777, 0660u);
  // A client of another user.
  ASSERT_EQ(::chmod(agent.folder().c_str(), 0755), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    if (::setresgid(65534, 65534, 65534) != 0 || ::setresuid(65534, 65534, 65534) != 0) ::_exit(99);
    vaccel_session* session = nullptr;
    ::_exit(static_cast<int>(vaccel_open(agent.endpoint().c_str(), nullptr, &session)));
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), VACCEL_PERMISSION_DENIED);
  expect_serves(agent.endpoint());
}

TEST(Transports, AnAgentOfAnotherUserSaysWhatItMayNot) {
  if (::geteuid() != 0) GTEST_SKIP() << "skipped: needs root, to be somebody else";
  const std::vector<std::string> as_nobody{"setpriv", "--reuid", "65534",
                                           "--regid", "65534",   "--clear-groups"};
  const Ended version = AgentProcess::run_to_end({.wrapper = as_nobody, .arguments = {"--version"}});
  if (version.status != 0) GTEST_SKIP() << "skipped: other users cannot run vacceld where it was built";
  // The folder can be read by everybody, and is not theirs to make a socket in.
  const Ended ended = AgentProcess::run_to_end({.wrapper = as_nobody, .readable_by_all = true});
  EXPECT_EQ(ended.status, 1);
  EXPECT_NE(ended.log.find("cannot listen on"), std::string::npos) << ended.log;
  EXPECT_NE(ended.log.find("Permission denied"), std::string::npos) << ended.log;
}

}  // namespace
}  // namespace vaccel::integration
