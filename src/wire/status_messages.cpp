// SPDX-License-Identifier: Apache-2.0
//
// The codec of an agent's status: what vaccelctl reads of tenants, models, workers, backends and VMs, a page at a time.
#include "wire/codec.h"

namespace vaccel::wire {
namespace {

fb::Offset<schema::VmStatus> put_vm(fb::FlatBufferBuilder& flat, const VmStatus& vm) {
  const auto name = put_text(flat, vm.name, kMaxNameBytes);
  const auto tenant = put_text(flat, vm.tenant, kMaxNameBytes);
  const auto listen = put_text(flat, vm.listen, kMaxPathBytes);
  const auto window = put_text(flat, vm.window, kMaxPathBytes);
  const auto problem = put_text(flat, vm.problem, kMaxPathBytes);
  return schema::CreateVmStatus(flat, name, tenant, listen, vm.cid, window, vm.window_bytes, vm.leased_bytes,
                                vm.leases, vm.sessions, problem);
}

VmStatus read_vm(Checker& check, const schema::VmStatus& from) {
  return {.name = check.text(from.name(), "a VM's name", kMaxNameBytes),
          .tenant = check.text(from.tenant(), "a tenant's name", kMaxNameBytes),
          .listen = check.text(from.listen(), "a VM's endpoint", kMaxPathBytes),
          .cid = from.cid(),
          .window = check.text(from.window(), "a window's path", kMaxPathBytes),
          .window_bytes = from.window_bytes(),
          .leased_bytes = from.leased_bytes(),
          .leases = from.leases(),
          .sessions = from.sessions(),
          .problem = check.text(from.problem(), "a window's problem", kMaxPathBytes)};
}

fb::Offset<schema::TenantStatus> put_tenant(fb::FlatBufferBuilder& flat, const TenantStatus& tenant) {
  const auto name = put_text(flat, tenant.name, kMaxNameBytes);
  return schema::CreateTenantStatus(
      flat, name, tenant.weight, tenant.sessions, tenant.calls_queued, tenant.calls_running, tenant.calls,
      tenant.failed_calls, tenant.refused, tenant.copied_bytes, tenant.window_bytes, tenant.bytes_in_flight,
      tenant.models_open, tenant.leases, tenant.leased_bytes, tenant.device_buffers, tenant.device_bytes);
}

TenantStatus read_tenant(Checker& check, const schema::TenantStatus& from) {
  return {.name = check.text(from.name(), "a tenant's name", kMaxNameBytes),
          .weight = from.weight(),
          .sessions = from.sessions(),
          .calls_queued = from.calls_queued(),
          .calls_running = from.calls_running(),
          .calls = from.calls(),
          .failed_calls = from.failed_calls(),
          .refused = from.refused(),
          .copied_bytes = from.copied_bytes(),
          .window_bytes = from.window_bytes(),
          .bytes_in_flight = from.bytes_in_flight(),
          .models_open = from.models_open(),
          .leases = from.leases(),
          .leased_bytes = from.leased_bytes(),
          .device_buffers = from.device_buffers(),
          .device_bytes = from.device_bytes()};
}

fb::Offset<schema::ModelStatus> put_model(fb::FlatBufferBuilder& flat, const ModelStatus& model) {
  const auto name = put_text(flat, model.name, kMaxNameBytes);
  const auto backend = put_text(flat, model.backend, kMaxNameBytes);
  const auto problem = put_text(flat, model.problem, kMaxPathBytes);
  const auto workers = flat.CreateVector(model.workers);
  return schema::CreateModelStatus(flat, name, static_cast<schema::LoadState>(model.state), backend, problem,
                                   workers, model.calls_queued, model.calls_running, model.calls,
                                   model.failed_calls);
}

ModelStatus read_model(Checker& check, const schema::ModelStatus& from) {
  ModelStatus model{.name = check.text(from.name(), "a model's name", kMaxNameBytes),
                    .state = static_cast<LoadState>(from.state()),
                    .backend = check.text(from.backend(), "a model's backend", kMaxNameBytes),
                    .problem = check.text(from.problem(), "a model's problem", kMaxPathBytes),
                    .workers = {},
                    .calls_queued = from.calls_queued(),
                    .calls_running = from.calls_running(),
                    .calls = from.calls(),
                    .failed_calls = from.failed_calls()};
  if (from.state() > schema::LoadState_MAX) {
    check.note(failure(VACCEL_INVALID_ARGUMENT, "a model is in state %d, which is none",
                       static_cast<int>(from.state())));
    model.state = LoadState::kNotLoaded;
  }
  const size_t count = check.count(from.workers(), "workers of a model", kMaxWorkers);
  for (size_t index = 0; index < count; ++index)
    model.workers.push_back(element(*from.workers(), index));
  return model;
}

fb::Offset<schema::WorkerStatus> put_worker(fb::FlatBufferBuilder& flat, const WorkerStatus& worker) {
  const auto problem = put_text(flat, worker.problem, kMaxPathBytes);
  const auto cpus = put_text(flat, worker.cpus, kMaxNameBytes);
  const auto device = put_text(flat, worker.device, kMaxNameBytes);
  return schema::CreateWorkerStatus(flat, worker.index, worker.pid, worker.ready, problem, worker.threads,
                                    worker.models, worker.calls_queued, worker.calls_running, worker.starts,
                                    cpus, device);
}

WorkerStatus read_worker(Checker& check, const schema::WorkerStatus& from) {
  return {.index = from.index(),
          .pid = from.pid(),
          .ready = from.ready(),
          .problem = check.text(from.problem(), "a worker's problem", kMaxPathBytes),
          .threads = from.threads(),
          .models = from.models(),
          .calls_queued = from.calls_queued(),
          .calls_running = from.calls_running(),
          .starts = from.starts(),
          .cpus = check.text(from.cpus(), "a worker's CPUs", kMaxNameBytes),
          .device = check.text(from.device(), "a worker's GPUs", kMaxNameBytes)};
}

fb::Offset<schema::BackendInfo> put_backend(fb::FlatBufferBuilder& flat, const BackendInfo& backend) {
  const auto name = put_text(flat, backend.name, kMaxNameBytes);
  const auto version = put_text(flat, backend.version, kMaxNameBytes);
  const auto devices = put_text(flat, backend.devices, kMaxNameBytes);
  const auto problem = put_text(flat, backend.problem, kMaxPathBytes);
  return schema::CreateBackendInfo(flat, name, version, devices, problem);
}

BackendInfo read_backend(Checker& check, const schema::BackendInfo& from) {
  return {check.text(from.name(), "a backend's name", kMaxNameBytes),
          check.text(from.version(), "a backend's version", kMaxNameBytes),
          check.text(from.devices(), "a backend's devices", kMaxNameBytes),
          check.text(from.problem(), "a backend's problem", kMaxTextBytes)};
}

template <typename Source, typename Entry, typename Read>
void read_list(const fb::Vector<fb::Offset<Source>>* from, const char* what, size_t limit,
               std::vector<Entry>& list, Read read, Checker& check) {
  const size_t count = check.count(from, what, limit);
  list.reserve(count);
  for (size_t index = 0; index < count; ++index)
    list.push_back(read(*from->Get(static_cast<uint32_t>(index))));
}

}  // namespace

std::span<const std::byte> Encoder::encode(const ReadStatus& read) {
  auto& flat = builder_->flat;
  flat.Clear();
  return finish(flat, schema::CreateReadStatus(flat, read.start, static_cast<schema::StatusList>(read.list)));
}

std::span<const std::byte> Encoder::encode(const StatusReport& report) {
  auto& flat = builder_->flat;
  flat.Clear();
  const auto server = put_text(flat, report.server, kMaxNameBytes);
  const auto vms = put_all(flat, report.vms, put_vm);
  const auto tenants = put_all(flat, report.tenants, put_tenant);
  const auto models = put_all(flat, report.models, put_model);
  const auto workers = put_all(flat, report.worker_list, put_worker);
  const auto backends = put_all(flat, report.backends, put_backend);
  return finish(flat, schema::CreateStatusReport(
                          flat, server, report.sessions, report.workers, report.calls, report.failed_calls,
                          report.copied_bytes, report.window_bytes, report.windows, report.leased_bytes, vms,
                          report.more, report.device_bytes, tenants, models, workers, backends));
}

Result<ReadStatus> decode_read_status(std::span<const std::byte> body) {
  return with_body<schema::ReadStatus>(body, "read-status", [](const schema::ReadStatus& source) {
    Checker check;
    if (source.list() > schema::StatusList_MAX) {
      check.note(
          failure(VACCEL_INVALID_ARGUMENT, "a status has no list %d", static_cast<int>(source.list())));
    }
    return check.done(ReadStatus{source.start(), static_cast<StatusList>(source.list())});
  });
}

Result<StatusReport> decode_status_report(std::span<const std::byte> body) {
  return with_body<schema::StatusReport>(body, "status", [](const schema::StatusReport& source) {
    Checker check;
    StatusReport report;
    report.server = check.text(source.server(), "the server's name", kMaxNameBytes);
    report.sessions = source.sessions();
    report.workers = source.workers();
    report.calls = source.calls();
    report.failed_calls = source.failed_calls();
    report.copied_bytes = source.copied_bytes();
    report.window_bytes = source.window_bytes();
    report.windows = source.windows();
    report.leased_bytes = source.leased_bytes();
    report.more = source.more();
    report.device_bytes = source.device_bytes();
    read_list(
        source.vms(), "VMs", kMaxVmsInBody, report.vms,
        [&](const schema::VmStatus& from) { return read_vm(check, from); }, check);
    read_list(
        source.tenants(), "tenants", kMaxStatusEntries, report.tenants,
        [&](const schema::TenantStatus& from) { return read_tenant(check, from); }, check);
    read_list(
        source.models(), "models", kMaxStatusEntries, report.models,
        [&](const schema::ModelStatus& from) { return read_model(check, from); }, check);
    read_list(
        source.worker_list(), "workers", kMaxStatusEntries, report.worker_list,
        [&](const schema::WorkerStatus& from) { return read_worker(check, from); }, check);
    read_list(
        source.backends(), "backends", kMaxBackends, report.backends,
        [&](const schema::BackendInfo& from) { return read_backend(check, from); }, check);
    return check.done(std::move(report));
  });
}

}  // namespace vaccel::wire
