// SPDX-License-Identifier: Apache-2.0
//
// Feeds arbitrary bytes to one decoder (VACCEL_DECODER), and what it accepts to the encoder and the decoder
// again: what was accepted must be accepted a second time and come out the same.
#include <algorithm>
#include <cstdlib>
#include <vector>

#include "core/tensor.h"
#include "wire/messages.h"

namespace vaccel::wire {
namespace {

[[maybe_unused]] constexpr TensorRules kRules{.payload_bytes = 1 << 20, .other_segments = true};

#define VACCEL_JOIN2(a, b) a##b
#define VACCEL_JOIN(a, b) VACCEL_JOIN2(a, b)

// A template, so that only the branch that fits the decoder is compiled.
template <typename Decoder>
auto decode_with(Decoder* decoder, std::span<const std::byte> body) {
  if constexpr (std::is_invocable_v<Decoder, std::span<const std::byte>, const TensorRules&>) {
    return decoder(body, kRules);
  } else {
    return decoder(body);
  }
}

auto decode(std::span<const std::byte> body) {
  return decode_with(VACCEL_JOIN(decode_, VACCEL_DECODER), body);
}

}  // namespace
}  // namespace vaccel::wire

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vaccel::wire;
  const auto first = decode({reinterpret_cast<const std::byte*>(data), size});
  if (!first) return 0;
  Encoder encoder;
  const auto encoded = encoder.encode(*first);
  if (encoded.size() > 65536)
    return 0;  // Strings that shared storage grow apart; the sender's limit, not the decoder's.
  const std::vector<std::byte> bytes(encoded.begin(), encoded.end());
  const auto second = decode(bytes);
  if (!second) std::abort();
  const auto again = encoder.encode(*second);
  if (!std::equal(bytes.begin(), bytes.end(), again.begin(), again.end())) std::abort();
  return 0;
}
