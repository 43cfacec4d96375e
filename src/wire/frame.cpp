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

// Names one after the other, in the order of their numbers: less than a table of them, in the guest library.
constexpr const char kRequests[] =
    "hello\0open-model\0close-model\0describe\0call\0cancel\0release\0open-window\0lease\0import-window\0"
    "drop-window\0wake\0attach-vm\0detach-vm\0read-status\0allocate-memory\0free-memory\0ping\0set-tenant\0"
    "read-tenant\0reload\0lift-quarantine";
constexpr const char kAnswers[] =
    "welcome\0model-opened\0done\0description\0result\0failure\0window-opened\0leased\0vm-attached\0status\0"
    "memory-allocated\0tenant-settings\0reloaded";

bool is_known(uint8_t kind) {
  return (kind >= static_cast<uint8_t>(Kind::kHello) &&
          kind <= static_cast<uint8_t>(Kind::kLiftQuarantine)) ||
         (kind >= static_cast<uint8_t>(Kind::kWelcome) && kind <= static_cast<uint8_t>(Kind::kReloaded));
}

}  // namespace

const char* kind_name(Kind kind) {
  const auto number = static_cast<size_t>(kind);
  if (!is_known(static_cast<uint8_t>(kind))) return "unknown";
  const bool answers = number >= static_cast<size_t>(Kind::kWelcome);
  const char* name = answers ? kAnswers : kRequests;
  for (size_t at = static_cast<size_t>(answers ? Kind::kWelcome : Kind::kHello); at < number; ++at)
    name += std::strlen(name) + 1;
  return name;
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
