// SPDX-License-Identifier: Apache-2.0
#include "runtime/linalg/arguments.h"

#include <algorithm>
#include <cstring>

#include "core/tensor.h"
#include "runtime/memory.h"

namespace vaccel::runtime::linalg {
namespace {

std::string list_of(std::span<const char* const> names) {
  std::string text;
  for (const char* name : names)
    text += (text.empty() ? "'" : ", '") + std::string(name) + "'";
  return text.empty() ? "none" : text;
}

size_t index_of(std::span<const char* const> names, const char* wanted) {
  size_t index = 0;
  while (index < names.size() && std::strcmp(names[index], wanted) != 0)
    ++index;
  return index;
}

bool is_floating_point(int dtype) {
  return dtype == VACCEL_FLOAT32 || dtype == VACCEL_FLOAT64 || dtype == VACCEL_FLOAT16 ||
         dtype == VACCEL_BFLOAT16;
}

// The elements from the first matrix's first to the last one's last; an overflow is -1. Sizes are not negative.
int64_t extent(const Matrices& matrices, int64_t batch) {
  if (matrices.rows == 0 || matrices.columns == 0 || batch == 0) return 0;
  int64_t between = 0;
  int64_t down = 0;
  int64_t total = 0;
  if (__builtin_mul_overflow(batch - 1, matrices.stride, &between) ||
      __builtin_mul_overflow(matrices.rows - 1, matrices.pitch, &down) ||
      __builtin_add_overflow(between, down, &total) ||
      __builtin_add_overflow(total, matrices.columns, &total)) {
    return -1;
  }
  return total;
}

}  // namespace

// ---- Arguments

Result<Arguments> Arguments::read(const RuntimeCall& call, const Signature& signature) {
  if (call.model != nullptr) {
    return fail(VACCEL_INVALID_ARGUMENT, "operator '%s' works on no model, and the call names one",
                signature.name);
  }
  auto attributes = SortedAttributes::check(call.attributes, call.attribute_count);
  if (!attributes) return Unexpected{attributes.error()};
  for (const vaccel_attribute& one : attributes->all()) {
    if (index_of(signature.attributes, one.name) < signature.attributes.size()) continue;
    return fail(VACCEL_INVALID_ARGUMENT, "operator '%s' has no attribute '%s'; it has: %s", signature.name,
                printable(one.name).c_str(), list_of(signature.attributes).c_str());
  }
  Arguments arguments(signature, std::move(*attributes));
  if (Status status = arguments.take_inputs(call); !status.ok()) return Unexpected{std::move(status)};
  if (Status status = arguments.check_types(); !status.ok()) return Unexpected{std::move(status)};
  return arguments;
}

Status Arguments::take_inputs(const RuntimeCall& call) {
  const auto names = signature_->inputs;
  for (size_t position = 0; position < call.input_count; ++position) {
    const vaccel_tensor& given = call.inputs[position];
    const bool named = given.name != nullptr && given.name[0] != '\0';
    const size_t index = named ? index_of(names, given.name) : position;
    if (index >= names.size()) {
      return named ? failure(VACCEL_INVALID_ARGUMENT, "operator '%s' has no input '%s'; its inputs are: %s",
                             signature_->name, printable(given.name).c_str(), list_of(names).c_str())
                   : failure(VACCEL_INVALID_ARGUMENT,
                             "%zu inputs are given; the inputs of operator '%s' are: %s", call.input_count,
                             signature_->name, list_of(names).c_str());
    }
    if (inputs_[index] != nullptr) {
      return failure(VACCEL_INVALID_ARGUMENT, "input '%s' of operator '%s' is given twice", names[index],
                     signature_->name);
    }
    inputs_[index] = &given;
  }
  for (size_t index = 0; index < signature_->required_inputs; ++index) {
    if (inputs_[index] != nullptr) continue;
    return failure(VACCEL_INVALID_ARGUMENT, "input '%s' of operator '%s' is missing; its inputs are: %s",
                   names[index], signature_->name, list_of(names).c_str());
  }
  return {};
}

Status Arguments::check_types() const {
  for (size_t index = 0; index < inputs_.size(); ++index) {
    if (inputs_[index] == nullptr) continue;
    if (!is_floating_point(inputs_[index]->dtype)) {
      return failure(VACCEL_INVALID_ARGUMENT,
                     "input '%s' of operator '%s' is %s; it must be float32, float64, float16 or bfloat16",
                     signature_->inputs[index], signature_->name, dtype_name(inputs_[index]->dtype));
    }
    if (inputs_[index]->dtype != inputs_[0]->dtype) {
      return failure(VACCEL_INVALID_ARGUMENT,
                     "input '%s' of operator '%s' is %s and input '%s' is %s; they must be of one type",
                     signature_->inputs[index], signature_->name, dtype_name(inputs_[index]->dtype),
                     signature_->inputs[0], dtype_name(inputs_[0]->dtype));
    }
  }
  return {};
}

const vaccel_attribute* Arguments::find(const char* name) const {
  for (const vaccel_attribute& one : attributes_.all()) {
    if (std::strcmp(one.name, name) == 0) return &one;
  }
  return nullptr;
}

Result<int64_t> Arguments::integer(const char* attribute, int64_t otherwise, int64_t least,
                                   int64_t most) const {
  if (!has(attribute)) return otherwise;
  return integer_attribute(signature_->name, attributes_.all(), attribute, least, most);
}

Result<bool> Arguments::flag(const char* attribute) const {
  const auto value = integer(attribute, 0, 0, 1);
  if (!value) return Unexpected{value.error()};
  return *value != 0;
}

Result<double> Arguments::real(const char* attribute, double otherwise) const {
  const vaccel_attribute* one = find(attribute);
  if (one == nullptr) return otherwise;
  if (one->type == VACCEL_ATTRIBUTE_INT) return static_cast<double>(one->value.integer);
  if (one->type == VACCEL_ATTRIBUTE_FLOAT) return one->value.real;
  return fail(VACCEL_INVALID_ARGUMENT, "attribute '%s' of operator '%s' must be a number, and is a string",
              attribute, signature_->name);
}

// ---- Size

Status Size::set(int64_t value, const char* source) {
  if (known() && value != value_) {
    return failure(VACCEL_INVALID_ARGUMENT, "%s is %lld in %s and %lld in %s; they must agree", name_,
                   static_cast<long long>(value_), source_, static_cast<long long>(value), source);
  }
  value_ = value;
  source_ = source;
  return {};
}

Status Size::set_from(const Arguments& arguments) {
  if (!arguments.has(name_)) return {};
  const auto value = arguments.integer(name_, 0, 0);
  return value ? set(*value, "the attribute") : value.error();
}

Result<int64_t> Size::value(const Arguments& arguments) const {
  if (known()) return value_;
  return fail(VACCEL_INVALID_ARGUMENT,
              "operator '%s' needs attribute '%s', an integer, since no input's shape tells it",
              arguments.operator_name(), name_);
}

// ---- Memory

Result<Matrices> matrices_in(const Arguments& arguments, size_t input, const char* input_name,
                             PlacementNames names, int64_t rows, int64_t columns, int64_t batch) {
  const vaccel_tensor& tensor = *arguments.input(input);
  const bool flat = tensor.rank == 1;
  Matrices matrices{.data = tensor.data, .rows = rows, .columns = columns};
  const int64_t least_pitch = std::max<int64_t>(columns, 1);
  matrices.pitch = least_pitch;
  for (const char* name : {names.pitch, names.stride}) {
    if (flat || name == nullptr || !arguments.has(name)) continue;
    return fail(VACCEL_INVALID_ARGUMENT,
                "attribute '%s' of operator '%s' is for a flat input '%s', of rank 1; it has shape %s", name,
                arguments.operator_name(), input_name, shape_text(shape_of(tensor)).c_str());
  }
  if (flat) {
    const auto pitch = arguments.integer(names.pitch, least_pitch, 0);
    if (!pitch) return Unexpected{pitch.error()};
    if (*pitch < least_pitch) {
      return fail(VACCEL_INVALID_ARGUMENT,
                  "attribute '%s' of operator '%s' is %lld; it must be at least %lld, a row of '%s'",
                  names.pitch, arguments.operator_name(), static_cast<long long>(*pitch),
                  static_cast<long long>(least_pitch), input_name);
    }
    matrices.pitch = *pitch;
  }
  // The matrices of a batch lie one behind the other, if nothing else is said; -1 is a product too large to exist.
  int64_t dense_stride = 0;
  const bool one_for_all = tensor.rank == 2 || batch <= 1;
  if (!one_for_all && __builtin_mul_overflow(rows, matrices.pitch, &dense_stride)) dense_stride = -1;
  if (flat && names.stride != nullptr) {
    const auto stride = arguments.integer(names.stride, dense_stride, 0);
    if (!stride) return Unexpected{stride.error()};
    matrices.stride = *stride;
  } else {
    matrices.stride = dense_stride;
  }
  const int64_t needed =
      matrices.stride < 0 ? -1 : extent(matrices, one_for_all ? std::min<int64_t>(batch, 1) : batch);
  const auto count = element_count(shape_of(tensor));
  if (!count) return Unexpected{count.error()};
  if (needed < 0 || static_cast<uint64_t>(needed) > *count) {
    return fail(
        VACCEL_INVALID_ARGUMENT,
        "input '%s' of operator '%s' has %llu elements; %lld matrices of %lld x %lld, %lld elements from row "
        "to row and %lld from matrix to matrix, need %s%lld",
        input_name, arguments.operator_name(), static_cast<unsigned long long>(*count),
        static_cast<long long>(batch), static_cast<long long>(rows), static_cast<long long>(columns),
        static_cast<long long>(matrices.pitch), static_cast<long long>(matrices.stride),
        needed < 0 ? "more than " : "", static_cast<long long>(needed < 0 ? INT64_MAX : needed));
  }
  if (needed == 0) matrices.stride = 0;  // there may be no address to count from
  matrices.bytes = static_cast<size_t>(needed) * element_size(tensor.dtype);
  return matrices;
}

Status check_apart(const ResultMemory& result, const char* result_name, const void* data, size_t bytes,
                   const char* input_name) {
  const auto begin = reinterpret_cast<uintptr_t>(result.data);
  const auto other = reinterpret_cast<uintptr_t>(data);
  if (bytes == 0 || result.bytes == 0 || begin >= other + bytes || other >= begin + result.bytes) return {};
  return failure(
      VACCEL_INVALID_ARGUMENT,
      "the place for result '%s' (%zu bytes) overlaps input '%s' (%zu bytes), which is read while the "
      "result is written; put it elsewhere",
      result_name, result.bytes, input_name, bytes);
}

Status start_from(const RuntimeCall& call, const ResultMemory& result, const char* result_name,
                  const void* data, const char* input_name) {
  if (result.data == data || result.bytes == 0) return {};
  if (Status status = check_apart(result, result_name, data, result.bytes, input_name); !status.ok())
    return status;
  return copy_bytes(call, result.data, data, result.bytes);
}

}  // namespace vaccel::runtime::linalg
