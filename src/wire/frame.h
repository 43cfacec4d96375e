// SPDX-License-Identifier: Apache-2.0
//
// The frame: what every byte that vAccel exchanges belongs to. A fixed header of 32 bytes, little-endian,
// then a body (FlatBuffers, see messages.h), then a payload (the bytes of tensors). Here is the header alone;
// nothing does I/O.
//
//   offset 0  u32  magic "vAcl"          16  u32  body_bytes      <= 65536
//          4  u16  version               20  u32  reserved        0
//          6  u8   kind                  24  u64  payload_bytes
//          7  u8   flags, 0
//          8  u64  request_id
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "core/status.h"

namespace vaccel::wire {

inline constexpr size_t kHeaderBytes = 32;
inline constexpr uint32_t kMagic = 0x6c634176;  // "vAcl"
/// Versions of the protocol that this code speaks.
inline constexpr uint16_t kOldestVersion = 1;
inline constexpr uint16_t kNewestVersion = 1;

/// Requests have numbers below 32, answers from 32 on. An answer carries its request's id.
enum class Kind : uint8_t {
  kHello = 1,
  kOpenModel = 2,
  kCloseModel = 3,
  kDescribe = 4,
  kCall = 5,
  kCancel = 6,
  kRelease = 7,
  kOpenWindow = 8,
  kLease = 9,
  kImportWindow = 10,
  kDropWindow = 11,
  kWake = 12,
  kAttachVm = 13,
  kDetachVm = 14,
  kReadStatus = 15,
  kAllocateMemory = 16,
  kFreeMemory = 17,
  kPing = 18,
  kSetTenant = 19,
  kReadTenant = 20,
  kReload = 21,
  kLiftQuarantine = 22,
  kWelcome = 32,
  kModelOpened = 33,
  kDone = 34,
  kDescription = 35,
  kResult = 36,
  kFailure = 37,
  kWindowOpened = 38,
  kLeased = 39,
  kVmAttached = 40,
  kStatus = 41,
  kMemoryAllocated = 42,
  kTenantSettings = 43,
  kReloaded = 44,
};

/// "call"; "unknown" for a number that is no kind.
[[gnu::cold]] const char* kind_name(Kind kind);

/// Whether only a call and its result may have this much: all other kinds have no payload.
bool may_have_payload(Kind kind);

struct Header {
  Kind kind = Kind::kHello;
  uint16_t version = kNewestVersion;
  uint64_t request_id = 0;
  uint32_t body_bytes = 0;
  uint64_t payload_bytes = 0;
};

using HeaderBytes = std::array<std::byte, kHeaderBytes>;

HeaderBytes encode_header(const Header& header);

/// PROTOCOL_ERROR: not a header of ours (magic, flags, reserved), an unknown kind, a body or payload over the
/// protocol's limits. The version is not judged here: who knows what was negotiated does that.
Result<Header> decode_header(std::span<const std::byte, kHeaderBytes> bytes);

}  // namespace vaccel::wire
