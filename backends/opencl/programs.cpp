// SPDX-License-Identifier: Apache-2.0
//
// A cached program is a file of its own: a line that says what it is, the length and text of the key (everything that
// the binary depends on), the binary's hash, then the binary. What does not fit to the letter is compiled anew and written
// over. The hash is there because drivers take a file that was cut off for granted: pocl ends the process.
#include "programs.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <vector>

#include "kernels.h"

namespace vaccel::opencl {
namespace {

constexpr std::string_view kMagic = "vaccel OpenCL program 1\n";
constexpr off_t kMostFileBytes = off_t{64} << 20;

uint64_t hash_of(std::string_view bytes) {  // FNV-1a: names a file, the whole key is compared
  uint64_t hash = 0xcbf29ce484222325u;
  for (const char byte : bytes)
    hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3u;
  return hash;
}

std::string hexadecimal(uint64_t number) {
  char digits[17];
  std::snprintf(digits, sizeof digits, "%016" PRIx64, number);
  return digits;
}

class File {
 public:
  explicit File(int descriptor) : descriptor_(descriptor) {}
  ~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  [[nodiscard]] int get() const { return descriptor_; }

 private:
  int descriptor_;
};

// Nobody but this user, or root, may have written what is about to run: the binary is code.
bool is_trusted(const struct stat& status) {
  return S_ISREG(status.st_mode) && (status.st_uid == ::geteuid() || status.st_uid == 0) &&
         (status.st_mode & (S_IWGRP | S_IWOTH)) == 0 && status.st_size <= kMostFileBytes;
}

std::string read_trusted(const std::string& path) {
  const File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  struct stat status {};
  if (file.get() < 0 || ::fstat(file.get(), &status) != 0 || !is_trusted(status)) return "";
  std::string content(static_cast<size_t>(status.st_size), '\0');
  size_t filled = 0;
  while (filled < content.size()) {
    const ssize_t count = ::read(file.get(), content.data() + filled, content.size() - filled);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return "";
    filled += static_cast<size_t>(count);
  }
  return content;
}

// Whole under its name, or not there: it is written under another one first. "" or why it is not.
std::string write_whole(const std::string& path, std::string_view content) {
  std::string temporary = path + ".XXXXXX";
  const File file(::mkostemp(temporary.data(), O_CLOEXEC));
  if (file.get() < 0) return std::strerror(errno);
  size_t written = 0;
  while (written < content.size()) {
    const ssize_t count = ::write(file.get(), content.data() + written, content.size() - written);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      const int reason = errno;
      ::unlink(temporary.c_str());
      return std::strerror(reason);
    }
    written += static_cast<size_t>(count);
  }
  if (::rename(temporary.c_str(), path.c_str()) == 0) return "";
  const int reason = errno;
  ::unlink(temporary.c_str());
  return std::strerror(reason);
}

std::string head_of(const std::string& key, std::string_view binary) {
  return std::string(kMagic) + std::to_string(key.size()) + "\n" + key + "\n" + hexadecimal(hash_of(binary)) +
         "\n";
}

std::string build_options(const Device& device, vaccel_dtype dtype) {
  std::string options = "-DGROUP=" + std::to_string(device.group_size);
  if (dtype == VACCEL_FLOAT64) options += " -DFLOAT64";
  if (dtype == VACCEL_FLOAT16) options += " -DFLOAT16";
  if (dtype == VACCEL_BFLOAT16) options += " -DBFLOAT16";
  return options;
}

}  // namespace

Programs::Programs(const OpenCl& cl, cl_context context, const Device& device,
                   const vaccel_backend_host* host, std::string cache)
    : cl_(cl), context_(context), device_(device), host_(host), cache_(std::move(cache)) {}

Kernel Programs::kernel(vaccel_dtype dtype, const char* name) {
  int error = CL_SUCCESS;
  Kernel kernel(cl_.clCreateKernel(program(dtype), name, &error), {cl_.clReleaseKernel});
  check(error, "clCreateKernel");
  return kernel;
}

