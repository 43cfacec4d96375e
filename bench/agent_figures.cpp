// SPDX-License-Identifier: Apache-2.0
#include "agent_figures.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include "failure.h"
#include "tools/vaccelctl/control_client.h"

namespace vaccel::bench {
namespace {

std::filesystem::path of_process(pid_t pid) {
  return std::filesystem::path("/proc") / std::to_string(pid);
}

size_t entries_of(const std::filesystem::path& folder) {
  std::error_code error;
  const std::filesystem::directory_iterator entries(folder, error);
  if (error) give_up("cannot read %s: %s", folder.c_str(), error.message().c_str());
  return static_cast<size_t>(std::distance(begin(entries), end(entries)));
}

// The value of "Name:   123 kB", in bytes.
uint64_t kilobytes_in(const std::string& text, const std::string& name) {
  const size_t at = text.find("\n" + name + ":");
  return at != std::string::npos ? std::stoull(text.substr(at + name.size() + 2)) * 1024 : 0;
}

std::string text_of(const std::filesystem::path& file) {
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  return std::move(text).str();
}

// Files without a name in any folder: what processes of ours hand to each other.
size_t shared_mappings_of(pid_t pid) {
  std::ifstream maps(of_process(pid) / "maps");
  size_t count = 0;
  for (std::string line; std::getline(maps, line);)
    count += line.find("/memfd:") != std::string::npos ? 1 : 0;
  return count;
}

}  // namespace

Footprint footprint_of(pid_t pid) {
  const std::string memory = text_of(of_process(pid) / "smaps_rollup");
  if (memory.empty()) give_up("process %d has gone, or does not say what memory it has", pid);
  return {.descriptors = entries_of(of_process(pid) / "fd"),
          .threads = entries_of(of_process(pid) / "task"),
          .shared_mappings = shared_mappings_of(pid),
          .resident_bytes = kilobytes_in(memory, "Rss"),
          .proportional_bytes = kilobytes_in(memory, "Pss")};
}

std::vector<pid_t> children_of(pid_t pid) {
  std::vector<pid_t> children;
  std::error_code gone;
  for (const auto& thread : std::filesystem::directory_iterator(of_process(pid) / "task", gone)) {
    std::istringstream pids(text_of(thread.path() / "children"));
    for (pid_t child = 0; pids >> child;) {
      if (is_running(child)) children.push_back(child);
    }
  }
  return children;
}

bool is_running(pid_t pid) {
  const std::string stat = text_of(of_process(pid) / "stat");
  const size_t name_end = stat.rfind(") ");  // a name may hold anything
  if (name_end == std::string::npos || name_end + 2 >= stat.size()) return false;
  return stat[name_end + 2] != 'Z' && stat[name_end + 2] != 'X';
}

wire::StatusReport status_at(const std::string& control) {
  auto client = ctl::ControlClient::connect(control);
  if (!client) give_up("no status of the agent: %s", client.error().message().c_str());
  auto report = client->status();
  if (!report) give_up("no status of the agent: %s", report.error().message().c_str());
  return std::move(*report);
}

}  // namespace vaccel::bench
