// SPDX-License-Identifier: Apache-2.0
#include "agent/metrics_text.h"

#include <dirent.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <initializer_list>
#include <sstream>

namespace vaccel::agent {
namespace {

struct Label {
  std::string_view name;
  std::string_view value;
};
using Labels = std::initializer_list<Label>;

// Writes families one after the other: its head once, then its samples.
class Writer {
 public:
  void family(const char* name, const char* type, const char* help) {
    name_ = name;
    text_.append("# HELP ").append(name).append(" ").append(help);
    text_.append("\n# TYPE ").append(name).append(" ").append(type).append("\n");
  }
  void sample(Labels labels, uint64_t value) {
    begin("", labels);
    text_ += ' ';
    put(value);
    text_ += '\n';
  }
  void sample(Labels labels, double value) {
    begin("", labels);
    char digits[32];
    text_.append(digits, static_cast<size_t>(std::snprintf(digits, sizeof digits, " %.3f\n", value)));
  }
  void gauge(const char* name, const char* help, uint64_t value) {
    family(name, "gauge", help);
    sample({}, value);
  }

  /// @param per_unit  What the histogram's numbers are divided by: 1e9 for nanoseconds that become seconds.
  template <size_t kBounds>
  void histogram(Labels labels, const Histogram<kBounds>& values, const std::array<uint64_t, kBounds>& bounds,
                 uint64_t per_unit) {
    uint64_t up_to_here = 0;
    for (size_t index = 0; index <= kBounds; ++index) {
      up_to_here += values.counts()[index];
      begin("_bucket", labels);
      if (labels.size() > 0) {
        text_.back() = ',';  // instead of the brace
      } else {
        text_ += '{';
      }
      text_ += "le=\"";
      if (index < kBounds) {
        put_parts(bounds[index], per_unit);
      } else {
        text_ += "+Inf";
      }
      text_ += "\"} ";
      put(up_to_here);
      text_ += '\n';
    }
    begin("_sum", labels);
    text_ += ' ';
    put_parts(values.sum(), per_unit);
    text_ += '\n';
    begin("_count", labels);
    text_ += ' ';
    put(up_to_here);
    text_ += '\n';
  }

  std::string take() { return std::move(text_); }

 private:
  void begin(const char* suffix, Labels labels) {
    text_.append(name_).append(suffix);
    char separator = '{';
    for (const Label& label : labels) {
      text_ += separator;
      text_.append(label.name).append("=\"");
      put_escaped(label.value);
      text_ += '"';
      separator = ',';
    }
    if (separator == ',') text_ += '}';
  }

  void put(uint64_t value) {
    char digits[24];
    const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
    text_.append(digits, end);
  }

  // Exactly: 2500000 of 1e9 are 0.0025.
  void put_parts(uint64_t value, uint64_t per_unit) {
    put(value / per_unit);
    uint64_t rest = value % per_unit;
    if (rest == 0) return;
    text_ += '.';
    for (uint64_t place = per_unit / 10; rest > 0; place /= 10) {
      text_ += static_cast<char>('0' + rest / place);
      rest %= place;
    }
  }

  void put_escaped(std::string_view value) {
    for (const char character : value) {
      if (character == '\n') {
        text_ += "\\n";
        continue;
      }
      if (character == '\\' || character == '"') text_ += '\\';
      text_ += character;
    }
  }

