// SPDX-License-Identifier: Apache-2.0
//
// What a worker that a model has taken over can do: a backend tries each thing that the jail forbids, from inside a real worker, and
// the agent and its other clients go on. On a host that allows namespaces, and on one that does not.
#include <gtest/gtest.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>

#include "core/clock.h"
#include "support/agent_process.h"
#include "support/raw_client.h"

namespace vaccel::integration {
namespace {

constexpr const char* kPrisoner = "[backends]\ndirectory = \"" VACCEL_PRISONER "\"\n";

// Where VACCEL_TEST_AGENT_GROUPS names a control group, each agent is alone in one below it, as a service of systemd's is.
AgentSetup prison(const std::string& jail = "") {
  AgentSetup setup{.more = kPrisoner + ("[jail]\n" + jail) + "\n", .all_backends = true};
  if (const char* group = std::getenv("VACCEL_TEST_AGENT_GROUPS"); group != nullptr)
    setup.wrapper = {
        "sh", "-c",
        "group=" + std::string(group) + "/$$ && mkdir $group && echo $$ > $group/cgroup.procs && exec \"$@\"",
        "sh"};
  return setup;
}

// A host where nobody may make namespaces, and the agent has no capability.
AgentSetup prison_without_namespaces(const std::string& jail = "") {
  AgentSetup setup = prison(jail);
  // Where nobody may make them anyway, in a container or a chroot, it takes nothing.
  if (std::system("unshare --user --map-root-user true 2>/dev/null") != 0) return setup;
  setup.wrapper = {"unshare",
                   "--user",
                   "--map-root-user",
                   "sh",
                   "-c",
                   "echo 0 > /proc/sys/user/max_user_namespaces && "
                   "exec /usr/bin/setpriv --bounding-set=-all --inh-caps=-all --securebits=+noroot \"$@\"",
                   "sh"};
  return setup;
}

wire::Call attempt(const char* deed, const std::string& target = "") {
  return call_of("prisoner.try", {text("deed", deed), text("target", target.c_str())});
}

class Prisoner {
 public:
  explicit Prisoner(AgentSetup setup = prison()) : agent_(std::move(setup)), client_(agent_.endpoint()) {}

  /// What a system call failed with; 0: it worked; nothing: the worker did not survive.
  std::optional<int> try_to(const char* deed, const std::string& target = "") {
    const Answer answer = client_.ask(++id_, attempt(deed, target));
    last_ = answer.text();
    if (!answer.is_result()) return std::nullopt;
    int32_t result = -1;
    std::memcpy(&result, answer.output(0).data(), sizeof result);
    return result;
  }
  /// The kernel ended the worker for it, the log says how, and there is a new one.
  void expect_ends_worker(const char* deed, const std::string& target = "",
                          const char* how = "signal 31 (Bad system call)") {
    // What a sanitizer's own run-time library does when it looks for leaks.
    constexpr const char* kOfSanitizers[] = {"exec", "fork", "kill", "peek", "ptrace"};
    if (is_sanitized() && std::ranges::find(kOfSanitizers, std::string(deed)) != std::end(kOfSanitizers))
      return;
    const pid_t before = agent_.worker();
    EXPECT_EQ(try_to(deed, target), std::nullopt) << deed << " came back";
    EXPECT_NE(last_.find("UNAVAILABLE"), std::string::npos) << last_;
    EXPECT_NE(last_.find(how), std::string::npos) << deed << ": " << last_;
    EXPECT_TRUE(eventually(
        [&] { return agent_.workers() != std::vector<pid_t>{before} && agent_.workers().size() == 1; }));
    (void)agent_.vaccelctl({"release", "operator prisoner.try"});  // it did that on purpose
    EXPECT_EQ(try_to("privileges"), EPERM) << "the next worker serves: " << last_;
  }
  AgentProcess& agent() { return agent_; }
  [[nodiscard]] const std::string& last() const { return last_; }

