// SPDX-License-Identifier: Apache-2.0
#include "tools/vaccelctl/json.h"

#include <cstdio>
#include <nlohmann/json.hpp>

namespace vaccel::ctl {
namespace {

using Json = nlohmann::ordered_json;

// ASCII only: safe for a terminal, and what is no UTF-8 becomes U+FFFD.
std::string text_of(const Json& json) {
  return json.dump(-1, ' ', true, Json::error_handler_t::replace);
}

Json vmm_of(const VmmOptions& options) {
  return {{"qemu", options.qemu},
          {"cloud_hypervisor", options.cloud_hypervisor},
          {"firecracker",
           {{"resource", options.firecracker_resource}, {"body", Json::parse(options.firecracker_body)}}}};
}

Json vm_of(const wire::VmStatus& vm) {
  return {{"name", vm.name},
          {"tenant", vm.tenant},
          {"listen", vm.listen},
          {"cid", vm.cid},
          {"window", vm.window},
          {"window_bytes", vm.window_bytes},
          {"leased_bytes", vm.leased_bytes},
          {"leases", vm.leases},
          {"sessions", vm.sessions},
          {"problem", vm.problem}};
}

Json tenant_of(const wire::TenantStatus& tenant) {
  return {{"name", tenant.name},
          {"weight", tenant.weight},
          {"sessions", tenant.sessions},
          {"calls_queued", tenant.calls_queued},
          {"calls_running", tenant.calls_running},
          {"calls", tenant.calls},
          {"failed_calls", tenant.failed_calls},
          {"refused", tenant.refused},
          {"copied_bytes", tenant.copied_bytes},
          {"window_bytes", tenant.window_bytes},
          {"bytes_in_flight", tenant.bytes_in_flight},
          {"models_open", tenant.models_open},
          {"leases", tenant.leases},
          {"leased_bytes", tenant.leased_bytes},
          {"device_buffers", tenant.device_buffers},
          {"device_bytes", tenant.device_bytes}};
}

Json model_of(const wire::ModelStatus& model) {
  constexpr const char* kStates[] = {"not_loaded", "loading", "loaded", "unusable"};
  return {{"name", model.name},
          {"state", kStates[static_cast<size_t>(model.state)]},
          {"backend", model.backend},
          {"problem", model.problem},
          {"workers", model.workers},
          {"calls_queued", model.calls_queued},
          {"calls_running", model.calls_running},
          {"calls", model.calls},
          {"failed_calls", model.failed_calls}};
}

Json worker_of(const wire::WorkerStatus& worker) {
  return {{"index", worker.index},
          {"pid", worker.pid},
          {"ready", worker.ready},
          {"problem", worker.problem},
          {"threads", worker.threads},
          {"models", worker.models},
          {"calls_queued", worker.calls_queued},
          {"calls_running", worker.calls_running},
          {"starts", worker.starts},
          {"cpus", worker.cpus},
          {"device", worker.device}};
}

Json device_of(const wire::BackendInfo& backend) {
  return {{"backend", backend.name},
          {"version", backend.version},
          {"devices", backend.devices},
          {"problem", backend.problem}};
}

template <typename Entry>
Json list_of(const std::vector<Entry>& entries, Json (*json_of)(const Entry&)) {
  Json list = Json::array();
  for (const Entry& entry : entries)
    list.push_back(json_of(entry));
  return list;
}

Json vms_of(const wire::StatusReport& report) {
  return list_of(report.vms, vm_of);
}

}  // namespace

std::string json_of_error(const Status& status) {
  return text_of({{"error", {{"code", status_name(status.code())}, {"message", status.message()}}}});
}

std::string json_of_created(const std::string& path, uint64_t bytes, const VmmOptions& options) {
  return text_of({{"window", path}, {"bytes", bytes}, {"vmm", vmm_of(options)}});
}

std::string json_of_window(const std::string& path, const channel::WindowFileState& state) {
  return text_of({{"window", path},
                  {"bytes", state.bytes},
                  {"taken_bytes", state.taken_bytes},
                  {"window_bytes", state.header.bytes},
                  {"vm", vm_text(state.header.identity)},
                  {"generation", state.header.identity.generation},
                  {"in_use", state.held}});
}

std::string json_of_attached(const wire::AttachVm& vm, const wire::VmAttached& attached) {
  Json json{{"name", vm.name},   {"listen", vm.listen},     {"cid", vm.cid}, {"tenant", vm.tenant},
            {"window", nullptr}, {"bytes", attached.bytes}, {"vmm", nullptr}};
  if (!attached.window.empty()) {
    json["window"] = attached.window;
    json["vmm"] = vmm_of(vmm_options(attached.window, attached.bytes));
  }
  return text_of(json);
}

std::string json_of_detached(const std::string& name) {
  return text_of({{"name", name}});
}

std::string json_of_tenant(const std::string& name, const std::string& settings) {
  return text_of({{"name", name}, {"settings", settings}});
}

std::string json_of_reloaded(const std::vector<std::string>& notes) {
  return text_of({{"notes", notes}});
}

std::string json_of_released(const std::string& subject) {
  return text_of({{"subject", subject}});
}

std::string json_of_vms(const wire::StatusReport& report) {
  return text_of({{"vms", vms_of(report)}});
}

std::string json_of_status(const wire::StatusReport& report) {
  return text_of({{"server", report.server},
                  {"sessions", report.sessions},
                  {"workers", report.workers},
                  {"calls", report.calls},
                  {"failed_calls", report.failed_calls},
                  {"copied_bytes", report.copied_bytes},
                  {"window_bytes", report.window_bytes},
                  {"windows", report.windows},
                  {"leased_bytes", report.leased_bytes},
                  {"device_bytes", report.device_bytes},
                  {"tenants", list_of(report.tenants, tenant_of)},
                  {"models", list_of(report.models, model_of)},
                  {"worker_processes", list_of(report.worker_list, worker_of)},
                  {"devices", list_of(report.backends, device_of)},
                  {"vms", vms_of(report)}});
}

std::string json_of_firecracker_pmem(const std::string& id, const std::string& path) {
  return text_of({{"id", id}, {"path_on_host", path}, {"root_device", false}, {"read_only", false}});
}

std::string vm_text(const wire::WindowIdentity& identity) {
  char text[40];
  std::snprintf(text, sizeof text, "%016llx%016llx", static_cast<unsigned long long>(identity.vm_high),
                static_cast<unsigned long long>(identity.vm_low));
  return text;
}

}  // namespace vaccel::ctl
