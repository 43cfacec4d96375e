// SPDX-License-Identifier: Apache-2.0
//
// An operator's attributes, checked: sorted by name, no name twice, each of a known type.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <vector>

#include "core/status.h"
#include "vaccel/types.h"

namespace vaccel::runtime {

/// Sorted views of a call's attributes. Without attributes nothing is allocated or looked at.
class SortedAttributes {
 public:
  /// INVALID_ARGUMENT: a name is missing or there twice, or a type is none.
  static Result<SortedAttributes> check(const vaccel_attribute* attributes, size_t count);

  [[nodiscard]] std::span<const vaccel_attribute> all() const { return sorted_; }

 private:
  std::vector<vaccel_attribute> sorted_;
};

/// INVALID_ARGUMENT for the first attribute that is none of `known`, with what there is.
Status refuse_unknown(const char* operator_name, std::span<const vaccel_attribute> attributes,
                      std::initializer_list<const char*> known);

/// An integer attribute within [least, most]. NOT_FOUND: missing; INVALID_ARGUMENT: of another type, or
/// outside.
Result<int64_t> integer_attribute(const char* operator_name, std::span<const vaccel_attribute> attributes,
                                  const char* name, int64_t least, int64_t most);

/// The same; `otherwise` where it is missing.
Result<int64_t> integer_attribute_or(const char* operator_name, std::span<const vaccel_attribute> attributes,
                                     const char* name, int64_t least, int64_t most, int64_t otherwise);

/// A number within [least, most], integers included; `otherwise` where it is missing. INVALID_ARGUMENT: of another type,
/// no number, or outside.
Result<double> real_attribute(const char* operator_name, std::span<const vaccel_attribute> attributes,
                              const char* name, double least, double most, double otherwise);

}  // namespace vaccel::runtime