 private:
  AgentProcess agent_;
  RawClient client_;
  uint64_t id_ = 1;
  std::string last_;
};

// Not every host lets the agent have all of it; what it lacks it has said.
bool lacks_something(Prisoner& prisoner) {
  return prisoner.agent().log().find("the workers' jail lacks") != std::string::npos;
}

TEST(Jail, ThereAreNoOtherFiles) {
  Prisoner prisoner;
  if (lacks_something(prisoner)) GTEST_SKIP() << "skipped: " << prisoner.agent().log();
  const std::string folder = prisoner.agent().folder().string();
  EXPECT_NE(prisoner.agent().log().find("workers are jailed"), std::string::npos) << prisoner.agent().log();
  for (const std::string file :
       {"/etc/passwd", "/etc/shadow", "/root/.profile", "/proc/1/root/etc/passwd", "/bin/sh"})
    EXPECT_EQ(prisoner.try_to("read", file), ENOENT) << file;
  EXPECT_EQ(prisoner.try_to("read", folder + "/log"), ENOENT) << "what is beside the configuration";
  EXPECT_EQ(prisoner.try_to("list", "/"), EACCES);
  EXPECT_EQ(prisoner.try_to("list", "/home"), ENOENT);
  EXPECT_EQ(prisoner.try_to("read", "/etc/ld.so.cache"), 0) << "what it needs is there";
  EXPECT_EQ(prisoner.try_to("read", folder + "/vaccel.toml"), ENOENT)
      << "it was given the configuration open, before it did anything";
}

TEST(Jail, NothingIsWrittenOutsideOfItsScratch) {
  Prisoner prisoner;
  if (lacks_something(prisoner)) GTEST_SKIP() << "skipped: " << prisoner.agent().log();
  for (const std::string file : {VACCEL_PRISONER "/libvaccel-backend-prisoner.so", "/usr/lib/x", "/x",
                                 "/proc/sys/kernel/core_pattern", "/sys/devices/system/cpu/cpu0/online"}) {
    const auto result = prisoner.try_to("write", file);
    EXPECT_TRUE(result == EROFS || result == EACCES) << file << ": " << prisoner.last();
  }
  EXPECT_EQ(prisoner.try_to("write", "/tmp/x"), 0) << "its own, which goes with it";
  EXPECT_FALSE(std::filesystem::exists("/tmp/x"));
  prisoner.agent().kill_worker();
  EXPECT_EQ(prisoner.try_to("read", "/tmp/x"), ENOENT) << "the next one has another";
}

TEST(Jail, ThereIsNoNetwork) {
  Prisoner prisoner;
  EXPECT_EQ(prisoner.try_to("socket"), EACCES);
  prisoner.expect_ends_worker("connect");
}

TEST(Jail, NoProgramsAndNoProcesses) {
  Prisoner prisoner;
  prisoner.expect_ends_worker("exec", "/usr/lib/ld-linux.so");
  prisoner.expect_ends_worker("fork");
}

TEST(Jail, OtherProcessesAreNotThere) {
  Prisoner prisoner;
  if (lacks_something(prisoner)) GTEST_SKIP() << "skipped: " << prisoner.agent().log();
  EXPECT_EQ(prisoner.try_to("processes"), 1) << "it sees itself alone";
  const std::string agent = std::to_string(prisoner.agent().pid());
  prisoner.expect_ends_worker("ptrace", agent);
  prisoner.expect_ends_worker("peek", agent);
  prisoner.expect_ends_worker("kill", agent);
  EXPECT_TRUE(is_running(prisoner.agent().pid()));
}

TEST(Jail, NothingThatTheAgentHasOpenIsInherited) {
  Prisoner prisoner;
  // Standard ones, the channel, the segments, the rings, what wakes; and what the worker has made for itself since.
  const auto count = prisoner.try_to("descriptors");
  ASSERT_TRUE(count);
  EXPECT_LE(*count, 12);
}

TEST(Jail, WindowsOfOthersAreNotThere) {
  // Two workers: what the one maps of its clients the other has no way to.
  AgentSetup setup = prison();
  setup.worker = "count = 2";
  Prisoner prisoner(std::move(setup));
  if (lacks_something(prisoner)) GTEST_SKIP() << "skipped: " << prisoner.agent().log();
  EXPECT_EQ(prisoner.try_to("processes"), 1);
  for (const pid_t worker : prisoner.agent().workers()) {
    const std::string files = "/proc/" + std::to_string(worker) + "/fd/4";
    EXPECT_EQ(prisoner.try_to("read", files), ENOENT);
  }
}

TEST(Jail, NoPrivilegesAreToBeHad) {
  Prisoner prisoner;
  EXPECT_EQ(prisoner.try_to("privileges"), EPERM);
  prisoner.expect_ends_worker("mount");
  prisoner.expect_ends_worker("unshare");
  const pid_t worker = prisoner.agent().worker();
  std::ifstream status("/proc/" + std::to_string(worker) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("Cap")) {
      EXPECT_TRUE(line.ends_with("\t0000000000000000")) << line;
    }
  }
}

TEST(Jail, ThreadsHaveALimit) {
  if (is_sanitized()) GTEST_SKIP() << "skipped: a thread of a sanitizer's takes too much";
  Prisoner prisoner(prison("tasks = 200"));
  if (lacks_something(prisoner)) GTEST_SKIP() << "skipped: " << prisoner.agent().log();
  EXPECT_EQ(prisoner.try_to("threads", "1000"), EAGAIN);
  EXPECT_EQ(prisoner.try_to("threads", "20"), 0) << "and it lives on";
}

TEST(Jail, MemoryHasALimit) {
  if (is_sanitized()) GTEST_SKIP() << "skipped: a sanitizer's memory is no measure";
  Prisoner prisoner(prison("memory = \"256M\""));
  // By control groups the kernel ends it; by its own limit it gets no more.
  const auto result = prisoner.try_to("memory", "1000");
  if (result) {
    EXPECT_EQ(*result, ENOMEM);
  } else {
    EXPECT_NE(prisoner.last().find("took more memory than the 268435456 bytes that it may have"),
              std::string::npos)
        << prisoner.last();
  }
  EXPECT_TRUE(eventually([&] { return prisoner.try_to("memory", "50") == 0; })) << "the next one serves";
}

// "12:cpu,cpuacct:/group" of version 1, "0::/group" of version 2.
std::filesystem::path group_of(pid_t pid, const std::string& controller) {
  std::istringstream groups(read_file("/proc/" + std::to_string(pid) + "/cgroup"));
  std::filesystem::path unified;
  for (std::string line; std::getline(groups, line);) {
    const std::string path = line.substr(line.find(':', line.find(':') + 1) + 2);
    if (line.find(':' + controller + ':') != std::string::npos ||
        line.find(':' + controller + ',') != std::string::npos)
      return "/sys/fs/cgroup/" + controller + "/" + path;
    if (line.starts_with("0::")) unified = "/sys/fs/cgroup/" + path;
  }
  return unified;
}

TEST(Jail, ControlGroupsHoldItAndGoWithIt) {
  Prisoner prisoner(prison("memory = \"300M\"\ncpus = 0.5\ntasks = 150"));
  if (lacks_something(prisoner)) GTEST_SKIP() << "skipped: " << prisoner.agent().log();
  const pid_t worker = prisoner.agent().worker();
  const auto memory = group_of(worker, "memory");
  if (!std::filesystem::exists(memory))
    GTEST_SKIP() << "skipped: this host's control groups are not under /sys/fs/cgroup";
  const auto value = [](const std::filesystem::path& group, const char* of_1, const char* of_2) {
    const bool is_2 = std::filesystem::exists(group / "cgroup.controllers");
    return read_file(group / (is_2 ? of_2 : of_1));
  };
  EXPECT_EQ(value(memory, "memory.limit_in_bytes", "memory.max"), "314572800\n");
  EXPECT_EQ(value(group_of(worker, "pids"), "pids.max", "pids.max"), "150\n");
  const std::string quota = value(group_of(worker, "cpu"), "cpu.cfs_quota_us", "cpu.max");
  EXPECT_TRUE(quota == "50000\n" || quota == "50000 100000\n") << quota;

  const int64_t began_ns = now_ns();
  const int64_t before_ms = cpu_ms(worker);
  EXPECT_EQ(prisoner.try_to("burn", "1500"), 0);
  const int64_t took_ms = (now_ns() - began_ns) / 1'000'000;
  EXPECT_LE(cpu_ms(worker) - before_ms, took_ms / 2 + 150) << "half a CPU in " << took_ms << " ms";

  prisoner.agent().stop();
  EXPECT_TRUE(eventually([&] { return !std::filesystem::exists(memory); })) << memory;
}

TEST(Jail, WhatItWritesIsItsOwn) {
  Prisoner prisoner;
  EXPECT_EQ(prisoner.try_to("print", "10000"), 0) << prisoner.last();
  EXPECT_TRUE(eventually([&] { return prisoner.try_to("privileges") == EPERM; })) << prisoner.last();
  prisoner.agent().stop();
  std::istringstream log(prisoner.agent().log());
  int forged = 0;
  bool told = false;
  for (std::string line; std::getline(log, line);) {
    if (line.find("vacceld info: forged") != std::string::npos) {
      ++forged;
      EXPECT_NE(line.find(" vacceld info: worker 0 says: 2026-01-01T"), std::string::npos) << line;
    }
    told = told || line.find("more lines, which were left out") != std::string::npos;
  }
  EXPECT_GE(forged, 150);
  EXPECT_LT(forged, 1'000);
  EXPECT_TRUE(told);
}

TEST(Jail, ADeedThatEndsWorkersIsQuarantined) {
  Prisoner prisoner;
  for (int time = 0; time < 3; ++time)
    EXPECT_EQ(prisoner.try_to("mount"), std::nullopt);
  EXPECT_EQ(prisoner.try_to("privileges"), std::nullopt);
  EXPECT_NE(prisoner.last().find("is in quarantine"), std::string::npos) << prisoner.last();
}

TEST(Jail, WithoutNamespacesLandlockAndSeccompStay) {
  Prisoner prisoner(prison_without_namespaces());
  const std::string log = prisoner.agent().log();
  EXPECT_NE(log.find("the workers' jail lacks namespaces: "), std::string::npos) << log;
  for (const char* file : {"/etc/passwd", "/etc/shadow"})
    EXPECT_EQ(prisoner.try_to("read", file), EACCES) << file;
  EXPECT_EQ(prisoner.try_to("read", (prisoner.agent().folder() / "log").string()), EACCES);
  EXPECT_EQ(prisoner.try_to("read", "/etc/ld.so.cache"), 0);
  EXPECT_EQ(prisoner.try_to("write", "/tmp/vaccel-escaped"), EACCES);
  EXPECT_EQ(prisoner.try_to("write", (prisoner.agent().folder() / "vaccel.toml").string()), EACCES);
  EXPECT_EQ(prisoner.try_to("socket"), EACCES);
  const std::string agent = std::to_string(prisoner.agent().pid());
  for (const char* deed : {"exec", "fork", "ptrace", "kill", "connect"})
    prisoner.expect_ends_worker(deed, agent);
  EXPECT_TRUE(is_running(prisoner.agent().pid()));
}

TEST(Jail, WhatIsRequiredIsHadOrTheAgentDoesNotRun) {
  const Ended refused = AgentProcess::run_to_end(prison_without_namespaces("require = true"));
  EXPECT_EQ(refused.status, 1);
  EXPECT_NE(refused.log.find("the jail is required, and lacks "), std::string::npos) << refused.log;
  {
    Prisoner prisoner;
    if (lacks_something(prisoner)) GTEST_SKIP() << "skipped: " << prisoner.agent().log();
  }
  Prisoner prisoner(prison("require = true"));
  EXPECT_EQ(prisoner.try_to("privileges"), EPERM);
}

TEST(Jail, CanBeSwitchedOff) {
  Prisoner prisoner(prison("enabled = false"));
  EXPECT_NE(prisoner.agent().log().find("workers run without a jail"), std::string::npos);
  EXPECT_EQ(prisoner.try_to("read", "/etc/passwd"), 0);
  EXPECT_EQ(prisoner.try_to("privileges"), EPERM) << "that one stays";
}

TEST(Jail, TheOperatorCanAllowMore) {
  Prisoner prisoner(prison("read = [\"/etc/passwd\"]\nsystem_calls = [\"mount\"]"));
  EXPECT_EQ(prisoner.try_to("read", "/etc/passwd"), 0);
  EXPECT_EQ(prisoner.try_to("mount"), EPERM) << "seccomp lets it, and the rest does not: " << prisoner.last();
  const Ended refused = AgentProcess::run_to_end(prison("system_calls = [\"mont\"]"));
  EXPECT_EQ(refused.status, 2);
  EXPECT_NE(refused.log.find("there is no system call 'mont'"), std::string::npos) << refused.log;
}

TEST(Jail, NothingIsLeftOfAWorker) {
  Prisoner prisoner;
  const size_t descriptors = descriptor_count(prisoner.agent().pid());
  for (int time = 0; time < 4; ++time) {
    prisoner.agent().kill_worker();
    EXPECT_TRUE(eventually([&] { return prisoner.try_to("privileges") == EPERM; })) << prisoner.last();
  }
  EXPECT_EQ(descriptor_count(prisoner.agent().pid()), descriptors);
}

// The agent as an ordinary user, which it becomes by itself.
TEST(Jail, TheAgentBecomesItsUser) {
  const passwd* nobody = ::getpwnam("nobody");
  if (::geteuid() != 0 || nobody == nullptr) GTEST_SKIP() << "skipped: only root can become another user";
  if (std::system("/usr/bin/setpriv --reuid=nobody --clear-groups test -x " VACCEL_PRISONER) != 0)
    GTEST_SKIP() << "skipped: this build tree is for its owner alone";
  const Ended refused = AgentProcess::run_to_end({.root = "user = \"no-such-user\""});
  EXPECT_EQ(refused.status, 2);
  EXPECT_NE(refused.log.find("there is no user 'no-such-user' on this host"), std::string::npos)
      << refused.log;
  AgentSetup setup = prison();
  setup.root = "user = \"nobody\"";
  setup.readable_by_all = true;
  setup.owner = nobody->pw_uid;
  Prisoner prisoner(std::move(setup));
  for (const pid_t pid : {prisoner.agent().pid(), prisoner.agent().worker()}) {
    const std::string status = read_file("/proc/" + std::to_string(pid) + "/status");
    const std::string uid = std::to_string(nobody->pw_uid);
    EXPECT_NE(status.find("Uid:\t" + uid + "\t" + uid + "\t" + uid + "\t" + uid), std::string::npos)
        << status;
    EXPECT_NE(status.find("CapEff:\t0000000000000000"), std::string::npos) << status;
  }
  EXPECT_EQ(prisoner.try_to("privileges"), EPERM);
}

}  // namespace
}  // namespace vaccel::integration
