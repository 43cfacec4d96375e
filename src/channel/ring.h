// SPDX-License-Identifier: Apache-2.0
//
// A ring: records in shared memory, one producer, one consumer, which trust each other with nothing. It moves bytes
// and says when the other side must be woken; what the bytes mean and how a wake-up travels is ring_channel.h's.
//
// A pair of rings, one a direction, is this much memory, zero at first:
//
//   offset 0     u64 tail       written by the producer: bytes ever put in          of the ring to the agent
//        128     u64 head       written by the consumer: bytes ever taken out       (or worker)
//        256     u32 sleeping   1: the consumer sleeps, or is about to; 0: it looks
//        512     the same three, of the ring in the other direction
//       4096     kRingBytes of records to the agent (or worker)
//       4096 + kRingBytes       kRingBytes of records from it
//
// A record: u64 size in bytes, then so many bytes, padded to 8. Positions count up for ever; a position's place is
// its value modulo kRingBytes. Each counter has its own pair of cache lines, so that neither side's writes take away
// the line that the other one spins on, and `sleeping`, which the producer reads for each record, stays in its cache.
//
// Hostile other sides: a counter is loaded once and then checked against what this side keeps in memory of its own
// (the producer its tail, the consumer its head, neither of which it reads back). A record's size is loaded once and
// checked, its bytes are copied out once, and only the copy is looked at.
//
// No wake-up is lost. The producer stores `tail`, then loads `sleeping`; the consumer stores `sleeping` = 1, then
// loads `tail`; all four are sequentially consistent, so they have one order that both sides agree on. Were the
// record not seen by the consumer (its load of tail before the producer's store of it), then the consumer's store of
// sleeping comes before that load, the producer's load of sleeping after that store, and the producer sees 1: it
// sets it to 0 and wakes. The consumer sleeps only after it has stored 1 and found no record. Two wake-ups for one
// sleep cannot come of one producer, since it takes the 1 away with an exchange; one that arrives when the consumer
// has found the record by itself is spurious and harmless. ring.pml is this as a model, ring_test.cpp stresses it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "channel/shared_bytes.h"
#include "core/status.h"

namespace vaccel::channel {

inline constexpr uint64_t kRingBytes = 32 * 1024;  ///< Of one direction; a power of two.
inline constexpr uint64_t kRingControlBytes = 4096;
inline constexpr uint64_t kRingPairBytes = kRingControlBytes + 2 * kRingBytes;
/// The largest record: small enough that several fit, large enough for any usual call.
inline constexpr size_t kMaxRecord = 8 * 1024;

/// Which of the pair.
enum class Direction { kToServer, kFromServer };

class RingProducer {
 public:
  /// @param pair  kRingPairBytes of shared memory, aligned to 128; outlives this.
  RingProducer(std::byte* pair, Direction direction);

  /// Puts one record in: the pieces one after the other, `bytes` altogether, 1 .. kMaxRecord.
  /// @return false: no room now. PROTOCOL_ERROR: the consumer has set its position to what cannot be.
  Result<bool> push(std::span<const std::span<const std::byte>> pieces, size_t bytes);
  /// Whether the consumer sleeps; true once a sleep: whoever is told so wakes it.
  [[nodiscard]] bool take_wake();

 private:
  void fetch_ahead() const;

  std::byte* control_;
  std::byte* data_;
  uint64_t tail_ = 0;
  uint64_t known_head_ = 0;  // where the consumer was when last looked at
};

class RingConsumer {
 public:
  RingConsumer(std::byte* pair, Direction direction);

  /// Whether something is there. Cheap: what a spin loop asks.
  [[nodiscard]] bool ready() const {
    return shared<uint64_t>(control_).load(std::memory_order_acquire) != head_;  // the tail
  }
  /// Takes the next record out. @param memory  at least kMaxRecord + 8 bytes, aligned to 8, for the copy.
  /// @return the record in `memory`; nothing when there is none. PROTOCOL_ERROR: the ring holds what cannot be.
  Result<std::optional<std::span<std::byte>>> pop(std::span<std::byte> memory);

  /// Says that this side is about to sleep. @return false: something is there; it must not sleep, and is not taken
  /// to.
  [[nodiscard]] bool arm();
  /// Says that it is awake again, which spares the producer a wake-up.
  void disarm();

 private:
  std::byte* control_;
  std::byte* data_;
  uint64_t head_ = 0;
  bool armed_ = true;  // see the first arm()
};

/// Makes a pair of rings in zeroed memory ready: nobody looks at either yet.
void initialise_rings(std::byte* pair);

}  // namespace vaccel::channel
