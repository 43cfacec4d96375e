// SPDX-License-Identifier: Apache-2.0
//
// A backend's shared library, loaded and made ready: the one place that calls dlopen() and checks what it
// finds. Whoever holds a BackendLibrary holds a running backend. Which backend serves which model is not
// decided here.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "core/status.h"
#include "runtime/runtime.h"
#include "vaccel/backend.h"

namespace vaccel::runtime {

using LogFunction = std::function<void(int level, const std::string& line)>;

/// Catches the sentence that a backend gives through vaccel_backend_error, and joins it with the status it
/// returns.
class BackendFailure {
 public:
  /// Refers to this object.
  [[nodiscard]] vaccel_backend_error sink() { return {this, keep}; }
  /// The outcome of a call to `backend` that returned `code`. A code that is none of ours is INTERNAL.
  [[nodiscard]] Status outcome(vaccel_status code, const char* backend);
  /// Whether a sentence is there already.
  [[nodiscard]] bool noted() const { return !sentence_.ok(); }
  void note(Status status) { sentence_ = std::move(status); }

 private:
  static vaccel_status keep(void* context, vaccel_status status, const char* sentence);
  Status sentence_;
};

/// How a model's inputs and outputs are quantised, an element for each; nullptr: nobody knows.
struct ModelQuantisation {
  const vaccel_quantisation* inputs = nullptr;
  const vaccel_quantisation* outputs = nullptr;
};

class BackendLibrary {
 public:
  /// Loads `file`, checks its table and makes its instance. UNAVAILABLE and the reason when it cannot run
  /// here. `log` must outlive the backend.
  static Result<std::unique_ptr<BackendLibrary>> load(const std::filesystem::path& file,
                                                      const std::string& name,
                                                      const std::vector<BackendOption>& options,
                                                      const LogFunction& log);
  ~BackendLibrary();
  BackendLibrary(const BackendLibrary&) = delete;
  BackendLibrary& operator=(const BackendLibrary&) = delete;

  [[nodiscard]] const char* name() const { return table_->name; }
  [[nodiscard]] const char* version() const { return table_->version ? table_->version(instance_) : ""; }
  [[nodiscard]] const char* devices() const { return table_->devices ? table_->devices(instance_) : ""; }
  /// 0: it cannot run models of that format.
  [[nodiscard]] int score(const char* format) const;
  /// Lets the backend prepare memory of a window for its device; a failure is logged. Thread-safe.
  void import_window(std::span<std::byte> memory);
  /// Before that memory goes, when no call uses it any more. Thread-safe.
  void drop_window(std::span<std::byte> memory);
  /// nullptr: its device has no memory of its own.
  [[nodiscard]] const vaccel_backend_memory* memory() const { return memory_; }
  /// What the model's file says of its inputs and outputs; nothing where the backend does not tell.
  [[nodiscard]] ModelQuantisation quantisation(vaccel_backend_model* model) const;
  [[nodiscard]] const vaccel_backend& table() const { return *table_; }
  [[nodiscard]] vaccel_backend_instance* instance() const { return instance_; }
  [[nodiscard]] const LogFunction& log() const { return log_; }

 private:
  BackendLibrary(const vaccel_backend* table, const LogFunction& log);
  static void write_log(void* context, int level, const char* line);

  const vaccel_backend* table_;
  const vaccel_backend_memory* memory_;
  const LogFunction& log_;
  vaccel_backend_host host_;
  vaccel_backend_instance* instance_ = nullptr;
  std::mutex windows_mutex_;
  std::set<std::byte*> windows_;  ///< That the backend has imported.
};

/// The backends of a runtime: those that run, and why the others do not. Fixed once made.
class Backends {
 public:
  /// Tries every libvaccel-backend-NAME.so in the configured folder, or the configured ones.
  static Backends load(const RuntimeConfig& config, const LogFunction& log);

  [[nodiscard]] const std::vector<std::unique_ptr<BackendLibrary>>& running() const { return running_; }
  /// Of all that were tried, sorted by name.
  [[nodiscard]] const std::vector<BackendReport>& reports() const { return reports_; }
  /// The running backend of that name; else NOT_FOUND or, with its problem, UNAVAILABLE.
  [[nodiscard]] Result<BackendLibrary*> find(const std::string& name) const;

 private:
  std::vector<std::unique_ptr<BackendLibrary>> running_;
  std::vector<BackendReport> reports_;
};

/// Where backends are when the configuration does not say: vaccel/backends beside the library that holds this
/// code,
/// ../lib/vaccel/backends from the program, or where they are installed.
std::filesystem::path default_backend_directory();

/// Of the backends that a runtime with this configuration loads, or tries to.
std::vector<std::string> backend_names(const RuntimeConfig& config);

}  // namespace vaccel::runtime
