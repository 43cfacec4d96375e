// SPDX-License-Identifier: Apache-2.0
//
// The objects that --json prints: the tool's interface to scripts, all in one place. Fields may be added; none is
// renamed or given another meaning. ASCII only. Sizes are in bytes.
#pragma once

#include <string>
#include <vector>

#include "channel/window_file.h"
#include "tools/vaccelctl/vmm_options.h"
#include "wire/messages.h"

namespace vaccel::ctl {

/// {"error": {"code": "NOT_FOUND", "message": "..."}}
std::string json_of_error(const Status& status);

/// {"window", "bytes", "vmm": {"qemu": [...], "cloud_hypervisor": [...], "firecracker": {"resource", "body"}}}
std::string json_of_created(const std::string& path, uint64_t bytes, const VmmOptions& options);

/// {"window", "bytes", "taken_bytes", "window_bytes", "vm", "generation", "in_use"}
std::string json_of_window(const std::string& path, const channel::WindowFileState& state);

/// {"name", "listen", "cid", "tenant", "window", "bytes", "vmm"}; "window" and "vmm" are null without one.
std::string json_of_attached(const wire::AttachVm& vm, const wire::VmAttached& attached);

/// {"name"}
std::string json_of_detached(const std::string& name);

/// {"name", "settings"}: TOML.
std::string json_of_tenant(const std::string& name, const std::string& settings);

/// {"notes": [...]}
std::string json_of_reloaded(const std::vector<std::string>& notes);

/// {"subject"}
std::string json_of_released(const std::string& subject);

/// {"vms": [...]}, each as in the status.
std::string json_of_vms(const wire::StatusReport& report);

/// {"server", "sessions", "workers", "calls", "failed_calls", "copied_bytes", "window_bytes", "windows", "leased_bytes",
/// "device_bytes",
/// "tenants": [{"name", "weight", "sessions", "calls_queued", "calls_running", "calls", "failed_calls", "refused",
///   "copied_bytes", "window_bytes", "bytes_in_flight", "models_open", "leases", "leased_bytes", "device_buffers",
///   "device_bytes"}],
/// "models": [{"name", "state": "not_loaded" | "loading" | "loaded" | "unusable", "backend", "problem", "workers": [0],
///   "calls_queued", "calls_running", "calls", "failed_calls"}],
/// "worker_processes": [{"index", "pid", "ready", "problem", "threads", "models", "calls_queued", "calls_running", "starts",
///   "cpus", "device"}],
/// "devices": [{"backend", "version", "devices", "problem"}],
/// "vms": [{"name", "tenant", "listen", "cid", "window", "window_bytes", "leased_bytes", "leases", "sessions", "problem"}]}
std::string json_of_status(const wire::StatusReport& report);

/// What Firecracker's API takes for a pmem device.
std::string json_of_firecracker_pmem(const std::string& id, const std::string& path);

/// The random number that tells a window's VM, as 32 digits.
std::string vm_text(const wire::WindowIdentity& identity);

}  // namespace vaccel::ctl
