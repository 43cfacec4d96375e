// SPDX-License-Identifier: Apache-2.0
#include "runtime/vision/output_decoder.h"

#include <cmath>

#include "core/tensor.h"

namespace vaccel::runtime {

std::string OutputShape::text() const {
  return "'" + printable(name) + "' " + (any_rank ? "of any shape" : shape_text(dimensions));
}

bool can_be(const OutputShape& shape, std::initializer_list<int64_t> wanted) {
  if (shape.any_rank) return true;
  if (shape.dimensions.size() != wanted.size()) return false;
  size_t axis = 0;
  for (const int64_t size : wanted) {
    const int64_t seen = shape.dimensions[axis++];
    if (seen != -1 && size != -1 && seen != size) return false;
  }
  return true;
}

int64_t dimension_of(const OutputShape& shape, size_t axis) {
  return shape.any_rank || axis >= shape.dimensions.size() ? -1 : shape.dimensions[axis];
}

Status check_labels(const LabelFacts& labels, const OutputShape& shape, int64_t classes) {
  if (labels.count == 0 || classes < 0 || static_cast<uint64_t>(classes) == labels.count) return {};
  return failure(VACCEL_INVALID_ARGUMENT, "%s has %zu labels, and its output '%s' has %lld classes",
                 std::string(labels.file).c_str(), labels.count, printable(shape.name).c_str(),
                 static_cast<long long>(classes));
}

float sigmoid(float value) {
  return 1.0F / (1.0F + std::exp(-value));
}

}  // namespace vaccel::runtime
