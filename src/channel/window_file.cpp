// SPDX-License-Identifier: Apache-2.0
#include "channel/window_file.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <optional>

namespace vaccel::channel {
namespace {

using Number = unsigned long long;  // for printf

// NOT_FOUND and PERMISSION_DENIED have codes of their own; `otherwise` is for the rest.
Unexpected cannot(const char* what, int error, vaccel_status otherwise = VACCEL_INVALID_ARGUMENT) {
  vaccel_status code = otherwise;
  if (error == ENOENT || error == ENOTDIR) code = VACCEL_NOT_FOUND;
  if (error == EACCES || error == EPERM || error == EROFS) code = VACCEL_PERMISSION_DENIED;
  if (error == ENOSPC || error == EDQUOT || error == EFBIG) code = VACCEL_RESOURCE_EXHAUSTED;
  return fail(code, "cannot %s it: %s", what, errno_text(error).c_str());
}

Result<UniqueFd> open_regular(const std::string& path, int access) {
  // O_NONBLOCK: what looks like a file may be a pipe, and nobody waits for its other end.
  UniqueFd fd{::open(path.c_str(), access | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK)};
  if (!fd.valid() && errno == ELOOP)
    return fail(VACCEL_INVALID_ARGUMENT, "it is a symbolic link; name the file itself");
  if (!fd.valid()) return cannot("open", errno);
  struct stat file {};
  if (::fstat(fd.get(), &file) != 0) return cannot("look at", errno);
  if (!S_ISREG(file.st_mode)) return fail(VACCEL_INVALID_ARGUMENT, "it is not a regular file");
  return fd;
}

Status check_file_system(int fd) {
  struct statfs system {};
  if (::fstatfs(fd, &system) == 0 && system.f_type == HUGETLBFS_MAGIC) {
    return failure(
        VACCEL_INVALID_ARGUMENT,
        "it is on hugetlbfs, whose pages are too large to be leased one by one; for huge pages, use a "
        "tmpfs that is mounted with huge=always");
  }
  return {};
}

Status read_at(int fd, uint64_t offset, std::span<std::byte> bytes) {
  const ssize_t got = ::pread(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
  if (got < 0) return cannot("read", errno).error();
  if (static_cast<size_t>(got) < bytes.size()) return failure(VACCEL_INVALID_ARGUMENT, "it ends too early");
  return {};
}

Status write_at(int fd, uint64_t offset, std::span<const std::byte> bytes) {
  const ssize_t written = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
  if (written == static_cast<ssize_t>(bytes.size())) return {};
  return cannot("write", written < 0 ? errno : ENOSPC).error();
}

Result<WindowHeader> read_contents(int fd, uint64_t file_bytes) {
  InfoBlock block;
  if (Status status = read_at(fd, kInfoBlockOffset, block); !status.ok())
    return Unexpected{std::move(status)};
  if (Status status = check_info_block(block, file_bytes); !status.ok()) return Unexpected{std::move(status)};
  alignas(8) std::array<std::byte, kWindowHeaderBytes> page;
  if (Status status = read_at(fd, kWindowDataOffset, page); !status.ok())
    return Unexpected{std::move(status)};
  auto header = read_window_header(page);
  if (header && header->bytes != file_bytes - kWindowDataOffset) {
    return fail(VACCEL_INVALID_ARGUMENT, "its header is for a window of %llu bytes, and the file has %llu",
                static_cast<Number>(header->bytes), static_cast<Number>(file_bytes - kWindowDataOffset));
  }
  return header;
}

// What a file that is open says of itself, when all of it is right.
Result<WindowFileState> read_state(int fd) {
  struct stat file {};
  if (::fstat(fd, &file) != 0) return cannot("look at", errno);
  WindowFileState state{.bytes = static_cast<uint64_t>(file.st_size),
                        .taken_bytes = static_cast<uint64_t>(file.st_blocks) * 512,
                        .header = {}};
  if (Status status = check_file_system(fd); !status.ok()) return Unexpected{std::move(status)};
  if (Status status = check_window_file_size(state.bytes); !status.ok()) return Unexpected{std::move(status)};
  auto header = read_contents(fd, state.bytes);
  if (!header) return Unexpected{header.error()};
  state.header = *header;
  return state;
}

// A file without a name yet that goes when its owner does, unless it was given one.
class Unfinished {
 public:
  static Result<Unfinished> beside(const std::string& path) {
    std::string name = path + ".XXXXXX";
    UniqueFd fd{::mkostemp(name.data(), O_CLOEXEC)};  // mode 0600
    if (!fd.valid()) return cannot("make", errno);
    return Unfinished{std::move(fd), std::move(name)};
  }
  Unfinished(Unfinished&&) = default;
  Unfinished& operator=(Unfinished&&) = delete;
  ~Unfinished() {
    if (fd_.valid()) ::unlink(name_.c_str());
  }

  [[nodiscard]] int fd() const { return fd_.get(); }

  Status finish(const std::string& path, bool replace) {
    const unsigned flags = replace ? 0 : RENAME_NOREPLACE;
    if (::renameat2(AT_FDCWD, name_.c_str(), AT_FDCWD, path.c_str(), flags) == 0) {
      fd_.reset();
      return {};
    }
    if (errno == EEXIST)
      return failure(VACCEL_INVALID_ARGUMENT, "it exists already; '--force' makes it anew");
    return cannot("make", errno).error();
  }

 private:
  Unfinished(UniqueFd fd, std::string name) : fd_(std::move(fd)), name_(std::move(name)) {}
  UniqueFd fd_;
  std::string name_;
};

Status check_room(int fd, uint64_t bytes) {
  struct statvfs system {};
  if (::fstatvfs(fd, &system) != 0 || system.f_blocks == 0) return {};  // without a limit
  const uint64_t room = uint64_t{system.f_bavail} * system.f_frsize;
  if (room >= bytes) return {};
  return failure(
      VACCEL_RESOURCE_EXHAUSTED,
      "its file system has room for %llu bytes, and the window has %llu: the VM would end when it is full",
      static_cast<Number>(room), static_cast<Number>(bytes));
}

}  // namespace

Status check_window_file_size(uint64_t bytes) {
  if (bytes >= kMinWindowFileBytes && bytes % kWindowFileGranule == 0) return {};
  return failure(VACCEL_INVALID_ARGUMENT,
                 "%llu bytes cannot be a window's file; it has a multiple of 2 MiB, and at least 4 MiB",
                 static_cast<Number>(bytes));
}

uint64_t random_identity() {
  uint64_t number = 0;
  (void)::getrandom(&number, sizeof number, 0);
  return number;
}

Status write_window_header(int fd, uint64_t start, const WindowHeader& header) {
  return write_at(fd, start, encode_window_header(header));
}

Status write_window_info_block(int fd, uint64_t file_bytes) {
  std::array<std::byte, 16> uuid;
  (void)::getrandom(uuid.data(), uuid.size(), 0);
  return write_at(fd, kInfoBlockOffset, write_info_block(file_bytes, uuid));
}

Result<WindowFile> open_window_file(const std::string& path) {
  auto fd = open_regular(path, O_RDWR);
  if (!fd && fd.error().code() == VACCEL_NOT_FOUND)
    return fail(VACCEL_NOT_FOUND, "there is no such file; 'vaccelctl window create' makes one");
  if (!fd) return Unexpected{fd.error()};
  if (::flock(fd->get(), LOCK_EX | LOCK_NB) != 0) {
    return fail(VACCEL_UNAVAILABLE,
                "another agent has it, or another VM of this one; each VM has a window of its own");
  }
  const auto state = read_state(fd->get());
  if (!state) {
    return fail(state.error().code(), "%s; 'vaccelctl window create' makes a new one",
                state.error().message().c_str());
  }
  return WindowFile{.lock = std::move(*fd), .bytes = state->bytes, .header = state->header};
}

Result<WindowFileState> inspect_window_file(const std::string& path) {
  auto fd = open_regular(path, O_RDONLY);
  if (!fd) return Unexpected{fd.error()};
  auto state = read_state(fd->get());
  if (state) state->held = ::flock(fd->get(), LOCK_SH | LOCK_NB) != 0;
  return state;
}

Status create_window_file(const std::string& path, uint64_t bytes, bool replace) {
  if (Status status = check_window_file_size(bytes); !status.ok()) return status;
  std::optional<UniqueFd> old;  // and locked, so that no agent takes it over while it is replaced
  if (replace) {
    auto there = open_regular(path, O_RDONLY);
    if (!there && there.error().code() != VACCEL_NOT_FOUND) return there.error();
    if (there && ::flock(there->get(), LOCK_EX | LOCK_NB) != 0)
      return failure(VACCEL_UNAVAILABLE, "an agent has it; detach its VM first");
    if (there) old = std::move(*there);
  }
  auto made = Unfinished::beside(path);
  if (!made) return made.error();
  const int fd = made->fd();
  if (Status status = check_file_system(fd); !status.ok()) return status;
  if (::ftruncate(fd, static_cast<off_t>(bytes)) != 0) return cannot("make", errno).error();
  if (Status status = check_room(fd, bytes); !status.ok()) return status;
  if (Status status = write_window_info_block(fd, bytes); !status.ok()) return status;
  const WindowHeader header{.bytes = bytes - kWindowDataOffset,
                            .identity = {.vm_low = random_identity(), .vm_high = random_identity()}};
  if (Status status = write_window_header(fd, kWindowDataOffset, header); !status.ok()) return status;
  return made->finish(path, replace);
}

}  // namespace vaccel::channel
