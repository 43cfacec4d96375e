// SPDX-License-Identifier: Apache-2.0
#include "flatbuffer.h"

namespace vaccel::tflite {

size_t Table::find(unsigned field) const {
  const auto back = int64_t{bytes_->number<int32_t>(position_)};
  const int64_t vtable = static_cast<int64_t>(position_) - back;
  if (vtable < 0) {
    refuse(VACCEL_INVALID_ARGUMENT, "the file is damaged: the table at %zu refers to before its start",
           position_);
  }
  const auto start = static_cast<size_t>(vtable);
  const size_t entry = sizeof(uint16_t) * (2 + size_t{field});
  if (entry + sizeof(uint16_t) > bytes_->number<uint16_t>(start)) return 0;
  const auto offset = bytes_->number<uint16_t>(start + entry);
  return offset == 0 ? 0 : position_ + offset;
}

Elements Table::numbers(unsigned field, size_t element_size) const {
  const size_t position = find(field);
  if (position == 0) return {};
  const size_t vector = follow(position);
  const Elements elements{vector + sizeof(uint32_t), bytes_->number<uint32_t>(vector)};
  (void)bytes_->part(elements.position, elements.count * element_size);
  return elements;
}

std::span<const std::byte> Table::bytes(unsigned field) const {
  const Elements elements = numbers(field, 1);
  return elements.count == 0 ? std::span<const std::byte>{} : bytes_->part(elements.position, elements.count);
}

std::string_view Table::text(unsigned field) const {
  const auto characters = bytes(field);
  return {reinterpret_cast<const char*>(characters.data()), characters.size()};
}

}  // namespace vaccel::tflite
