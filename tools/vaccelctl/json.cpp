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

Json vms_of(const wire::StatusReport& report) {
  Json vms = Json::array();
  for (const wire::VmStatus& vm : report.vms)
    vms.push_back(vm_of(vm));
  return vms;
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
