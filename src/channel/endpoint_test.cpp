// SPDX-License-Identifier: Apache-2.0
#include "channel/endpoint.h"

#include <gtest/gtest.h>

namespace vaccel::channel {
namespace {

TEST(Endpoint, EveryFormComesOutAsItWentIn) {
  for (const char* text : {"unix:/run/vaccel/agent.sock", "unix:relative.sock", "vsock:2:4411",
                           "vsock:any:4411", "tcp:127.0.0.1:80", "tcp:[::1]:4411", "tcp:localhost:1",
                           "hvsock:/run/vm/v.sock:4411", "local:", "local:/etc/vaccel/vaccel.toml"}) {
    const auto endpoint = parse_endpoint(text);
    ASSERT_TRUE(endpoint.has_value()) << text << ": " << endpoint.error().message();
    EXPECT_EQ(endpoint->text(), text);
  }
}

TEST(Endpoint, HybridVsockListensBesideTheDevice) {
  EXPECT_EQ(parse_endpoint("hvsock:/run/vm/v.sock:4411")->socket_path(), "/run/vm/v.sock_4411");
}

TEST(Endpoint, WhatCannotBeRightIsRefusedWithTheForms) {
  const std::string long_path = "unix:/" + std::string(107, 'x');
  for (const std::string& text :
       {std::string(), std::string("agent.sock"), std::string("unix:"), std::string("vsock:2"),
        std::string("vsock:host:1"), std::string("vsock:2:"), std::string("tcp:127.0.0.1"),
        std::string("tcp:127.0.0.1:65536"), std::string("tcp:127.0.0.1:-1"), std::string("tcp::80"),
        std::string("http://x:80"), long_path, std::string("unix:/a\0b", 9),
        std::string("vsock:2:99999999999")}) {
    const auto endpoint = parse_endpoint(text);
    ASSERT_FALSE(endpoint.has_value()) << text;
    EXPECT_EQ(endpoint.error().code(), VACCEL_INVALID_ARGUMENT);
    EXPECT_NE(endpoint.error().message().find("expected unix:"), std::string::npos);
  }
  EXPECT_TRUE(parse_endpoint("unix:/" + std::string(106, 'x')).has_value());
}

}  // namespace
}  // namespace vaccel::channel
