// SPDX-License-Identifier: Apache-2.0
#include "agent/vm_watch.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

namespace vaccel::agent {
namespace {

namespace fs = std::filesystem;

class VmWatchTest : public ::testing::Test {
 protected:
  VmWatchTest() {
    char path[] = "/tmp/vaccel-watch-XXXXXX";
    root_ = ::mkdtemp(path);
  }
  ~VmWatchTest() override { fs::remove_all(root_); }

  // What a VMM makes.
  UniqueFd make_socket(const fs::path& path) {
    fs::create_directories((root_ / path).parent_path());
    UniqueFd fd{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    (root_ / path).string().copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    return fd;
  }
  WatchedVms pattern(const std::string& rest, const std::string& tenant = "") const {
    return {.pattern = (root_ / rest).string(), .port = 4411, .tenant = tenant};
  }
  // Runs the loop until `done`.
  void run_until(const std::function<bool()>& done) {
    const std::function<void()> look = [&] {
      if (done()) return reactor_->stop();
      reactor_->after_ms(5, look);
    };
    auto limit = reactor_->after_ms(20'000, [&] {
      ADD_FAILURE() << "it did not come about in time";
      reactor_->stop();
    });
    look();
    reactor_->run();
    reactor_->cancel(limit);
  }

  fs::path root_;
  std::unique_ptr<Reactor> reactor_ = *Reactor::create();
  Log log_{{.level = "error"}};
  std::map<std::string, wire::AttachVm> attached_;
  VmWatch::Actions actions_{.attach =
                                [this](const wire::AttachVm& vm, VmWatch::Done done) {
                                  if (vm.tenant == "refused")
                                    return done(failure(VACCEL_PERMISSION_DENIED, "no"));
                                  attached_[vm.name] = vm;
                                  done({});
                                },
                            .detach =
                                [this](const std::string& name, VmWatch::Done done) {
                                  attached_.erase(name);
                                  done({});
                                }};
};

TEST_F(VmWatchTest, PatternsAreChecked) {
  EXPECT_EQ(find_problem({.pattern = "/srv/jailer/firecracker/{vm}/root/v.sock"}), "");
  EXPECT_EQ(find_problem({.pattern = "/run/{tenant}/{vm}/v.sock"}), "");
  EXPECT_EQ(find_problem({.pattern = "/run/*/{vm}/v.sock"}), "");
  EXPECT_NE(find_problem({.pattern = "run/{vm}/v.sock"}), "");
  EXPECT_NE(find_problem({.pattern = "/run/vm/v.sock"}), "");
  EXPECT_NE(find_problem({.pattern = "/run/{vm}/{vm}/v.sock"}), "");
  EXPECT_NE(find_problem({.pattern = "/run/{vm}"}), "");
  EXPECT_NE(find_problem({.pattern = "/run/x{vm}/v.sock"}), "");
  EXPECT_NE(find_problem({.pattern = "/run/{tenant}/{vm}/v.sock", .tenant = "a"}), "");
}

TEST_F(VmWatchTest, FindsWhatThePatternFitsAndNothingElse) {
  const auto one = make_socket("fc/vm-1/root/v.sock");
  const auto two = make_socket("fc/vm-2/root/v.sock");
  const auto other = make_socket("fc/vm-3/root/other.sock");
  fs::create_directories(root_ / "fc/vm-4/root/v.sock");  // no socket
  fs::create_directories(root_ / "fc/.hidden");
  fs::create_directory_symlink(root_ / "fc/vm-1", root_ / "fc/linked");
  const auto strange = make_socket("fc/a b/root/v.sock");
  std::set<fs::path> seen;
  auto found = find_vms(pattern("fc/{vm}/root/v.sock", "acme"), seen);
  std::ranges::sort(found, {}, &FoundVm::name);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].name, "vm-1");
  EXPECT_EQ(found[0].tenant, "acme");
  EXPECT_EQ(found[1].socket, root_ / "fc/vm-2/root/v.sock");
  EXPECT_TRUE(seen.contains(root_ / "fc"));
}

TEST_F(VmWatchTest, TheOperatorsOwnPartMayHaveLinks) {
  const auto vm = make_socket("real/vm/root/v.sock");
  fs::create_directory_symlink(root_ / "real", root_ / "link");
  const auto outside = make_socket("outside/v.sock");
  fs::create_directories(root_ / "real/bad");
  fs::create_directory_symlink(root_ / "outside", root_ / "real/bad/root");
  std::set<fs::path> seen;
  const auto found = find_vms(pattern("link/{vm}/root/v.sock"), seen);
  ASSERT_EQ(found.size(), 1u) << "what a VM's side links to is not looked at";
  EXPECT_EQ(found[0].name, "vm");
}

TEST_F(VmWatchTest, TheTenantMayBeInThePath) {
  const auto a = make_socket("a/vm/v.sock");
  const auto b = make_socket("b/vm/v.sock");
  std::set<fs::path> seen;
  auto found = find_vms(pattern("{tenant}/{vm}/v.sock"), seen);
  std::ranges::sort(found, {}, &FoundVm::name);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].name, "a.vm");
  EXPECT_EQ(found[0].tenant, "a");
  EXPECT_EQ(found[1].name, "b.vm");
}

TEST_F(VmWatchTest, VmsComeAndGo) {
  const auto early = make_socket("fc/early/root/v.sock");
  VmWatch watch(*reactor_, log_, actions_);
  watch.watch({pattern("fc/{vm}/root/v.sock")});
  EXPECT_TRUE(attached_.contains("early")) << "what is there is attached at once";
  const auto late = make_socket("fc/late/root/v.sock");
  run_until([&] { return attached_.contains("late"); });
  EXPECT_EQ(attached_["late"].listen, "hvsock:" + (root_ / "fc/late/root/v.sock").string() + ":4411");
  fs::remove_all(root_ / "fc/early");
  run_until([&] { return !attached_.contains("early"); });
  EXPECT_TRUE(attached_.contains("late"));
}

TEST_F(VmWatchTest, DirectoriesNeedNotBeThereYet) {
  VmWatch watch(*reactor_, log_, actions_);
  watch.watch({pattern("not/yet/{vm}/v.sock")});
  EXPECT_TRUE(attached_.empty());
  const auto vm = make_socket("not/yet/vm/v.sock");
  run_until([&] { return attached_.contains("vm"); });
}

TEST_F(VmWatchTest, OneThatIsRefusedIsTriedAgain) {
  const auto vm = make_socket("fc/vm/v.sock");
  VmWatch watch(*reactor_, log_, actions_);
  watch.watch({pattern("fc/{vm}/v.sock", "refused")});
  EXPECT_TRUE(attached_.empty());
  watch.watch({pattern("fc/{vm}/v.sock", "acme")});
  EXPECT_EQ(attached_["vm"].tenant, "acme");
}

TEST_F(VmWatchTest, WhatIsNoLongerWatchedIsDetached) {
  const auto vm = make_socket("fc/vm/v.sock");
  VmWatch watch(*reactor_, log_, actions_);
  watch.watch({pattern("fc/{vm}/v.sock")});
  EXPECT_EQ(attached_.size(), 1u);
  watch.watch({});
  EXPECT_TRUE(attached_.empty());
}

}  // namespace
}  // namespace vaccel::agent
