// SPDX-License-Identifier: Apache-2.0
#include "support/agent_process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <sstream>

#include "core/clock.h"

namespace vaccel::integration {
namespace {

// A sanitizer's start alone takes a second on a busy machine.
constexpr int64_t kReadyWithinMs = 60'000;

std::string environment(const char* name, const char* otherwise) {
  const char* value = std::getenv(name);
  return value != nullptr && value[0] != '\0' ? value : otherwise;
}

// A command's words need no quotes; its arguments get them.
Ended run_program(std::string command, const std::vector<std::string>& arguments) {
  for (const std::string& argument : arguments)
    command += " '" + argument + "'";
  command += " 2>&1 </dev/null";
  Ended ended;
  FILE* output = ::popen(command.c_str(), "re");
  if (output == nullptr) {
    ADD_FAILURE() << "popen: " << std::strerror(errno);
    return ended;
  }
  char piece[4096];
  for (size_t got = 0; (got = std::fread(piece, 1, sizeof piece, output)) > 0;)
    ended.log.append(piece, got);
  const int status = ::pclose(output);
  ended.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return ended;
}

// The value of "Name:   123 kB" in /proc/PID/status.
int64_t status_field(pid_t pid, const std::string& name) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(name + ":")) return std::atoll(line.c_str() + name.size() + 1);
  }
  return 0;
}

// The fields of /proc/PID/stat from the third on; the second, the name, may hold anything.
std::vector<std::string> stat_fields(pid_t pid) {
  const std::string text = read_file("/proc/" + std::to_string(pid) + "/stat");
  const size_t end = text.rfind(')');
  if (end == std::string::npos) return {};
  std::istringstream rest(text.substr(end + 1));
  return {std::istream_iterator<std::string>(rest), {}};
}

}  // namespace

bool eventually(const std::function<bool()>& condition, int64_t within_ms) {
  const int64_t deadline = now_ns() + within_ms * 1'000'000;
  while (!condition()) {
    if (now_ns() >= deadline) return condition();
    ::poll(nullptr, 0, 2);
  }
  return true;
}

TemporaryFolder::TemporaryFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "vaccel-it-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) ADD_FAILURE() << "mkdtemp: " << std::strerror(errno);
  path_ = pattern;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

uint16_t free_tcp_port() {
  const UniqueFd fd{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  EXPECT_EQ(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), size), 0);
  EXPECT_EQ(::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  return ntohs(address.sin_port);
}

std::string read_file(const std::filesystem::path& file) {
  const std::ifstream stream(file, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();  // a process's file in /proc may end with an error, when the process does
  return std::move(text).str();
}

void write_file(const std::filesystem::path& file, const std::string& text) {
  std::filesystem::create_directories(file.parent_path());
  std::ofstream(file, std::ios::binary) << text;
}

size_t descriptor_count(pid_t pid) {
  std::error_code error;
  const std::filesystem::directory_iterator files("/proc/" + std::to_string(pid) + "/fd", error);
  return static_cast<size_t>(std::distance(begin(files), end(files)));
}

size_t thread_count(pid_t pid) {
  return static_cast<size_t>(status_field(pid, "Threads"));
}

int64_t private_kib(pid_t pid) {
  return status_field(pid, "RssAnon");
}

int64_t shared_kib(pid_t pid) {
  return status_field(pid, "RssShmem");
}

int64_t cpu_ms(pid_t pid) {
  const auto fields = stat_fields(pid);  // utime and stime are fields 14 and 15 of the file
  if (fields.size() < 13) return 0;
  return (std::stoll(fields[11]) + std::stoll(fields[12])) * 1000 / ::sysconf(_SC_CLK_TCK);
}

void stop_process(pid_t pid) {
  ASSERT_EQ(::kill(pid, SIGSTOP), 0);
  const std::filesystem::path threads = "/proc/" + std::to_string(pid) + "/task";
  EXPECT_TRUE(eventually([&] {
    for (const auto& thread : std::filesystem::directory_iterator(threads)) {
      const std::string stat = read_file(thread.path() / "stat");
      if (const size_t name = stat.rfind(") "); name == std::string::npos || stat[name + 2] != 'T')
        return false;
    }
    return true;
  }));
}

bool is_running(pid_t pid) {
  const auto fields = stat_fields(pid);
  if (fields.size() < 18) return false;
  // The first thread may have ended before the others, which still hold the process's files.
  const bool has_threads = fields[17] != "0" && fields[17] != "1";
  return (fields[0] != "Z" && fields[0] != "X") || has_threads;
}

bool is_sanitized() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
  return true;
#endif
#endif
  return false;
}

