// SPDX-License-Identifier: Apache-2.0
//
// A tensor in a line: its type, its shape, and between which values its elements lie. For results that people look at; nothing
// here changes or keeps the data.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "vaccel/types.h"

namespace vaccel::tool {

/// A number as exactly as its tensor has it; none where there is no such number.
using Number = std::variant<std::monostate, int64_t, uint64_t, float, double>;

struct TensorSummary {
  std::string name;
  const char* dtype = "";  ///< Static: "float32".
  std::vector<int64_t> shape;
  Number min;  ///< Of what is not NaN. None: there is nothing, or strings.
  Number max;
  Number mean;             ///< A double.
  uint64_t nan_count = 0;  ///< Elements that are NaN.
  std::string file;        ///< Where it was written to; "" if nowhere.
};

/// Sums up a checked, dense tensor, as the library hands it out.
TensorSummary summarize(const vaccel_tensor& tensor);

/// "0.9134", "-12", "1e-07", "nan"; "-" for none.
std::string number_text(const Number& number);

}  // namespace vaccel::tool
