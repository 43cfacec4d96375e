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
log_format = "json"
control = "control.sock"
spin_us = 7
user = "nobody"
[metrics]
listen = "127.0.0.1:9464"
[limits]
max_sessions = 10
max_payload_bytes = 8192
shutdown_timeout_ms = 5
[window]
enabled = false
session_bytes = "16M"
max_leased_bytes = 8388608
max_leases = 9
[[vm]]
name = "vm1"
listen = "hvsock:/run/vm1/v.sock:4411"
tenant = "acme"
window = "vm1.window"
prefault = true
[[vm]]
name = "vm2"
cid = 7
memory = "512M"
[worker]
count = 2
threads = 3
[jail]
require = true
read = ["/opt/x"]
write = ["/var/cache/x"]
devices = ["/dev/x*"]
system_calls = ["io_setup"]
memory = "1G"
cpus = 1.5
tasks = 100
open_files = 64
scratch = "1M"
[uploads]
directory = "uploads"
max_bytes = "1M"
max_models = 2
backends = ["tflite"]
devices = ["/dev/apex_*"]
bytes_per_second = "2M"
threads = 1
memory = "512M"
cpus = 0.5
idle_ms = 10
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
  EXPECT_EQ(config->log_format, LogFormat::kJson);
  EXPECT_EQ(config->limits.max_sessions, 10u);
  EXPECT_EQ(config->limits.max_payload_bytes, 8192u);
  EXPECT_EQ(config->limits.shutdown_timeout_ms, 5);
  EXPECT_EQ(config->control, folder_ / "control.sock");
  EXPECT_EQ(config->spin_us, 7u);
  ASSERT_TRUE(config->metrics);
  EXPECT_EQ(config->metrics->text(), "tcp:127.0.0.1:9464");
  EXPECT_FALSE(config->limits.window_enabled);
  EXPECT_EQ(config->limits.session_window_bytes, 16u << 20);
  EXPECT_EQ(config->limits.max_leased_bytes, 8u << 20);
  EXPECT_EQ(config->limits.max_leases, 9u);
  ASSERT_EQ(config->vms.size(), 2u);
  EXPECT_EQ(config->vms[0].name, "vm1");
  EXPECT_EQ(config->vms[0].listen, "hvsock:/run/vm1/v.sock:4411");
  EXPECT_EQ(config->vms[0].cid, 0u);
  EXPECT_EQ(config->vms[0].tenant, "acme");
  EXPECT_EQ(config->vms[0].window, folder_ / "vm1.window");
  EXPECT_EQ(config->vms[0].memory_bytes, 0u);
  EXPECT_TRUE(config->vms[0].prefault);
  EXPECT_EQ(config->vms[1].listen, "");
  EXPECT_EQ(config->vms[1].cid, 7u);
  EXPECT_EQ(config->vms[1].memory_bytes, 512u << 20);
  EXPECT_FALSE(config->vms[1].prefault);
  EXPECT_EQ(config->worker.count, 2u);
  EXPECT_EQ(config->worker.threads, 3u);
  EXPECT_EQ(config->user, "nobody");
  EXPECT_EQ(config->jail, (JailSettings{.require = true,
                                        .read = {"/opt/x"},
                                        .write = {"/var/cache/x"},
                                        .devices = {"/dev/x*"},
                                        .system_calls = {"io_setup"},
                                        .memory_bytes = uint64_t{1} << 30,
                                        .cpus = 1.5,
                                        .tasks = 100,
                                        .open_files = 64,
                                        .scratch_bytes = uint64_t{1} << 20}));
  EXPECT_EQ(config->uploads, (UploadSettings{folder_ / "uploads",
                                             1 << 20,
                                             2,
                                             {"tflite"},
                                             1,
                                             uint64_t{512} << 20,
                                             0.5,
                                             10,
                                             {"/dev/apex_*"},
                                             2 << 20}));
  EXPECT_EQ(config->backends, std::vector<std::string>{"onnxruntime"});
}

TEST_F(ConfigTest, TheDeployedFileHasTheDefaults) {
  const auto deployed = read_config(VACCEL_SOURCE_DIR "/deploy/vaccel.toml");
  ASSERT_TRUE(deployed.has_value()) << deployed.error().message();
  const Config defaults;
  EXPECT_EQ(deployed->socket_mode, defaults.socket_mode);
  EXPECT_EQ(deployed->log_level, defaults.log_level);
  EXPECT_EQ(deployed->log_format, defaults.log_format);
  EXPECT_EQ(deployed->control, channel::kDefaultControlSocket);
  EXPECT_EQ(deployed->spin_us, defaults.spin_us);
  EXPECT_TRUE(deployed->vms.empty());
  EXPECT_EQ(deployed->limits, defaults.limits);
  EXPECT_EQ(deployed->worker, defaults.worker);
  EXPECT_EQ(deployed->jail, defaults.jail);
  EXPECT_EQ(deployed->user, defaults.user);
  EXPECT_EQ(deployed->uploads, defaults.uploads);
  EXPECT_EQ(deployed->tenants.common, defaults.tenants.common);
  EXPECT_TRUE(deployed->tenants.tenants.empty());
  EXPECT_TRUE(deployed->models.empty());
  EXPECT_TRUE(deployed->watched.empty());
}