AgentProcess::AgentProcess(AgentSetup setup, NoStart) : setup_(std::move(setup)) {
  write_config();
}

AgentProcess::AgentProcess(AgentSetup setup) : AgentProcess(std::move(setup), NoStart{}) {
  start();
}

AgentProcess::~AgentProcess() {
  if (pid_ != 0) stop();
  if (testing::Test::HasFailure()) std::cerr << "---- the agent's log\n" << log() << "----\n";
}

Ended AgentProcess::run_to_end(AgentSetup setup) {
  AgentProcess agent(std::move(setup), NoStart{});
  agent.spawn();
  const int status = agent.wait_for_end(kReadyWithinMs);
  if (status == -1) {
    ADD_FAILURE() << "the agent should have refused to run";
    agent.kill();
  }
  return {status, agent.log()};
}

std::string AgentProcess::in_folder(std::string text) const {
  for (size_t at = text.find("FOLDER"); at != std::string::npos; at = text.find("FOLDER", at))
    text.replace(at, 6, folder().string());
  return text;
}

void AgentProcess::write_config() const {
  std::string text = in_folder(setup_.root) + "\nlisten = [\"" + endpoint() + "\"";
  for (const std::string& one : setup_.listen)
    text += ", \"" + in_folder(one) + "\"";
  text += "]\nlog = \"debug\"\ncontrol = \"" + control() + "\"\n";
  if (!setup_.catalogue.empty())
    text += "catalogue = \"" + std::filesystem::absolute(setup_.catalogue).string() + "\"\n";
  text += "[limits]\n" + setup_.limits + "\n[worker]\n" + setup_.worker + "\n";
  if (!setup_.all_backends) text += "[backends]\nload = [\"reference\"]\n";
  text += "[backend.reference]\nfaults = true\n" + in_folder(setup_.more);
  write_file(folder() / "vaccel.toml", text);
  if (setup_.owner != 0) {
    EXPECT_EQ(::chown(folder().c_str(), setup_.owner, static_cast<gid_t>(-1)), 0);
  }
  if (setup_.readable_by_all) std::filesystem::permissions(folder(), std::filesystem::perms{0755});
}

