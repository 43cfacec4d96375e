// SPDX-License-Identifier: Apache-2.0
#include "client/device_window.h"

#include <gtest/gtest.h>
#include <sys/fsuid.h>
#include <sys/stat.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include "channel/window_format.h"

namespace vaccel::client {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;
constexpr uint64_t kWindowBytes = 4 * kMiB;
constexpr wire::WindowIdentity kOurs{
    .vm_low = 1, .vm_high = 2, .generation = 3, .nonce_low = 4, .nonce_high = 5};

/// A guest's /dev and sysfs, with files for devices: a file is mapped as a device is.
class DeviceWindowTest : public testing::Test {
 protected:
  DeviceWindowTest() {
    char name[] = "/tmp/vaccel-devices-XXXXXX";
    root_ = ::mkdtemp(name);
    folders_ = {.nodes = root_ + "/dev", .devices = root_ + "/sys"};
    std::filesystem::create_directory(folders_.nodes);
    std::filesystem::create_directory(folders_.devices);
    ::chmod(root_.c_str(), 0755);
  }
  ~DeviceWindowTest() override { std::filesystem::remove_all(root_); }

  std::string node(const std::string& name) const { return folders_.nodes + "/" + name; }

  void add_device(const std::string& name, uint64_t bytes = kWindowBytes) {
    std::filesystem::create_directory(folders_.devices + "/" + name);
    std::ofstream(folders_.devices + "/" + name + "/align") << 2 * kMiB << "\n";
    std::ofstream{node(name)};
    std::filesystem::resize_file(node(name), bytes);
  }

  void write_header(const std::string& name, const wire::WindowIdentity& identity) {
    const auto header = channel::encode_window_header({.bytes = kWindowBytes, .identity = identity});
    std::fstream file(node(name), std::ios::in | std::ios::out | std::ios::binary);
    file.write(reinterpret_cast<const char*>(header.data()), static_cast<std::streamsize>(header.size()));
    ASSERT_TRUE(file.good());
  }

  void add_window(const std::string& name, const wire::WindowIdentity& identity = kOurs) {
    add_device(name);
    write_header(name, identity);
  }

  auto open(const wire::WindowIdentity& identity = kOurs, uint64_t bytes = kWindowBytes) {
    return open_device_window(identity, bytes, folders_);
  }

  void expect_failure(vaccel_status code, const std::string& sentence, uint64_t bytes = kWindowBytes) {
    const auto window = open(kOurs, bytes);
    ASSERT_FALSE(window.has_value());
    EXPECT_EQ(window.error().code(), code);
    EXPECT_EQ(window.error().message(), sentence);
  }

