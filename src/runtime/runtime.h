// SPDX-License-Identifier: Apache-2.0
//
// The runtime: backends, models of the catalogue, and the operators over them. It runs calls in the process
// that owns it, a worker or (local mode) the caller's own. It knows nothing of wires, sessions or other
// processes.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/status.h"
#include "runtime/runtime_abi.h"

namespace vaccel::runtime {

/// Limits on pictures, checked before any pixel memory is allocated.
struct ImageLimits {
  uint64_t max_encoded_bytes = uint64_t{64} << 20;
  uint64_t max_pixels = uint64_t{64} << 20;  ///< width x height; a pixel takes 3 bytes once decoded.
};

/// One option of a backend: `[backend.NAME] key = value`, as text, with the place it stands at.
struct BackendOption {
  std::string key;
  std::string value;
  std::string where;
};

/// What a runtime is made from.
struct RuntimeConfig {
  std::filesystem::path catalogue;          ///< A folder with one folder a model; empty: no models.
  std::string model_prefix;                 ///< Of the names of its models: "own/".
  std::filesystem::path backend_directory;  ///< Holds libvaccel-backend-NAME.so; empty: beside this library.
  std::vector<std::string> backends;        ///< Which to load; empty: every one in the directory.
  std::map<std::string, std::vector<BackendOption>> backend_options;
  ImageLimits image_limits;
  /// Takes lines for the log; level as in vaccel_backend_host. Empty: dropped.
  std::function<void(int level, const std::string& line)> log;
};

/// Reads the keys that concern the runtime (catalogue, [image], [backends], [backend.*]) from a TOML file;
/// the agent's own keys are let through unread. INVALID_ARGUMENT: "vaccel.toml:4:1: unknown key 'foo' in
/// [image]".
Result<RuntimeConfig> read_runtime_config(const std::filesystem::path& file);
/// The same of an open file, whose path is only a name, and what relative paths in it are relative to.
Result<RuntimeConfig> read_runtime_config(int fd, const std::filesystem::path& file);

/// What a backend turned out to be here.
struct BackendReport {
  std::string name;
  std::string version;
  std::string devices;
  std::string problem;  ///< Why it does not run; "" when it does.
};

class Memory;

/// Thread-safe, except for construction and destruction.
class Runtime {
 public:
  /// Loads the backends and reads the catalogue. A backend that cannot run and a model that is wrong are
  /// reported, not fatal: see backends() and models(). Fails when the catalogue folder itself cannot be read.
  static Result<std::unique_ptr<Runtime>> create(RuntimeConfig config);
  ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  /// Opens a model of the catalogue; loads it if no one has it open. Many callers may wait for one load.
  Result<Model*> open_model(const std::string& name);
  /// Gives back what open_model() returned, once for each time.
  void close_model(Model* model);
  /// How many calls of an open model its runs would like to have at a time, to join them; 0: it does not.
  [[nodiscard]] static uint32_t calls_wanted(const Model& model);

  /// Reads the catalogue's folder again: models have come and gone. Those that are open stay as they are until they are closed.
  Status read_catalogue_again();

  /// Runs one call. The sentence of a failure goes to call.error as well as into the status.
  Status call(RuntimeCall& call);

  /// Runs work(argument) on one of the runtime's own threads, which are started at first use.
  Status post(void (*work)(void*), void* argument);

  [[nodiscard]] std::vector<BackendReport> backends() const;

  /// Tells the backends of memory that tensors of later calls may lie in, and that may change at any time: a device may
  /// reach it better then. Thread-safe.
  void import_window(std::span<std::byte> memory);
  /// Before that memory goes. No call uses it any more.
  void drop_window(std::span<std::byte> memory);

  /// Memory that stays where the work is done, and holds zeros: on the device of that backend, see memory.h. "": the one
  /// that is best at products. NOT_FOUND, UNAVAILABLE: there is no such backend; RESOURCE_EXHAUSTED. The runtime outlives
  /// it.
  Result<std::unique_ptr<Memory>> allocate_memory(const std::string& backend, size_t bytes);

  /// Valid until the calling thread's next call of the same function, on any runtime, or the runtime's end.
  const vaccel_agent& describe();
  const vaccel_model_list& list_models();
  Result<const vaccel_model*> describe_model(const std::string& name);
  const vaccel_operator_list& list_operators();

 private:
  struct Implementation;
  explicit Runtime(std::unique_ptr<Implementation> implementation);
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace vaccel::runtime
