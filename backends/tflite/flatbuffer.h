// SPDX-License-Identifier: Apache-2.0
//
// Reads FlatBuffers without generated code: a table is a position, a field a number (the order in the schema). Every
// read is inside the bytes, or refuses the model; nothing is interpreted beyond that.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

#include "api.h"

namespace vaccel::tflite {

class Bytes {
 public:
  explicit Bytes(std::span<const std::byte> bytes) : bytes_(bytes) {}

  [[nodiscard]] size_t size() const { return bytes_.size(); }
  /// Refuses what is not all inside.
  [[nodiscard]] std::span<const std::byte> part(size_t position, size_t size) const {
    if (position > bytes_.size() || size > bytes_.size() - position) {
      refuse(VACCEL_INVALID_ARGUMENT,
             "the file is damaged or cut off: %zu bytes at %zu are referred to, and it has %zu", size,
             position, bytes_.size());
    }
    return bytes_.subspan(position, size);
  }
  template <typename T>
  [[nodiscard]] T number(size_t position) const {
    T value;
    std::memcpy(&value, part(position, sizeof value).data(), sizeof value);
    return value;
  }

 private:
  std::span<const std::byte> bytes_;
};

/// A vector's elements: where the first one lies, and how many there are.
struct Elements {
  size_t position = 0;
  size_t count = 0;
};

class Table {
 public:
  Table(const Bytes& bytes, size_t position) : bytes_(&bytes), position_(position) {}
  static Table root(const Bytes& bytes) { return {bytes, bytes.number<uint32_t>(0)}; }

  [[nodiscard]] bool has(unsigned field) const { return find(field) != 0; }
  template <typename T>
  [[nodiscard]] T number(unsigned field, T otherwise) const {
    const size_t position = find(field);
    return position == 0 ? otherwise : bytes_->number<T>(position);
  }
  /// The field must be there.
  [[nodiscard]] Table table(unsigned field) const { return {*bytes_, follow(find(field))}; }
  [[nodiscard]] std::string_view text(unsigned field) const;
  [[nodiscard]] std::span<const std::byte> bytes(unsigned field) const;

  /// A vector of numbers, or of tables, whose elements are all inside the bytes; empty where the field is not there.
  [[nodiscard]] Elements numbers(unsigned field, size_t element_size) const;
  [[nodiscard]] Elements tables(unsigned field) const { return numbers(field, sizeof(uint32_t)); }
  template <typename T>
  [[nodiscard]] T number_at(const Elements& elements, size_t index) const {
    return bytes_->number<T>(elements.position + index * sizeof(T));
  }
  [[nodiscard]] Table table_at(const Elements& elements, size_t index) const {
    return {*bytes_, follow(elements.position + index * sizeof(uint32_t))};
  }

 private:
  // Where the field's value lies; 0 where the field is absent and has its default.
  [[nodiscard]] size_t find(unsigned field) const;
  [[nodiscard]] size_t follow(size_t position) const { return position + bytes_->number<uint32_t>(position); }

  const Bytes* bytes_;
  size_t position_;
};

}  // namespace vaccel::tflite
