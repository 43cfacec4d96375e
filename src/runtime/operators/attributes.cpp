// SPDX-License-Identifier: Apache-2.0
#include "runtime/operators/attributes.h"

#include <algorithm>
#include <cstring>
#include <string>

namespace vaccel::runtime {
namespace {

const char* type_name(int32_t type) {
  switch (type) {
    case VACCEL_ATTRIBUTE_INT:
      return "an integer";
    case VACCEL_ATTRIBUTE_FLOAT:
      return "a float";
    case VACCEL_ATTRIBUTE_STRING:
      return "a string";
    default:
      return "of an unknown type";
  }
}

const vaccel_attribute* find(std::span<const vaccel_attribute> attributes, const char* name) {
  for (const vaccel_attribute& one : attributes) {
    if (std::strcmp(one.name, name) == 0) return &one;
  }
  return nullptr;
}

}  // namespace

Result<SortedAttributes> SortedAttributes::check(const vaccel_attribute* attributes, size_t count) {
  SortedAttributes result;
  if (count == 0) return result;
  for (size_t index = 0; index < count; ++index) {
    const vaccel_attribute& one = attributes[index];
    if (one.name == nullptr || one.name[0] == '\0') {
      return fail(VACCEL_INVALID_ARGUMENT, "attribute %zu has no name", index);
    }
    const bool known = one.type >= VACCEL_ATTRIBUTE_INT && one.type <= VACCEL_ATTRIBUTE_STRING;
    if (!known || (one.type == VACCEL_ATTRIBUTE_STRING && one.value.string == nullptr)) {
      return fail(VACCEL_INVALID_ARGUMENT, "attribute '%s' has type %d, which is none, or no value",
                  printable(one.name).c_str(), one.type);
    }
  }
  result.sorted_.assign(attributes, attributes + count);
  std::sort(result.sorted_.begin(), result.sorted_.end(),
            [](const auto& left, const auto& right) { return std::strcmp(left.name, right.name) < 0; });
  const auto twice = std::adjacent_find(
      result.sorted_.begin(), result.sorted_.end(),
      [](const auto& left, const auto& right) { return std::strcmp(left.name, right.name) == 0; });
  if (twice != result.sorted_.end()) {
    return fail(VACCEL_INVALID_ARGUMENT, "attribute '%s' is given twice", printable(twice->name).c_str());
  }
  return result;
}

Status refuse_unknown(const char* operator_name, std::span<const vaccel_attribute> attributes,
                      std::initializer_list<const char*> known) {
  for (const vaccel_attribute& one : attributes) {
    const bool is_known = std::any_of(known.begin(), known.end(),
                                      [&](const char* name) { return std::strcmp(name, one.name) == 0; });
    if (is_known) continue;
    std::string names;
    for (const char* name : known)
      names += (names.empty() ? "'" : ", '") + std::string(name) + "'";
    return failure(VACCEL_INVALID_ARGUMENT, "operator '%s' has no attribute '%s'; it has: %s", operator_name,
                   printable(one.name).c_str(), names.empty() ? "none" : names.c_str());
  }
  return {};
}

Result<int64_t> integer_attribute(const char* operator_name, std::span<const vaccel_attribute> attributes,
                                  const char* name, int64_t least, int64_t most) {
  for (const vaccel_attribute& one : attributes) {
    if (std::strcmp(one.name, name) != 0) continue;
    if (one.type != VACCEL_ATTRIBUTE_INT) {
      return fail(VACCEL_INVALID_ARGUMENT, "attribute '%s' of operator '%s' must be an integer, and is %s",
                  name, operator_name, type_name(one.type));
    }
    if (one.value.integer < least || one.value.integer > most) {
      return fail(VACCEL_INVALID_ARGUMENT, "attribute '%s' of operator '%s' is %lld; it must be %lld to %lld",
                  name, operator_name, static_cast<long long>(one.value.integer),
                  static_cast<long long>(least), static_cast<long long>(most));
    }
    return one.value.integer;
  }
  return fail(VACCEL_NOT_FOUND, "operator '%s' needs attribute '%s', an integer", operator_name, name);
}

Result<int64_t> integer_attribute_or(const char* operator_name, std::span<const vaccel_attribute> attributes,
                                     const char* name, int64_t least, int64_t most, int64_t otherwise) {
  if (find(attributes, name) == nullptr) return otherwise;
  return integer_attribute(operator_name, attributes, name, least, most);
}

Result<double> real_attribute(const char* operator_name, std::span<const vaccel_attribute> attributes,
                              const char* name, double least, double most, double otherwise) {
  const vaccel_attribute* found = find(attributes, name);
  if (found == nullptr) return otherwise;
  if (found->type == VACCEL_ATTRIBUTE_STRING) {
    return fail(VACCEL_INVALID_ARGUMENT, "attribute '%s' of operator '%s' must be a number, and is %s", name,
                operator_name, type_name(found->type));
  }
  const double value =
      found->type == VACCEL_ATTRIBUTE_INT ? static_cast<double>(found->value.integer) : found->value.real;
  if (value >= least && value <= most) return value;
  return fail(VACCEL_INVALID_ARGUMENT, "attribute '%s' of operator '%s' is %g; it must be %g to %g", name,
              operator_name, value, least, most);
}

}  // namespace vaccel::runtime
