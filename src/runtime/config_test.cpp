// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "runtime/runtime.h"
#include "runtime/runtime_testing.h"

namespace vaccel::runtime {
namespace {

class ConfigTest : public ::testing::Test {
 protected:
  Result<RuntimeConfig> read(const std::string& text) {
    testing::write_text(folder.path() / "vaccel.toml", text);
    return read_runtime_config(folder.path() / "vaccel.toml");
  }
  std::string mistake(const std::string& text) {
    const auto config = read(text);
    return config ? "accepted" : config.error().message();
  }
  testing::TemporaryFolder folder;
};

TEST_F(ConfigTest, ReadsTheRuntimesKeysAndLetsTheAgentsThrough) {
  const auto config = read(R"(
listen = ["unix:/run/vaccel/agent.sock"]
log = "info"
control = "/run/vaccel/control.sock"
spin_us = 0
catalogue = "models"
[window]
enabled = true
[[vm]]
name = "one"
[limits]
max_sessions = 5
[worker]
count = 1
[image]
max_encoded_bytes = 1000
max_pixels = 2000
[backends]
directory = "/opt/backends"
load = ["onnxruntime", "reference"]
[backend.onnxruntime]
threads = 4
spinning = false
providers = [{ name = "CUDAExecutionProvider", device_id = "0" }]
)");
  ASSERT_TRUE(config) << config.error().message();
  EXPECT_EQ(config->catalogue, folder.path() / "models");
  EXPECT_EQ(config->backend_directory, "/opt/backends");
  EXPECT_EQ(config->backends, (std::vector<std::string>{"onnxruntime", "reference"}));
  EXPECT_EQ(config->image_limits.max_encoded_bytes, 1000u);
  EXPECT_EQ(config->image_limits.max_pixels, 2000u);
  std::map<std::string, std::string> options;
  for (const BackendOption& option : config->backend_options.at("onnxruntime"))
    options[option.key] = option.value;
  EXPECT_EQ(options, (std::map<std::string, std::string>{{"threads", "4"},
                                                         {"spinning", "false"},
                                                         {"providers.0.name", "CUDAExecutionProvider"},
                                                         {"providers.0.device_id", "0"}}));
}

TEST_F(ConfigTest, AnEmptyFileMeansTheDefaults) {
  const auto config = read("");
  ASSERT_TRUE(config) << config.error().message();
  EXPECT_TRUE(config->catalogue.empty());
  EXPECT_TRUE(config->backend_directory.empty());
  EXPECT_EQ(config->image_limits.max_pixels, ImageLimits{}.max_pixels);
}

TEST_F(ConfigTest, MistakesAreToldWithTheirPlace) {
  EXPECT_EQ(mistake("\ncatalog = \"x\"\n"), "vaccel.toml:2:1: unknown key 'catalog'");
  EXPECT_EQ(mistake("catalogue = 3"), "vaccel.toml:1:13: 'catalogue' must be a string, not an integer");
  EXPECT_EQ(mistake("[image]\nfoo = 1"), "vaccel.toml:2:1: unknown key 'foo' in [image]");
  EXPECT_EQ(mistake("[image]\nmax_pixels = 0"),
            "vaccel.toml:2:14: 'max_pixels' is 0; it must be 1 to 1073741824");
  EXPECT_EQ(mistake("[backend]\nonnxruntime = 3"), "vaccel.toml:2:1: unknown key 'onnxruntime' in [backend]");
}

TEST_F(ConfigTest, AMissingFileIsNotFound) {
  const auto config = read_runtime_config(folder.path() / "absent.toml");
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().code(), VACCEL_NOT_FOUND);
}

}  // namespace
}  // namespace vaccel::runtime
