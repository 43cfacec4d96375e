// SPDX-License-Identifier: Apache-2.0
//
// The vision operators' side of a call: images as inputs, what is wanted of them as attributes.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "client/call.h"
#include "core/status.h"
#include "vaccel/vaccel.h"

namespace vaccel::client {

enum class VisionOperator : uint8_t { kNone, kClassify, kDetect, kSegment, kPose, kDepth };

/// "classify"; "" for kNone.
const char* name_of(VisionOperator which);

/// kNone: it is none of the five.
VisionOperator vision_operator_named(const char* name);

/// Inputs and attributes of one call. It refers to the images, and the call that it is set in refers to it. A call on
/// one image allocates nothing: it is the one whose time counts.
class VisionArguments {
 public:
  VisionArguments() = default;
  VisionArguments(const VisionArguments&) = delete;
  VisionArguments& operator=(const VisionArguments&) = delete;

  /// INVALID_ARGUMENT says which image is wrong, or that there are none or too many.
  Status set_images(const vaccel_image* images, size_t count);
  /// @param wanted  nullptr: the defaults. INVALID_ARGUMENT: it has what is no value, or what the operator does not take; or
  /// lacks classify's top, which has no default.
  Status set_wanted(VisionOperator which, const vaccel_vision_options* wanted);
  /// Fills in the rest of a call whose options have been read; after the others. INVALID_ARGUMENT: the model's name, or that options.outputs
  /// is set.
  Status fill(VisionOperator which, const char* model, CallSpec& spec) const;

 private:
  void add_real(const char* name, float value);
  void add_top(uint32_t top);

  vaccel_tensor one_{};
  int64_t one_shape_ = 0;
  std::vector<vaccel_tensor> tensors_;  // of several images; empty: there is one
  std::vector<int64_t> shapes_;
  vaccel_attribute attributes_[3]{};
  size_t attribute_count_ = 0;
};

}  // namespace vaccel::client
