// SPDX-License-Identifier: Apache-2.0
//
// A backend that tries to get out: prisoner.try does in the worker, as a model that has taken it over would, what the jail forbids, and
// tells what came of it: an int32 tensor "errno", 0 when it has worked. For tests/integration/jail_test.cpp.
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "vaccel/backend.h"

namespace {

int outcome(long result) {
  return result < 0 ? errno : 0;
}

int read_a_file(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  char byte = 0;
  const int result = outcome(::read(fd, &byte, 1));
  ::close(fd);
  return result;
}

int write_a_file(const std::string& path) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return errno;
  const int result = outcome(::write(fd, "x", 1));
  ::close(fd);
  return result;
}

int list_a_folder(const std::string& path) {
  DIR* folder = ::opendir(path.c_str());
  if (folder == nullptr) return errno;
  ::closedir(folder);
  return 0;
}

// How many processes there are to be seen, this one besides; as a number and not an errno.
int count_processes(const std::string&) {
  DIR* folder = ::opendir("/proc");
  if (folder == nullptr) return -errno;
  int count = 0;
  while (const dirent* entry = ::readdir(folder))
    count += entry->d_name[0] >= '1' && entry->d_name[0] <= '9' ? 1 : 0;
  ::closedir(folder);
  return count;
}

int count_descriptors(const std::string&) {
  int count = 0;
  for (int fd = 0; fd < 4096; ++fd)
    count += ::fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
  return count;
}

int make_a_socket(const std::string&) {
  return outcome(::socket(AF_INET, SOCK_STREAM, 0));
}

// With a descriptor that is no socket of its own: connect() itself must not be had.
int connect_somewhere(const std::string&) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(1);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return outcome(::connect(3, reinterpret_cast<const sockaddr*>(&address), sizeof address));
}

int run_a_program(const std::string& path) {
  char* const arguments[] = {const_cast<char*>(path.c_str()), nullptr};
  char* const environment[] = {nullptr};
  return outcome(::execve(path.c_str(), arguments, environment));
}

int trace(const std::string& pid) {
  return outcome(::ptrace(PTRACE_ATTACH, std::atoi(pid.c_str()), nullptr, nullptr));
}

int read_memory_of(const std::string& pid) {
  char byte = 0;
  iovec here{&byte, 1};
  iovec there{reinterpret_cast<void*>(0x400000), 1};
  return outcome(::process_vm_readv(std::atoi(pid.c_str()), &here, 1, &there, 1, 0));
}

int end_process(const std::string& pid) {
  return outcome(::kill(std::atoi(pid.c_str()), SIGKILL));
}

int fork_once(const std::string&) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  if (child > 0) ::waitpid(child, nullptr, 0);
  return outcome(child);
}

// Threads without end, which are the processes of one that may not fork. At the limit it says so.
int be_many(const std::string& most) {
  std::vector<std::thread> threads;
  int result = 0;
  std::atomic<bool> over = false;
  try {
    while (threads.size() < static_cast<size_t>(std::atoi(most.c_str())))
      threads.emplace_back([&over] { over.wait(false); });
  } catch (const std::system_error& error) {
    result = error.code().value();
  }
  over = true;
  over.notify_all();
  for (std::thread& thread : threads)
    thread.join();
  return result;
}

