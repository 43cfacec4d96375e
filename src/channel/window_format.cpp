// SPDX-License-Identifier: Apache-2.0
#include "channel/window_format.h"

#include <bit>
#include <cstring>

namespace vaccel::channel {
namespace {

static_assert(std::endian::native == std::endian::little, "the layouts here are little-endian");

constexpr char kInfoBlockSignature[16] = {'N', 'V', 'D', 'I', 'M', 'M', '_', 'D',
                                          'A', 'X', '_', 'I', 'N', 'F', 'O', '\0'};
constexpr size_t kChecksumAt = 4088;
constexpr uint16_t kInfoBlockMajor = 1;
constexpr uint16_t kInfoBlockMinor = 4;
/// The device's memory has its page structures elsewhere: nothing of it is lost to them.
constexpr uint32_t kModeRam = 1;
constexpr uint32_t kPageBytes = 4096;
constexpr uint16_t kPageStructureBytes = 64;

constexpr uint64_t kMagic = 0x6e576c6563634176;  // "vAccelWn"

template <typename Number>
void put(std::span<std::byte> memory, size_t at, Number value) {
  std::memcpy(memory.subspan(at, sizeof value).data(), &value, sizeof value);
}

template <typename Number>
Number get(std::span<const std::byte> memory, size_t at) {
  Number value;
  std::memcpy(&value, memory.subspan(at, sizeof value).data(), sizeof value);
  return value;
}

// The kernel's sum (nd_fletcher64): over 32-bit words, with the sum's own field taken as zero.
uint64_t info_block_checksum(std::span<const std::byte, kInfoBlockBytes> block) {
  uint32_t low = 0;
  uint64_t high = 0;
  for (size_t at = 0; at < kInfoBlockBytes; at += sizeof(uint32_t)) {
    if (at < kChecksumAt) low += get<uint32_t>(block, at);
    high += low;
  }
  return high << 32 | low;
}

uint64_t load_field(std::span<const std::byte> memory, size_t at) {
  const auto* field = reinterpret_cast<const uint64_t*>(memory.subspan(at, sizeof(uint64_t)).data());
  return __atomic_load_n(field, __ATOMIC_RELAXED);
}

}  // namespace

InfoBlock write_info_block(uint64_t file_bytes, std::span<const std::byte, 16> uuid) {
  InfoBlock block{};
  std::memcpy(block.data(), kInfoBlockSignature, sizeof kInfoBlockSignature);
  std::memcpy(block.data() + 16, uuid.data(), uuid.size());
  put<uint16_t>(block, 52, kInfoBlockMajor);
  put<uint16_t>(block, 54, kInfoBlockMinor);
  put<uint64_t>(block, 56, kWindowDataOffset);
  put<uint64_t>(block, 64, (file_bytes - kWindowDataOffset) / kPageBytes);
  put<uint32_t>(block, 72, kModeRam);
  put<uint32_t>(block, 84, static_cast<uint32_t>(kWindowFileGranule));
  put<uint32_t>(block, 88, kPageBytes);
  put<uint16_t>(block, 92, kPageStructureBytes);
  put<uint64_t>(block, kChecksumAt, info_block_checksum(block));
  return block;
}

Status check_info_block(std::span<const std::byte, kInfoBlockBytes> block, uint64_t file_bytes) {
  if (std::memcmp(block.data(), kInfoBlockSignature, sizeof kInfoBlockSignature) != 0) {
    return failure(VACCEL_INVALID_ARGUMENT, "there is no NVDIMM DAX info block at offset %llu",
                   static_cast<unsigned long long>(kInfoBlockOffset));
  }
  if (get<uint64_t>(block, kChecksumAt) != info_block_checksum(block)) {
    return failure(VACCEL_INVALID_ARGUMENT, "its NVDIMM DAX info block is damaged: the checksum is wrong");
  }
  const uint64_t window_bytes = get<uint64_t>(block, 64) * kPageBytes;
  if (get<uint64_t>(block, 56) != kWindowDataOffset || get<uint32_t>(block, 72) != kModeRam ||
      get<uint32_t>(block, 84) != kWindowFileGranule) {
    return failure(VACCEL_INVALID_ARGUMENT, "its NVDIMM DAX info block is not one for a window");
  }
  if (window_bytes != file_bytes - kWindowDataOffset) {
    return failure(VACCEL_INVALID_ARGUMENT,
                   "its NVDIMM DAX info block is for a file of %llu bytes, and it has %llu: it has been "
                   "truncated or extended",
                   static_cast<unsigned long long>(window_bytes + kWindowDataOffset),
                   static_cast<unsigned long long>(file_bytes));
  }
  return {};
}

std::array<std::byte, kWindowHeaderFields> encode_window_header(const WindowHeader& header) {
  std::array<std::byte, kWindowHeaderFields> memory{};
  put(memory, 0, kMagic);
  put(memory, 8, kWindowVersion);
  put(memory, 16, header.bytes);
  put(memory, 24, header.identity.vm_low);
  put(memory, 32, header.identity.vm_high);
  put(memory, 40, header.identity.generation);
  put(memory, 48, header.identity.nonce_low);
  put(memory, 56, header.identity.nonce_high);
  return memory;
}

Result<WindowHeader> read_window_header(std::span<const std::byte> memory) {
  if (memory.size() < kWindowHeaderBytes) {
    return fail(VACCEL_INVALID_ARGUMENT, "%zu bytes are too few for a window", memory.size());
  }
  if (load_field(memory, 0) != kMagic) {
    return fail(VACCEL_INVALID_ARGUMENT, "it does not begin with a window's header");
  }
  if (const uint64_t version = load_field(memory, 8); version != kWindowVersion) {
    return fail(VACCEL_INVALID_ARGUMENT, "its header has version %llu, and this program knows version %llu",
                static_cast<unsigned long long>(version), static_cast<unsigned long long>(kWindowVersion));
  }
  return WindowHeader{.bytes = load_field(memory, 16),
                      .identity = {.vm_low = load_field(memory, 24),
                                   .vm_high = load_field(memory, 32),
                                   .generation = load_field(memory, 40),
                                   .nonce_low = load_field(memory, 48),
                                   .nonce_high = load_field(memory, 56)}};
}

}  // namespace vaccel::channel
