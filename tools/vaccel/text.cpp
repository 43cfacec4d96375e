// SPDX-License-Identifier: Apache-2.0
#include "tools/vaccel/text.h"

#include <cstdio>
#include <iterator>

#include "tools/vaccel/utf8.h"

namespace vaccel::tool {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

struct Range {
  char32_t first;
  char32_t last;
};

template <size_t kCount>
bool is_in(char32_t character, const Range (&ranges)[kCount]) {
  for (const Range& range : ranges) {
    if (character >= range.first && character <= range.last) return true;
  }
  return false;
}

// What a terminal obeys, or a reader cannot see: controls, zero-width and direction marks, tags.
constexpr Range kHarmful[] = {{0x00, 0x1F},     {0x7F, 0x9F},     {0x200B, 0x200F}, {0x2028, 0x202E},
                              {0x2060, 0x206F}, {0xFEFF, 0xFEFF}, {0xFFF9, 0xFFFB}, {0xE0000, 0xE0FFF}};
constexpr Range kCombining[] = {{0x0300, 0x036F}, {0x1AB0, 0x1AFF}, {0x20D0, 0x20FF}, {0xFE00, 0xFE0F}};
constexpr Range kWide[] = {{0x1100, 0x115F},   {0x2E80, 0xA4CF},   {0xAC00, 0xD7A3},  {0xF900, 0xFAFF},
                           {0xFE30, 0xFE6F},   {0xFF00, 0xFF60},   {0xFFE0, 0xFFE6},  {0x1F300, 0x1F64F},
                           {0x1F680, 0x1F6FF}, {0x1F900, 0x1FAFF}, {0x20000, 0x3FFFD}};

bool is_harmless(const Utf8Character& character) {
  return character.valid && !is_in(character.value, kHarmful);
}

}  // namespace

std::string safe_text(std::string_view text) {
  std::string safe;
  safe.reserve(text.size());
  while (!text.empty()) {
    const Utf8Character next = first_character(text);
    safe += is_harmless(next) ? text.substr(0, next.bytes) : kReplacement;
    text.remove_prefix(next.bytes);
  }
  return safe;
}

size_t display_width(std::string_view text) {
  size_t width = 0;
  while (!text.empty()) {
    const Utf8Character next = first_character(text);
    if (!is_in(next.value, kCombining)) width += is_in(next.value, kWide) ? 2 : 1;
    text.remove_prefix(next.bytes);
  }
  return width;
}

std::string size_text(unsigned long long bytes) {
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  size_t unit = 0;
  auto size = static_cast<double>(bytes);
  // 1023.95 and more would be shown as 1024.0 of the smaller unit.
  while (size >= (unit == 0 ? 1024.0 : 1023.95) && unit + 1 < std::size(kUnits)) {
    size /= 1024.0;
    ++unit;
  }
  char text[32];
  const int length = std::snprintf(text, sizeof text, "%.1f", size);
  std::string_view number(text, static_cast<size_t>(length));
  if (number.ends_with(".0")) number.remove_suffix(2);
  return std::string(number) + " " + kUnits[unit];
}

}  // namespace vaccel::tool