int eat_memory(const std::string& megabytes) {
  for (int count = std::atoi(megabytes.c_str()); count > 0; --count) {
    void* piece = ::mmap(nullptr, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (piece == MAP_FAILED) return errno;
    std::memset(piece, 1, 1 << 20);
  }
  return 0;
}

// Two CPUs, for so many milliseconds by the clock.
int burn(const std::string& milliseconds) {
  const auto end =
      std::chrono::steady_clock::now() + std::chrono::milliseconds(std::atoi(milliseconds.c_str()));
  const auto spin = [end] {
    while (std::chrono::steady_clock::now() < end) {
    }
  };
  std::thread other(spin);
  spin();
  other.join();
  return 0;
}

// Lines that look like the agent's.
int print(const std::string& lines) {
  int result = 0;
  for (int line = std::atoi(lines.c_str()); line > 0 && result == 0; --line)
    result =
        ::dprintf(STDERR_FILENO, "2026-01-01T00:00:00.000 vacceld info: forged %d\n", line) < 0 ? errno : 0;
  return result;
}

int mount_something(const std::string&) {
  return outcome(::mount("x", "/tmp", "tmpfs", 0, nullptr));
}

int leave_namespaces(const std::string&) {
  return outcome(::syscall(SYS_unshare, 0x10000000 /* CLONE_NEWUSER */));
}

int gain_privileges(const std::string&) {
  return ::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? EPERM : 0;
}

// A descriptor from the table that this process has, by its number: others' windows would be there.
int map_a_descriptor(const std::string& fd) {
  struct stat status {};
  return outcome(::fstat(std::atoi(fd.c_str()), &status));
}

using Deed = int (*)(const std::string& target);
const std::map<std::string, Deed>& deeds() {
  static const std::map<std::string, Deed> all{
      {"read", read_a_file},
      {"write", write_a_file},
      {"list", list_a_folder},
      {"processes", count_processes},
      {"descriptors", count_descriptors},
      {"socket", make_a_socket},
      {"connect", connect_somewhere},
      {"exec", run_a_program},
      {"ptrace", trace},
      {"peek", read_memory_of},
      {"kill", end_process},
      {"fork", fork_once},
      {"threads", be_many},
      {"memory", eat_memory},
      {"burn", burn},
      {"print", print},
      {"mount", mount_something},
      {"unshare", leave_namespaces},
      {"privileges", gain_privileges},
      {"descriptor", map_a_descriptor},
  };
  return all;
}

const char* text_of(const vaccel_backend_run& run, const char* name) {
  for (size_t index = 0; index < run.attribute_count; ++index) {
    const vaccel_attribute& one = run.attributes[index];
    if (std::strcmp(one.name, name) == 0 && one.type == VACCEL_ATTRIBUTE_STRING) return one.value.string;
  }
  return "";
}

vaccel_status try_it(vaccel_backend_instance*, vaccel_backend_run* run) {
  const auto deed = deeds().find(text_of(*run, "deed"));
  if (deed == deeds().end())
    return run->error.fail(run->error.context, VACCEL_INVALID_ARGUMENT, "there is no such deed");
  const int result = deed->second(text_of(*run, "target"));
  const int64_t shape = 1;
  void* output = run->output(run->context, 0, "errno", VACCEL_INT32, 1, &shape, sizeof result);
  if (output == nullptr) return VACCEL_RESOURCE_EXHAUSTED;
  std::memcpy(output, &result, sizeof result);
  return VACCEL_OK;
}

vaccel_status create(const vaccel_backend_host*, const vaccel_backend_option*, size_t,
                     const vaccel_backend_error*, vaccel_backend_instance** instance) {
  static char made;
  *instance = reinterpret_cast<vaccel_backend_instance*>(&made);
  return VACCEL_OK;
}
void destroy(vaccel_backend_instance*) {}
const char* one(vaccel_backend_instance*) {
  return "1";
}

const int64_t kOne[] = {1};
const vaccel_tensor_info kOutput{"errno", kOne, 1, VACCEL_INT32};
const vaccel_backend_attribute kAttributes[] = {{"deed", VACCEL_ATTRIBUTE_STRING, 1, "what to try"},
                                                {"target", VACCEL_ATTRIBUTE_STRING, 0, "with what"}};
const vaccel_backend_operator kOperators[] = {
    {"prisoner.try", "Tries what is forbidden", try_it, nullptr, 0, &kOutput, 1, kAttributes, 2}};

}  // namespace

extern "C" __attribute__((visibility("default"))) const vaccel_backend* vaccel_backend_entry() {
  static const vaccel_backend table = [] {
    vaccel_backend made{};
    made.size = sizeof made;
    made.abi_version = VACCEL_BACKEND_ABI;
    made.name = "prisoner";
    made.description = "Tries to get out";
    made.create = create;
    made.destroy = destroy;
    made.version = one;
    made.devices = one;
    made.operators = kOperators;
    made.operator_count = 1;
    return made;
  }();
  return &table;
}
