// SPDX-License-Identifier: Apache-2.0
//
// The codec of windows, leases, device memory, and the attachment of VMs.
#include <bit>

#include "wire/codec.h"

namespace vaccel::wire {
// ---- Windows

std::span<const std::byte> Encoder::encode(const OpenWindow& open) {
  auto& flat = builder_->flat;
  flat.Clear();
  return finish(flat, schema::CreateOpenWindow(flat, open.takes_descriptors));
}

std::span<const std::byte> Encoder::encode(const WindowOpened& opened) {
  auto& flat = builder_->flat;
  flat.Clear();
  const schema::WindowIdentity identity(opened.identity.vm_low, opened.identity.vm_high,
                                        opened.identity.generation, opened.identity.nonce_low,
                                        opened.identity.nonce_high);
  return finish(flat, schema::CreateWindowOpened(
                          flat, static_cast<schema::WindowKind>(opened.kind), opened.bytes, &identity,
                          opened.ring_offset, opened.ring_bytes, opened.max_leased_bytes, opened.max_leases));
}

std::span<const std::byte> Encoder::encode(const Lease& lease) {
  auto& flat = builder_->flat;
  flat.Clear();
  return finish(flat, schema::CreateLease(flat, lease.bytes, lease.alignment));
}

std::span<const std::byte> Encoder::encode(const Leased& leased) {
  auto& flat = builder_->flat;
  flat.Clear();
  return finish(flat, schema::CreateLeased(flat, leased.offset, leased.bytes));
}

std::span<const std::byte> Encoder::encode(const ImportWindow& import) {
  auto& flat = builder_->flat;
  flat.Clear();
  return finish(flat, schema::CreateImportWindow(flat, import.window, import.start, import.bytes));
}

std::span<const std::byte> Encoder::encode(const DropWindow& drop) {
  auto& flat = builder_->flat;
  flat.Clear();
  return finish(flat, schema::CreateDropWindow(flat, drop.window));
}

std::span<const std::byte> Encoder::encode(const AllocateMemory& allocate) {
  auto& flat = builder_->flat;
  flat.Clear();
  const auto backend = put_text(flat, allocate.backend, kMaxNameBytes);
  return finish(flat, schema::CreateAllocateMemory(flat, backend, allocate.bytes, allocate.memory));
}

std::span<const std::byte> Encoder::encode(const MemoryAllocated& allocated) {
  auto& flat = builder_->flat;
  flat.Clear();
  const auto backend = put_text(flat, allocated.backend, kMaxNameBytes);
  return finish(flat, schema::CreateMemoryAllocated(flat, allocated.memory, backend));
}

std::span<const std::byte> Encoder::encode(const FreeMemory& free) {
  auto& flat = builder_->flat;
  flat.Clear();
  return finish(flat, schema::CreateFreeMemory(flat, free.memory));
}

std::span<const std::byte> Encoder::encode(const Wake&) {
  auto& flat = builder_->flat;
  flat.Clear();
  return finish(flat, schema::CreateWake(flat));
}

Result<OpenWindow> decode_open_window(std::span<const std::byte> body) {
  return with_body<schema::OpenWindow>(body, "open-window",
                                       [](const schema::OpenWindow& source) -> Result<OpenWindow> {
                                         return OpenWindow{source.takes_descriptors()};
                                       });
}

Result<WindowOpened> decode_window_opened(std::span<const std::byte> body) {
  return with_body<schema::WindowOpened>(
      body, "window-opened", [](const schema::WindowOpened& source) -> Result<WindowOpened> {
        WindowOpened opened;
        if (source.kind() != schema::WindowKind_Memory && source.kind() != schema::WindowKind_Device) {
          return fail(VACCEL_PROTOCOL_ERROR, "a window has kind %u, which is none",
                      static_cast<unsigned>(source.kind()));
        }
        opened.kind = static_cast<WindowKind>(source.kind());
        opened.bytes = source.bytes();
        if (const auto* identity = source.identity()) {
          opened.identity = {identity->vm_low(), identity->vm_high(), identity->generation(),
                             identity->nonce_low(), identity->nonce_high()};
        }
        opened.ring_offset = source.ring_offset();
        opened.ring_bytes = source.ring_bytes();
        if (opened.ring_offset > opened.bytes || opened.ring_bytes > opened.bytes - opened.ring_offset) {
          return fail(VACCEL_PROTOCOL_ERROR,
                      "the rings, %llu bytes at offset %llu, reach beyond the window's %llu bytes",
                      static_cast<unsigned long long>(opened.ring_bytes),
                      static_cast<unsigned long long>(opened.ring_offset),
                      static_cast<unsigned long long>(opened.bytes));
        }
        opened.max_leased_bytes = source.max_leased_bytes();
        opened.max_leases = source.max_leases();
        return opened;
      });
}

Result<Lease> decode_lease(std::span<const std::byte> body) {
  return with_body<schema::Lease>(body, "lease", [](const schema::Lease& source) -> Result<Lease> {
    if (source.bytes() == 0) return fail(VACCEL_INVALID_ARGUMENT, "a lease of 0 bytes is asked for");
    if (!std::has_single_bit(source.alignment()) || source.alignment() > kMaxLeaseAlignment) {
      return fail(VACCEL_INVALID_ARGUMENT,
                  "an alignment of %llu is asked for; it must be a power of two up to %llu",
                  static_cast<unsigned long long>(source.alignment()),
                  static_cast<unsigned long long>(kMaxLeaseAlignment));
    }
    return Lease{source.bytes(), source.alignment()};
  });
}

Result<Leased> decode_leased(std::span<const std::byte> body) {
  return with_body<schema::Leased>(body, "leased", [](const schema::Leased& source) -> Result<Leased> {
    return Leased{source.offset(), source.bytes()};
  });
}

Result<ImportWindow> decode_import_window(std::span<const std::byte> body) {
  return with_body<schema::ImportWindow>(
      body, "import-window", [](const schema::ImportWindow& source) -> Result<ImportWindow> {
        if (source.window() < kFirstWindowNumber) {
          return fail(VACCEL_INVALID_ARGUMENT, "a window has number %u; they begin at %u", source.window(),
                      kFirstWindowNumber);
        }
        return ImportWindow{source.window(), source.start(), source.bytes()};
      });
}

Result<DropWindow> decode_drop_window(std::span<const std::byte> body) {
  return with_body<schema::DropWindow>(
      body, "drop-window",
      [](const schema::DropWindow& source) -> Result<DropWindow> { return DropWindow{source.window()}; });
}

Result<AllocateMemory> decode_allocate_memory(std::span<const std::byte> body) {
  return with_body<schema::AllocateMemory>(body, "allocate-memory", [](const schema::AllocateMemory& source) {
    Checker check;
    AllocateMemory allocate{.backend = check.text(source.backend(), "the backend's name", kMaxNameBytes),
                            .bytes = source.bytes(),
                            .memory = source.memory()};
    if (allocate.bytes == 0 || allocate.bytes > kMaxMemoryBytes) {
      check.note(failure(
          VACCEL_INVALID_ARGUMENT, "device memory of %llu bytes is asked for; it must be 1 to %llu",
          static_cast<unsigned long long>(allocate.bytes), static_cast<unsigned long long>(kMaxMemoryBytes)));
    }
    return check.done(std::move(allocate));
  });
}

Result<MemoryAllocated> decode_memory_allocated(std::span<const std::byte> body) {
  return with_body<schema::MemoryAllocated>(
      body, "memory-allocated", [](const schema::MemoryAllocated& source) -> Result<MemoryAllocated> {
        if (source.memory() < kFirstMemoryNumber) {
          return fail(VACCEL_PROTOCOL_ERROR, "device memory was given number %u; they begin at %u",
                      source.memory(), kFirstMemoryNumber);
        }
        Checker check;
        return check.done(MemoryAllocated{source.memory(),
                                          check.text(source.backend(), "the backend's name", kMaxNameBytes)});
      });
}

Result<FreeMemory> decode_free_memory(std::span<const std::byte> body) {
  return with_body<schema::FreeMemory>(
      body, "free-memory",
      [](const schema::FreeMemory& source) -> Result<FreeMemory> { return FreeMemory{source.memory()}; });
}

Result<Wake> decode_wake(std::span<const std::byte> body) {
  return with_body<schema::Wake>(body, "wake", [](const schema::Wake&) -> Result<Wake> { return Wake{}; });
}

// ---- Control

std::span<const std::byte> Encoder::encode(const AttachVm& attach) {
  auto& flat = builder_->flat;
  flat.Clear();
  const auto name = put_text(flat, attach.name, kMaxNameBytes);
  const auto listen = put_text(flat, attach.listen, kMaxPathBytes);
  const auto tenant = put_text(flat, attach.tenant, kMaxNameBytes);
  const auto window = put_text(flat, attach.window, kMaxPathBytes);
  return finish(flat, schema::CreateAttachVm(flat, name, listen, attach.cid, tenant, window,
                                             attach.memory_bytes, attach.prefault));
}

std::span<const std::byte> Encoder::encode(const VmAttached& attached) {
  auto& flat = builder_->flat;
  flat.Clear();
  const auto window = put_text(flat, attached.window, kMaxPathBytes);
  return finish(flat, schema::CreateVmAttached(flat, window, attached.bytes));
}

std::span<const std::byte> Encoder::encode(const DetachVm& detach) {
  auto& flat = builder_->flat;
  flat.Clear();
  const auto name = put_text(flat, detach.name, kMaxNameBytes);
  return finish(flat, schema::CreateDetachVm(flat, name));
}

Result<AttachVm> decode_attach_vm(std::span<const std::byte> body) {
  return with_body<schema::AttachVm>(body, "attach-vm", [](const schema::AttachVm& source) {
    Checker check;
    AttachVm attach;
    attach.name = check.text(source.name(), "the VM's name", kMaxNameBytes);
    attach.listen = check.text(source.listen(), "the VM's endpoint", kMaxPathBytes);
    attach.cid = source.cid();
    attach.tenant = check.text(source.tenant(), "the tenant's name", kMaxNameBytes);
    attach.window = check.text(source.window(), "the window's path", kMaxPathBytes);
    attach.memory_bytes = source.memory_bytes();
    attach.prefault = source.prefault();
    return check.done(std::move(attach));
  });
}

Result<VmAttached> decode_vm_attached(std::span<const std::byte> body) {
  return with_body<schema::VmAttached>(body, "vm-attached", [](const schema::VmAttached& source) {
    Checker check;
    VmAttached attached;
    attached.window = check.text(source.window(), "the window's path", kMaxPathBytes);
    attached.bytes = source.bytes();
    return check.done(std::move(attached));
  });
}

Result<DetachVm> decode_detach_vm(std::span<const std::byte> body) {
  return with_body<schema::DetachVm>(body, "detach-vm", [](const schema::DetachVm& source) {
    Checker check;
    DetachVm detach;
    detach.name = check.text(source.name(), "the VM's name", kMaxNameBytes);
    return check.done(std::move(detach));
  });
}

}  // namespace vaccel::wire
