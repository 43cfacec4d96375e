// SPDX-License-Identifier: Apache-2.0
//
// All operators of a runtime, by name. Filled once, then only looked up: a lookup takes a few nanoseconds and
// no lock.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/operators/operator.h"

namespace vaccel::runtime {

class OperatorRegistry {
 public:
  /// The first of a name stays; false for a second one.
  bool add(std::unique_ptr<Operator> added);

  /// nullptr when there is none of that name.
  [[nodiscard]] const Operator* find(std::string_view name) const {
    if (table_.empty()) return nullptr;
    for (size_t at = hash(name) & (table_.size() - 1);; at = (at + 1) & (table_.size() - 1)) {
      const Operator* found = table_[at];
      if (found == nullptr || found->name() == name) return found;
    }
  }

  /// In the order in which they were added.
  [[nodiscard]] const std::vector<std::unique_ptr<Operator>>& all() const { return operators_; }

  /// NOT_FOUND, with what there is.
  [[nodiscard]] Status unknown(std::string_view name) const;

 private:
  // Operators' names differ in their length, beginning or end; that is all the hash looks at.
  static size_t hash(std::string_view name) {
    uint64_t head = 0;
    uint64_t tail = 0;
    if (name.size() >= sizeof head) {
      __builtin_memcpy(&head, name.data(), sizeof head);
      __builtin_memcpy(&tail, name.data() + name.size() - sizeof tail, sizeof tail);
    } else {
      for (const char character : name)
        head = head << 8 | static_cast<unsigned char>(character);
    }
    const uint64_t mixed = (head ^ (tail << 1) ^ name.size()) * 0x9e3779b97f4a7c15u;
    return static_cast<size_t>(mixed >> 32);
  }

  std::vector<std::unique_ptr<Operator>> operators_;
  std::vector<const Operator*> table_;  // open addressing; a power of two large, at most half full
};

}  // namespace vaccel::runtime
