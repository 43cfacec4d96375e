// SPDX-License-Identifier: Apache-2.0
#include "subprocess.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <regex>

#include "failure.h"
#include "placement.h"

namespace vaccel::bench {
namespace {

constexpr int kStartTimeoutMs = 30'000;
constexpr int kStopTimeoutMs = 10'000;

bool wait_readable(int fd, int timeout_ms) {
  pollfd waiting{fd, POLLIN, 0};
  int count = 0;
  do {
    count = ::poll(&waiting, 1, timeout_ms);
  } while (count < 0 && errno == EINTR);
  return count > 0;
}

std::vector<char*> pointers_to(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (const std::string& text : texts)
    pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// The environment without an endpoint, which would lead what we start elsewhere, and with the notify socket.
std::vector<std::string> environment_for(const std::string& notify) {
  std::vector<std::string> variables;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string text = *variable;
    if (!text.starts_with("VACCEL_ENDPOINT=") && !text.starts_with("NOTIFY_SOCKET="))
      variables.push_back(text);
  }
  if (!notify.empty()) variables.push_back("NOTIFY_SOCKET=" + notify);
  return variables;
}

// What an agent of before left there is replaced.
UniqueFd notify_socket_at(const std::filesystem::path& path) {
  std::error_code ignored;
  std::filesystem::remove(path, ignored);
  UniqueFd fd{::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.string().size() >= sizeof address.sun_path) give_up("%s is too long for a socket", path.c_str());
  std::strcpy(address.sun_path, path.c_str());
  if (!fd.valid() || ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    give_up("cannot listen on %s: %s", path.c_str(), std::strerror(errno));
  }
  return fd;
}

// What is there already stays. None: the standard error.
UniqueFd open_log(const std::filesystem::path& file) {
  if (file.empty()) return {};
  UniqueFd log{::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)};
  if (!log.valid()) give_up("cannot write %s: %s", file.c_str(), std::strerror(errno));
  return log;
}

bool take_over(int fd, int as) {
  return fd < 0 || ::dup2(fd, as) >= 0;
}

}  // namespace

// ---- ChildProcess

ChildProcess::ChildProcess(const std::vector<std::string>& command, const Surroundings& surroundings)
    : program_(command.front()) {
  // All memory is taken before the fork: between fork and exec only system calls are allowed.
  const std::vector<char*> arguments = pointers_to(command);
  const std::vector<std::string> variables = environment_for(surroundings.notify);
  const std::vector<char*> environment = pointers_to(variables);
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ < 0) give_up("cannot fork: %s", std::strerror(errno));
  if (pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != parent || !take_over(surroundings.input, STDIN_FILENO) ||
        !take_over(surroundings.output, STDOUT_FILENO) || !take_over(surroundings.errors, STDERR_FILENO)) {
      ::_exit(126);
    }
    ::execve(arguments.front(), arguments.data(), environment.data());
    ::_exit(127);
  }
  pid_fd_ = UniqueFd{static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0))};
}

ChildProcess::~ChildProcess() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGTERM);
  if (!wait_readable(pid_fd_.get(), kStopTimeoutMs)) {
    std::fprintf(stderr, "vaccel-bench: %s (process %d) did not end in time, killed\n", program_.c_str(),
                 pid_);
    ::kill(pid_, SIGKILL);
  }
  ::waitpid(pid_, nullptr, 0);
}

void ChildProcess::expect_success() {
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = 0;
  if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
    give_up("%s cannot be run; is it built?", program_.c_str());
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    give_up("%s failed (wait status 0x%x), see above", program_.c_str(), static_cast<unsigned>(status));
  }
}

void ChildProcess::kill_now() {
  ::kill(pid_, SIGKILL);
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  pid_ = 0;
}

// ---- WorkFolder

WorkFolder::WorkFolder(const Setting& setting, const AgentKeys& keys) {
  // Short, since a socket's path has at most 107 characters.
  std::string pattern = "/tmp/vaccel-bench-XXXXXX";
  if (::mkdtemp(pattern.data()) == nullptr) give_up("cannot make a folder in /tmp: %s", std::strerror(errno));
  path_ = pattern;
  if (keys.log_to_file) log_ = path_ / "log";
  std::ofstream file(configuration());
  file << "listen = [\"" << agent_endpoint() << "\"]\n"
       << "control = \"" << control() << "\"\n"
       << "log = \"warning\"\n"
       << keys.keys;
  if (std::filesystem::is_directory(setting.catalogue))
    file << "catalogue = \"" << setting.catalogue.string() << "\"\n";
  file << "[backends]\n"
       << "directory = \"" << setting.backends.string() << "\"\n";
  if (keys.reference_only) {
    file << "load = [\"reference\"]\n";
  } else {
    // As DirectModel sets its session up: one thread a core, none of which spins.
    file << "[backend.onnxruntime]\n"
         << "threads = 0\n"
         << "spinning = false\n";
  }
  file << std::regex_replace(keys.tables, std::regex("FOLDER"), path_.string());
  if (!file.flush()) give_up("cannot write %s", configuration().c_str());
}

WorkFolder::~WorkFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

// ---- AgentProcess

AgentProcess::AgentProcess(const Setting& setting, const WorkFolder& folder)
    : notices_(notify_socket_at(folder.path() / "notify.sock")),
      log_(open_log(folder.log())),
      process_({(setting.programs / "vacceld").string(), "--config", folder.configuration().string()},
               {.errors = log_.get(), .notify = (folder.path() / "notify.sock").string()}) {
  std::array<pollfd, 2> waiting{{{notices_.get(), POLLIN, 0}, {process_.pid_fd(), POLLIN, 0}}};
  for (;;) {
    const int count = ::poll(waiting.data(), waiting.size(), kStartTimeoutMs);
    if (count < 0 && errno == EINTR) continue;
    if (count == 0) give_up("vacceld was not ready within %d s", kStartTimeoutMs / 1000);
    if ((waiting[0].revents & POLLIN) != 0) {
      std::array<char, 256> notice{};
      const ssize_t size = ::recv(notices_.get(), notice.data(), notice.size(), 0);
      if (size > 0 && std::string_view(notice.data(), static_cast<size_t>(size)).starts_with("READY=1"))
        return;
      continue;
    }
    process_.expect_success();
    give_up("vacceld ended at once");
  }
}

void AgentProcess::stay_on(int cpu) {
  const cpu_set_t cpus = cpus_of(cpu);
  const auto threads = std::filesystem::path("/proc") / std::to_string(process_.pid()) / "task";
  for (const auto& thread : std::filesystem::directory_iterator(threads)) {
    if (::sched_setaffinity(std::stoi(thread.path().filename().string()), sizeof cpus, &cpus) != 0)
      give_up("cannot keep vacceld on CPU %d: %s", cpu, std::strerror(errno));
  }
}

}  // namespace vaccel::bench
