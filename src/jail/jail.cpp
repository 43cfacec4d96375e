// SPDX-License-Identifier: Apache-2.0
#include "jail/jail.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <sstream>

#include "jail/child.h"

namespace vaccel::jail {
namespace {

constexpr uint64_t kNamespacesButUsers =
    CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;

struct Pipe {
  UniqueFd reading;
  UniqueFd writing;
  static Result<Pipe> create() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0)
      return fail(VACCEL_RESOURCE_EXHAUSTED, "pipe: %s", errno_text(errno).c_str());
    return Pipe{UniqueFd{ends[0]}, UniqueFd{ends[1]}};
  }
};

std::string read_all(int fd) {
  std::string text;
  std::array<char, 4096> piece;
  for (;;) {
    const ssize_t got = ::read(fd, piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return text;
    text.append(piece.data(), static_cast<size_t>(got));
  }
}

// Where libraries lie, and how frameworks are set up. The rest is the agent's own: it may hold secrets.
bool is_handed_on(const std::string& variable) {
  constexpr const char* kNames[] = {"PATH=",         "LD_",
                                    "LANG=",         "LC_",
                                    "TZ=",           "OMP_",
                                    "GOMP_",         "KMP_",
                                    "MKL_",          "OPENBLAS_",
                                    "BLIS_",         "CUDA_",
                                    "NVIDIA_",       "HIP_",
                                    "ROCR_",         "OCL_",
                                    "OPENCL_",       "POCL_",
                                    "ORT_",          "TF_",
                                    "TORCH_",        "PYTORCH_",
                                    "OPENCV_",       "EDGETPU_",
                                    "MALLOC_",       "GLIBC_TUNABLES=",
                                    "ASAN_OPTIONS=", "UBSAN_OPTIONS=",
                                    "TSAN_OPTIONS=", "LSAN_OPTIONS=",
                                    "VACCEL_"};
  return std::ranges::any_of(kNames, [&](const char* name) { return variable.starts_with(name); });
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts)
    pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

bool Jail::can_limit_system_calls() {
  const uint32_t action = SECCOMP_RET_KILL_PROCESS;
  return ::syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

void Jail::note(std::string sentence) {
  missing_.push_back(std::move(sentence));
}

Result<Cgroup> Jail::make_cgroup() {
  if (!policy_.enabled) return Cgroup();
  auto group = Cgroup::create(policy_);
  if (group) return group;
  note("control groups: " + group.error().message());
  return Cgroup();
}

Result<Started> Jail::start(const Program& program) {
  if (!policy_.enabled) namespaces_ = Namespaces::kNone;
  for (;;) {
    missing_.clear();
    bool lacks_namespaces = false;
    auto started = attempt(program, namespaces_, lacks_namespaces);
    worked_ = worked_ || started.has_value();
    if (started || !lacks_namespaces || worked_) return started;
    if (namespaces_problem_.empty()) namespaces_problem_ = started.error().message();
    namespaces_ =
        namespaces_ == Namespaces::kAll && ::geteuid() == 0 ? Namespaces::kWithoutUsers : Namespaces::kNone;
  }
}

// One try. `lacks_namespaces`: another one with fewer of them may do.
Result<Started> Jail::attempt(const Program& program, Namespaces namespaces, bool& lacks_namespaces) {
  if (policy_.enabled && namespaces == Namespaces::kNone) note("namespaces: " + namespaces_problem_);
  if (policy_.enabled && LandlockPlan::kernel_version() == 0)
    note("Landlock: this kernel has none, or has it switched off");
  if (policy_.enabled && !can_limit_system_calls())
    note("limits on system calls: this kernel has no seccomp");
  auto group = make_cgroup();
  if (!group) return Unexpected{group.error()};
  if (policy_.required && !missing_.empty())
    return fail(VACCEL_UNAVAILABLE, "the jail is required, and lacks %s", missing_.front().c_str());

  auto told = Pipe::create();
  auto go = Pipe::create();
  if (!told || !go) return Unexpected{(!told ? told : go).error()};
  UniqueFd empty{::open("/dev/null", O_RDWR | O_CLOEXEC)};
  if (!empty.valid()) return fail(VACCEL_RESOURCE_EXHAUSTED, "/dev/null: %s", errno_text(errno).c_str());

  // All that the child needs, made before it is.
  std::vector<std::string> arguments{program.file.string()};
  arguments.insert(arguments.end(), program.arguments.begin(), program.arguments.end());
  std::vector<std::string> variables;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    if (is_handed_on(*variable)) variables.emplace_back(*variable);
  }
  std::vector<char*> argv = pointers_to(arguments);
  std::vector<char*> envp = pointers_to(variables);
  std::vector<UniqueFd>
      copies;  // above those that the program gets, so that placing one never closes another
  Child child(policy_, program.file);
  child.add_descriptor(empty.get(), STDIN_FILENO);
  std::vector<std::pair<int, int>> descriptors{{program.output, STDOUT_FILENO},
                                               {program.output, STDERR_FILENO}};
  descriptors.insert(descriptors.end(), program.descriptors.begin(), program.descriptors.end());
  for (const auto& [ours, theirs] : descriptors) {
    copies.emplace_back(::fcntl(ours, F_DUPFD_CLOEXEC, 64));
    if (!copies.back().valid())
      return fail(VACCEL_RESOURCE_EXHAUSTED, "out of file descriptors: %s", errno_text(errno).c_str());
    child.add_descriptor(copies.back().get(), theirs);
  }
  child.set_limits(!group->limits_memory());

  int pid_fd = -1;
  clone_args how{};
  how.flags = CLONE_PIDFD;
  if (namespaces != Namespaces::kNone) how.flags |= kNamespacesButUsers;
  if (namespaces == Namespaces::kAll) how.flags |= CLONE_NEWUSER;
  how.pidfd = reinterpret_cast<uint64_t>(&pid_fd);
  how.exit_signal = SIGCHLD;
  const Child::Ends ends{
      .go = go->reading.get(), .go_writing = go->writing.get(), .told = told->writing.get()};
  const long pid = ::syscall(SYS_clone3, &how, sizeof how);
  if (pid == 0)
    child.run(ends, argv.data(), envp.data(), namespaces != Namespaces::kNone,
              namespaces == Namespaces::kAll);
  if (pid < 0) {
    // These mean that there are too many of something now, and not that there can be none.
    constexpr int kForNow[] = {EAGAIN, ENOMEM, EMFILE, ENFILE};
    lacks_namespaces =
        namespaces != Namespaces::kNone && std::ranges::find(kForNow, errno) == std::end(kForNow);
    return fail(VACCEL_UNAVAILABLE, "clone: %s", errno_text(errno).c_str());
  }
  Started started{static_cast<pid_t>(pid), UniqueFd{pid_fd}, std::move(*group)};
  told->writing.reset();
  go->reading.reset();
  Status failed = started.cgroup.add(started.pid);
  if (failed.ok()) (void)!::write(go->writing.get(), "g", 1);
  go->writing.reset();
  std::istringstream lines(read_all(told->reading.get()));
  for (std::string line; std::getline(lines, line);) {
    if (line.empty()) continue;
    const std::string sentence = line.substr(1);
    if (line[0] == 'm') {
      note(sentence);
      if (policy_.required && failed.ok())
        failed = failure(VACCEL_UNAVAILABLE, "the jail is required, and lacks %s", sentence.c_str());
    } else if (failed.ok()) {
      lacks_namespaces = line[0] == 'e' && namespaces != Namespaces::kNone && !sentence.starts_with(kRunStep);
      failed = failure(VACCEL_UNAVAILABLE, "%s: cannot %s", program.file.c_str(), sentence.c_str());
    }
  }
  if (failed.ok()) return started;
  ::kill(started.pid, SIGKILL);
  while (::waitpid(started.pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  return Unexpected{std::move(failed)};
}

}  // namespace vaccel::jail
