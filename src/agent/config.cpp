// SPDX-License-Identifier: Apache-2.0
#include "agent/config.h"

#include <regex>
#include <utility>

#include "agent/vm.h"
#include "agent/vm_watch.h"
#include "runtime/catalogue.h"
#include "runtime/runtime.h"
#include "runtime/toml_reader.h"
#include "wire/limits.h"

namespace vaccel::agent {
namespace {

using runtime::TomlTable;

// What the workers read from the same file.
constexpr const char* kRuntimeKeys[] = {"backends", "backend", "image"};
constexpr uint64_t kLeastJailMemory = uint64_t{64} << 20;
constexpr int64_t kMaxPayload = static_cast<int64_t>(wire::kMaxPayloadBytes);

template <typename T>
void take(TomlTable& table, const char* key, int64_t least, int64_t most, T& value) {
  if (const auto number = table.integer(key, least, most)) value = static_cast<T>(*number);
}

void read_limits(TomlTable table, Limits& limits) {
  take(table, "max_sessions", 1, 1'000'000, limits.max_sessions);
  take(table, "max_calls_in_flight", 1, 65'536, limits.max_calls_in_flight);
  take(table, "max_models_open", 1, 65'536, limits.max_models_open);
  take(table, "max_payload_bytes", 4096, kMaxPayload, limits.max_payload_bytes);
  take(table, "max_session_bytes_in_flight", 4096, 64 * kMaxPayload, limits.max_session_bytes_in_flight);
  take(table, "segment_bytes", 1 << 20, 64 * kMaxPayload, limits.segment_bytes);
  take(table, "frame_timeout_ms", 10, 86'400'000, limits.frame_timeout_ms);
  take(table, "shutdown_timeout_ms", 0, 86'400'000, limits.shutdown_timeout_ms);
}

void read_listen(TomlTable& root, Config& config) {
  const auto texts = root.strings("listen");
  if (!texts) return;
  for (const std::string& text : *texts) {
    auto endpoint = channel::parse_endpoint(text);
    if (!endpoint) {
      root.mistake("listen", endpoint.error().message());
    } else if (endpoint->scheme == channel::Endpoint::Scheme::kLocal) {
      root.mistake("listen", "an agent cannot listen on 'local:'");
    } else {
      config.listen.push_back(std::move(*endpoint));
    }
  }
}

void read_metrics(TomlTable table, Config& config) {
  const auto text = table.string("listen");
  if (!text || text->empty()) return;
  auto address = parse_http_address(*text);
  if (!address) return table.mistake("listen", address.error().message());
  config.metrics = std::move(*address);
}

void read_socket_mode(TomlTable& root, Config& config) {
  const auto text = root.string("socket_mode");
  if (!text) return;
  size_t used = 0;
  mode_t mode = 0;
  for (const char digit : *text) {
    if (digit < '0' || digit > '7' || used++ == 4) {
      root.mistake("socket_mode", "'" + printable(*text) + "' is not an octal file mode such as \"0660\"");
      return;
    }
    mode = mode * 8 + static_cast<mode_t>(digit - '0');
  }
  config.socket_mode = mode & 0777;
}

void read_window(TomlTable table, Limits& limits) {
  if (const auto enabled = table.boolean("enabled")) limits.window_enabled = *enabled;
  if (const auto bytes = table.byte_size("session_bytes", uint64_t{1} << 20, wire::kMaxPayloadBytes))
    limits.session_window_bytes = *bytes;
  if (const auto bytes = table.byte_size("max_leased_bytes", 4096, wire::kMaxPayloadBytes))
    limits.max_leased_bytes = *bytes;
  take(table, "max_leases", 1, 1'000'000, limits.max_leases);
}

void read_device(TomlTable table, Limits& limits) {
  if (const auto bytes = table.byte_size("max_bytes", 1, wire::kMaxMemoryBytes))
    limits.max_device_bytes = *bytes;
  take(table, "max_buffers", 1, 1'000'000, limits.max_device_buffers);
  if (const auto bytes = table.byte_size("max_total_bytes", 1, wire::kMaxMemoryBytes))
    limits.max_total_device_bytes = *bytes;
}

// "0-3,8": what the kernel's CPU lists look like.
bool is_cpu_list(const std::string& text) {
  static const std::regex list("[0-9]{1,5}(-[0-9]{1,5})?(,[0-9]{1,5}(-[0-9]{1,5})?)*");
  return text.size() <= 1024 && std::regex_match(text, list);
}

void read_supervision(TomlTable& table, Supervision& supervision) {
  take(table, "heartbeat_timeout_ms", 100, 3'600'000, supervision.heartbeat_timeout_ms);
  take(table, "max_run_ms", 0, 86'400'000, supervision.max_run_ms);
}

void read_worker(TomlTable table, const std::filesystem::path& folder, WorkerConfig& worker) {
  take(table, "count", 1, 256, worker.count);
  take(table, "threads", 1, 256, worker.threads);
  take(table, "instances", 0, 256, worker.instances);
  if (const auto program = table.string("program")) worker.program = (folder / *program).lexically_normal();
  if (auto cpus = table.strings("cpus")) {
    for (const std::string& list : *cpus) {
      if (!is_cpu_list(list))
        table.mistake("cpus", "'" + printable(list) + "' is no list of CPUs such as \"0-3,8\"");
    }
    worker.cpus = std::move(*cpus);
  }
  if (auto devices = table.strings("devices")) worker.devices = std::move(*devices);
  if (const auto bytes = table.byte_size("model_memory", 0, wire::kMaxMemoryBytes))
    worker.model_bytes = *bytes;
  read_supervision(table, worker.supervision);
}

// Of a worker's memory and CPU time.
void read_own_limits(TomlTable& table, uint64_t& memory_bytes, double& most_cpus) {
  if (const auto bytes = table.byte_size("memory", 0, wire::kMaxMemoryBytes)) memory_bytes = *bytes;
  if (memory_bytes != 0 && memory_bytes < kLeastJailMemory)
    table.mistake("memory", "a worker does not start with less than 64M");
  if (const auto cpus = table.number("cpus")) {
    if (*cpus != 0 && (*cpus < 0.01 || *cpus > 65'536))
      table.mistake("cpus", "must be 0, or from 0.01 to 65536");
    most_cpus = *cpus;
  }
}

void read_paths(TomlTable& table, const char* key, std::vector<std::string>& value) {
  auto list = table.strings(key);
  if (!list) return;
  for (const std::string& path : *list) {
    if (!path.starts_with('/')) table.mistake(key, "'" + printable(path) + "' is no absolute path");
  }
  value = std::move(*list);
}

void read_jail(TomlTable table, JailSettings& jail) {
  if (const auto enabled = table.boolean("enabled")) jail.enabled = *enabled;
  if (const auto require = table.boolean("require")) jail.require = *require;
  if (jail.require && !jail.enabled)
    table.mistake("require", "a jail that is switched off cannot be required");
  const auto paths = [&table](const char* key, std::vector<std::string>& value) {
    read_paths(table, key, value);
  };
  paths("read", jail.read);
  paths("write", jail.write);
  paths("devices", jail.devices);
  if (auto calls = table.strings("system_calls")) jail.system_calls = std::move(*calls);
  read_own_limits(table, jail.memory_bytes, jail.cpus);
  take(table, "tasks", 16, 4'194'304, jail.tasks);
  take(table, "open_files", 64, 1'048'576, jail.open_files);
  if (const auto bytes = table.byte_size("scratch", 4096, wire::kMaxMemoryBytes)) jail.scratch_bytes = *bytes;
}

void read_uploads(TomlTable table, const std::filesystem::path& folder, UploadSettings& uploads) {
  if (const auto path = table.string("directory"); path && !path->empty())
    uploads.directory = (folder / *path).lexically_normal();
  if (const auto bytes = table.byte_size("max_bytes", 4096, wire::kMaxMemoryBytes))
    uploads.max_bytes = *bytes;
  take(table, "max_models", 1, 4096, uploads.max_models);
  if (auto backends = table.strings("backends")) uploads.backends = std::move(*backends);
  if (uploads.backends.empty()) table.mistake("backends", "a model needs a backend to run it");
  take(table, "threads", 1, 256, uploads.threads);
  take(table, "idle_ms", 1, 86'400'000, uploads.idle_ms);
  read_paths(table, "devices", uploads.devices);
  if (const auto bytes = table.byte_size("bytes_per_second", 4096, wire::kMaxMemoryBytes))
    uploads.bytes_per_second = *bytes;
  read_own_limits(table, uploads.memory_bytes, uploads.cpus);
}

// Libraries, data and caches that backends are told of; of a library its folder, for it has neighbours.
void read_backend_paths(const runtime::RuntimeConfig& runtime, Config& config) {
  config.backend_directory = runtime.backend_directory;
  config.backends = runtime.backends;
  for (const auto& [name, options] : runtime.backend_options) {
    for (const runtime::BackendOption& option : options) {
      const std::filesystem::path path = option.value;
      std::error_code error;
      if (!path.is_absolute() || !std::filesystem::exists(path, error)) continue;
      const bool is_folder = std::filesystem::is_directory(path, error);
      config.backend_paths.push_back(is_folder ? path : path.parent_path());
    }
  }
}

void read_models(TomlTable& root, Config& config) {
  for (TomlTable& table : root.tables("model")) {
    const std::string name = table.required("name", table.string("name"));
    ModelSettings model{.instances = config.worker.instances};
    take(table, "instances", 0, 256, model.instances);
    take(table, "calls", 0, 256, model.calls);
    take(table, "max_run_ms", 0, 86'400'000, model.max_run_ms);
    if (const auto preload = table.boolean("preload")) model.preload = *preload;
    if (!runtime::is_model_name(name))
      table.mistake("name", "'" + printable(name) + "' cannot be a model's name");
    if (!config.models.emplace(name, model).second)
      table.mistake("name", "model '" + printable(name) + "' stands here twice");
  }
}

void read_watched(TomlTable& root, Config& config) {
  for (TomlTable& table : root.tables("watch")) {
    WatchedVms watched;
    watched.pattern = table.required("pattern", table.string("pattern"));
    take(table, "port", 1, 0xfffffffe, watched.port);
    watched.tenant = table.string("tenant").value_or("");
    if (!watched.tenant.empty() && !is_tenant_name(watched.tenant))
      table.mistake("tenant", "'" + printable(watched.tenant) + "' cannot be a tenant's name");
    if (const std::string problem = find_problem(watched); !problem.empty())
      table.mistake("pattern", problem);
    config.watched.push_back(std::move(watched));
  }
}

void read_vms(TomlTable& root, const std::filesystem::path& folder, Config& config) {
  for (TomlTable& table : root.tables("vm")) {
    wire::AttachVm vm;
    vm.name = table.required("name", table.string("name"));
    vm.listen = table.string("listen").value_or("");
    take(table, "cid", 1, channel::kAnyCid, vm.cid);
    vm.tenant = table.string("tenant").value_or("");
    if (const auto path = table.string("window"); path && !path->empty())
      vm.window = (folder / *path).lexically_normal();
    vm.memory_bytes = table.byte_size("memory", 1, wire::kMaxPayloadBytes).value_or(0);
    vm.prefault = table.boolean("prefault").value_or(false);
    if (const auto problem = find_problem(vm)) table.mistake(problem->key, problem->sentence);
    config.vms.push_back(std::move(vm));
  }
}

}  // namespace

Result<channel::Endpoint> parse_http_address(const std::string& text) {
  auto endpoint = channel::parse_endpoint(text.starts_with("unix:") ? text : "tcp:" + text);
  if (endpoint) return endpoint;
  return fail(VACCEL_INVALID_ARGUMENT,
              "'%s' is no address for metrics; it must be like \"127.0.0.1:9464\" or "
              "\"unix:/run/vaccel/metrics.sock\"",
              printable(text).c_str());
}

Result<Config> read_config(const std::filesystem::path& file) {
  auto document = runtime::TomlDocument::read(file, file.filename().string());
  if (!document) return Unexpected{document.error()};
  const std::filesystem::path folder = std::filesystem::absolute(file).parent_path();
  Config config;
  TomlTable root = document->root();
  read_listen(root, config);
  read_socket_mode(root, config);
  if (const auto path = root.string("catalogue"); path && !path->empty()) {
    config.catalogue = (folder / *path).lexically_normal();
  }
  if (const auto level = root.choice("log", {"debug", "info", "warning", "error"})) {
    constexpr const char* kLevels[] = {"debug", "info", "warning", "error"};
    config.log_level = kLevels[*level];
  }
  if (const auto format = root.choice("log_format", {kLogFormatNames[0], kLogFormatNames[1]}))
    config.log_format = static_cast<LogFormat>(*format);
  if (const auto path = root.string("control"))
    config.control = path->empty() ? "" : (folder / *path).lexically_normal().string();
  take(root, "spin_us", 0, 10'000, config.spin_us);
  if (auto table = root.table("metrics")) read_metrics(*table, config);
  if (auto table = root.table("limits")) read_limits(*table, config.limits);
  if (auto table = root.table("window")) read_window(*table, config.limits);
  if (auto table = root.table("device")) read_device(*table, config.limits);
  read_vms(root, folder, config);
  if (auto table = root.table("worker")) read_worker(*table, folder, config.worker);
  read_models(root, config);
  read_watched(root, config);
  config.tenants = read_tenants(root);
  if (auto table = root.table("jail")) read_jail(*table, config.jail);
  if (auto table = root.table("uploads")) read_uploads(*table, folder, config.uploads);
  config.user = root.string("user").value_or("");
  for (const char* key : kRuntimeKeys)
    root.skip(key);
  if (Status status = document->finish(); !status.ok()) return Unexpected{std::move(status)};
  auto runtime = runtime::read_runtime_config(file);
  if (!runtime) return Unexpected{runtime.error()};
  read_backend_paths(*runtime, config);
  config.file = std::filesystem::absolute(file);
  return config;
}

}  // namespace vaccel::agent
