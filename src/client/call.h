// SPDX-License-Identifier: Apache-2.0
//
// A call as the caller described it, checked: what every transport can rely on.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "core/status.h"
#include "vaccel/vaccel.h"

namespace vaccel::client {

/// Views of the caller's memory; it owns nothing.
struct CallSpec {
  const char* operator_name = nullptr;
  const char* model = nullptr;  ///< nullptr: none.
  std::span<const vaccel_attribute> attributes;
  std::span<const vaccel_tensor> inputs;
  int64_t deadline_ns = 0;                ///< 0: none.
  const char* backend = nullptr;          ///< nullptr: the best there is.
  bool timings = false;                   ///< Measure the stages.
  int8_t priority = 0;                    ///< Among its tenant's.
  std::span<const vaccel_tensor> places;  ///< The caller's memory for results.
};

/// Checks everything that can be told without asking anyone: names and texts within the protocol's limits,
/// attributes, tensors' views, a deadline that has not passed.
/// INVALID_ARGUMENT says which argument; DEADLINE_EXCEEDED.
Status check_call(const CallSpec& spec);

/// A name of a model: present, not empty, within the limit. `what` for the sentence: "model".
Status check_name(const char* name, const char* what);

/// Bytes that a checked tensor takes when it is dense.
uint64_t dense_size(const vaccel_tensor& tensor);

/// Reads a struct that begins with `size` as a caller of this or another version of the library filled it in:
/// what an older caller does not know stays zero. INVALID_ARGUMENT: `size` was not set, or a newer caller set
/// something that this library does not know.
template <typename T>
Status read_sized(const T* given, const char* name, T& value);

/// For read_sized(): copies what both sides know, and checks the rest.
Status copy_sized(const void* given, size_t given_size, const char* name, void* value, size_t value_size);

template <typename T>
Status read_sized(const T* given, const char* name, T& value) {
  value = T{};
  if (given == nullptr) return {};
  return copy_sized(given, given->size, name, &value, sizeof value);
}

}  // namespace vaccel::client