void AgentProcess::spawn() {
  const std::string notify_path = (folder() / "notify.sock").string();
  ::unlink(notify_path.c_str());
  notify_.reset(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  notify_path.copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(::bind(notify_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);

  if (setup_.owner != 0) {
    ASSERT_EQ(::chmod(notify_path.c_str(), 0777), 0);  // as a service manager's is
  }

  std::vector<std::string> command = setup_.wrapper;
  command.push_back(environment("VACCEL_TEST_BIN", "build/bin") + "/vacceld");
  if (setup_.arguments.empty()) {
    command.insert(command.end(), {"--config", (folder() / "vaccel.toml").string()});
  } else {
    command.insert(command.end(), setup_.arguments.begin(), setup_.arguments.end());
  }
  std::vector<char*> arguments;
  for (std::string& one : command)
    arguments.push_back(one.data());
  arguments.push_back(nullptr);
  const std::string log = (folder() / "log").string();
  const pid_t parent = ::getpid();
  const rlim_t descriptors = setup_.most_descriptors;
  const int notify_variable = ::setenv("NOTIFY_SOCKET", notify_path.c_str(), 1);
  ASSERT_EQ(notify_variable, 0);

  pid_ = ::fork();
  ASSERT_GE(pid_, 0);
  if (pid_ > 0) return;
  // The child: system calls only.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(125);
  const int file = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  ::dup2(file, STDOUT_FILENO);
  ::dup2(file, STDERR_FILENO);
  if (descriptors > 0) {
    const rlimit limit{descriptors, descriptors};
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
  ::execvp(arguments[0], arguments.data());
  ::_exit(126);
}

bool AgentProcess::wait_until_ready() {
  return eventually(
      [&] {
        char text[64] = {};
        if (::recv(notify_.get(), text, sizeof text - 1, MSG_DONTWAIT) > 0 &&
            std::strcmp(text, "READY=1") == 0)
          return true;
        if (!is_running(pid_)) {
          ADD_FAILURE() << "the agent ended before it was ready, with status " << wait_for_end(0);
          return true;
        }
        return false;
      },
      kReadyWithinMs);
}

void AgentProcess::start() {
  ASSERT_EQ(pid_, 0) << "it runs already";
  ASSERT_NO_FATAL_FAILURE(spawn());
  EXPECT_TRUE(wait_until_ready()) << "the agent was not ready in time";
}

std::vector<pid_t> AgentProcess::workers() const {
  std::vector<pid_t> found;
  std::ifstream children("/proc/" + std::to_string(pid_) + "/task/" + std::to_string(pid_) + "/children");
  for (pid_t child = 0; children >> child;) {
    if (is_running(child)) found.push_back(child);
  }
  return found;
}

pid_t AgentProcess::worker() const {
  std::vector<pid_t> found;
  eventually([&] { return (found = workers()).size() == 1; });
  EXPECT_EQ(found.size(), 1u);
  return found.empty() ? 0 : found.front();
}

void AgentProcess::kill_worker() {
  const pid_t worker_pid = worker();
  ASSERT_GT(worker_pid, 0);
  ASSERT_EQ(::kill(worker_pid, SIGKILL), 0);
  ASSERT_TRUE(eventually([&] { return !is_running(worker_pid); }));
}

Ended AgentProcess::vaccelctl(const std::vector<std::string>& arguments) const {
  return run_program(environment("VACCEL_TEST_BIN", "build/bin") + "/vaccelctl --control " + control(),
                     arguments);
}

void AgentProcess::signal(int number) const {
  ASSERT_GT(pid_, 0);
  EXPECT_EQ(::kill(pid_, number), 0);
}

int AgentProcess::wait_for_end(int64_t within_ms) {
  int status = 0;
  if (!eventually([&] { return ::waitpid(pid_, &status, WNOHANG) == pid_; }, within_ms)) return -1;
  pid_ = 0;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void AgentProcess::stop() {
  const std::vector<pid_t> last = workers();
  signal(SIGTERM);
  const int status = wait_for_end(60'000);
  EXPECT_EQ(status, 0) << "the agent's exit status";
  if (status == -1) return kill();
  for (const pid_t worker_pid : last) {
    EXPECT_TRUE(eventually([&] { return !is_running(worker_pid); })) << "worker " << worker_pid << " is left";
  }
  EXPECT_FALSE(std::filesystem::exists(socket())) << "the agent left its socket behind";
  EXPECT_FALSE(std::filesystem::exists(control())) << "the agent left its control socket behind";
}

void AgentProcess::kill() {
  const std::vector<pid_t> last = workers();
  signal(SIGKILL);
  EXPECT_EQ(wait_for_end(), 128 + SIGKILL);
  for (const pid_t worker_pid : last) {
    EXPECT_TRUE(eventually([&] { return !is_running(worker_pid); })) << "worker " << worker_pid << " is left";
  }
}

}  // namespace vaccel::integration
