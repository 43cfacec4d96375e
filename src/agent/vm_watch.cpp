// SPDX-License-Identifier: Apache-2.0
#include "agent/vm_watch.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

namespace vaccel::agent {
namespace {

/// After something has happened: more may, as a directory is being filled.
constexpr int64_t kSettleMs = 20;
/// Where directories cannot be watched, and for what events do not tell (a file system in a file system).
constexpr int64_t kLookAgainMs = 5'000;
constexpr const char* kVm = "{vm}";
constexpr const char* kTenant = "{tenant}";
/// Directories of one pattern that are looked into.
constexpr size_t kMaxDirectories = 16'384;

std::vector<std::string> parts_of(const std::string& pattern) {
  std::vector<std::string> parts;
  for (const auto& part : std::filesystem::path(pattern).relative_path())
    parts.push_back(part.string());
  return parts;
}

bool is_placeholder(const std::string& part) {
  return part == kVm || part == kTenant || part == "*";
}

// Gives a socket of ours in somebody else's directory to the owner of another one there. What is changed is what was looked at,
// whatever its name stands for by then: a socket, ours, with no other name.
void give_to_owner_of(const std::filesystem::path& other, const std::string& ours) {
  struct stat theirs {};
  struct stat file {};
  const UniqueFd socket{::open(ours.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC)};
  if (!socket.valid() || ::fstat(socket.get(), &file) != 0 || ::lstat(other.c_str(), &theirs) != 0) return;
  if (!S_ISSOCK(file.st_mode) || file.st_nlink != 1 || file.st_uid != ::geteuid()) return;
  (void)!::fchownat(socket.get(), "", theirs.st_uid, theirs.st_gid, AT_EMPTY_PATH);
}

bool is_a_socket(const std::filesystem::path& path) {
  struct stat file {};
  return ::lstat(path.c_str(), &file) == 0 && S_ISSOCK(file.st_mode);
}

// Goes down the directories that the rest of a pattern fits.
class Finder {
 public:
  Finder(std::vector<std::string> parts, std::set<std::filesystem::path>& seen)
      : parts_(std::move(parts)), seen_(seen) {}

  void descend(const std::filesystem::path& at, size_t index, const FoundVm& so_far) {
    const std::string& part = parts_[index];
    if (seen_.size() >= kMaxDirectories) return;
    seen_.insert(at);
    if (!is_placeholder(part)) return step(at / part, index, so_far);
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(at, error)) {
      const std::string name = entry.path().filename().string();
      if (name.starts_with('.') || (part != "*" && !is_tenant_name(name))) continue;
      FoundVm next = so_far;
      if (part == kVm) next.name = name;
      if (part == kTenant) next.tenant = name;
      step(entry.path(), index, next);
    }
  }

  std::vector<FoundVm> found;

 private:
  void step(const std::filesystem::path& path, size_t index, const FoundVm& so_far) {
    if (index + 1 < parts_.size()) {
      struct stat file {};
      // The operator's own part of the path may have links. From where names begin others make the directories, and links
      // could lead out of what the operator has named.
      const bool others = std::ranges::any_of(
          parts_.begin(), parts_.begin() + static_cast<std::ptrdiff_t>(index) + 1, is_placeholder);
      const int found_it = others ? ::lstat(path.c_str(), &file) : ::stat(path.c_str(), &file);
      if (found_it == 0 && S_ISDIR(file.st_mode)) descend(path, index + 1, so_far);
    } else if (is_a_socket(path)) {
      found.push_back(so_far);
      found.back().socket = path;
    }
  }

  const std::vector<std::string> parts_;
  std::set<std::filesystem::path>& seen_;
};

}  // namespace

std::string find_problem(const WatchedVms& watched) {
  if (!watched.pattern.starts_with('/'))
    return "'" + printable(watched.pattern) + "' is not an absolute path";
  const auto parts = parts_of(watched.pattern);
  const auto vms = std::ranges::count(parts, kVm);
  const auto tenants = std::ranges::count(parts, kTenant);
  if (vms != 1 || tenants > 1) {
    return "'" + printable(watched.pattern) +
           "' needs one part \"{vm}\", and may have one \"{tenant}\", as in "
           "\"/srv/jailer/firecracker/{vm}/root/v.sock\"";
  }
  if (parts.back() == kVm || parts.back() == kTenant)
    return "'" + printable(watched.pattern) + "' must end with the name of a socket";
  const auto has_brace = [](const std::string& part) {
    return part != kVm && part != kTenant && part.find_first_of("{}") != std::string::npos;
  };
  if (std::ranges::any_of(parts, has_brace))
    return "in '" + printable(watched.pattern) +
           "' \"{vm}\" and \"{tenant}\" stand for whole parts of the path";
  if (tenants == 1 && !watched.tenant.empty()) return "the pattern tells the tenant, so 'tenant' cannot";
  return {};
}

