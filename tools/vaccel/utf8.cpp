// SPDX-License-Identifier: Apache-2.0
#include "tools/vaccel/utf8.h"

#include <cstdint>

namespace vaccel::tool {
namespace {

constexpr Utf8Character kInvalid{kReplacementCharacter, 1, false};

bool is_character(char32_t value) {
  const bool is_surrogate = value >= 0xD800 && value <= 0xDFFF;
  return value <= 0x10FFFF && !is_surrogate;
}

}  // namespace

Utf8Character first_character(std::string_view text) {
  const auto byte = [&](size_t index) { return static_cast<uint8_t>(text[index]); };
  const uint8_t lead = byte(0);
  if (lead < 0x80) return {lead, 1, true};
  const size_t bytes = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < bytes) return kInvalid;
  char32_t value = lead & (0x7Fu >> bytes);
  for (size_t index = 1; index < bytes; ++index) {
    if ((byte(index) & 0xC0) != 0x80) return kInvalid;
    value = value << 6 | (byte(index) & 0x3Fu);
  }
  constexpr char32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  if (value < kLeast[bytes] || !is_character(value)) return kInvalid;
  return {value, bytes, true};
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const Utf8Character next = first_character(text);
    if (!next.valid) return false;
    text.remove_prefix(next.bytes);
  }
  return true;
}

std::u32string to_utf32(std::string_view text) {
  std::u32string characters;
  while (!text.empty()) {
    const Utf8Character next = first_character(text);
    characters += next.value;
    text.remove_prefix(next.bytes);
  }
  return characters;
}

bool append_utf8(char32_t character, std::string& text) {
  if (!is_character(character)) return false;
  const auto put = [&](char32_t bits) { text += static_cast<char>(bits); };
  const auto put_tail = [&](int shift) { put(0x80 | (character >> shift & 0x3F)); };
  if (character < 0x80) {
    put(character);
  } else if (character < 0x800) {
    put(0xC0 | character >> 6);
    put_tail(0);
  } else if (character < 0x10000) {
    put(0xE0 | character >> 12);
    put_tail(6);
    put_tail(0);
  } else {
    put(0xF0 | character >> 18);
    put_tail(12);
    put_tail(6);
    put_tail(0);
  }
  return true;
}

}  // namespace vaccel::tool
