// SPDX-License-Identifier: Apache-2.0
//
// Asks the caller for the memory of an operator's results, one after the other, and names them: those of image I >= 1 of a
// batch are "I.name".
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

#include "runtime/operators/operator.h"

namespace vaccel::runtime {

template <typename T>
inline constexpr vaccel_dtype kDtypeOf = VACCEL_FLOAT32;
template <>
inline constexpr vaccel_dtype kDtypeOf<int32_t> = VACCEL_INT32;
template <>
inline constexpr vaccel_dtype kDtypeOf<uint8_t> = VACCEL_UINT8;
template <>
inline constexpr vaccel_dtype kDtypeOf<uint16_t> = VACCEL_UINT16;

class ResultWriter {
 public:
  explicit ResultWriter(const RuntimeCall& call) : call_(call) {}

  /// What follows are the results of this image, from 0 on.
  void begin_image(size_t image) { image_ = image; }

  /// The memory of a result, to be filled: dense, row-major. It may be shared with a guest, so it is written only.
  /// RESOURCE_EXHAUSTED when there is none.
  template <typename T>
  Result<T*> tensor(const char* name, std::initializer_list<size_t> shape) {
    static_assert(std::is_same_v<T, float> || kDtypeOf<T> != VACCEL_FLOAT32);
    const auto memory = request(name, kDtypeOf<T>, {shape.begin(), shape.size()}, sizeof(T));
    if (!memory) return Unexpected{memory.error()};
    return static_cast<T*>(*memory);
  }

  /// A result of strings, in one dimension.
  Status strings(const char* name, std::span<const std::string_view> values);

 private:
  Result<void*> request(const char* name, vaccel_dtype dtype, std::span<const size_t> shape, size_t size);
  // `name`, or with the image's number in `buffer`.
  const char* full_name(const char* name, std::string& buffer) const;

  const RuntimeCall& call_;
  size_t image_ = 0;
  size_t next_ = 0;
};

/// The label of a class; "" when there is none.
inline std::string_view label_of(std::span<const std::string> labels, int32_t index) {
  const auto at = static_cast<size_t>(index);
  return index >= 0 && at < labels.size() ? std::string_view(labels[at]) : std::string_view("");
}

}  // namespace vaccel::runtime
