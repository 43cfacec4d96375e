// SPDX-License-Identifier: Apache-2.0
//
// Walks the fields of one protobuf message in memory that nobody vouches for. Only what is asked for is looked at, nothing
// is copied, and nothing outside the message is read. Groups, which no writer has made for many years, are refused.
#pragma once

#include <cstdint>
#include <string_view>

#include "failure.h"

namespace vaccel::backends {

class ProtobufReader {
 public:
  explicit ProtobufReader(std::string_view message) : rest_(message) {}

  /// Goes to the next field; false at the end. INVALID_ARGUMENT where the message is damaged.
  bool next() {
    if (rest_.empty()) return false;
    const uint64_t key = take_varint();
    field_ = static_cast<uint32_t>(key >> 3);
    if (field_ == 0 || key >> 32 != 0) damaged("a field has no number");
    type_ = static_cast<uint32_t>(key & 7);
    switch (type_) {
      case kVarint:
        number_ = take_varint();
        break;
      case kFixed64:
        bytes_ = take(8);
        break;
      case kBytes:
        bytes_ = take(take_varint());
        break;
      case kFixed32:
        bytes_ = take(4);
        break;
      default:
        damaged("a field is of no known kind");
    }
    return true;
  }

  [[nodiscard]] uint32_t field() const { return field_; }
  /// The field's number, string, or message.
  [[nodiscard]] uint64_t number() const {
    if (type_ != kVarint) damaged("a field that holds a number holds something else");
    return number_;
  }
  [[nodiscard]] std::string_view bytes() const {
    if (type_ != kBytes) damaged("a field that holds text or a message holds something else");
    return bytes_;
  }

  /// Calls `use` for each number of a repeated field, which may come one by one or packed.
  template <typename Use>
  void for_each_number(Use use) const {
    if (type_ == kVarint) return use(number_);
    for (ProtobufReader packed(bytes()); !packed.rest_.empty();)
      use(packed.take_varint());
  }
  /// How many numbers of `size` bytes each, 4 or 8, a repeated field has here.
  [[nodiscard]] size_t count_fixed(size_t size) const {
    if (type_ == (size == 4 ? kFixed32 : kFixed64)) return 1;
    if (bytes().size() % size != 0) damaged("a list of numbers ends within one");
    return bytes().size() / size;
  }

 private:
  enum : uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

  [[noreturn]] static void damaged(const char* how) {
    refuse(VACCEL_INVALID_ARGUMENT, "the file is no ONNX model, or damaged: %s", how);
  }
  std::string_view take(uint64_t size) {
    if (size > rest_.size()) damaged("a field ends after the file does");
    const std::string_view taken = rest_.substr(0, static_cast<size_t>(size));
    rest_.remove_prefix(static_cast<size_t>(size));
    return taken;
  }
  uint64_t take_varint() {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
      const auto byte = static_cast<unsigned char>(take(1).front());
      if (shift < 64) value |= uint64_t{byte & 0x7FU} << shift;
      if (byte < 0x80) return value;
    }
    damaged("a number has more than ten bytes");
  }

  std::string_view rest_;
  uint32_t field_ = 0;
  uint32_t type_ = kVarint;
  uint64_t number_ = 0;
  std::string_view bytes_;
};

}  // namespace vaccel::backends
