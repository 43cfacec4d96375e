// SPDX-License-Identifier: Apache-2.0
#include "jail/cgroup.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>

#include "core/unique_fd.h"

namespace vaccel::jail {
namespace {

constexpr const char* kPrefix = "vaccel-";
constexpr int64_t kPeriodUs = 100'000;

struct Place {
  std::filesystem::path folder;  // of this process's group
  int version = 0;
};

bool lists(const std::string& commas, const std::string& word) {
  return ("," + commas + ",").find("," + word + ",") != std::string::npos;
}

std::string read_text(const std::filesystem::path& file) {
  std::ifstream stream(file);
  std::ostringstream text;
  text << stream.rdbuf();
  return std::move(text).str();
}

// Where a kind of hierarchy is mounted: "cgroup2", or "cgroup" with a controller among its options.
std::optional<std::filesystem::path> mount_of(const std::string& kind, const std::string& controller) {
  std::ifstream mounts("/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    const size_t separator = line.find(" - ");
    if (separator == std::string::npos) continue;
    std::istringstream before(line.substr(0, separator));
    std::istringstream after(line.substr(separator + 3));
    std::string skipped;
    std::string root;
    std::string place;
    std::string type;
    std::string source;
    std::string options;
    before >> skipped >> skipped >> skipped >> root >> place;
    after >> type >> source >> options;
    if (type == kind && (controller.empty() || lists(options, controller))) return place;
  }
  return std::nullopt;
}

// The group of this process for a controller. "4:memory:/path", "0::/path".
std::optional<Place> place_of(const std::string& controller) {
  std::ifstream groups("/proc/self/cgroup");
  std::optional<Place> unified;
  for (std::string line; std::getline(groups, line);) {
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string path = line.substr(second + 1);
    if (lists(controllers, controller)) {
      const auto mount = mount_of("cgroup", controller);
      if (mount) return Place{*mount / path.substr(1), 1};
    } else if (controllers.empty()) {
      if (const auto mount = mount_of("cgroup2", "")) unified = Place{*mount / path.substr(1), 2};
    }
  }
  return unified;
}

Status write_value(const std::filesystem::path& file, const std::string& value) {
  const UniqueFd fd{::open(file.c_str(), O_WRONLY | O_CLOEXEC)};
  if (fd.valid() && ::write(fd.get(), value.data(), value.size()) == static_cast<ssize_t>(value.size()))
    return {};
  return failure(VACCEL_UNAVAILABLE, "cannot write %s to %s: %s", value.c_str(), file.c_str(),
                 errno_text(errno).c_str());
}

pid_t parent_of(pid_t pid) {
  const std::string stat = read_text("/proc/" + std::to_string(pid) + "/stat");
  const size_t name_ends = stat.rfind(')');  // "12 (name) S 1 ..."
  if (name_ends == std::string::npos) return 0;
  std::istringstream rest(stat.substr(name_ends + 1));
  std::string state;
  pid_t parent = 0;
  rest >> state >> parent;
  return parent;
}

// Of version 2 a group has either processes or groups with limits, but for the root: this process, and workers that it has started
// without, go into one of their own. Others that are in the group stay there, and it cannot be divided.
Status make_divisible(Place& place, const std::string& controller) {
  const std::string own_name = kPrefix + std::string("agent");
  if (place.folder.filename() == own_name) place.folder = place.folder.parent_path();
  std::istringstream controllers(read_text(place.folder / "cgroup.controllers"));
  if (std::find(std::istream_iterator<std::string>(controllers), {}, controller) ==
      std::istream_iterator<std::string>()) {
    return failure(VACCEL_UNAVAILABLE,
                   "the control group %s has no controller '%s'; for systemd: Delegate=yes",
                   place.folder.c_str(), controller.c_str());
  }
  const bool is_root = ::access((place.folder / "cgroup.type").c_str(), F_OK) != 0;
  if (!is_root) {
    std::vector<pid_t> ours;
    std::ifstream processes(place.folder / "cgroup.procs");
    for (pid_t pid = 0; processes >> pid;) {
      if (pid == ::getpid() || parent_of(pid) == ::getpid()) {
        ours.push_back(pid);
      } else if (::kill(pid, 0) == 0 || errno != ESRCH) {
        return failure(VACCEL_UNAVAILABLE,
                       "the control group %s has other processes than the agent's, and so cannot be divided",
                       place.folder.c_str());
      }
    }
    const std::filesystem::path own = place.folder / own_name;
    std::error_code error;
    std::filesystem::create_directory(own, error);
    if (error) return failure(VACCEL_UNAVAILABLE, "cannot make %s: %s", own.c_str(), error.message().c_str());
    for (const pid_t pid : ours) {
      Status status = write_value(own / "cgroup.procs", std::to_string(pid));
      if (!status.ok() && ::kill(pid, 0) == 0) return status;  // one that has ended meanwhile needs no group
    }
  }
  return write_value(place.folder / "cgroup.subtree_control", "+" + controller);
}

// What agents that were killed have left behind; a group in use cannot be removed.
void remove_old(const std::filesystem::path& folder) {
  std::error_code error;
  for (std::filesystem::directory_iterator entries(folder, error), end; !error && entries != end;
       entries.increment(error)) {
    const std::string name = entries->path().filename().string();
    if (!name.starts_with(kPrefix)) continue;
    int pid = 0;
    const char* digits = name.c_str() + std::char_traits<char>::length(kPrefix);
    std::from_chars(digits, name.c_str() + name.size(), pid);
    if (pid > 0 && ::kill(pid, 0) != 0 && errno == ESRCH) ::rmdir(entries->path().c_str());
  }
}

std::string next_name() {
  static std::atomic<uint32_t> count = 0;
  return kPrefix + std::to_string(::getpid()) + "-" + std::to_string(++count);
}

}  // namespace

Cgroup& Cgroup::operator=(Cgroup&& other) noexcept {
  if (this != &other) {
    remove();
    folders_ = std::exchange(other.folders_, {});
  }
  return *this;
}

Result<Cgroup> Cgroup::create(const Policy& policy) {
  Cgroup group;
  Status status;
  if (policy.memory_bytes > 0) {
    const std::string bytes = std::to_string(policy.memory_bytes);
    status = group.limit("memory", {{"memory.limit_in_bytes", bytes}},
                         {{"memory.max", bytes}, {"memory.swap.max", "0"}});
  }
  if (status.ok() && policy.cpus > 0) {
    const std::string quota = std::to_string(static_cast<int64_t>(policy.cpus * kPeriodUs));
    const std::string period = std::to_string(kPeriodUs);
    std::string both = quota;
    both += ' ';
    both += period;
    status =
        group.limit("cpu", {{"cpu.cfs_period_us", period}, {"cpu.cfs_quota_us", quota}}, {{"cpu.max", both}});
  }
  // Tasks alone are no reason for a group, but for root's: others have a limit on their processes, too.
  if (status.ok() && (group.limits_anything() || ::geteuid() == 0)) {
    const std::string tasks = std::to_string(policy.tasks);
    status = group.limit("pids", {{"pids.max", tasks}}, {{"pids.max", tasks}});
  }
  if (!status.ok()) return Unexpected{std::move(status)};
  return group;
}

Status Cgroup::limit(const std::string& controller,
                     const std::vector<std::pair<std::string, std::string>>& values_1,
                     const std::vector<std::pair<std::string, std::string>>& values_2) {
  auto place = place_of(controller);
  if (!place) return failure(VACCEL_UNAVAILABLE, "there is no control group for %s", controller.c_str());
  if (place->version == 2) {
    if (Status status = make_divisible(*place, controller); !status.ok()) return status;
  }
  const auto known = std::ranges::find_if(
      folders_, [&](const Folder& folder) { return folder.path.parent_path() == place->folder; });
  std::filesystem::path folder;
  if (known != folders_.end()) {
    folder = known->path;  // of version 2, or of controllers that are mounted together
  } else {
    remove_old(place->folder);
    folder = place->folder / (folders_.empty() ? next_name() : folders_.front().path.filename().string());
    std::error_code error;
    std::filesystem::create_directory(folder, error);
    if (error)
      return failure(VACCEL_UNAVAILABLE, "cannot make %s: %s", folder.c_str(), error.message().c_str());
  }
  folders_.push_back({folder, controller, place->version});
  for (const auto& [file, value] : place->version == 1 ? values_1 : values_2) {
    // Without swap in the kernel there is nothing to limit there.
    if (file == "memory.swap.max" && ::access((folder / file).c_str(), F_OK) != 0) continue;
    if (Status status = write_value(folder / file, value); !status.ok()) return status;
  }
  return {};
}

Status Cgroup::add(pid_t pid) const {
  for (const Folder& folder : folders_) {
    if (Status status = write_value(folder.path / "cgroup.procs", std::to_string(pid)); !status.ok())
      return status;
  }
  return {};
}

bool Cgroup::limits_memory() const {
  return std::ranges::any_of(folders_, [](const Folder& folder) { return folder.controller == "memory"; });
}

bool Cgroup::ran_out_of_memory() const {
  for (const Folder& folder : folders_) {
    if (folder.controller != "memory") continue;
    std::istringstream events(
        read_text(folder.path / (folder.version == 1 ? "memory.oom_control" : "memory.events")));
    std::string name;
    for (uint64_t count = 0; events >> name >> count;) {
      if (name == "oom_kill" && count > 0) return true;
    }
  }
  return false;
}

void Cgroup::remove() {
  for (const Folder& folder : folders_)
    ::rmdir(folder.path.c_str());
  folders_.clear();
}

}  // namespace vaccel::jail
