// SPDX-License-Identifier: Apache-2.0
//
// Text for terminals: what came from the other end made harmless, and how many columns it takes. Knows nothing of tables
// or of colours.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace vaccel::tool {

/// UTF-8 that a terminal only shows: control characters (C0, C1, DEL), characters that turn the direction of writing or are
/// invisible, and bytes that are no UTF-8 become U+FFFD. Labels and error sentences may hold anything; an escape sequence in
/// them would be a command to the terminal.
std::string safe_text(std::string_view text);

/// The columns that safe text takes on a terminal: two for East Asian characters and emoji, none for combining marks.
size_t display_width(std::string_view text);

/// "1.5 MiB", "256 MiB", "512 B": binary units, at most one decimal.
std::string size_text(unsigned long long bytes);

}  // namespace vaccel::tool
