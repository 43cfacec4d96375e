// SPDX-License-Identifier: Apache-2.0
#include "agent/config.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace vaccel::agent {
namespace {

class ConfigTest : public testing::Test {
 protected:
  ConfigTest() {
    char name[] = "/tmp/vaccel-config-XXXXXX";
    folder_ = ::mkdtemp(name);
  }
  ~ConfigTest() override { std::filesystem::remove_all(folder_); }

  Result<Config> read(const std::string& text) {
    std::ofstream(folder_ / "vaccel.toml") << text;
    return read_config(folder_ / "vaccel.toml");
  }

  std::filesystem::path folder_;
};

TEST_F(ConfigTest, EveryKeyIsRead) {
  const auto config = read(R"(
listen = ["unix:/run/a.sock", "hvsock:/run/v.sock:4411", "vsock:any:4411", "tcp:127.0.0.1:4411"]
socket_mode = "0600"
catalogue = "models"
log = "debug"
[limits]
max_sessions = 10
max_payload_bytes = 8192
shutdown_timeout_ms = 5
[worker]
count = 2
threads = 3
[backends]
load = ["onnxruntime"]
[backend.onnxruntime]
threads = 4
[image]
max_pixels = 100
)");
  ASSERT_TRUE(config.has_value()) << config.error().message();
  EXPECT_EQ(config->listen.size(), 4u);
  EXPECT_EQ(config->socket_mode, 0600u);
  EXPECT_EQ(config->catalogue, folder_ / "models");
  EXPECT_EQ(config->log_level, "debug");
  EXPECT_EQ(config->limits.max_sessions, 10u);
  EXPECT_EQ(config->limits.max_payload_bytes, 8192u);
  EXPECT_EQ(config->limits.shutdown_timeout_ms, 5);
  EXPECT_EQ(config->worker.count, 2u);
  EXPECT_EQ(config->worker.threads, 3u);
}

TEST_F(ConfigTest, TheDeployedFileHasTheDefaults) {
  const auto deployed = read_config(VACCEL_SOURCE_DIR "/deploy/vaccel.toml");
  ASSERT_TRUE(deployed.has_value()) << deployed.error().message();
  const Config defaults;
  EXPECT_EQ(deployed->socket_mode, defaults.socket_mode);
  EXPECT_EQ(deployed->log_level, defaults.log_level);
  EXPECT_EQ(deployed->limits, defaults.limits);
  EXPECT_EQ(deployed->worker.count, defaults.worker.count);
  EXPECT_EQ(deployed->worker.threads, defaults.worker.threads);
}

struct Mistake {
  const char* text;
  const char* says;
};

class ConfigMistakes : public ConfigTest, public testing::WithParamInterface<Mistake> {};

TEST_P(ConfigMistakes, AreToldByLineAndColumn) {
  const auto config = read(GetParam().text);
  ASSERT_FALSE(config.has_value()) << GetParam().text;
  EXPECT_EQ(config.error().code(), VACCEL_INVALID_ARGUMENT);
  EXPECT_NE(config.error().message().find(GetParam().says), std::string::npos) << config.error().message();
}

INSTANTIATE_TEST_SUITE_P(Config, ConfigMistakes,
                         testing::Values(Mistake{"\nlisten = 5\n", "vaccel.toml:2:"},
                                         Mistake{"listen = [\"agent.sock\"]", "no scheme"},
                                         Mistake{"listen = [\"local:\"]", "cannot listen"},
                                         Mistake{"x = 1", "'x'"},
                                         Mistake{"[limits]\nmax_sesions = 1", "vaccel.toml:2:"},
                                         Mistake{"[limits]\nmax_sessions = 0", "vaccel.toml:2:"},
                                         Mistake{"[worker]\nthreads = \"many\"", "vaccel.toml:2:"},
                                         Mistake{"log = \"loud\"", "vaccel.toml:1:"},
                                         Mistake{"socket_mode = \"rw\"", "octal"},
                                         Mistake{"listen = [", "vaccel.toml:1:"}));

}  // namespace
}  // namespace vaccel::agent
