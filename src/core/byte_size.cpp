// SPDX-License-Identifier: Apache-2.0
#include "core/byte_size.h"

#include <charconv>
#include <limits>

namespace vaccel {
namespace {

Unexpected no_size(std::string_view text) {
  return fail(VACCEL_INVALID_ARGUMENT,
              "'%s' is not a size; write a number of bytes, or one with K, M, G or T: 512M",
              printable(text).c_str());
}

}  // namespace

Result<uint64_t> parse_byte_size(std::string_view text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{}) return no_size(text);
  std::string_view unit = text.substr(static_cast<size_t>(end - text.data()));
  if (unit.starts_with(' ')) unit.remove_prefix(1);
  if (unit.empty() || unit == "B") return number;
  constexpr std::string_view kUnits = "KMGT";
  const auto upper = static_cast<char>(unit.front() >= 'a' ? unit.front() - 'a' + 'A' : unit.front());
  const size_t power = kUnits.find(upper);
  unit.remove_prefix(1);
  if (power == std::string_view::npos || !(unit.empty() || unit == "B" || unit == "iB")) return no_size(text);
  const size_t shift = 10 * (power + 1);
  if (number > std::numeric_limits<uint64_t>::max() >> shift) return no_size(text);
  return number << shift;
}

}  // namespace vaccel