std::vector<FoundVm> find_vms(const WatchedVms& watched, std::set<std::filesystem::path>& seen) {
  Finder finder(parts_of(watched.pattern), seen);
  finder.descend("/", 0, {.name = {}, .tenant = watched.tenant, .socket = {}});
  for (FoundVm& vm : finder.found) {
    // Two tenants may each have a VM of the same name.
    if (watched.pattern.find(kTenant) != std::string::npos) vm.name = vm.tenant + "." + vm.name;
  }
  return std::move(finder.found);
}

VmWatch::VmWatch(Reactor& reactor, Log& log, Actions actions)
    : reactor_(reactor), log_(log), actions_(std::move(actions)), self_(std::make_shared<VmWatch*>(this)) {}

VmWatch::~VmWatch() {
  *self_ = nullptr;
  reactor_.cancel(timer_);
  if (inotify_.valid()) reactor_.remove(inotify_.get());
}

void VmWatch::watch(std::vector<WatchedVms> watched) {
  watched_ = std::move(watched);
  if (!inotify_.valid() && !watched_.empty()) {
    inotify_ = UniqueFd{::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)};
    const Status status =
        inotify_.valid() ? reactor_.add(inotify_.get(), EPOLLIN, [this](uint32_t) { on_event(); })
                         : failure(VACCEL_RESOURCE_EXHAUSTED, "inotify_init1: %s", errno_text(errno).c_str());
    if (!status.ok())
      log_.warning("VMs' sockets are looked for every %lld s: %s",
                   static_cast<long long>(kLookAgainMs / 1000), status.message().c_str());
  }
  look();
}

void VmWatch::on_event() {
  std::array<std::byte, 4096> events;
  while (::read(inotify_.get(), events.data(), events.size()) > 0) {
  }
  look_soon();
}

void VmWatch::look_soon() {
  reactor_.cancel(timer_);
  timer_ = reactor_.after_ms(kSettleMs, [this] { look(); });
}

void VmWatch::look() {
  reactor_.cancel(timer_);
  std::map<std::string, std::pair<const WatchedVms*, FoundVm>> there;
  for (const WatchedVms& watched : watched_) {
    std::set<std::filesystem::path> seen;
    for (FoundVm& vm : find_vms(watched, seen))
      there.try_emplace(vm.name, &watched, vm);
    constexpr uint32_t kEvents = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ONLYDIR;
    for (const auto& directory : seen) {
      if (inotify_.valid()) (void)::inotify_add_watch(inotify_.get(), directory.c_str(), kEvents);
    }
  }
  std::vector<std::string> gone;
  for (auto& [name, attached] : attached_) {
    const auto still = there.find(name);
    if (!attached.ending && (still == there.end() || still->second.second.socket != attached.socket))
      gone.push_back(name);
  }
  for (const std::string& name : gone)
    detach(name);
  std::erase_if(problems_, [&](const auto& problem) {
    return std::ranges::none_of(
        there, [&](const auto& entry) { return entry.second.second.socket == problem.first; });
  });
  for (const auto& [name, vm] : there) {
    if (!attached_.contains(name)) attach(*vm.first, vm.second);
  }
  if (!watched_.empty()) timer_ = reactor_.after_ms(kLookAgainMs, [this] { look(); });
}

void VmWatch::attach(const WatchedVms& watched, const FoundVm& vm) {
  const std::string endpoint = "hvsock:" + vm.socket.string() + ":" + std::to_string(watched.port);
  attached_[vm.name] = {.socket = vm.socket};
  const wire::AttachVm wanted{.name = vm.name, .listen = endpoint, .tenant = vm.tenant, .window = {}};
  actions_.attach(wanted, [self = self_, vm, port = watched.port](const Status& status) {
    VmWatch* watch = *self;
    if (watch == nullptr) return;
    if (!status.ok()) {
      watch->attached_.erase(vm.name);
      // Once: it is tried again whenever something changes.
      if (std::exchange(watch->problems_[vm.socket], status.message()) != status.message())
        watch->log_.line(LogLevel::kWarning, {.tenant = vm.tenant, .vm = vm.name},
                         "VM '%s' at %s is not attached: %s", vm.name.c_str(), vm.socket.c_str(),
                         status.message().c_str());
      return;
    }
    watch->problems_.erase(vm.socket);
    // The VMM connects there, as whoever it is: the owner of its own socket.
    if (::geteuid() == 0) give_to_owner_of(vm.socket, vm.socket.string() + "_" + std::to_string(port));
  });
}

void VmWatch::detach(const std::string& name) {
  attached_[name].ending = true;
  actions_.detach(name, [self = self_, name](const Status&) {
    VmWatch* watch = *self;
    if (watch == nullptr) return;
    watch->attached_.erase(name);
    watch->look_soon();  // there may be another one of that name by now
  });
}

}  // namespace vaccel::agent
