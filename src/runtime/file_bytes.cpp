// SPDX-License-Identifier: Apache-2.0
#include "runtime/file_bytes.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace vaccel::runtime {
namespace {

Unexpected cannot(const char* what, const std::filesystem::path& file, int error_number) {
  const vaccel_status code = error_number == ENOENT || error_number == ENOTDIR ? VACCEL_NOT_FOUND
                             : error_number == EACCES || error_number == EPERM ? VACCEL_PERMISSION_DENIED
                             : error_number == ENOMEM                          ? VACCEL_RESOURCE_EXHAUSTED
                                                                               : VACCEL_INVALID_ARGUMENT;
  return fail(code, "cannot %s %s: %s", what, file.c_str(), errno_text(error_number).c_str());
}

}  // namespace

Result<FileBytes> FileBytes::read(const std::filesystem::path& file, uint64_t most) {
  const UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));  // a FIFO must not block
  if (!fd.valid()) return cannot("open", file, errno);
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) return cannot("examine", file, errno);
  if (!S_ISREG(status.st_mode)) {
    return fail(VACCEL_INVALID_ARGUMENT, "%s is not a regular file", file.c_str());
  }
  const auto size = static_cast<uint64_t>(status.st_size);
  if (size > most) {
    return fail(VACCEL_RESOURCE_EXHAUSTED, "%s has %llu bytes; at most %llu are accepted", file.c_str(),
                static_cast<unsigned long long>(size), static_cast<unsigned long long>(most));
  }
  FileBytes result;
  if (size == 0) return result;
  void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return cannot("make room for", file, ENOMEM);
  result.mapping_ = Mapping(memory, size);
  while (result.size_ < size) {
    const ssize_t count =
        ::read(fd.get(), static_cast<std::byte*>(memory) + result.size_, size - result.size_);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return cannot("read", file, errno);
    if (count == 0) break;  // it shrank meanwhile; what is there is what counts
    result.size_ += static_cast<size_t>(count);
  }
  return result;
}

std::string sha256_hex(std::span<const std::byte> bytes) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  if (EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, EVP_sha256(), nullptr) != 1) return {};
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (unsigned int index = 0; index < size; ++index) {
    text += kDigits[digest[index] >> 4];
    text += kDigits[digest[index] & 15];
  }
  return text;
}

}  // namespace vaccel::runtime
