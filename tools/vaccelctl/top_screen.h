// SPDX-License-Identifier: Apache-2.0
//
// What `vaccelctl top` shows, as lines that fit a window. Pure: two readings in, lines out.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "tools/vaccelctl/status_sections.h"

namespace vaccel::ctl {

/// 0: no limit.
struct ScreenSize {
  size_t rows = 0;
  size_t columns = 0;
};

struct ScreenLine {
  std::string text;  ///< Safe for a terminal, and no wider than the screen.
  bool heading = false;
};

/// The whole agent's numbers, then its sections. Where the rows do not suffice each section has its part of them, and says
/// how many more there are.
/// @param before  An earlier reading; null: there is none, and no rate is known.
std::vector<ScreenLine> top_screen(const Reading* before, const Reading& now, const ScreenSize& size);

/// As much of a safe text as fits.
std::string cut_to_width(const std::string& text, size_t columns);

}  // namespace vaccel::ctl