  std::string text_;
  const char* name_ = "";
};

// ---- Families

constexpr uint64_t kNsPerSecond = 1'000'000'000;

void write_calls(Writer& writer, const Metrics& metrics) {
  writer.family("vaccel_calls_total", "counter",
                "Calls that ended, by tenant, operator, model and status code.");
  for (const auto& [name, tenant] : metrics.tenants()) {
    const auto calls = metrics.calls().find(tenant.get());
    if (calls == metrics.calls().end()) continue;
    for (const auto& [key, one] : calls->second) {
      for (size_t code = 0; code < kStatusCodes; ++code) {
        if (one->by_code[code] == 0 && code != VACCEL_OK) continue;
        writer.sample({{"tenant", name},
                       {"operator", key.first},
                       {"model", key.second},
                       {"code", status_name(static_cast<int>(code))}},
                      one->by_code[code]);
      }
    }
  }
}

void write_stages(Writer& writer, const Metrics& metrics) {
  writer.family("vaccel_stage_duration_seconds", "histogram",
                "Time of a call's stages: queue (waiting for a worker or a model), worker (all of the "
                "following), decode, "
                "prepare, infer, postprocess; agent is from a call's arrival to its result.");
  for (const auto& [key, kind] : metrics.kinds()) {
    for (size_t stage = 0; stage < kStages; ++stage) {
      if (kind->stages[stage].count() == 0) continue;
      writer.histogram(
          {{"stage", name_of(static_cast<Stage>(stage))}, {"operator", key.first}, {"model", key.second}},
          kind->stages[stage], kDurationBounds, kNsPerSecond);
    }
  }
  writer.family("vaccel_batch_size", "histogram", "Calls that a worker ran together, of each call.");
  for (const auto& [key, kind] : metrics.kinds()) {
    if (kind->batches.count() == 0) continue;
    writer.histogram({{"operator", key.first}, {"model", key.second}}, kind->batches, kBatchBounds, 1);
  }
}

void write_tenants(Writer& writer, const Metrics& metrics, const AgentState& state) {
  const auto each = [&](const char* name, const char* type, const char* help, auto value) {
    writer.family(name, type, help);
    for (const auto& [tenant_name, tenant] : metrics.tenants())
      writer.sample({{"tenant", tenant_name}}, static_cast<uint64_t>(value(*tenant)));
  };
  const auto now = [&](const TenantMetrics& tenant) {
    const auto found = state.calls.find(&tenant);
    return found != state.calls.end() ? found->second : CallsNow{};
  };
  const auto durations = [&](const char* name, const char* help, Durations TenantMetrics::*values) {
    writer.family(name, "histogram", help);
    for (const auto& [tenant_name, tenant] : metrics.tenants())
      writer.histogram({{"tenant", tenant_name}}, (*tenant).*values, kDurationBounds, kNsPerSecond);
  };
  durations("vaccel_call_duration_seconds", "Time from a call's arrival in the agent to its result.",
            &TenantMetrics::call_duration);
  durations("vaccel_queue_wait_seconds", "Time that calls waited for a worker or a model.",
            &TenantMetrics::queue_wait);
  each("vaccel_calls_queued", "gauge", "Calls that wait for a worker or a model.",
       [&](const TenantMetrics& tenant) { return now(tenant).queued; });
  each("vaccel_calls_running", "gauge", "Calls that are with a worker.",
       [&](const TenantMetrics& tenant) { return now(tenant).running; });
  each("vaccel_sessions", "gauge", "Connections that are open.",
       [](const TenantMetrics& tenant) { return tenant.sessions; });
  each("vaccel_sessions_opened_total", "counter", "Connections that were taken.",
       [](const TenantMetrics& tenant) { return tenant.sessions_opened; });
  each("vaccel_protocol_errors_total", "counter",
       "Connections that ended because the client broke the protocol.",
       [](const TenantMetrics& tenant) { return tenant.protocol_errors; });
  writer.family("vaccel_refusals_total", "counter",
                "Requests that were refused before anything was done for them.");
  for (const auto& [name, tenant] : metrics.tenants()) {
    for (size_t reason = 0; reason < kRefusals; ++reason)
      writer.sample({{"tenant", name}, {"reason", name_of(static_cast<Refusal>(reason))}},
                    tenant->refused[reason]);
  }
  writer.family(
      "vaccel_tensor_bytes_total", "counter",
      "Bytes of tensors, by how they came and went: copied through a stream or a ring, or left in a window "
      "where they lay.");
  for (const auto& [name, tenant] : metrics.tenants()) {
    writer.sample({{"tenant", name}, {"path", "copied"}}, tenant->copied_bytes);
    writer.sample({{"tenant", name}, {"path", "window"}}, tenant->window_bytes);
  }
}

void write_memory(Writer& writer, const AgentState& state) {
  writer.gauge("vaccel_sessions_limit", "Connections that may be open.", state.max_sessions);
  writer.gauge("vaccel_vms", "VMs that are attached.", state.vms);
  writer.gauge("vaccel_windows", "Windows: memory shared with sessions of this host and with VMs.",
               state.windows);
  writer.gauge("vaccel_leases", "Pieces of windows that are leased.", state.leases);
  writer.gauge("vaccel_leased_bytes", "Bytes of windows that are leased.", state.leased_bytes);
  writer.gauge("vaccel_device_buffer_bytes", "Bytes of buffers that sessions keep where backends compute.",
               state.device_bytes);
}

void write_workers(Writer& writer, const Metrics& metrics, const AgentState& state) {
  uint64_t ready = 0;
  for (const WorkerNow& worker : state.workers)
    ready += worker.ready ? 1 : 0;
  writer.family("vaccel_workers", "gauge", "Workers, by whether they take calls.");
  writer.sample({{"state", "ready"}}, ready);
  writer.sample({{"state", "not_ready"}}, state.workers.size() - ready);
  writer.family("vaccel_worker_starts_total", "counter", "Worker processes that were started.");
  writer.sample({}, metrics.worker_starts());
  writer.family("vaccel_worker_ends_total", "counter", "Worker processes that ended, by how.");
  for (size_t reason = 0; reason < kWorkerEnds; ++reason)
    writer.sample({{"reason", name_of(static_cast<WorkerEnd>(reason))}}, metrics.worker_ends()[reason]);
  writer.family("vaccel_model_workers", "gauge", "Workers that have a model of the catalogue loaded.");
  for (const ModelNow& model : state.models)
    writer.sample({{"model", model.name}}, uint64_t{model.workers});
  writer.family("vaccel_model_unusable", "gauge", "1 for a model of the catalogue that cannot be used.");
  for (const ModelNow& model : state.models)
    writer.sample({{"model", model.name}}, uint64_t{model.problem.empty() ? 0u : 1u});
  writer.family("vaccel_model_loads_total", "counter", "Loadings of models, by whether they succeeded.");
  for (const auto& [model, load] : metrics.loads()) {
    writer.sample({{"model", model}, {"result", "loaded"}}, load.loaded);
    writer.sample({{"model", model}, {"result", "failed"}}, load.failed);
  }
}

void write_process(Writer& writer, const ProcessFigures& process) {
  writer.family("process_cpu_seconds_total", "counter",
                "Time that the agent, without its workers, was on a CPU.");
  writer.sample({}, process.cpu_seconds);
  writer.gauge("process_resident_memory_bytes", "Resident memory of the agent.", process.resident_bytes);
  writer.gauge("process_virtual_memory_bytes", "Address space of the agent.", process.virtual_bytes);
  writer.gauge("process_open_fds", "File descriptors that are open.", process.open_descriptors);
  writer.gauge("process_max_fds", "File descriptors that may be open.", process.max_descriptors);
  writer.family("process_start_time_seconds", "gauge", "When the agent started, in seconds since 1970.");
  writer.sample({}, process.start_time_seconds);
}

// Newer kernels say in the folder's size how many there are; else they are counted.
uint64_t count_descriptors() {
  struct stat folder {};
  if (::stat("/proc/self/fd", &folder) == 0 && folder.st_size > 0)
    return static_cast<uint64_t>(folder.st_size);
  DIR* const files = ::opendir("/proc/self/fd");
  if (files == nullptr) return 0;
  uint64_t count = 0;
  while (const dirent* entry = ::readdir(files))
    count += entry->d_name[0] != '.' ? 1 : 0;
  ::closedir(files);
  return count - 1;  // the folder itself
}

// "btime 1234567890" of /proc/stat: when the system started.
double boot_time() {
  std::ifstream stat("/proc/stat");
  for (std::string line; std::getline(stat, line);) {
    if (line.starts_with("btime ")) return std::strtod(line.c_str() + 6, nullptr);
  }
  return 0;
}

}  // namespace

// Its field is the 20th behind the program's name.
ProcessReader::ProcessReader() {
  std::ifstream file("/proc/self/stat");
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  std::istringstream rest(text.substr(std::min(text.rfind(')') + 1, text.size())));
  std::string field;
  for (int index = 0; index < 20; ++index)
    rest >> field;
  started_ = boot_time() + std::strtod(field.c_str(), nullptr) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

ProcessFigures ProcessReader::read() const {
  ProcessFigures figures;
  figures.start_time_seconds = started_;
  timespec cpu{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
  figures.cpu_seconds = static_cast<double>(cpu.tv_sec) + static_cast<double>(cpu.tv_nsec) / 1e9;
  uint64_t pages = 0;
  uint64_t resident_pages = 0;
  const auto page = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  if (std::ifstream("/proc/self/statm") >> pages >> resident_pages) {
    figures.virtual_bytes = pages * page;
    figures.resident_bytes = resident_pages * page;
  }
  figures.open_descriptors = count_descriptors();
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) figures.max_descriptors = limit.rlim_cur;
  return figures;
}

std::string metrics_text(const Metrics& metrics, const AgentState& state, const ProcessFigures& process,
                         const char* version) {
  Writer writer;
  writer.family("vaccel_build_info", "gauge", "1; the version of the agent is its label.");
  writer.sample({{"version", version}}, uint64_t{1});
  writer.gauge("vaccel_ready", "1 if models can be served, as /readyz says.", state.readiness.ok() ? 1 : 0);
  write_calls(writer, metrics);
  write_stages(writer, metrics);
  write_tenants(writer, metrics, state);
  write_memory(writer, state);
  write_workers(writer, metrics, state);
  write_process(writer, process);
  return writer.take();
}

}  // namespace vaccel::agent
