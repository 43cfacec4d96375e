// SPDX-License-Identifier: Apache-2.0
#include "jail/system_calls.h"

#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string_view>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define VACCEL_IS_SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define VACCEL_IS_SANITIZED 1
#endif

namespace vaccel::jail {
namespace {

// What a process of threads that computes, reads files and speaks over descriptors it has been given needs. Found by running
// the tests of whole processes under it, with every backend that ran here, and in glibc's and libstdc++'s sources; names that an architecture does not have are passed over.
constexpr std::string_view kOfAll[] = {
    // memory
    "brk",
    "munmap",
    "mprotect",
    "mremap",
    "madvise",
    "msync",
    "mincore",
    "mlock",
    "mlock2",
    "munlock",
    "membarrier",
    "get_mempolicy",
    "set_mempolicy",
    "mbind",
    // threads, time
    "futex",
    "futex_waitv",
    "set_robust_list",
    "get_robust_list",
    "rseq",
    "set_tid_address",
    "exit",
    "exit_group",
    "gettid",
    "getpid",
    "getppid",
    "getpgrp",
    "getpgid",
    "getsid",
    "sched_yield",
    "sched_getaffinity",
    "sched_setaffinity",
    "sched_getparam",
    "sched_getscheduler",
    "sched_get_priority_max",
    "sched_get_priority_min",
    "getcpu",
    "getpriority",
    "arch_prctl",
    "restart_syscall",
    "clock_gettime",
    "clock_getres",
    "clock_nanosleep",
    "nanosleep",
    "gettimeofday",
    "time",
    "times",
    "getrusage",
    "timer_create",
    "timer_settime",
    "timer_delete",
    "timerfd_create",
    "timerfd_settime",
    "alarm",
    "setitimer",
    // signals
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "rt_sigtimedwait",
    "rt_sigpending",
    "rt_sigsuspend",
    "sigaltstack",
    "pause",
    // descriptors
    "read",
    "readv",
    "pread64",
    "preadv",
    "preadv2",
    "write",
    "writev",
    "pwrite64",
    "pwritev",
    "pwritev2",
    "close",
    "close_range",
    "dup",
    "dup2",
    "dup3",
    "lseek",
    "_llseek",
    "pipe",
    "pipe2",
    "poll",
    "ppoll",
    "select",
    "pselect6",
    "epoll_create",
    "epoll_create1",
    "epoll_ctl",
    "epoll_wait",
    "epoll_pwait",
    "epoll_pwait2",
    "eventfd",
    "eventfd2",
    "sendmsg",
    "recvmsg",
    "sendto",
    "recvfrom",
    "shutdown",
    "getsockopt",
    "getsockname",
    "getpeername",
    "sendfile",
    "copy_file_range",
    "splice",
    // files: which ones there are is not seccomp's business
    "open",
    "openat",
    "openat2",
    "stat",
    "stat64",
    "lstat",
    "fstat",
    "fstat64",
    "newfstatat",
    "fstatat64",
    "statx",
    "statfs",
    "fstatfs",
    "access",
    "faccessat",
    "faccessat2",
    "readlink",
    "readlinkat",
    "getdents",
    "getdents64",
    "getcwd",
    "chdir",
    "fchdir",
    "ftruncate",
    "truncate",
    "fallocate",
    "fadvise64",
    "fsync",
    "fdatasync",
    "flock",
    "mkdir",
    "mkdirat",
    "rmdir",
    "unlink",
    "unlinkat",
    "rename",
    "renameat",
    "renameat2",
    "symlink",
    "symlinkat",
    "link",
    "linkat",
    "chmod",
    "fchmod",
    "fchmodat",
    "utimensat",
    "umask",
    // who and where it is
    "uname",
    "sysinfo",
    "getuid",
    "geteuid",
    "getgid",
    "getegid",
    "getgroups",
    "getresuid",
    "getresgid",
    "getrandom",
    "getrlimit",
    "ugetrlimit",
    "capget",
};

// What fails instead: libraries try these, and go on without. Names are looked up over sockets, and clone3 has its flags in memory,
// where a filter cannot see them: told that there is none the C library uses clone.
struct Refused {
  std::string_view name;
  int error;
};
constexpr Refused kRefused[] = {
    {"clone3", ENOSYS},
    {"socket", EACCES},
    {"socketpair", EACCES},
    {"sched_setscheduler", EPERM},
    {"sched_setparam", EPERM},
    {"sched_setattr", EPERM},
    {"setpriority", EPERM},
    {"setrlimit", EPERM},
    {"perf_event_open", EACCES},
    {"mlockall", EPERM},
    {"munlockall", EPERM},
    {"io_uring_setup", ENOSYS},
    {"inotify_init1", ENOSYS},
    {"inotify_init", ENOSYS},
    {"userfaultfd", EPERM},
    {"move_pages", EPERM},
    {"migrate_pages", EPERM},
    {"chown", EPERM},
    {"fchown", EPERM},
    {"fchownat", EPERM},
    {"getxattr", ENOTSUP},
    {"lgetxattr", ENOTSUP},
    {"fgetxattr", ENOTSUP},
    {"mknod", EPERM},
    {"mknodat", EPERM},
    {"ioprio_set", EPERM},
    {"kcmp", EPERM},
};

// What backends need besides. For cuda and Coral nobody has tried: no such device was at hand. Compilers run a linker; drivers of GPUs talk to them by ioctl(), and to their own servers.
struct Needs {
  std::string_view backend;
  std::vector<std::string_view> calls;
};
const std::vector<Needs>& needs() {
  static const std::vector<Needs> all{
      {"opencl",
       {"execve", "clone", "fork", "vfork", "wait4", "waitid", "ioctl", "setpgid", "getxattr", "fchown",
        "chown"}},
      {"cuda", {"ioctl", "mknod", "mknodat", "socketpair", "process_vm_readv", "kcmp"}},
      {"tflite", {"ioctl"}},  // Coral's
  };
  return all;
}

#ifdef VACCEL_IS_SANITIZED
// The sanitizers' run-time libraries: leaks are looked for by a task that stops the others.
constexpr std::string_view kOfSanitizers[] = {
    "ptrace", "clone",  "wait4", "waitid", "tgkill",           "kill",      "prctl",     "personality",
    "ioctl",  "execve", "fork",  "vfork",  "process_vm_readv", "setrlimit", "prlimit64", "fcntl"};
#endif

struct Release {
  void operator()(void* context) const { ::seccomp_release(context); }
};
using Filter = std::unique_ptr<void, Release>;

class Rules {
 public:
  static Result<Rules> create() {
    Rules rules;
    rules.filter_.reset(::seccomp_init(SCMP_ACT_KILL_PROCESS));
    if (!rules.filter_) return fail(VACCEL_RESOURCE_EXHAUSTED, "no memory for a filter of system calls");
    // Threads that libraries may have started before main() are limited, too.
    (void)::seccomp_attr_set(rules.filter_.get(), SCMP_FLTATR_CTL_TSYNC, 1);
    (void)::seccomp_attr_set(rules.filter_.get(), SCMP_FLTATR_CTL_OPTIMIZE,
                             2);  // a tree: many are asked for often
    return rules;
  }

