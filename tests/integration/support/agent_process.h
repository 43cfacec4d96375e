// SPDX-License-Identifier: Apache-2.0
//
// A real agent for a test: vacceld as a child process in a folder of its own, with its workers, and what can be
// seen of it from outside (processes, descriptors, memory, log). Nothing here speaks the protocol.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/unique_fd.h"

namespace vaccel::integration {

/// Looks at a condition again and again until it holds. @return whether it did in time.
bool eventually(const std::function<bool()>& condition, int64_t within_ms = 10'000);

/// A folder under the system's temporary one that goes with its owner.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// A port of 127.0.0.1 that nobody listens on at present.
uint16_t free_tcp_port();

std::string read_file(const std::filesystem::path& file);
void write_file(const std::filesystem::path& file, const std::string& text);

/// Of a process: descriptors that are open, threads, and private memory in KiB (shared segments not counted).
size_t descriptor_count(pid_t pid);
size_t thread_count(pid_t pid);
int64_t private_kib(pid_t pid);
/// Shared memory that the process has touched, in KiB.
int64_t shared_kib(pid_t pid);
/// Time that the process has been on a CPU, in milliseconds.
int64_t cpu_ms(pid_t pid);
/// Whether it runs: one that has ended and that nobody has collected yet does not.
bool is_running(pid_t pid);
/// Stops it (SIGSTOP), and waits until all of its threads have stopped.
void stop_process(pid_t pid);

/// Whether the programs under test are slowed and fattened by a sanitizer: bounds on memory mean nothing then.
bool is_sanitized();

/// How an agent is started.
struct AgentSetup {
  std::string limits;  ///< Lines of [limits].
  std::string worker;  ///< Lines of [worker].
  // In these, FOLDER stands for the agent's folder.
  std::string root;                    ///< Lines at the top of the configuration.
  std::string more;                    ///< Tables at its end.
  std::vector<std::string> listen;     ///< Endpoints besides the unix socket.
  std::filesystem::path catalogue;     ///< Empty: none.
  bool all_backends = false;           ///< Otherwise "reference" alone, which starts faster.
  uint64_t most_descriptors = 0;       ///< RLIMIT_NOFILE of the agent; 0: as it is.
  std::vector<std::string> wrapper;    ///< A command that runs the agent: {"setpriv", ...}.
  std::vector<std::string> arguments;  ///< Instead of the configuration.
  bool readable_by_all = false;        ///< The agent's folder.
  uid_t owner = 0;                     ///< Of the agent's folder, where this test is root's.
};

/// How a program ended, and what it had said.
struct Ended {
  int status = -1;  ///< Exit status; 128 + n for signal n; -1: it still ran after the time it was given.
  std::string log;
};

class AgentProcess {
 public:
  /// Starts an agent and waits until it says that it is ready; anything else fails the test.
  explicit AgentProcess(AgentSetup setup = {});
  /// Ends it, unless the test has: see stop(). Shows its log if the test has failed.
  ~AgentProcess();
  AgentProcess(const AgentProcess&) = delete;
  AgentProcess& operator=(const AgentProcess&) = delete;

  /// Starts an agent that is expected to refuse, and returns how it ended.
  static Ended run_to_end(AgentSetup setup);

  [[nodiscard]] const std::filesystem::path& folder() const { return folder_.path(); }
  [[nodiscard]] std::string socket() const { return (folder() / "agent.sock").string(); }
  [[nodiscard]] std::string endpoint() const { return "unix:" + socket(); }
  [[nodiscard]] std::string control() const { return (folder() / "control.sock").string(); }
  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] std::string log() const { return read_file(folder() / "log"); }

  /// The workers that run now.
  [[nodiscard]] std::vector<pid_t> workers() const;
  /// The only worker; waits for it.
  [[nodiscard]] pid_t worker() const;
  /// Kills the worker, and waits until it has ended.
  void kill_worker();

  /// Runs vaccelctl against this agent, as an operator would. @return its status and all that it said.
  [[nodiscard]] Ended vaccelctl(const std::vector<std::string>& arguments) const;

  void signal(int number) const;
  /// Waits until it has ended. @return as Ended::status.
  int wait_for_end(int64_t within_ms = 10'000);
  /// SIGTERM; expects a clean end, and no worker left behind.
  void stop();
  /// SIGKILL: no farewell.
  void kill();
  /// Starts it again in the same folder, after stop() or kill().
  void start();

 private:
  struct NoStart {};
  AgentProcess(AgentSetup setup, NoStart);
  void write_config() const;
  [[nodiscard]] std::string in_folder(std::string text) const;
  void spawn();
  bool wait_until_ready();

  AgentSetup setup_;
  TemporaryFolder folder_;
  UniqueFd notify_;
  pid_t pid_ = 0;
};

}  // namespace vaccel::integration
