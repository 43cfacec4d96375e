// SPDX-License-Identifier: Apache-2.0
//
// A program that calls the same operator on the same buffers sends the same bytes again and again. The codec remembers
// the last call and the last result with their bodies: what is the same need not be encoded, or verified and checked,
// once more. To compare takes a tenth of that.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "core/status.h"
#include "wire/messages.h"

namespace vaccel::wire {

/// Whether two messages have the same body. Numbers are compared bit by bit.
bool is_same(const Call& one, const Call& other);
bool is_same(const CallResult& one, const CallResult& other);

/// The last message of a kind with its body, as long as remembering it proves to be worth it. Not thread-safe.
template <typename Message>
class LastBody {
 public:
  /// Larger bodies are not remembered: there is one of these for each session.
  static constexpr size_t kMaxBytes = 512;

  /// The body, if `message` is the one remembered; else nothing.
  [[nodiscard]] std::span<const std::byte> find(const Message& message) {
    return hit(size_ > 0 && is_same(message_, message)) ? std::span<const std::byte>(body_).first(size_)
                                                        : std::span<const std::byte>();
  }
  /// The message, if `body` is the one remembered; else nullptr.
  [[nodiscard]] const Message* find(std::span<const std::byte> body) {
    const bool same = size_ > 0 && body.size() == size_ && std::memcmp(body.data(), body_.data(), size_) == 0;
    return hit(same) ? &message_ : nullptr;
  }
  /// After find() has found nothing.
  void remember(const Message& message, std::span<const std::byte> body) {
    // To keep what never comes again costs about as much as it could save.
    if (misses_ > kPatience && misses_ % kTrialEvery != 0) return;
    size_ = body.size() <= kMaxBytes ? body.size() : 0;
    if (size_ == 0) return;
    message_ = message;
    std::ranges::copy(body, body_.begin());
  }

 private:
  static constexpr uint32_t kPatience = 8;
  static constexpr uint32_t kTrialEvery = 64;

  bool hit(bool found) {
    misses_ = found ? 0 : misses_ + 1;
    return found;
  }

  Message message_;
  alignas(8) std::array<std::byte, kMaxBytes> body_;
  size_t size_ = 0;  // 0: nothing is remembered
  uint32_t misses_ = 0;
};

/// Decodes like decode_call() and decode_result(), whose every failure it shares.
class CallDecoder {
 public:
  Result<Call> decode(std::span<const std::byte> body, const TensorRules& rules);

 private:
  LastBody<Call> last_;
  TensorRules rules_;  // for which the last one was found right
};

class ResultDecoder {
 public:
  Result<CallResult> decode(std::span<const std::byte> body, const TensorRules& rules);

 private:
  LastBody<CallResult> last_;
  TensorRules rules_;
};

}  // namespace vaccel::wire
