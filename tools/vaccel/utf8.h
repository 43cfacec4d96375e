// SPDX-License-Identifier: Apache-2.0
//
// UTF-8 to and from single characters, strict: nothing overlong, no surrogates, nothing beyond U+10FFFF.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace vaccel::tool {

inline constexpr char32_t kReplacementCharacter = 0xFFFD;

/// A character and the bytes that it took.
struct Utf8Character {
  char32_t value;
  size_t bytes;
  bool valid;  ///< false: one byte that is no UTF-8, as U+FFFD.
};

/// The first character of a text that is not empty.
Utf8Character first_character(std::string_view text);

bool is_utf8(std::string_view text);

/// The characters of a text; U+FFFD for each byte that is no UTF-8.
std::u32string to_utf32(std::string_view text);

/// Whether `character` is one that UTF-8 can say; only then it is appended.
[[nodiscard]] bool append_utf8(char32_t character, std::string& text);

}  // namespace vaccel::tool