TEST_F(ConfigTest, WorkersModelsAndPatterns) {
  const auto config = read(R"(
[worker]
instances = 0
cpus = ["0-3,8", "4"]
devices = ["0"]
model_memory = "2G"
heartbeat_timeout_ms = 500
max_run_ms = 0
[[model]]
name = "mobilenet"
instances = 2
calls = 3
max_run_ms = 4
preload = true
[[model]]
name = "posenet"
[[watch]]
pattern = "/run/{tenant}/{vm}/v.sock"
port = 5
)");
  ASSERT_TRUE(config.has_value()) << config.error().message();
  EXPECT_EQ(config->worker.cpus, (std::vector<std::string>{"0-3,8", "4"}));
  EXPECT_EQ(config->worker.devices, std::vector<std::string>{"0"});
  EXPECT_EQ(config->worker.model_bytes, uint64_t{2} << 30);
  EXPECT_EQ(config->worker.supervision, (Supervision{500, 0}));
  EXPECT_EQ(config->models.at("mobilenet"), (ModelSettings{2, 3, 4, true}));
  EXPECT_EQ(config->models.at("posenet").instances, 0u) << "as [worker] says of all";
  ASSERT_EQ(config->watched.size(), 1u);
  EXPECT_EQ(config->watched[0].port, 5u);
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

INSTANTIATE_TEST_SUITE_P(
    Config, ConfigMistakes,
    testing::Values(
        Mistake{"\nlisten = 5\n", "vaccel.toml:2:"}, Mistake{"listen = [\"agent.sock\"]", "no scheme"},
        Mistake{"listen = [\"local:\"]", "cannot listen"}, Mistake{"x = 1", "'x'"},
        Mistake{"[limits]\nmax_sesions = 1", "vaccel.toml:2:"},
        Mistake{"[limits]\nmax_sessions = 0", "vaccel.toml:2:"},
        Mistake{"[worker]\nthreads = \"many\"", "vaccel.toml:2:"},
        Mistake{"[window]\nsession_bytes = \"much\"", "vaccel.toml:2:"},
        Mistake{"[window]\nsesion_bytes = 1", "vaccel.toml:2:"},
        Mistake{"[window]\nmax_leases = 0", "vaccel.toml:2:"},
        Mistake{"[[vm]]\ncid = 7", "key 'name' is missing in [vm]"},
        Mistake{"[[vm]]\nname = \"a b\"\ncid = 7", "vaccel.toml:2:"},
        Mistake{"[[vm]]\nname = \"a\"", "either 'listen'"},
        Mistake{"[[vm]]\nname = \"a\"\ncid = 7\nlisten = \"hvsock:/v:1\"", "has both"},
        Mistake{"[[vm]]\nname = \"a\"\ncid = 2", "vaccel.toml:3:"},
        Mistake{"[[vm]]\nname = \"a\"\nlisten = \"vsock:any:1\"", "vaccel.toml:3:"},
        Mistake{"[[vm]]\nname = \"a\"\nlisten = \"hvsock:/v\"", "vaccel.toml:3:"},
        Mistake{"[[vm]]\nname = \"a\"\ncid = 7\ntenant = \"/\"", "vaccel.toml:4:"},
        Mistake{"[[vm]]\nname = \"a\"\ncid = 7\nmemory = \"3M\"", "vaccel.toml:4:"},
        Mistake{"[[vm]]\nname = \"a\"\ncid = 7\nprefault = true", "vaccel.toml:4:"},
        Mistake{"[[vm]]\nname = \"a\"\ncid = 7\nwindow = \"w\"\nmemory = \"4M\"", "vaccel.toml:5:"},
        Mistake{"[[vm]]\nname = \"a\"\ncid = 7\nwindw = \"w\"", "vaccel.toml:4:"},
        Mistake{"[worker]\ncpus = [\"0-\"]", "vaccel.toml:2:"},
        Mistake{"[worker]\nmax_run_ms = -1", "vaccel.toml:2:"},
        Mistake{"[jail]\nread = [\"etc\"]", "vaccel.toml:2:"},
        Mistake{"[jail]\nmemory = \"1M\"", "vaccel.toml:2:"},
        Mistake{"[jail]\ncpus = 0.001", "vaccel.toml:2:"},
        Mistake{"[jail]\nenabled = false\nrequire = true", "vaccel.toml:3:"},
        Mistake{"[uploads]\nmemory = \"1M\"", "vaccel.toml:2:"},
        Mistake{"[uploads]\nbackends = []", "vaccel.toml:2:"},
        Mistake{"[image]\nmax_pixel = 1", "vaccel.toml:2:"},
        Mistake{"[[model]]\nname = \"a/b\"", "vaccel.toml:2:"},
        Mistake{"[[model]]\nname = \"a\"\n[[model]]\nname = \"a\"", "stands here twice"},
        Mistake{"[[watch]]\npattern = \"/run/v.sock\"", "vaccel.toml:2:"},
        Mistake{"[[watch]]\nport = 1", "key 'pattern' is missing"},
        Mistake{"[tenants]\nweight = 0", "vaccel.toml:2:"},
        Mistake{"[[tenant]]\nname = \"a\"\nwait = 1", "vaccel.toml:3:"},
        Mistake{"log = \"loud\"", "vaccel.toml:1:"}, Mistake{"log_format = \"xml\"", "vaccel.toml:1:"},
        Mistake{"socket_mode = \"rw\"", "octal"}, Mistake{"listen = [", "vaccel.toml:1:"}));

}  // namespace
}  // namespace vaccel::agent
