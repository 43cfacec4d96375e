// SPDX-License-Identifier: Apache-2.0
#include "runtime/vision/class_map.h"

#include <vector>

#include "runtime/vision/map_taps.h"

namespace vaccel::runtime {
namespace {

constexpr size_t kMostClasses = 65536;  // what 16 bits tell apart

uint32_t nearest(const MapTap& tap) {
  return tap.weight < 0.5F ? tap.first : tap.second;
}

}  // namespace

Status ClassMapDecoder::check(std::span<const OutputShape> shapes, const LabelFacts& labels) const {
  if (Status status = check_single_channel(shapes[0], "classes"); !status.ok()) return status;
  const size_t count = classes(labels.count);
  if (count == 0 || count > kMostClasses) {
    return failure(VACCEL_INVALID_ARGUMENT, "%s has %zu labels; 1 to %zu are supported",
                   std::string(labels.file).c_str(), labels.count, kMostClasses);
  }
  if (labels.count == 0 || labels.count == count) return {};
  return failure(VACCEL_INVALID_ARGUMENT, "%s has %zu labels, and 'classes' of [segment] is %zu",
                 std::string(labels.file).c_str(), labels.count, output_.classes);
}

template <typename Class>
Status classes_of_map(const ChannelMap& map, size_t count, Class* classes) {
  const auto end = static_cast<float>(count);
  for (size_t place = 0; place < map.height * map.width; ++place) {
    const float number = map.values[place];
    if (!(number >= 0 && number < end)) {
      return failure(VACCEL_INVALID_ARGUMENT, "row %zu, column %zu has class %.0f, and there are %zu classes",
                     place / map.width, place % map.width, static_cast<double>(number), count);
    }
    classes[place] = static_cast<Class>(number);
  }
  return {};
}

template <typename Class>
void nearest_classes(const ChannelMap& map, const Class* model_classes, const ImageMapping& mapping,
                     Class* classes) {
  const std::vector<MapTap> columns = column_taps(mapping, map.width);
  for (const MapTap& row : row_taps(mapping, map.height)) {
    const Class* places = model_classes + nearest(row) * map.width;
    for (const MapTap& column : columns)
      *classes++ = places[nearest(column)];
  }
}

template Status classes_of_map(const ChannelMap&, size_t, uint8_t*);
template Status classes_of_map(const ChannelMap&, size_t, uint16_t*);
template void nearest_classes(const ChannelMap&, const uint8_t*, const ImageMapping&, uint8_t*);
template void nearest_classes(const ChannelMap&, const uint16_t*, const ImageMapping&, uint16_t*);

}  // namespace vaccel::runtime
