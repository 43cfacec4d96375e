// SPDX-License-Identifier: Apache-2.0
#include "agent/privileges.h"

#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace vaccel::agent {

Status become_user(const std::string& name, const std::vector<std::filesystem::path>& folders) {
  passwd entry{};
  passwd* found = nullptr;
  std::vector<char> text(16384);
  const int error = ::getpwnam_r(name.c_str(), &entry, text.data(), text.size(), &found);
  if (found == nullptr) {
    return failure(VACCEL_NOT_FOUND, "user: there is no user '%s' on this host%s%s", printable(name).c_str(),
                   error == 0 ? "" : ": ", error == 0 ? "" : errno_text(error).c_str());
  }
  if (::geteuid() == entry.pw_uid && ::getuid() == entry.pw_uid) return {};
  if (::geteuid() != 0) {
    return failure(VACCEL_PERMISSION_DENIED,
                   "user: only root can become '%s'; start the agent as root, or as that user",
                   printable(name).c_str());
  }
  for (const std::filesystem::path& folder : folders) {
    if (::mkdir(folder.c_str(), 0755) != 0)
      continue;  // it is there, or that shows when something is to be made in it
    if (::lchown(folder.c_str(), entry.pw_uid, entry.pw_gid) != 0)
      return failure(VACCEL_PERMISSION_DENIED, "user: cannot give %s to '%s': %s", folder.c_str(),
                     printable(name).c_str(), errno_text(errno).c_str());
  }
  // Groups first: afterwards it may not.
  if (::initgroups(entry.pw_name, entry.pw_gid) != 0 ||
      ::setresgid(entry.pw_gid, entry.pw_gid, entry.pw_gid) != 0 ||
      ::setresuid(entry.pw_uid, entry.pw_uid, entry.pw_uid) != 0) {
    return failure(VACCEL_PERMISSION_DENIED, "user: cannot become '%s': %s", printable(name).c_str(),
                   errno_text(errno).c_str());
  }
  if (entry.pw_uid != 0 && ::setuid(0) == 0)
    return failure(VACCEL_INTERNAL, "user: privileges could be had again");
  // Its files in /proc, the windows that it lends to VMMs among them, are its own and not root's.
  ::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
  return {};
}

}  // namespace vaccel::agent
