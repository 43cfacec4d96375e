// SPDX-License-Identifier: Apache-2.0
#include "wire/frame.h"

#include <cstring>

#include "wire/limits.h"

namespace vaccel::wire {
namespace {

template <typename T>
void put(HeaderBytes& bytes, size_t offset, T value) {
  std::memcpy(bytes.data() + offset, &value, sizeof value);
}

template <typename T>
T get(std::span<const std::byte, kHeaderBytes> bytes, size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

bool is_known(uint8_t kind) {
  return (kind >= static_cast<uint8_t>(Kind::kHello) &&
          kind <= static_cast<uint8_t>(Kind::kLiftQuarantine)) ||
         (kind >= static_cast<uint8_t>(Kind::kWelcome) && kind <= static_cast<uint8_t>(Kind::kReloaded));
}

}  // namespace

const char* kind_name(Kind kind) {
  switch (kind) {
    case Kind::kHello:
      return "hello";
    case Kind::kOpenModel:
      return "open-model";
    case Kind::kCloseModel:
      return "close-model";
    case Kind::kDescribe:
      return "describe";
    case Kind::kCall:
      return "call";
    case Kind::kCancel:
      return "cancel";
    case Kind::kRelease:
      return "release";
    case Kind::kWelcome:
      return "welcome";
    case Kind::kModelOpened:
      return "model-opened";
    case Kind::kDone:
      return "done";
    case Kind::kDescription:
      return "description";
    case Kind::kResult:
      return "result";
    case Kind::kFailure:
      return "failure";
    case Kind::kOpenWindow:
      return "open-window";
    case Kind::kLease:
      return "lease";
    case Kind::kImportWindow:
      return "import-window";
    case Kind::kDropWindow:
      return "drop-window";
    case Kind::kWake:
      return "wake";
    case Kind::kAttachVm:
      return "attach-vm";
    case Kind::kDetachVm:
      return "detach-vm";
    case Kind::kReadStatus:
      return "read-status";
    case Kind::kAllocateMemory:
      return "allocate-memory";
    case Kind::kFreeMemory:
      return "free-memory";
    case Kind::kPing:
      return "ping";
    case Kind::kSetTenant:
      return "set-tenant";
    case Kind::kReadTenant:
      return "read-tenant";
    case Kind::kReload:
      return "reload";
    case Kind::kLiftQuarantine:
      return "lift-quarantine";
    case Kind::kTenantSettings:
      return "tenant-settings";
    case Kind::kReloaded:
      return "reloaded";
    case Kind::kMemoryAllocated:
      return "memory-allocated";
    case Kind::kWindowOpened:
      return "window-opened";
    case Kind::kLeased:
      return "leased";
    case Kind::kVmAttached:
      return "vm-attached";
    case Kind::kStatus:
      return "status";
  }
  return "unknown";
}

bool may_have_payload(Kind kind) {
  return kind == Kind::kCall || kind == Kind::kResult;
}

HeaderBytes encode_header(const Header& header) {
  HeaderBytes bytes{};
  put(bytes, 0, kMagic);
  put(bytes, 4, header.version);
  put(bytes, 6, static_cast<uint8_t>(header.kind));
  put(bytes, 8, header.request_id);
  put(bytes, 16, header.body_bytes);
  put(bytes, 24, header.payload_bytes);
  return bytes;
}

Result<Header> decode_header(std::span<const std::byte, kHeaderBytes> bytes) {
  if (const auto magic = get<uint32_t>(bytes, 0); magic != kMagic) {
    return fail(VACCEL_PROTOCOL_ERROR, "the other end does not speak vAccel: a frame begins with 0x%08x",
                magic);
  }
  if (const auto flags = get<uint8_t>(bytes, 7); flags != 0) {
    return fail(VACCEL_PROTOCOL_ERROR, "a frame has flags 0x%02x; none is defined", flags);
  }
  if (get<uint32_t>(bytes, 20) != 0)
    return fail(VACCEL_PROTOCOL_ERROR, "a frame's reserved field is not zero");
  const auto kind = get<uint8_t>(bytes, 6);
  if (!is_known(kind)) return fail(VACCEL_PROTOCOL_ERROR, "a frame has kind %u, which is none", kind);
  Header header;
  header.kind = static_cast<Kind>(kind);
  header.version = get<uint16_t>(bytes, 4);
  header.request_id = get<uint64_t>(bytes, 8);
  header.body_bytes = get<uint32_t>(bytes, 16);
  header.payload_bytes = get<uint64_t>(bytes, 24);
  if (header.body_bytes > kMaxBodyBytes) {
    return fail(VACCEL_PROTOCOL_ERROR, "a frame's body of %u bytes is over the limit of %u",
                header.body_bytes, kMaxBodyBytes);
  }
  if (header.payload_bytes > (may_have_payload(header.kind) ? kMaxPayloadBytes : 0)) {
    return fail(VACCEL_PROTOCOL_ERROR, "a %s frame may not have a payload of %llu bytes",
                kind_name(header.kind), static_cast<unsigned long long>(header.payload_bytes));
  }
  return header;
}

}  // namespace vaccel::wire
