// SPDX-License-Identifier: Apache-2.0
#include "runtime/tensor_declaration.h"

#include <limits>
#include <optional>

#include "core/tensor.h"

namespace vaccel::runtime {
namespace {

constexpr int kMostDtypes = 64;

// Names and numbers of all types, in the same order.
struct Dtypes {
  std::vector<std::string_view> names;
  std::vector<int> numbers;
};

Dtypes all_dtypes() {
  Dtypes dtypes;
  for (int number = 0; number < kMostDtypes; ++number) {
    if (!is_known_dtype(number)) continue;
    dtypes.names.emplace_back(dtype_name(number));
    dtypes.numbers.push_back(number);
  }
  return dtypes;
}

// "scale" and "zero_point", which are there together or not at all.
std::optional<Quantisation> read_quantisation(TomlTable& table, int dtype) {
  const auto scale = table.number("scale");
  const auto zero_point =
      table.integer("zero_point", least_stored(VACCEL_INT8), largest_stored(VACCEL_UINT8));
  for (const char* key : {"scale", "zero_point"}) {
    if (table.has(key) && is_known_dtype(dtype) && !is_quantised_dtype(dtype)) {
      table.mistake(key, std::string("'") + key + "' does not go with dtype \"" + dtype_name(dtype) +
                             "\": only uint8 and int8 are quantised");
      return std::nullopt;
    }
  }
  if (table.has("scale")) table.required("zero_point", zero_point);
  if (table.has("zero_point")) table.required("scale", scale);
  if (!scale || !zero_point || !is_quantised_dtype(dtype)) return std::nullopt;
  const Quantisation quantisation{static_cast<float>(*scale), *zero_point};
  if (Status status = check_quantisation(quantisation, dtype); !status.ok()) {
    table.mistake("scale", status.message());
    return std::nullopt;
  }
  return quantisation;
}

}  // namespace

std::vector<TensorDeclaration> read_tensor_declarations(TomlTable& root, const char* key) {
  std::vector<TensorDeclaration> declarations;
  if (!root.has(key)) return declarations;
  const Dtypes dtypes = all_dtypes();
  for (TomlTable& table : root.tables(key)) {
    TensorDeclaration one;
    one.name = table.required("name", table.string("name"));
    if (const auto choice = table.choice("dtype", dtypes.names)) {
      one.dtype = dtypes.numbers[*choice];
    } else if (!table.has("dtype")) {
      one.dtype = VACCEL_FLOAT32;
    }
    if (auto shape = table.integers("shape", -1, std::numeric_limits<int64_t>::max(), VACCEL_MAX_RANK)) {
      one.any_rank = false;
      one.shape = std::move(*shape);
    }
    one.quantisation = read_quantisation(table, one.dtype);
    for (const TensorDeclaration& other : declarations) {
      if (other.name == one.name)
        table.mistake("name", "'" + printable(one.name) + "' is declared twice in [[" + key + "]]");
    }
    declarations.push_back(std::move(one));
  }
  return declarations;
}

std::vector<vaccel_tensor_info> declaration_views(const std::vector<TensorDeclaration>& declarations) {
  std::vector<vaccel_tensor_info> views;
  for (const TensorDeclaration& one : declarations) {
    views.push_back({one.name.c_str(), one.shape.data(),
                     one.any_rank ? -1 : static_cast<int32_t>(one.shape.size()), one.dtype});
  }
  return views;
}

}  // namespace vaccel::runtime
