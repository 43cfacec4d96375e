// SPDX-License-Identifier: Apache-2.0
#include "tools/vaccel/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "core/unique_fd.h"

namespace vaccel::tool {
namespace {

constexpr size_t kFirstRead = 64 << 10;

vaccel_status code_of(int error_number) {
  switch (error_number) {
    case ENOENT:
    case ENOTDIR:
      return VACCEL_NOT_FOUND;
    case EACCES:
    case EPERM:
    case EROFS:
      return VACCEL_PERMISSION_DENIED;
    case EISDIR:
    case ENAMETOOLONG:
    case ELOOP:
    case EEXIST:
      return VACCEL_INVALID_ARGUMENT;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      return VACCEL_RESOURCE_EXHAUSTED;
    default:
      return VACCEL_INTERNAL;
  }
}

Status refuse(const char* what, const std::string& path, int error_number) {
  return failure(code_of(error_number), "cannot %s %s: %s", what, path.c_str(),
                 errno_text(error_number).c_str());
}

Result<std::vector<std::byte>> read_all(int fd, const std::string& path, uint64_t most) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) return Unexpected{refuse("read", path, errno)};
  if (S_ISDIR(status.st_mode)) return Unexpected{refuse("read", path, EISDIR)};
  const auto size = S_ISREG(status.st_mode) ? static_cast<uint64_t>(status.st_size) : 0;
  std::vector<std::byte> bytes;
  size_t used = 0;
  bool ended = false;
  // One byte more than its size says: a file may be growing, and those of /proc say 0.
  bytes.resize(static_cast<size_t>(std::min(std::max(size, uint64_t{kFirstRead}), most) + 1));
  while (!ended && used <= most) {
    if (used == bytes.size()) bytes.resize(static_cast<size_t>(std::min<uint64_t>(used * 2, most + 1)));
    const ssize_t got = ::read(fd, bytes.data() + used, bytes.size() - used);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Unexpected{refuse("read", path, errno)};
    ended = got == 0;
    used += static_cast<size_t>(got);
  }
  if (used > most) {
    return fail(VACCEL_RESOURCE_EXHAUSTED, "%s has more than %llu bytes, the most that is read of a file",
                path.c_str(), static_cast<unsigned long long>(most));
  }
  bytes.resize(used);
  return bytes;
}

Status write_all(int fd, std::span<const std::byte> bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return refuse("write", path, errno);
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
  return {};
}

}  // namespace

Result<std::vector<std::byte>> read_file(const std::string& path, uint64_t most) {
  if (path == "-") return read_all(STDIN_FILENO, "standard input", most);
  const UniqueFd fd{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (!fd.valid()) return Unexpected{refuse("read", path, errno)};
  return read_all(fd.get(), path, most);
}

Status write_file(const std::string& path, std::span<const std::byte> bytes) {
  const UniqueFd fd{::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)};
  if (!fd.valid()) return refuse("write", path, errno);
  Status status = write_all(fd.get(), bytes, path);
  struct stat written {};
  if (!status.ok() && ::fstat(fd.get(), &written) == 0 && S_ISREG(written.st_mode)) ::unlink(path.c_str());
  return status;
}

Status make_folder(const std::string& path) {
  if (::mkdir(path.c_str(), 0777) == 0) return {};
  const int error_number = errno;
  struct stat status {};
  if (error_number == EEXIST && ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) return {};
  return refuse("make the folder", path, error_number);
}

}  // namespace vaccel::tool
