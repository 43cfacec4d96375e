// SPDX-License-Identifier: Apache-2.0
#include "jail/mounts.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace vaccel::jail {
namespace {

// The new root is made on top of a folder that is always there; what lies below has been taken before.
constexpr const char* kPlaceOfRoot = "/usr";

std::string below_root(const std::filesystem::path& path) {
  return path.relative_path().string();
}

bool is_within(const std::string& path, const std::string& folder) {
  return path.size() > folder.size() && path.starts_with(folder) && path[folder.size()] == '/';
}

}  // namespace

MountPlan::MountPlan(const Policy& policy)
    : root_options_("mode=0755,size=1m,nr_inodes=4096"),
      scratch_options_("mode=0700,nr_inodes=4096,size=" + std::to_string(policy.scratch_bytes)) {
  for (const auto& path : policy.readable)
    add(path, Access::kRead);
  for (const auto& path : policy.executable)
    add(path, Access::kRead);
  for (const auto& path : policy.writable)
    add(path, Access::kWrite);
  for (const auto& path : policy.devices)
    add(path, Access::kDevice);
  std::ranges::sort(mounts_, {}, [](const Mount& mount) { return std::pair(mount.target, mount.access); });
  // What another one brings along needs no mount of its own.
  std::vector<Mount> needed;
  for (Mount& mount : mounts_) {
    const bool there = std::ranges::any_of(needed, [&](const Mount& other) {
      return other.access == mount.access &&
             (other.target == mount.target || is_within(mount.target, other.target));
    });
    if (!there) needed.push_back(std::move(mount));
  }
  mounts_ = std::move(needed);
  make_places();
}

void MountPlan::add(const std::filesystem::path& path, Access access) {
  std::error_code error;
  const std::filesystem::path real = std::filesystem::canonical(path, error);
  if (error || !path.is_absolute() || real == "/") return;
  mounts_.push_back({real.string(), below_root(real), std::filesystem::is_directory(real, error), access});
  // By its other name, too: /lib, where that is a link to /usr/lib.
  if (path.lexically_normal() != real)
    links_.emplace_back(below_root(path.lexically_normal()), real.string());
}

void MountPlan::make_folders_above(const std::string& target) {
  for (size_t slash = target.find('/'); slash != std::string::npos; slash = target.find('/', slash + 1))
    folders_.push_back(target.substr(0, slash));
}

void MountPlan::make_places() {
  const auto is_inside = [&](const std::string& target) {
    return std::ranges::any_of(mounts_, [&](const Mount& other) { return is_within(target, other.target); });
  };
  for (const Mount& mount : mounts_) {
    if (is_inside(mount.target)) continue;
    make_folders_above(mount.target);
    (mount.is_folder ? folders_ : files_).push_back(mount.target);
  }
  std::erase_if(links_, [&](const auto& link) { return is_inside(link.first); });
  for (const auto& [link, target] : links_)
    make_folders_above(link);
  folders_.emplace_back("proc");
  std::ranges::sort(folders_);
  folders_.erase(std::ranges::unique(folders_).begin(), folders_.end());
}

bool MountPlan::take_trees(const Report& report) {
  // Nothing that is mounted here shows outside.
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
    return report.failed("keep mounts apart");
  for (Mount& mount : mounts_) {
    mount.tree = static_cast<int>(::syscall(SYS_open_tree, AT_FDCWD, mount.source.c_str(),
                                            OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE));
    if (mount.tree < 0) return report.failed("take", mount.source.c_str());
  }
  return true;
}

bool MountPlan::make_root(const Report& report) const {
  if (::mount("vaccel", kPlaceOfRoot, "tmpfs", MS_NOSUID | MS_NODEV, root_options_.c_str()) != 0)
    return report.failed("mount a root");
  if (::chdir(kPlaceOfRoot) != 0) return report.failed("go to the new root");
  // Before what the policy names, some of which may lie in there.
  if (::mkdir("tmp", 0755) != 0) return report.failed("make /tmp");
  if (::mount("tmp", "tmp", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, scratch_options_.c_str()) != 0)
    return report.failed("mount /tmp");
  for (const std::string& folder : folders_) {
    if (::mkdir(folder.c_str(), 0755) != 0 && errno != EEXIST)
      return report.failed("make folder", folder.c_str());
  }
  for (const std::string& file : files_) {
    const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0444);
    if (fd < 0) return report.failed("make file", file.c_str());
    ::close(fd);
  }
  for (const auto& [link, target] : links_) {
    if (::symlink(target.c_str(), link.c_str()) != 0 && errno != EEXIST)
      return report.failed("make link", link.c_str());
  }
  return true;
}

bool MountPlan::place_trees(const Report& report) const {
  for (const Mount& mount : mounts_) {
    const char* target = mount.target.c_str();
    if (::syscall(SYS_move_mount, mount.tree, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) != 0)
      return report.failed("mount", mount.source.c_str());
    mount_attr attributes{};
    attributes.attr_set = MOUNT_ATTR_NOSUID;
    if (mount.access != Access::kDevice) attributes.attr_set |= MOUNT_ATTR_NODEV;
    if (mount.access == Access::kRead) attributes.attr_set |= MOUNT_ATTR_RDONLY;
    if (::syscall(SYS_mount_setattr, AT_FDCWD, target, AT_RECURSIVE, &attributes, sizeof attributes) != 0)
      return report.failed("limit the mount of", mount.source.c_str());
  }
  if (::mount("proc", "proc", "proc", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0)
    return report.missing("a /proc of its own");
  return true;
}

bool MountPlan::enter(const Report& report) const {
  if (::syscall(SYS_pivot_root, ".", ".") == 0) {
    if (::umount2(".", MNT_DETACH) != 0) return report.failed("leave the old root");
  } else if (errno != EINVAL ||
             ::chroot(".") != 0) {  // EINVAL: the agent's own root is no mount, in a chroot
    return report.failed("change roots");
  }
  if (::chdir("/") != 0) return report.failed("go to the new root");
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_RDONLY;
  if (::syscall(SYS_mount_setattr, AT_FDCWD, "/", 0, &attributes, sizeof attributes) != 0)
    return report.failed("close the new root");
  return true;
}

bool MountPlan::apply(const Report& report) {
  return take_trees(report) && make_root(report) && place_trees(report) && enter(report);
}

}  // namespace vaccel::jail
