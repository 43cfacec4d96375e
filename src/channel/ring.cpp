// SPDX-License-Identifier: Apache-2.0
#include "channel/ring.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "channel/shared_bytes.h"
#include "wire/limits.h"

namespace vaccel::channel {
namespace {

constexpr size_t kTail = 0;
constexpr size_t kHead = 128;
constexpr size_t kSleeping = 256;
constexpr size_t kOtherControl = 512;
constexpr size_t kWord = 8;

static_assert(std::has_single_bit(kRingBytes));
static_assert(std::endian::native == std::endian::little, "the ring's words are little-endian");

std::byte* control_of(std::byte* pair, Direction direction) {
  return pair + (direction == Direction::kToServer ? 0 : kOtherControl);
}

std::byte* data_of(std::byte* pair, Direction direction) {
  return pair + kRingControlBytes + (direction == Direction::kToServer ? 0 : kRingBytes);
}

Unexpected impossible(const char* which, uint64_t its, uint64_t ours) {
  return fail(VACCEL_PROTOCOL_ERROR,
              "the other end set a ring's %s to %llu; here it is at %llu of %llu bytes", which,
              static_cast<unsigned long long>(its), static_cast<unsigned long long>(ours),
              static_cast<unsigned long long>(kRingBytes));
}

// Puts pieces of any size together to whole words in the ring.
class WordWriter {
 public:
  WordWriter(std::byte* data, uint64_t position) : data_(data), position_(position) {}

  void put(std::span<const std::byte> bytes) {
    if (partial_ > 0) {
      const size_t count = std::min(bytes.size(), kWord - partial_);
      std::memcpy(word_ + partial_, bytes.data(), count);
      partial_ += count;
      bytes = bytes.subspan(count);
      if (partial_ < kWord) return;
      partial_ = 0;
      put_words(word_, 1);
    }
    const size_t words = bytes.size() / kWord;
    put_words(bytes.data(), words);
    partial_ = bytes.size() % kWord;
    if (partial_ > 0) std::memcpy(word_, bytes.data() + words * kWord, partial_);
  }

  void finish() {
    if (partial_ == 0) return;
    std::memset(word_ + partial_, 0, kWord - partial_);
    put_words(word_, 1);
  }

  [[nodiscard]] uint64_t position() const { return position_; }

 private:
  void put_words(const std::byte* from, size_t words) {
    while (words > 0) {
      const uint64_t place = position_ & (kRingBytes - 1);
      const size_t count = std::min<size_t>(words, (kRingBytes - place) / kWord);
      copy_words_in(data_ + place, from, count);
      position_ += count * kWord;
      from += count * kWord;
      words -= count;
    }
  }

  std::byte* data_;
  uint64_t position_;
  std::byte word_[kWord];
  size_t partial_ = 0;
};

}  // namespace

void initialise_rings(std::byte* pair) {
  for (const Direction direction : {Direction::kToServer, Direction::kFromServer}) {
    std::byte* control = control_of(pair, direction);
    shared<uint64_t>(control + kTail).store(0, std::memory_order_relaxed);
    shared<uint64_t>(control + kHead).store(0, std::memory_order_relaxed);
    shared<uint32_t>(control + kSleeping).store(1, std::memory_order_seq_cst);
  }
}

// ---- RingProducer

RingProducer::RingProducer(std::byte* pair, Direction direction)
    : control_(control_of(pair, direction)), data_(data_of(pair, direction)) {}

Result<bool> RingProducer::push(std::span<const std::span<const std::byte>> pieces, size_t bytes) {
  const uint64_t needed = kWord + wire::align_up(bytes, kWord);
  if (needed > kRingBytes - (tail_ - known_head_)) {
    const uint64_t head = shared<uint64_t>(control_ + kHead).load(std::memory_order_acquire);
    if (head - known_head_ > tail_ - known_head_ || head % kWord != 0) return impossible("head", head, tail_);
    known_head_ = head;
    if (needed > kRingBytes - (tail_ - known_head_)) return false;
  }
  WordWriter writer(data_, tail_);
  const uint64_t size = bytes;
  writer.put(std::as_bytes(std::span(&size, 1)));
  for (const auto& piece : pieces)
    writer.put(piece);
  writer.finish();
  tail_ = writer.position();
  shared<uint64_t>(control_ + kTail).store(tail_, std::memory_order_seq_cst);
  fetch_ahead();
  return true;
}

// Takes the lines of the next record away from the consumer's cache while nobody waits for it.
void RingProducer::fetch_ahead() const {
  constexpr uint64_t kLine = 64;
  constexpr uint64_t kUsualRecord = 384;
  for (uint64_t ahead = 0; ahead < kUsualRecord; ahead += kLine)
    __builtin_prefetch(data_ + ((tail_ + ahead) & (kRingBytes - 1)), 1);
}

bool RingProducer::take_wake() {
  const auto sleeping = shared<uint32_t>(control_ + kSleeping);
  return sleeping.load(std::memory_order_seq_cst) != 0 &&
         sleeping.exchange(0, std::memory_order_seq_cst) != 0;
}

// ---- RingConsumer

RingConsumer::RingConsumer(std::byte* pair, Direction direction)
    : control_(control_of(pair, direction)), data_(data_of(pair, direction)) {}

Result<std::optional<std::span<std::byte>>> RingConsumer::pop(std::span<std::byte> memory) {
  const uint64_t tail = shared<uint64_t>(control_ + kTail).load(std::memory_order_acquire);
  if (tail == head_) return std::nullopt;
  const uint64_t there = tail - head_;
  if (there > kRingBytes || there % kWord != 0) return impossible("tail", tail, head_);
  const uint64_t place = head_ & (kRingBytes - 1);
  const uint64_t size = shared<uint64_t>(data_ + place).load(std::memory_order_relaxed);
  if (size == 0 || size > kMaxRecord || kWord + wire::align_up(size, kWord) > there) {
    return fail(VACCEL_PROTOCOL_ERROR,
                "a record in a ring has %llu bytes, of which %llu are there; at most %zu may be",
                static_cast<unsigned long long>(size), static_cast<unsigned long long>(there - kWord),
                kMaxRecord);
  }
  const size_t words = wire::align_up(size, kWord) / kWord;
  const uint64_t first = (head_ + kWord) & (kRingBytes - 1);
  const size_t before_wrap = std::min<size_t>(words, (kRingBytes - first) / kWord);
  copy_words_out(memory.data(), data_ + first, before_wrap);
  copy_words_out(memory.data() + before_wrap * kWord, data_, words - before_wrap);
  head_ += kWord + words * kWord;
  shared<uint64_t>(control_ + kHead).store(head_, std::memory_order_release);
  return memory.first(size);
}

bool RingConsumer::arm() {
  shared<uint32_t>(control_ + kSleeping).store(1, std::memory_order_seq_cst);
  armed_ = true;
  if (shared<uint64_t>(control_ + kTail).load(std::memory_order_seq_cst) == head_) return true;
  disarm();
  return false;
}

void RingConsumer::disarm() {
  if (!armed_) return;
  armed_ = false;
  shared<uint32_t>(control_ + kSleeping).store(0, std::memory_order_relaxed);
}

}  // namespace vaccel::channel
