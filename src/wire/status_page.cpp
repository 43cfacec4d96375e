// SPDX-License-Identifier: Apache-2.0
#include "wire/status_page.h"

#include <algorithm>

namespace vaccel::wire {
namespace {

// A table's numbers, the places of its fields, its entry in a vector and padding: of the largest one, a tenant's.
constexpr size_t kTableBytes = 256;

// Length, NUL, padding; the encoder cuts what is longer.
size_t text_bytes(const std::string& text, size_t limit) {
  return std::min(text.size(), limit) + 12;
}

}  // namespace

size_t most_bytes_of(const VmStatus& vm) {
  return kTableBytes + text_bytes(vm.name, kMaxNameBytes) + text_bytes(vm.tenant, kMaxNameBytes) +
         text_bytes(vm.listen, kMaxPathBytes) + text_bytes(vm.window, kMaxPathBytes) +
         text_bytes(vm.problem, kMaxPathBytes);
}

size_t most_bytes_of(const TenantStatus& tenant) {
  return kTableBytes + text_bytes(tenant.name, kMaxNameBytes);
}

size_t most_bytes_of(const ModelStatus& model) {
  return kTableBytes + text_bytes(model.name, kMaxNameBytes) + text_bytes(model.backend, kMaxNameBytes) +
         text_bytes(model.problem, kMaxPathBytes) + model.workers.size() * sizeof(uint16_t) + 12;
}

size_t most_bytes_of(const WorkerStatus& worker) {
  return kTableBytes + text_bytes(worker.problem, kMaxPathBytes) + text_bytes(worker.cpus, kMaxNameBytes) +
         text_bytes(worker.device, kMaxNameBytes);
}

size_t most_bytes_of(const BackendInfo& backend) {
  return kTableBytes + text_bytes(backend.name, kMaxNameBytes) + text_bytes(backend.version, kMaxNameBytes) +
         text_bytes(backend.devices, kMaxNameBytes) + text_bytes(backend.problem, kMaxPathBytes);
}

}  // namespace vaccel::wire
