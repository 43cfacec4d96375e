// SPDX-License-Identifier: Apache-2.0
#include "runtime/operators/registry.h"

namespace vaccel::runtime {

bool OperatorRegistry::add(std::unique_ptr<Operator> added) {
  if (find(added->name()) != nullptr) return false;
  operators_.push_back(std::move(added));
  size_t size = 16;
  while (size < 2 * operators_.size())
    size *= 2;
  table_.assign(size, nullptr);
  for (const auto& one : operators_) {
    size_t at = hash(one->name()) & (size - 1);
    while (table_[at] != nullptr)
      at = (at + 1) & (size - 1);
    table_[at] = one.get();
  }
  return true;
}

Status OperatorRegistry::unknown(std::string_view name) const {
  std::string known;
  for (const auto& one : operators_)
    known += (known.empty() ? "" : ", ") + one->name();
  return failure(VACCEL_NOT_FOUND, "no operator '%s' here; there are: %s", printable(name).c_str(),
                 known.c_str());
}

}  // namespace vaccel::runtime
