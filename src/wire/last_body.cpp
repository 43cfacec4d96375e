// SPDX-License-Identifier: Apache-2.0
#include "wire/last_body.h"

#include <bit>
#include <type_traits>

namespace vaccel::wire {
namespace {

// Structured bindings name every field: one that is added has to be compared, or this does not compile.

bool is_same(const Tensor& one, const Tensor& other) {
  const auto& [name, dtype, rank, shape, segment, offset, bytes] = one;
  return dtype == other.dtype && rank == other.rank && segment == other.segment && offset == other.offset &&
         bytes == other.bytes && shape == other.shape && name == other.name;
}

bool is_same(const Place& one, const Place& other) {
  const auto& [name, offset, bytes, segment] = one;
  return offset == other.offset && bytes == other.bytes && segment == other.segment && name == other.name;
}

bool is_same(const Attribute& one, const Attribute& other) {
  const auto& [name, value] = one;
  if (name != other.name || value.index() != other.value.index()) return false;
  if (const auto* real = std::get_if<double>(&value))
    return std::bit_cast<uint64_t>(*real) == std::bit_cast<uint64_t>(*std::get_if<double>(&other.value));
  return value == other.value;
}

template <typename T>
bool are_same(const std::vector<T>& ones, const std::vector<T>& others) {
  return std::ranges::equal(ones, others, [](const T& one, const T& other) { return is_same(one, other); });
}

// All numbers, and no bytes between them.
bool is_same(const vaccel_timings& one, const vaccel_timings& other) {
  static_assert(std::has_unique_object_representations_v<vaccel_timings>);
  return std::memcmp(&one, &other, sizeof one) == 0;
}

bool is_same(const TensorRules& one, const TensorRules& other) {
  const auto& [payload_bytes, other_segments, window, device_memory] = one;
  return payload_bytes == other.payload_bytes && other_segments == other.other_segments &&
         window == other.window && device_memory == other.device_memory;
}

template <typename Message, typename Decode>
Result<Message> decode_or_recall(LastBody<Message>& last, TensorRules& known, std::span<const std::byte> body,
                                 const TensorRules& rules, Decode decode) {
  if (const Message* message = is_same(known, rules) ? last.find(body) : nullptr) return *message;
  auto decoded = decode(body, rules);
  if (decoded) {
    last.remember(*decoded, body);
    known = rules;
  }
  return decoded;
}

}  // namespace

bool is_same(const Call& one, const Call& other) {
  const auto& [operator_name, model, backend, attributes, inputs, timeout_us, timings, window, places,
               area_offset, area_bytes, priority] = one;
  return model == other.model && timeout_us == other.timeout_us && timings == other.timings &&
         window == other.window && area_offset == other.area_offset && area_bytes == other.area_bytes &&
         priority == other.priority && operator_name == other.operator_name && backend == other.backend &&
         are_same(inputs, other.inputs) && are_same(places, other.places) &&
         are_same(attributes, other.attributes);
}

bool is_same(const CallResult& one, const CallResult& other) {
  const auto& [outputs, timings, copied_bytes, batch, calls_wanted] = one;
  return copied_bytes == other.copied_bytes && batch == other.batch && calls_wanted == other.calls_wanted &&
         is_same(timings, other.timings) && are_same(outputs, other.outputs);
}

Result<Call> CallDecoder::decode(std::span<const std::byte> body, const TensorRules& rules) {
  return decode_or_recall(last_, rules_, body, rules, decode_call);
}

Result<CallResult> ResultDecoder::decode(std::span<const std::byte> body, const TensorRules& rules) {
  return decode_or_recall(last_, rules_, body, rules, decode_result);
}

}  // namespace vaccel::wire
