// SPDX-License-Identifier: Apache-2.0
#include "runtime/backend_library.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <system_error>

namespace vaccel::runtime {
namespace {

constexpr const char* kPrefix = "libvaccel-backend-";
constexpr const char* kSuffix = ".so";
constexpr size_t kLongestSentence = 1000;

// What a table must at least hold: every field of this version's first one.
constexpr size_t kLeastTable = offsetof(vaccel_backend, linalg) + sizeof(void*);

// Backends of before these functions have shorter tables.
constexpr size_t kTableWithWindows = offsetof(vaccel_backend, window_drop) + sizeof(void*);
constexpr size_t kTableWithQuantisation = offsetof(vaccel_backend, model_quantisation) + sizeof(void*);

bool is_backend_name(std::string_view name) {
  return !name.empty() && name.size() <= 32 && std::all_of(name.begin(), name.end(), [](char character) {
    return (character >= 'a' && character <= 'z') || (character >= '0' && character <= '9') ||
           character == '-';
  });
}

Status check_table(const vaccel_backend* table, const std::string& name) {
  if (table == nullptr) return failure(VACCEL_UNAVAILABLE, "its entry returns no table");
  if (table->size < kLeastTable || table->abi_version != VACCEL_BACKEND_ABI) {
    return failure(
        VACCEL_UNAVAILABLE,
        "it was built for another version of the backend interface (%u, a table of %zu bytes); this runtime "
        "has version %u, of %zu bytes",
        table->abi_version, table->size, VACCEL_BACKEND_ABI, sizeof(vaccel_backend));
  }
  if (table->name == nullptr || name != table->name) {
    return failure(VACCEL_UNAVAILABLE, "its table says that it is '%s'; by its file's name it is '%s'",
                   table->name != nullptr ? printable(table->name).c_str() : "", name.c_str());
  }
  if (table->create == nullptr || table->destroy == nullptr) {
    return failure(VACCEL_UNAVAILABLE, "its table lacks create or destroy");
  }
  const bool models =
      table->score && table->model_open && table->model_close && table->model_describe && table->model_run;
  if (table->score != nullptr && !models) {
    return failure(VACCEL_UNAVAILABLE, "its table has score, but not all of the functions for models");
  }
  for (size_t index = 0; index < table->operator_count; ++index) {
    const vaccel_backend_operator& one = table->operators[index];
    if (one.name == nullptr || one.run == nullptr || std::strchr(one.name, '.') == nullptr) {
      return failure(VACCEL_UNAVAILABLE,
                     "its operator %zu lacks a name of the form \"vendor.name\" or its function", index);
    }
  }
  return {};
}

const vaccel_backend_memory* memory_of(const vaccel_backend& table) {
  // Backends of before this field have a shorter table.
  constexpr size_t kTableWithMemory = offsetof(vaccel_backend, memory) + sizeof(void*);
  if (table.size < kTableWithMemory || table.memory == nullptr) return nullptr;
  const vaccel_backend_memory& memory = *table.memory;
  const bool complete = memory.size >= sizeof memory && memory.allocate != nullptr &&
                        memory.release != nullptr && memory.copy != nullptr;
  return complete ? &memory : nullptr;
}

std::vector<std::string> names_in(const std::filesystem::path& directory) {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator files(directory, error), end; !error && files != end;
       files.increment(error)) {
    const std::string file = files->path().filename().string();
    if (!file.starts_with(kPrefix) || !file.ends_with(kSuffix)) continue;
    names.push_back(
        file.substr(std::strlen(kPrefix), file.size() - std::strlen(kPrefix) - std::strlen(kSuffix)));
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::filesystem::path directory_of(const RuntimeConfig& config) {
  return config.backend_directory.empty() ? default_backend_directory() : config.backend_directory;
}

}  // namespace

vaccel_status BackendFailure::keep(void* context, vaccel_status status, const char* sentence) {
  auto* self = static_cast<BackendFailure*>(context);
  const bool known = is_known_status(status) && status != VACCEL_OK;
  self->sentence_ = Status(known ? status : VACCEL_INTERNAL,
                           sentence != nullptr ? printable(sentence, kLongestSentence) : "");
  return status;
}

Status BackendFailure::outcome(vaccel_status code, const char* backend) {
  if (code == VACCEL_OK) return {};
  if (noted()) return std::move(sentence_);
  return failure(is_known_status(code) ? code : VACCEL_INTERNAL,
                 "backend '%s' failed with %s (%d) and did not say why", backend, status_name(code),
                 static_cast<int>(code));
}

BackendLibrary::BackendLibrary(const vaccel_backend* table, const LogFunction& log)
    : table_(table),
      memory_(memory_of(*table)),
      log_(log),
      host_{sizeof(vaccel_backend_host), this, write_log} {}

BackendLibrary::~BackendLibrary() {
  if (instance_ != nullptr) table_->destroy(instance_);
}

void BackendLibrary::write_log(void* context, int level, const char* line) {
  const auto* self = static_cast<const BackendLibrary*>(context);
  if (self->log_) self->log_(level, std::string(self->name()) + ": " + (line != nullptr ? line : ""));
}

void BackendLibrary::import_window(std::span<std::byte> memory) {
  if (table_->size < kTableWithWindows || table_->window_import == nullptr || table_->window_drop == nullptr)
    return;
  BackendFailure failure;
  const vaccel_backend_error error = failure.sink();
  const Status status =
      failure.outcome(table_->window_import(instance_, memory.data(), memory.size(), &error), name());
  if (status.ok()) {
    const std::lock_guard lock(windows_mutex_);
    windows_.insert(memory.data());
  } else if (log_) {
    log_(2, std::string(name()) + ": a window is used without preparation: " + status.message());
  }
}

void BackendLibrary::drop_window(std::span<std::byte> memory) {
  {
    const std::lock_guard lock(windows_mutex_);
    if (windows_.erase(memory.data()) == 0) return;
  }
  table_->window_drop(instance_, memory.data());
}

ModelQuantisation BackendLibrary::quantisation(vaccel_backend_model* model) const {
  ModelQuantisation known;
  if (table_->size >= kTableWithQuantisation && table_->model_quantisation != nullptr)
    table_->model_quantisation(model, &known.inputs, &known.outputs);
  return known;
}

int BackendLibrary::score(const char* format) const {
  return table_->score != nullptr ? table_->score(instance_, format) : 0;
}

Result<std::unique_ptr<BackendLibrary>> BackendLibrary::load(const std::filesystem::path& file,
                                                             const std::string& name,
                                                             const std::vector<BackendOption>& options,
                                                             const LogFunction& log) {
  // Never unloaded: frameworks leave threads and thread-local destructors behind that point into their code.
  void* library = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (library == nullptr) {
    const char* reason = ::dlerror();
    return fail(VACCEL_UNAVAILABLE, "cannot load it: %s", reason != nullptr ? reason : "unknown reason");
  }
  const auto entry =
      reinterpret_cast<decltype(&vaccel_backend_entry)>(::dlsym(library, VACCEL_BACKEND_ENTRY));
  if (entry == nullptr) {
    return fail(VACCEL_UNAVAILABLE, "%s exports no %s", file.c_str(), VACCEL_BACKEND_ENTRY);
  }
  const vaccel_backend* table = entry();
  if (Status status = check_table(table, name); !status.ok()) return Unexpected{std::move(status)};

  std::vector<vaccel_backend_option> views;
  for (const BackendOption& option : options) {
    views.push_back({option.key.c_str(), option.value.c_str(), option.where.c_str()});
  }
  std::unique_ptr<BackendLibrary> backend(new BackendLibrary(table, log));
  BackendFailure error;
  const vaccel_backend_error sink = error.sink();
  vaccel_backend_instance* instance = nullptr;
  Status status = error.outcome(table->create(&backend->host_, views.data(), views.size(), &sink, &instance),
                                table->name);
  if (!status.ok()) return Unexpected{std::move(status)};
  if (instance == nullptr) return fail(VACCEL_INTERNAL, "backend '%s' made no instance", table->name);
  backend->instance_ = instance;
  return backend;
}

std::vector<std::string> backend_names(const RuntimeConfig& config) {
  std::vector<std::string> names = config.backends.empty() ? names_in(directory_of(config)) : config.backends;
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

Backends Backends::load(const RuntimeConfig& config, const LogFunction& log) {
  Backends backends;
  const std::filesystem::path directory = directory_of(config);
  const std::vector<std::string> names = backend_names(config);
  // Options for a backend that is not there are a mistake that somebody wants to hear of.
  for (const auto& [name, options] : config.backend_options) {
    if (!std::binary_search(names.begin(), names.end(), name) && log) {
      log(2, "[backend." + name + "] is configured, and no backend of that name is loaded from " +
                 directory.string());
    }
  }
  for (const std::string& name : names) {
    BackendReport report{name, "", "", ""};
    static const std::vector<BackendOption> kNoOptions;
    const auto options = config.backend_options.find(name);
    Result<std::unique_ptr<BackendLibrary>> backend =
        is_backend_name(name)
            ? BackendLibrary::load(directory / (kPrefix + name + kSuffix), name,
                                   options == config.backend_options.end() ? kNoOptions : options->second,
                                   log)
            : fail(VACCEL_INVALID_ARGUMENT, "its name may have at most 32 of a-z, 0-9 and '-'");
    if (backend) {
      report.version = (*backend)->version();
      report.devices = (*backend)->devices();
      backends.running_.push_back(std::move(*backend));
    } else {
      report.problem = backend.error().message();
      if (log) log(2, "backend '" + printable(name) + "' does not run: " + report.problem);
    }
    backends.reports_.push_back(std::move(report));
  }
  return backends;
}

Result<BackendLibrary*> Backends::find(const std::string& name) const {
  for (const auto& backend : running_) {
    if (name == backend->name()) return backend.get();
  }
  std::string known;
  for (const BackendReport& report : reports_) {
    if (report.name == name) {
      return fail(VACCEL_UNAVAILABLE, "backend '%s' does not run here: %s", name.c_str(),
                  report.problem.c_str());
    }
    known += (known.empty() ? "" : ", ") + report.name;
  }
  return fail(VACCEL_NOT_FOUND, "no backend '%s'; there are: %s", printable(name).c_str(),
              known.empty() ? "none" : known.c_str());
}

std::filesystem::path default_backend_directory() {
  std::vector<std::filesystem::path> candidates;
  std::error_code error;
  Dl_info info{};
  if (::dladdr(reinterpret_cast<const void*>(&default_backend_directory), &info) != 0 &&
      info.dli_fname != nullptr) {
    const auto library = std::filesystem::canonical(info.dli_fname, error);
    if (!error) candidates.push_back(library.parent_path() / "vaccel" / "backends");
  }
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
  if (!error) candidates.push_back((program.parent_path() / "../lib/vaccel/backends").lexically_normal());
  candidates.emplace_back(VACCEL_BACKEND_INSTALL_DIRECTORY);
  for (const std::filesystem::path& candidate : candidates) {
    if (std::filesystem::is_directory(candidate, error)) return candidate;
  }
  return candidates.back();
}

}  // namespace vaccel::runtime
