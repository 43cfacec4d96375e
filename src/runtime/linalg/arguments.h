// SPDX-License-Identifier: Apache-2.0
//
// What the operators of this folder share: a call's inputs and attributes read by name and checked, memory for the
// result, and whether it lies where an input does. All that comes in here may have been said by a guest; what goes out
// are plain numbers whose products fit.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/status.h"
#include "runtime/operators/attributes.h"
#include "runtime/runtime_abi.h"

namespace vaccel::runtime::linalg {

/// The type of an operator's inputs, in words.
inline constexpr const char* kElementsOfOneType = "float32, float64, float16 or bfloat16";

/// What an operator takes.
struct Signature {
  const char* name;
  std::span<const char* const> inputs;
  size_t required_inputs;  ///< The first so many must be there.
  std::span<const char* const> attributes;
};

class Arguments {
 public:
  /// INVALID_ARGUMENT: an input or attribute that the signature does not have, one that is missing or there twice, or
  /// inputs that are not of one floating-point type.
  static Result<Arguments> read(const RuntimeCall& call, const Signature& signature);

  /// By its place in the signature; nullptr: it was not given.
  [[nodiscard]] const vaccel_tensor* input(size_t index) const { return inputs_[index]; }
  /// Of all inputs: FLOAT32, FLOAT64, FLOAT16 or BFLOAT16.
  [[nodiscard]] vaccel_dtype dtype() const { return static_cast<vaccel_dtype>(inputs_[0]->dtype); }

  [[nodiscard]] bool has(const char* attribute) const { return find(attribute) != nullptr; }
  /// `otherwise` where it was not given. INVALID_ARGUMENT: not an integer, or outside [least, most].
  [[nodiscard]] Result<int64_t> integer(const char* attribute, int64_t otherwise, int64_t least,
                                        int64_t most = INT64_MAX) const;
  /// 0 or 1; 0 where it was not given.
  [[nodiscard]] Result<bool> flag(const char* attribute) const;
  /// Integers are taken too. INVALID_ARGUMENT: a string.
  [[nodiscard]] Result<double> real(const char* attribute, double otherwise) const;

  [[nodiscard]] const char* operator_name() const { return signature_->name; }

 private:
  Arguments(const Signature& signature, SortedAttributes attributes)
      : signature_(&signature), attributes_(std::move(attributes)), inputs_(signature.inputs.size()) {}
  Status take_inputs(const RuntimeCall& call);
  Status check_types() const;
  [[nodiscard]] const vaccel_attribute* find(const char* name) const;

  const Signature* signature_;
  SortedAttributes attributes_;
  std::vector<const vaccel_tensor*> inputs_;
};

/// A size that several arguments may speak of, which must then agree.
class Size {
 public:
  explicit Size(const char* name) : name_(name) {}

  /// `source` says who it is that says so: "input 'a'". INVALID_ARGUMENT: another one said otherwise.
  Status set(int64_t value, const char* source);
  /// Takes the attribute of this size's name into account, where it was given.
  Status set_from(const Arguments& arguments);
  /// INVALID_ARGUMENT: nobody has said.
  [[nodiscard]] Result<int64_t> value(const Arguments& arguments) const;
  [[nodiscard]] bool known() const { return value_ >= 0; }

 private:
  const char* name_;
  int64_t value_ = -1;
  const char* source_ = "";
};

/// Matrices in a tensor, row-major, as many as the batch has.
struct Matrices {
  const void* data = nullptr;
  int64_t rows = 0;
  int64_t columns = 0;
  int64_t pitch = 1;   ///< Elements from one row to the next; at least 1 and `columns`.
  int64_t stride = 0;  ///< Elements from one matrix to the next; 0: there is one, for the whole batch.
  size_t bytes = 0;    ///< From `data` to the last element.
};

/// The names of the attributes that say how matrices lie in a flat tensor; `stride` may be nullptr.
struct PlacementNames {
  const char* pitch;
  const char* stride;
};

/// Finds rows x columns matrices in an input of rank 1 (with the attributes that `names` says), 2 (one for the whole
/// batch) or 3 (as many as the batch has). The rank and, for 2 and 3, the shape have been compared before.
/// INVALID_ARGUMENT: a pitch smaller than a row, or matrices that reach beyond the tensor's end.
Result<Matrices> matrices_in(const Arguments& arguments, size_t input, const char* input_name,
                             PlacementNames names, int64_t rows, int64_t columns, int64_t batch);

/// Where an operator's result goes, and what lies there already.
struct ResultMemory {
  void* data;
  size_t bytes;
};

/// INVALID_ARGUMENT when the result would be written over `bytes` at `data`, which are still to be read.
Status check_apart(const ResultMemory& result, const char* result_name, const void* data, size_t bytes,
                   const char* input_name);

/// Copies an input of the same size to where the result goes, unless that is its own place; a part of it is
/// INVALID_ARGUMENT.
Status start_from(const RuntimeCall& call, const ResultMemory& result, const char* result_name,
                  const void* data, const char* input_name);

}  // namespace vaccel::runtime::linalg
