// SPDX-License-Identifier: Apache-2.0
//
// The other processes of the benchmark: a child that is ended when its owner goes, the agent that is measured, and
// the folder that both work in.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

#include "core/unique_fd.h"
#include "section.h"

namespace vaccel::bench {

/// What a child process gets from its parent.
struct Surroundings {
  int input = -1;      ///< Its standard input; -1: the parent's.
  int output = -1;     ///< Its standard output; -1: the parent's.
  int errors = -1;     ///< Its standard error; -1: the parent's.
  std::string notify;  ///< Its $NOTIFY_SOCKET; "": it has none.
};

/// A child process. It is asked to end (SIGTERM), and killed if it does not, when this goes; it dies with its parent.
class ChildProcess {
 public:
  explicit ChildProcess(const std::vector<std::string>& command, const Surroundings& surroundings = {});
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }
  /// Readable when it has ended.
  [[nodiscard]] int pid_fd() const { return pid_fd_.get(); }
  /// Waits for its end; throws when that is no success.
  void expect_success();
  /// Kills it (SIGKILL), and waits until it has ended.
  void kill_now();

 private:
  std::string program_;
  pid_t pid_ = 0;
  UniqueFd pid_fd_;
};

/// What is said to an agent, besides where everything is.
struct AgentKeys {
  std::string keys;             ///< Lines at the top of its configuration.
  std::string tables;           ///< Tables at its end. FOLDER stands for the agent's folder.
  bool reference_only = false;  ///< Only the backend "reference", which starts faster than all of them.
  bool log_to_file =
      false;  ///< Where what it says of its workers' ends is wanted, and no news: WorkFolder::log().
};

/// A folder for one section's files, removed with it: the configuration, and the agent's socket.
class WorkFolder {
 public:
  explicit WorkFolder(const Setting& setting, const AgentKeys& keys = {});
  ~WorkFolder();
  WorkFolder(const WorkFolder&) = delete;
  WorkFolder& operator=(const WorkFolder&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] std::filesystem::path configuration() const { return path_ / "vaccel.toml"; }
  [[nodiscard]] std::string local_endpoint() const { return "local:" + configuration().string(); }
  [[nodiscard]] std::string agent_endpoint() const { return "unix:" + (path_ / "agent.sock").string(); }
  /// Where the agent logs to; "": the standard error.
  [[nodiscard]] const std::filesystem::path& log() const { return log_; }
  [[nodiscard]] std::string control() const { return (path_ / "control.sock").string(); }

 private:
  std::filesystem::path path_;
  std::filesystem::path log_;
};

/// A vacceld, with one worker if its configuration does not say otherwise, ready to serve when the constructor returns.
class AgentProcess {
 public:
  AgentProcess(const Setting& setting, const WorkFolder& folder);
  [[nodiscard]] pid_t pid() const { return process_.pid(); }
  /// Kills it (SIGKILL): it says farewell to nobody.
  void kill_now() { process_.kill_now(); }
  /// Keeps the agent, but not its worker, on one CPU from now on.
  void stay_on(int cpu);

 private:
  UniqueFd notices_;
  UniqueFd log_;
  ChildProcess process_;
};

}  // namespace vaccel::bench
