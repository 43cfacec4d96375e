// SPDX-License-Identifier: Apache-2.0
//
// What is known of a model's input or output before it runs: a backend's description of it, owned.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/quantisation.h"

namespace vaccel::runtime {

/// An input or output of a model.
struct TensorFacts {
  std::string name;
  std::vector<int64_t> shape;  ///< -1: any size. Meaningless when any_rank.
  bool any_rank = false;
  int32_t dtype = 0;
  /// Where a backend or the model.toml knows it; what a backend knows has not been checked.
  std::optional<Quantisation> quantisation{};

  /// "float32 [1, 3, ?, ?]".
  [[nodiscard]] std::string text() const;
};

/// "'a', 'b'", or "none".
std::string names_of(std::span<const TensorFacts> facts);

/// The one of that name; nullptr when there is none.
const TensorFacts* find_named(std::span<const TensorFacts> facts, const std::string& name);

}  // namespace vaccel::runtime
