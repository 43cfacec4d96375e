// SPDX-License-Identifier: Apache-2.0
#include "tools/vaccel/found.h"

#include <algorithm>
#include <cmath>
#include <span>

namespace vaccel::tool {

const vaccel_timings& timings_of(const Found& found) {
  return std::visit([](const auto& result) -> const vaccel_timings& { return result->timings; }, found);
}

uint64_t copied_bytes_of(const Found& found) {
  return std::visit([](const auto& result) { return result->copied_bytes; }, found);
}

std::vector<ClassShare> class_shares(const vaccel_segmentation& map) {
  std::vector<size_t> counts(map.label_count);
  const size_t pixels = size_t{map.width} * map.height;
  for (size_t pixel = 0; pixel < pixels; ++pixel)
    ++counts[class_at(map, pixel)];
  std::vector<ClassShare> shares;
  for (size_t index = 0; index < counts.size(); ++index) {
    if (counts[index] > 0)
      shares.push_back(
          {index, counts[index], static_cast<double>(counts[index]) / static_cast<double>(pixels)});
  }
  std::sort(shares.begin(), shares.end(), [](const ClassShare& one, const ClassShare& other) {
    return one.pixels != other.pixels ? one.pixels > other.pixels : one.index < other.index;
  });
  return shares;
}

bool is_background(std::string_view label) {
  return plain_name(label) == "background";
}

std::string plain_name(std::string_view name) {
  std::string letters;
  for (const char character : name) {
    if (character >= 'A' && character <= 'Z') letters += static_cast<char>(character - 'A' + 'a');
    if (character >= 'a' && character <= 'z') letters += character;
  }
  return letters;
}

std::string label_or_number(const char* label, size_t index) {
  return *label != '\0' ? label : "class " + std::to_string(index);
}

std::optional<DepthRange> depth_range(const vaccel_depth_map& map) {
  constexpr size_t kMostSorted = size_t{1} << 20;
  const std::span values(map.depth, size_t{map.width} * map.height);
  const size_t step = values.size() / kMostSorted + 1;
  std::vector<float> some;
  std::optional<DepthRange> range;
  for (size_t at = 0; at < values.size(); ++at) {
    const float value = values[at];
    if (!std::isfinite(value)) continue;
    if (!range) range = DepthRange{value, value, value, value, value};
    range->least = std::min(range->least, value);
    range->most = std::max(range->most, value);
    if (at % step == 0) some.push_back(value);
  }
  if (some.empty()) return range;
  const auto part = [&](double share) {
    const auto at =
        some.begin() + static_cast<ptrdiff_t>(std::lround(share * static_cast<double>(some.size() - 1)));
    std::nth_element(some.begin(), at, some.end());
    return *at;
  };
  range->low = part(0.02);
  range->median = part(0.5);
  range->high = part(0.98);
  return range;
}

const char* depth_kind_name(int kind) {
  switch (kind) {
    case VACCEL_DEPTH_METRIC:
      return "metric";
    case VACCEL_DEPTH_RELATIVE:
      return "relative";
    default:
      return "inverse";
  }
}

}  // namespace vaccel::tool
