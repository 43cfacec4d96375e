// SPDX-License-Identifier: Apache-2.0
#include "runtime/tensor_facts.h"

#include <algorithm>

#include "core/status.h"
#include "core/tensor.h"

namespace vaccel::runtime {

std::string TensorFacts::text() const {
  return std::string(dtype_name(dtype)) + " " + (any_rank ? "of any rank" : shape_text(shape));
}

std::string names_of(std::span<const TensorFacts> facts) {
  std::string names;
  for (const TensorFacts& fact : facts)
    names += (names.empty() ? "'" : ", '") + printable(fact.name) + "'";
  return names.empty() ? "none" : names;
}

const TensorFacts* find_named(std::span<const TensorFacts> facts, const std::string& name) {
  const auto found =
      std::find_if(facts.begin(), facts.end(), [&](const auto& fact) { return fact.name == name; });
  return found == facts.end() ? nullptr : &*found;
}

}  // namespace vaccel::runtime
