// SPDX-License-Identifier: Apache-2.0
#include "jail/landlock.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <span>

namespace vaccel::jail {
namespace {

// Newer than the kernel headers that this may be compiled with; by the version of the interface that brought them.
constexpr uint64_t kTruncate = uint64_t{1} << 14;        // 3
constexpr uint64_t kControlDevices = uint64_t{1} << 15;  // 5
constexpr uint64_t kBindTcp = uint64_t{1} << 0;          // 4
constexpr uint64_t kConnectTcp = uint64_t{1} << 1;
constexpr uint64_t kScopeAbstractSockets = uint64_t{1} << 0;  // 6
constexpr uint64_t kScopeSignals = uint64_t{1} << 1;
struct RulesetAttributes {
  uint64_t handled_access_fs;
  uint64_t handled_access_net;  // 4
  uint64_t scoped;              // 6
};

constexpr uint64_t kExecute = LANDLOCK_ACCESS_FS_EXECUTE;
constexpr uint64_t kReadFile = LANDLOCK_ACCESS_FS_READ_FILE;
constexpr uint64_t kWriteFile = LANDLOCK_ACCESS_FS_WRITE_FILE;
constexpr uint64_t kRead = kReadFile | LANDLOCK_ACCESS_FS_READ_DIR;
constexpr uint64_t kWrite = kRead | kWriteFile | kTruncate | LANDLOCK_ACCESS_FS_REMOVE_DIR |
                            LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR |
                            LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SYM |
                            LANDLOCK_ACCESS_FS_REFER;
constexpr uint64_t kDevice = kReadFile | kWriteFile | kControlDevices;
constexpr uint64_t kOfFiles = kExecute | kReadFile | kWriteFile | kTruncate | kControlDevices;

constexpr const char* kAllOfProc[] = {"/proc"};

uint64_t all_access(int version) {
  uint64_t access = (uint64_t{LANDLOCK_ACCESS_FS_MAKE_SYM} << 1) - 1;  // all of version 1
  if (version >= 2) access |= LANDLOCK_ACCESS_FS_REFER;
  if (version >= 3) access |= kTruncate;
  if (version >= 5) access |= kControlDevices;
  return access;
}

}  // namespace

int LandlockPlan::kernel_version() {
  const long version = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  return version > 0 ? static_cast<int>(version) : 0;
}

LandlockPlan::LandlockPlan(const Policy& policy, const std::filesystem::path& program)
    : version_(kernel_version()), handled_(all_access(version_)) {
  for (const auto& path : policy.readable)
    add(path, kRead);
  for (const auto& path : policy.writable)
    add(path, kWrite);
  for (const auto& path : policy.devices)
    add(path, kDevice);
  for (const auto& path : policy.executable)
    add(path, kExecute | kReadFile);
  // A program and the loader that starts it.
  add(program, kExecute | kReadFile);
  for (const char* loader : {"/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"})
    add(loader, kExecute | kReadFile);
}

void LandlockPlan::add(const std::filesystem::path& path, uint64_t access) {
  std::error_code error;
  const std::filesystem::path real = std::filesystem::canonical(path, error);
  if (error) return;
  access &= handled_;
  if (!std::filesystem::is_directory(real, error)) access &= kOfFiles;
  rules_.push_back({real.string(), access});
}

bool LandlockPlan::apply(const Report& report, bool own_scratch) const {
  if (version_ == 0) return true;
  const RulesetAttributes attributes{.handled_access_fs = handled_,
                                     .handled_access_net = version_ >= 4 ? kBindTcp | kConnectTcp : 0,
                                     .scoped = version_ >= 6 ? kScopeAbstractSockets | kScopeSignals : 0};
  const size_t size = version_ >= 6   ? sizeof attributes
                      : version_ >= 4 ? offsetof(RulesetAttributes, scoped)
                                      : offsetof(RulesetAttributes, handled_access_net);
  const int ruleset = static_cast<int>(::syscall(SYS_landlock_create_ruleset, &attributes, size, 0));
  if (ruleset < 0) return report.failed("make a Landlock ruleset");
  const auto allow = [&](const char* path, uint64_t access) {
    const int fd = ::open(path, O_PATH | O_CLOEXEC);
    if (fd < 0) return errno == ENOENT;  // it is not there in this root
    const landlock_path_beneath_attr rule{.allowed_access = access, .parent_fd = fd};
    const long result = ::syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    ::close(fd);
    return result == 0;
  };
  for (const Rule& rule : rules_) {
    if (!allow(rule.path.c_str(), rule.access)) return report.failed("let Landlock allow", rule.path.c_str());
  }
  if (own_scratch && !allow("/tmp", kWrite & handled_)) return report.failed("let Landlock allow /tmp");
  // A /proc of its own shows nobody else.
  const char* const kOfItself[] = {"/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat"};
  for (const char* path :
       own_scratch ? std::span<const char* const>(kAllOfProc) : std::span<const char* const>(kOfItself)) {
    const bool is_file = !own_scratch && path != kOfItself[0];
    if (!allow(path, is_file ? kReadFile : kRead)) return report.failed("let Landlock allow", path);
  }
  const long result = ::syscall(SYS_landlock_restrict_self, ruleset, 0);
  if (result != 0) return report.failed("restrict itself with Landlock");
  ::close(ruleset);
  return true;
}

}  // namespace vaccel::jail