  [[nodiscard]] bool allows(std::string_view name) const {
    return std::ranges::find(allowed_, name) != allowed_.end();
  }
  void allow(std::string_view name) {
    if (allows(name)) return;
    allowed_.emplace_back(name);
    add(SCMP_ACT_ALLOW, name, {});
  }
  void allow_if(std::string_view name, std::vector<scmp_arg_cmp> conditions) {
    if (!allows(name)) add(SCMP_ACT_ALLOW, name, std::move(conditions));
  }
  void refuse(std::string_view name, int error, std::vector<scmp_arg_cmp> conditions = {}) {
    if (!allows(name)) add(SCMP_ACT_ERRNO(static_cast<uint16_t>(error)), name, std::move(conditions));
  }
  Status load() {
    if (problem_ != 0)
      return failure(VACCEL_INTERNAL, "cannot make the filter of system calls: %s: %s", problem_at_.c_str(),
                     errno_text(problem_).c_str());
    if (const int result = ::seccomp_load(filter_.get()); result != 0)
      return failure(VACCEL_UNAVAILABLE, "cannot limit system calls: %s", errno_text(-result).c_str());
    return {};
  }

 private:
  void add(uint32_t action, std::string_view name, const std::vector<scmp_arg_cmp>& conditions) {
    const int number = ::seccomp_syscall_resolve_name(std::string(name).c_str());
    if (number == __NR_SCMP_ERROR) return;  // not of this architecture
    const int result = ::seccomp_rule_add_array(filter_.get(), action, number,
                                                static_cast<unsigned>(conditions.size()), conditions.data());
    if (result == 0 || result == -EDOM || problem_ != 0) return;
    problem_ = -result;
    problem_at_ = name;
  }