cl_program Programs::program(vaccel_dtype dtype) {
  const std::lock_guard lock(mutex_);
  Program& program = programs_.at(static_cast<size_t>(dtype) - 1);
  if (program == nullptr) program = compile(dtype);
  return program.get();
}

Program Programs::compile(vaccel_dtype dtype) const {
  const std::string options = build_options(device_, dtype);
  const std::string key = device_.platform_name + "\n" + device_.platform_version + "\n" + device_.name +
                          "\n" + device_.driver + "\n" + options + "\n" + kKernels;
  const std::string file = cache_.empty() ? "" : cache_ + "/" + hexadecimal(hash_of(key)) + ".clprogram";
  if (!file.empty()) {
    if (Program program = from_cache(file, key, options)) return program;
  }
  int error = CL_SUCCESS;
  const char* source = kKernels;
  Program program(cl_.clCreateProgramWithSource(context_, 1, &source, nullptr, &error),
                  {cl_.clReleaseProgram});
  check(error, "clCreateProgramWithSource");
  const int built = build(program.get(), options);
  if (built != CL_SUCCESS) {
    refuse(status_of(built), "the kernels for %s do not compile on %s: %s (%d): %s", type_name(dtype),
           device_.name.c_str(), error_name(built), built, build_log(program.get()).c_str());
  }
  if (!file.empty()) to_cache(file, key, program.get());
  return program;
}

Program Programs::from_cache(const std::string& file, const std::string& key,
                             const std::string& options) const {
  const std::string content = read_trusted(file);
  const size_t start = head_of(key, "").size();
  if (content.size() <= start) return nullptr;
  const std::string_view kept = std::string_view(content).substr(start);
  if (!content.starts_with(head_of(key, kept))) return nullptr;
  const auto* binary = reinterpret_cast<const unsigned char*>(kept.data());
  const size_t bytes = kept.size();
  int error = CL_SUCCESS;
  Program program(cl_.clCreateProgramWithBinary(context_, 1, &device_.id, &bytes, &binary, nullptr, &error),
                  {cl_.clReleaseProgram});
  if (error != CL_SUCCESS || build(program.get(), options) != CL_SUCCESS) {
    warn(file + " holds no program for this device any more; it is compiled anew");
    return nullptr;
  }
  return program;
}

void Programs::to_cache(const std::string& file, const std::string& key, cl_program program) const {
  size_t bytes = 0;
  if (cl_.clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, sizeof bytes, &bytes, nullptr) != CL_SUCCESS ||
      bytes == 0) {
    return;  // a driver that gives none away
  }
  std::string code(bytes, '\0');
  auto* binary = reinterpret_cast<unsigned char*>(code.data());
  if (cl_.clGetProgramInfo(program, CL_PROGRAM_BINARIES, sizeof binary, static_cast<void*>(&binary),
                           nullptr) != CL_SUCCESS) {
    return;
  }
  std::error_code error;
  std::filesystem::create_directories(cache_, error);
  const std::string problem = error ? error.message() : write_whole(file, head_of(key, code) + code);
  if (!problem.empty()) warn("cannot keep compiled kernels as " + file + ": " + problem);
}

int Programs::build(cl_program program, const std::string& options) const {
  return cl_.clBuildProgram(program, 1, &device_.id, options.c_str(), nullptr, nullptr);
}

std::string Programs::build_log(cl_program program) const {
  size_t bytes = 0;
  if (cl_.clGetProgramBuildInfo(program, device_.id, CL_PROGRAM_BUILD_LOG, 0, nullptr, &bytes) !=
      CL_SUCCESS) {
    return "";
  }
  std::vector<char> log(bytes + 1);
  cl_.clGetProgramBuildInfo(program, device_.id, CL_PROGRAM_BUILD_LOG, bytes, log.data(), nullptr);
  std::string line = log.data();
  for (char& letter : line) {
    if (letter == '\n') letter = ' ';
  }
  return line;
}

void Programs::warn(const std::string& line) const {
  host_->log(host_->context, 2, line.c_str());
}

}  // namespace vaccel::opencl
