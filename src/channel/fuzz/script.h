// SPDX-License-Identifier: Apache-2.0
//
// What an input of fuzz_ring_memory says: steps, one after the other, each a byte that names it and its numbers. make_seeds
// writes such inputs, fuzz_ring_memory plays them.
#pragma once

#include <cstdint>

namespace vaccel::channel::fuzz {

enum class Step : uint8_t {
  kStoreWord,    ///< u16 which word of the rings' memory, u64 value.
  kStoreBytes,   ///< u16 where in it (times 8), u8 how many, the bytes.
  kCall,         ///< u8 request, u16 bytes of body, u16 of payload, both: a well-formed call from the client.
  kRecord,       ///< u16 bytes, the bytes: a record that the client's producer puts in, whatever it is.
  kStream,       ///< u16 bytes, the bytes: what the client says on the stream.
  kServerReads,  ///< u8 how many events.
  kServerSends,  ///< u8 request, u16 bytes of body, taken from nowhere in particular.
  kClientReads,  ///< u8 how many events.
  kWakes,        ///< Each side says that it is about to sleep, and is woken.
  kCount,
};

/// Of the window that calls refer to: what the session has leased. Between the second and the third there is a piece that
/// it has given back.
inline constexpr uint64_t kWindowBytes = uint64_t{1} << 20;
inline constexpr uint64_t kLeaseBytes[] = {4096, 8192, 4096, 64 * 1024};
inline constexpr uint64_t kFreedLease = 2;

}  // namespace vaccel::channel::fuzz