  Filter filter_;
  std::vector<std::string> allowed_;
  int problem_ = 0;
  std::string problem_at_;
};

void add_restricted(Rules& rules) {
  // Threads, and no processes.
  rules.allow_if("clone", {SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD)});
  // Signals to itself.
  const auto own = static_cast<scmp_datum_t>(::getpid());
  for (const char* name : {"kill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo"})
    rules.allow_if(name, {SCMP_A0(SCMP_CMP_EQ, own)});
  // Whether a descriptor is a terminal, and how much there is to read.
  for (const int request : {TCGETS, FIONREAD, FIONBIO, FIOCLEX, TIOCGWINSZ})
    rules.allow_if("ioctl", {SCMP_A1(SCMP_CMP_EQ, static_cast<scmp_datum_t>(request))});
  // Limits are read, of itself or of nobody that it sees, and not set: nor are other processes'.
  rules.allow_if("prlimit64", {SCMP_A2(SCMP_CMP_EQ, 0)});
  rules.refuse("prlimit64", EPERM, {SCMP_A2(SCMP_CMP_NE, 0)});
  for (const int command : {F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_GETLK, F_SETLK,
                            F_SETLKW, F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW, F_ADD_SEALS, F_GET_SEALS}) {
    for (const char* name : {"fcntl", "fcntl64"})
      rules.allow_if(name, {SCMP_A1(SCMP_CMP_EQ, static_cast<scmp_datum_t>(command))});
  }
  // Huge pages are the host's, and counted by nobody.
  for (const char* name : {"mmap", "mmap2"}) {
    rules.allow_if(name, {SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_HUGETLB, 0)});
    rules.refuse(name, ENOMEM, {SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_HUGETLB, MAP_HUGETLB)});
  }
  rules.allow_if("memfd_create", {SCMP_A1(SCMP_CMP_MASKED_EQ, MFD_HUGETLB, 0)});
  rules.refuse("memfd_create", ENOMEM, {SCMP_A1(SCMP_CMP_MASKED_EQ, MFD_HUGETLB, MFD_HUGETLB)});
  for (const int option : {PR_SET_NAME, PR_GET_NAME, 0x53564d41 /* PR_SET_VMA: names of memory */,
                           PR_CAPBSET_READ, PR_GET_DUMPABLE, PR_GET_SECCOMP, PR_GET_NO_NEW_PRIVS})
    rules.allow_if("prctl", {SCMP_A0(SCMP_CMP_EQ, static_cast<scmp_datum_t>(option))});
}

}  // namespace

Status limit_system_calls(const std::vector<std::string>& backends, const std::vector<std::string>& more) {
  auto rules = Rules::create();
  if (!rules) return rules.error();
  for (const std::string& name : more) {
    if (::seccomp_syscall_resolve_name(name.c_str()) == __NR_SCMP_ERROR)
      return failure(VACCEL_INVALID_ARGUMENT, "there is no system call '%s'", printable(name).c_str());
    rules->allow(name);
  }
  for (const std::string_view name : kOfAll)
    rules->allow(name);
  for (const Needs& one : needs()) {
    if (std::ranges::find(backends, one.backend) == backends.end()) continue;
    for (const std::string_view name : one.calls)
      rules->allow(name);
  }
#ifdef VACCEL_IS_SANITIZED
  for (const std::string_view name : kOfSanitizers)
    rules->allow(name);
#endif
  add_restricted(*rules);
  for (const Refused& one : kRefused)
    rules->refuse(one.name, one.error);
  return rules->load();
}

}  // namespace vaccel::jail