  std::string root_;
  DeviceFolders folders_;
};

TEST_F(DeviceWindowTest, MapsTheOneWithTheIdentity) {
  add_window("dax0.0", {.vm_low = 9});
  add_device("dax1.0");
  add_window("dax2.0");
  const auto window = open();
  ASSERT_TRUE(window.has_value()) << window.error().message();
  EXPECT_EQ((*window)->path(), node("dax2.0"));
  const auto bytes = (*window)->bytes();
  ASSERT_EQ(bytes.size(), kWindowBytes);

  // What is written here is in the device, to its last byte.
  std::memcpy(&bytes[kWindowBytes - 4], "last", 4);
  std::ifstream device(node("dax2.0"), std::ios::binary);
  device.seekg(kWindowBytes - 4);
  char last[4] = {};
  device.read(last, sizeof last);
  EXPECT_EQ(std::string_view(last, 4), "last");
}

TEST_F(DeviceWindowTest, MapsAWindowOnceForAllSessions) {
  add_window("dax0.0");
  const auto first = open();
  const auto second = open();
  ASSERT_TRUE(first.has_value() && second.has_value());
  EXPECT_EQ(first->get(), second->get());
}

TEST_F(DeviceWindowTest, KeepsTheMappingWhenAnAgentTakesOver) {
  add_window("dax0.0");
  const auto before = open();
  ASSERT_TRUE(before.has_value());
  const wire::WindowIdentity next{
      .vm_low = 1, .vm_high = 2, .generation = 4, .nonce_low = 6, .nonce_high = 7};
  write_header("dax0.0", next);
  const auto after = open(next);
  ASSERT_TRUE(after.has_value()) << after.error().message();
  EXPECT_EQ(before->get(), after->get());
  expect_failure(VACCEL_NOT_FOUND, "none of the 1 dax devices is this agent's window (" + node("dax0.0") +
                                       ": this VM's window, but of another agent or an earlier one)");
}

TEST_F(DeviceWindowTest, MapsADeviceThatTookTheNameOfAnother) {
  add_window("dax0.0");
  const auto before = open();
  std::filesystem::rename(node("dax0.0"), node("unplugged"));
  add_window("dax0.0");
  const auto after = open();
  ASSERT_TRUE(before.has_value() && after.has_value());
  EXPECT_NE(before->get(), after->get());
}

TEST_F(DeviceWindowTest, UnmapsWithItsLastOwner) {
  add_window("dax0.0");
  const auto is_mapped = [this] {
    std::ifstream maps("/proc/self/maps");
    const std::string text{std::istreambuf_iterator<char>(maps), {}};
    return text.find(node("dax0.0")) != std::string::npos;
  };
  {
    const auto first = open();
    const auto second = open();
    EXPECT_TRUE(is_mapped());
  }
  EXPECT_FALSE(is_mapped());
  EXPECT_TRUE(open().has_value());
}

TEST_F(DeviceWindowTest, OpensAndLetsGoInManyThreads) {
  add_window("dax0.0");
  std::vector<std::jthread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([this] {
      for (int round = 0; round < 200; ++round) {
        const auto window = open();
        ASSERT_TRUE(window.has_value()) << window.error().message();
        ASSERT_EQ((*window)->bytes().size(), kWindowBytes);
      }
    });
  }
}

TEST_F(DeviceWindowTest, SaysThatThereIsNoDevice) {
  expect_failure(VACCEL_NOT_FOUND, "no dax device here");
  std::filesystem::remove(folders_.devices);
  expect_failure(VACCEL_NOT_FOUND, "no dax device here");
}

TEST_F(DeviceWindowTest, SaysOfEachDeviceWhyItIsNotTheWindow) {
  add_window("dax0.0", {.vm_low = 9});
  add_device("dax1.0");
  add_device("dax2.0", 0);
  std::filesystem::create_directory(folders_.devices + "/dax3.0");
  const auto window = open();
  ASSERT_FALSE(window.has_value());
  EXPECT_EQ(window.error().code(), VACCEL_NOT_FOUND);
  const std::string& sentence = window.error().message();
  EXPECT_TRUE(sentence.starts_with("none of the 4 dax devices is this agent's window (" + node("dax0.0") +
                                   ": the window of another VM; " + node("dax1.0") +
                                   ": it does not begin with a window's header; "))
      << sentence;
  EXPECT_TRUE(sentence.ends_with("; " + node("dax2.0") + ": too small for a window; " + node("dax3.0") +
                                 ": No such file or directory)"))
      << sentence;
}

TEST_F(DeviceWindowTest, RefusesADeviceThatIsSmallerThanTheWindow) {
  add_window("dax0.0");
  expect_failure(VACCEL_NOT_FOUND,
                 "none of the 1 dax devices is this agent's window (" + node("dax0.0") +
                     ": has 4 MiB where the agent's window has 8)",
                 2 * kWindowBytes);
}

TEST_F(DeviceWindowTest, SaysWhoMayOpenTheDevice) {
  add_window("dax0.0");
  add_window("dax1.0", {.vm_low = 9});
  ::chmod(node("dax0.0").c_str(), 0);
  ::chmod(node("dax1.0").c_str(), 0666);
  // Root may open anything; this thread's user id for files, which it alone has, may not. No-op for other users.
  constexpr uid_t kNobody = 65534;
  const auto before = static_cast<uid_t>(::setfsuid(kNobody));
  expect_failure(VACCEL_PERMISSION_DENIED,
                 "cannot open " + node("dax0.0") +
                     ": Permission denied; the udev rule 70-vaccel.rules gives it to the group vaccel");
  ::setfsuid(before);
}

}  // namespace
}  // namespace vaccel::client
