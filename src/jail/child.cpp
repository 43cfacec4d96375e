// SPDX-License-Identifier: Apache-2.0
#include "jail/child.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

namespace vaccel::jail {
namespace {

constexpr int kNotStarted = 127;
constexpr unsigned long kMostCapabilities = 64;

bool write_file(const Report& report, const char* path, const std::string& text) {
  const int fd = ::open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return report.failed("open", path);
  const ssize_t written = ::write(fd, text.data(), text.size());
  if (written != static_cast<ssize_t>(text.size())) {
    report.failed("write", path);
    ::close(fd);
    return false;
  }
  ::close(fd);
  return true;
}

std::string map_of_itself(unsigned id) {
  const std::string text = std::to_string(id);
  return text + " " + text + " 1";
}

// None can be had again: also not by a program that root owns.
bool drop_capabilities(const Report& report) {
  for (unsigned long one = 0; one < kMostCapabilities; ++one) {
    // EINVAL: the kernel knows no more. EPERM: it has none to drop, and no_new_privs keeps it so.
    if (::prctl(PR_CAPBSET_DROP, one, 0, 0, 0) != 0) break;
  }
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};
  if (::syscall(SYS_capset, &header, none) != 0) return report.failed("drop capabilities");
  return true;
}

bool set_limit(const Report& report, int resource, rlim_t value, const char* name) {
  rlimit limit{};
  if (::getrlimit(static_cast<__rlimit_resource_t>(resource), &limit) != 0)
    return report.failed("read the limit on", name);
  const rlim_t most = std::min(limit.rlim_max, value);
  limit = {most, most};
  if (::setrlimit(static_cast<__rlimit_resource_t>(resource), &limit) != 0)
    return report.failed("limit", name);
  return true;
}

}  // namespace

Child::Child(const Policy& policy, const std::filesystem::path& program)
    : policy_(policy),
      program_(program.string()),
      mounts_(policy),
      landlock_(policy, program),
      user_map_(map_of_itself(::geteuid())),
      group_map_(map_of_itself(::getegid())) {}

bool Child::limit(const Report& report, bool in_user_namespace) const {
  bool fine = set_limit(report, RLIMIT_CORE, 0, "core files") &&
              set_limit(report, RLIMIT_NOFILE, policy_.open_files, "descriptors") &&
              set_limit(report, RLIMIT_FSIZE, policy_.scratch_bytes, "files' sizes");
  // Elsewhere the user's other processes would count.
  if (fine && in_user_namespace) fine = set_limit(report, RLIMIT_NPROC, policy_.tasks, "tasks");
  if (fine && limits_memory_ && policy_.memory_bytes > 0)
    fine = set_limit(report, RLIMIT_DATA, policy_.memory_bytes + policy_.stack_bytes, "memory");
  return fine;
}

bool Child::confine(const Report& report, bool in_namespaces, bool in_user_namespace) {
  if (in_user_namespace) {
    // Its own files in /proc are root's otherwise, where the agent has changed its user.
    ::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    if (!write_file(report, "/proc/self/setgroups", "deny") ||
        !write_file(report, "/proc/self/uid_map", user_map_) ||
        !write_file(report, "/proc/self/gid_map", group_map_))
      return false;
  }
  if (in_namespaces) {
    if (!mounts_.apply(report)) return false;
    constexpr char kName[] = "vaccel-worker";
    if (::sethostname(kName, sizeof kName - 1) != 0) return report.failed("set the host name");
  }
  return limit(report, in_user_namespace) && drop_capabilities(report) &&
         landlock_.apply(report, in_namespaces);
}

bool Child::place_descriptors(const Report& report, int told) const {
  for (const auto& [ours, theirs] : descriptors_) {
    if (::dup2(ours, theirs) < 0) return report.failed("place descriptors");
  }
  const auto last = std::ranges::max_element(descriptors_, {}, &std::pair<int, int>::second)->second;
  const auto first = static_cast<unsigned>(last) + 1;
  if (::syscall(SYS_close_range, first, ~0u, CLOSE_RANGE_CLOEXEC) != 0)
    return report.failed("close descriptors");
  return ::fcntl(told, F_SETFD, FD_CLOEXEC) == 0 || report.failed("close descriptors");
}

void Child::run(const Ends& ends, char* const* arguments, char* const* environment, bool in_namespaces,
                bool in_user_namespace) {
  const Report report(ends.told);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::close(ends.go_writing);  // else it would never hear that the agent has gone
  char go = 0;
  if (::read(ends.go, &go, 1) != 1) ::_exit(kNotStarted);

  // The agent blocks the signals that it reads from a descriptor; a worker must not inherit that.
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::setsid();
  ::umask(077);
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    report.failed("give up new privileges");
    ::_exit(kNotStarted);
  }
  const bool confined = policy_.enabled ? confine(report, in_namespaces, in_user_namespace)
                                        : set_limit(report, RLIMIT_CORE, 0, "core files");
  if (confined && place_descriptors(report, ends.told)) {
    ::execve(program_.c_str(), arguments, environment);
    report.failed(kRunStep);
  }
  ::_exit(kNotStarted);
}

}  // namespace vaccel::jail
