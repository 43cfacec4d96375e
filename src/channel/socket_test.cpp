// SPDX-License-Identifier: Apache-2.0
#include "channel/socket.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <filesystem>
#include <fstream>
#include <limits>

#include "core/clock.h"

namespace vaccel::channel {
namespace {

class SocketTest : public testing::Test {
 protected:
  SocketTest() {
    char name[] = "/tmp/vaccel-socket-XXXXXX";
    folder_ = ::mkdtemp(name);
  }
  ~SocketTest() override { std::filesystem::remove_all(folder_); }
  Endpoint unix_endpoint() { return parse_endpoint("unix:" + folder_ + "/s").value(); }
  static int64_t soon() { return now_ns() + 2'000'000'000; }
  std::string folder_;
};

TEST_F(SocketTest, UnixSocketHasItsModeAndIsRemoved) {
  {
    const auto listening = listen_on(unix_endpoint(), 0640);
    ASSERT_TRUE(listening.has_value()) << listening.error().message();
    struct stat file {};
    ASSERT_EQ(::stat((folder_ + "/s").c_str(), &file), 0);
    EXPECT_EQ(file.st_mode & 0777, 0640u);
    EXPECT_TRUE(connect_to(unix_endpoint(), soon()).has_value());
    const auto accepted = accept_from(listening->fd());
    ASSERT_TRUE(accepted.has_value());
    EXPECT_TRUE(accepted->valid());
    EXPECT_FALSE(accept_from(listening->fd())->valid());  // no second one
  }
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/s"));
}

TEST_F(SocketTest, ASocketInUseIsLeftAloneAndAStaleOneReplaced) {
  {
    const auto first = listen_on(unix_endpoint(), 0600);
    const auto second = listen_on(unix_endpoint(), 0600);
    ASSERT_FALSE(second.has_value());
    EXPECT_EQ(second.error().code(), VACCEL_UNAVAILABLE);
    EXPECT_TRUE(connect_to(unix_endpoint(), soon()).has_value());
  }
  // What a killed process leaves: a socket file that nobody listens on.
  const UniqueFd dead{::socket(AF_UNIX, SOCK_STREAM, 0)};
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::snprintf(address.sun_path, sizeof address.sun_path, "%s/s", folder_.c_str());
  ASSERT_EQ(::bind(dead.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(connect_to(unix_endpoint(), soon()).error().code(), VACCEL_UNAVAILABLE);
  EXPECT_TRUE(listen_on(unix_endpoint(), 0600).has_value());
}

TEST_F(SocketTest, AFileThatIsNoSocketIsNeverRemoved) {
  std::ofstream(folder_ + "/s") << "precious";
  EXPECT_EQ(listen_on(unix_endpoint(), 0600).error().code(), VACCEL_INVALID_ARGUMENT);
  EXPECT_TRUE(std::filesystem::exists(folder_ + "/s"));
}

TEST_F(SocketTest, NobodyThereIsUnavailableAndSaysSo) {
  const auto connected = connect_to(unix_endpoint(), soon());
  ASSERT_FALSE(connected.has_value());
  EXPECT_EQ(connected.error().code(), VACCEL_UNAVAILABLE);
  EXPECT_NE(connected.error().message().find("is the agent (vacceld) running"), std::string::npos);
}

TEST_F(SocketTest, TcpIsForLoopbackAndHasNoDelay) {
  const auto everywhere = listen_on(parse_endpoint("tcp:0.0.0.0:0").value(), 0);
  ASSERT_FALSE(everywhere.has_value());
  EXPECT_EQ(everywhere.error().code(), VACCEL_INVALID_ARGUMENT);
  const auto listening = listen_on(parse_endpoint("tcp:127.0.0.1:0").value(), 0);
  ASSERT_TRUE(listening.has_value()) << listening.error().message();
  sockaddr_in address{};
  socklen_t size = sizeof address;
  ASSERT_EQ(::getsockname(listening->fd(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  const Endpoint endpoint =
      parse_endpoint("tcp:127.0.0.1:" + std::to_string(ntohs(address.sin_port))).value();
  const auto connected = connect_to(endpoint, soon());
  ASSERT_TRUE(connected.has_value()) << connected.error().message();
  int no_delay = 0;
  size = sizeof no_delay;
  ::getsockopt(connected->get(), IPPROTO_TCP, TCP_NODELAY, &no_delay, &size);
  EXPECT_NE(no_delay, 0);
  EXPECT_EQ(max_write_of(connected->get()), std::numeric_limits<size_t>::max());
  const auto again = listen_on(endpoint, 0);
  ASSERT_FALSE(again.has_value());
  EXPECT_EQ(again.error().code(), VACCEL_UNAVAILABLE);
}

TEST_F(SocketTest, NamesAreNotResolved) {
  EXPECT_EQ(connect_to(parse_endpoint("tcp:example.org:80").value(), soon()).error().code(),
            VACCEL_INVALID_ARGUMENT);
}

}  // namespace
}  // namespace vaccel::channel
