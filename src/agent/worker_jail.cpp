// SPDX-License-Identifier: Apache-2.0
#include "agent/worker_jail.h"

#include <glob.h>

#include <algorithm>
#include <cstdlib>

#include "agent/worker_slot.h"

namespace vaccel::agent {
namespace {

namespace fs = std::filesystem;

// Libraries, what they read to find each other, and what they ask about the machine.
constexpr const char* kOfTheSystem[] = {
    "/lib",        "/lib64",           "/usr/lib",           "/usr/lib64",        "/usr/local/lib",
    "/usr/share",  "/etc/ld.so.cache", "/etc/ld.so.conf",    "/etc/ld.so.conf.d", "/etc/alternatives",
    "/etc/OpenCL", "/etc/localtime",   "/sys/devices/system"};
constexpr const char* kPlainDevices[] = {"/dev/null", "/dev/zero", "/dev/full", "/dev/random",
                                         "/dev/urandom"};
// Of a thread, as systems have it; and threads besides those that take calls: of frameworks, mostly.
constexpr uint64_t kStackBytes = uint64_t{8} << 20;
constexpr uint64_t kOtherThreads = 16;

uint64_t stack_bytes_of(uint32_t threads) {
  return (threads + WorkerSlot::kJoinedHands + kOtherThreads) * kStackBytes;
}

// OpenCL's compilers link what they have compiled.
constexpr const char* kLinkers[] = {"/usr/bin/ld", "/usr/bin/ld.lld"};

std::vector<fs::path> that_fit(const std::string& pattern) {
  std::vector<fs::path> found;
  glob_t paths{};
  if (::glob(pattern.c_str(), GLOB_NOSORT, nullptr, &paths) == 0)
    found.assign(paths.gl_pathv, paths.gl_pathv + paths.gl_pathc);
  ::globfree(&paths);
  return found;
}

void add_devices(const std::vector<std::string>& patterns, std::vector<fs::path>& devices) {
  for (const std::string& pattern : patterns) {
    const auto found = that_fit(pattern);
    devices.insert(devices.end(), found.begin(), found.end());
  }
}

// A folder with libraries: links in it lead to where others lie.
void add_libraries(const fs::path& folder, std::vector<fs::path>& readable) {
  readable.push_back(folder);
  std::error_code error;
  for (fs::directory_iterator entries(folder, error), end; !error && entries != end;
       entries.increment(error)) {
    if (!entries->is_symlink(error)) continue;
    if (const fs::path target = fs::canonical(entries->path(), error); !error)
      readable.push_back(target.parent_path());
    error.clear();
  }
}

// A catalogue's folders, and its models' files, may be links.
void add_catalogue(const fs::path& catalogue, std::vector<fs::path>& readable) {
  readable.push_back(catalogue);
  std::error_code error;
  for (fs::recursive_directory_iterator
           entries(catalogue, fs::directory_options::follow_directory_symlink, error),
       end;
       !error && entries != end; entries.increment(error)) {
    if (entries.depth() >= 2) entries.disable_recursion_pending();
    std::error_code broken;
    if (!entries->is_symlink(broken)) continue;
    if (const fs::path target = fs::canonical(entries->path(), broken); !broken) readable.push_back(target);
  }
}

// Whatever models it has.
jail::Policy common_policy(const Config& config, const std::vector<std::string>& backends) {
  const JailSettings& settings = config.jail;
  jail::Policy policy{.enabled = settings.enabled,
                      .required = settings.require,
                      .readable = {std::begin(kOfTheSystem), std::end(kOfTheSystem)},
                      .writable = {settings.write.begin(), settings.write.end()},
                      .devices = {std::begin(kPlainDevices), std::end(kPlainDevices)},
                      .executable = {config.worker.program},
                      .scratch_bytes = settings.scratch_bytes,
                      .system_calls = settings.system_calls,
                      .memory_bytes = settings.memory_bytes,
                      .stack_bytes = stack_bytes_of(config.worker.threads),
                      .cpus = settings.cpus,
                      .tasks = settings.tasks,
                      .open_files = settings.open_files};
  const fs::path program_folder = config.worker.program.parent_path();
  policy.readable.push_back(program_folder);
  for (const fs::path& folder :
       {config.backend_directory, (program_folder / "../lib/vaccel/backends").lexically_normal(),
        fs::path(VACCEL_BACKEND_INSTALL_DIRECTORY)}) {
    if (!folder.empty()) add_libraries(folder, policy.readable);
  }
  policy.readable.insert(policy.readable.end(), config.backend_paths.begin(), config.backend_paths.end());
  policy.readable.insert(policy.readable.end(), settings.read.begin(), settings.read.end());
  add_devices(settings.devices, policy.devices);
  const bool compiles = backends.empty() || std::ranges::find(backends, "opencl") != backends.end();
  if (compiles) {
    for (const char* linker : kLinkers)
      policy.executable.emplace_back(linker);
    // Where the operator has said that what was compiled is kept. It is code: who can write there can have it run by the others.
    if (const char* cache = std::getenv("POCL_CACHE_DIR"); cache != nullptr && cache[0] == '/') {
      std::error_code error;
      fs::create_directories(cache, error);
      policy.writable.emplace_back(cache);
    }
  }
  return policy;
}

}  // namespace

jail::Policy policy_of_workers(const Config& config) {
  jail::Policy policy = common_policy(config, config.backends);
  if (!config.catalogue.empty()) add_catalogue(config.catalogue, policy.readable);
  return policy;
}

jail::Policy policy_of_own_worker(const Config& config, const std::filesystem::path& catalogue) {
  jail::Policy policy = common_policy(config, config.uploads.backends);
  policy.readable.push_back(catalogue);
  // What is shared with others' workers would be a way to them; and drivers are large, and not for everybody.
  policy.writable.clear();
  policy.devices.assign(std::begin(kPlainDevices), std::end(kPlainDevices));
  add_devices(config.uploads.devices, policy.devices);
  policy.memory_bytes = config.uploads.memory_bytes;
  policy.stack_bytes = stack_bytes_of(config.uploads.threads);
  policy.cpus = config.uploads.cpus;
  return policy;
}

}  // namespace vaccel::agent
