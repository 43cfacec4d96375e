// SPDX-License-Identifier: Apache-2.0
#include "tools/vaccel/duration.h"

#include <charconv>
#include <cmath>
#include <string>

namespace vaccel::tool {
namespace {

using std::chrono::microseconds;

constexpr double kMost = std::chrono::duration<double, std::micro>(std::chrono::hours(24)).count();

// Microseconds in a unit; 0: not a unit.
double unit_of(std::string_view text) {
  if (text == "us") return 1;
  if (text == "ms") return 1e3;
  if (text == "s") return 1e6;
  if (text == "m") return 60e6;
  return 0;
}

}  // namespace

Result<microseconds> parse_duration(std::string_view text) {
  double number = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  const std::string_view rest = text.substr(static_cast<size_t>(end - text.data()));
  const double unit = rest.empty() && number == 0 ? 1 : unit_of(rest);
  const double duration = number * unit;
  if (error != std::errc{} || unit == 0 || !std::isfinite(number) || number < 0 || duration > kMost) {
    return fail(VACCEL_INVALID_ARGUMENT,
                "'%s' is not a duration: give a number and us, ms, s or m, such as 250ms or 2s (at most 24 "
                "hours), or 0",
                printable(text).c_str());
  }
  if (number > 0 && duration < 1) {
    return fail(VACCEL_INVALID_ARGUMENT, "'%s' is shorter than a microsecond", printable(text).c_str());
  }
  return microseconds{std::llround(duration)};
}

}  // namespace vaccel::tool
