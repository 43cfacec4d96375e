// SPDX-License-Identifier: Apache-2.0
#include "client/vision_arguments.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>

namespace vaccel::client {
namespace {

struct Operator {
  VisionOperator which;
  const char* name;
  bool takes_min_score;
  bool takes_iou;
  bool takes_top;
};

constexpr Operator kOperators[] = {{VisionOperator::kNone, "", false, false, false},
                                   {VisionOperator::kClassify, "classify", false, false, true},
                                   {VisionOperator::kDetect, "detect", true, true, true},
                                   {VisionOperator::kSegment, "segment", false, false, false},
                                   {VisionOperator::kPose, "pose", true, false, true},
                                   {VisionOperator::kDepth, "depth", false, false, false}};

const Operator& facts_of(VisionOperator which) {
  return kOperators[static_cast<size_t>(which)];
}

void set_tensor(vaccel_tensor& tensor, int64_t& shape, const void* image, size_t bytes) {
  shape = static_cast<int64_t>(bytes);
  tensor.data = const_cast<void*>(image);
  tensor.bytes = bytes;
  tensor.shape = &shape;
  tensor.rank = 1;
  tensor.dtype = VACCEL_UINT8;
}

Status check_image(const vaccel_image& image, size_t index, bool only) {
  if (only && image.data == nullptr) return {VACCEL_INVALID_ARGUMENT, "the image is NULL"};
  if (only && image.bytes == 0) return {VACCEL_INVALID_ARGUMENT, "the image has 0 bytes"};
  if (image.data == nullptr) return failure(VACCEL_INVALID_ARGUMENT, "image %zu is NULL", index);
  if (image.bytes == 0) return failure(VACCEL_INVALID_ARGUMENT, "image %zu has 0 bytes", index);
  if (image.reserved[0] != 0 || image.reserved[1] != 0) {
    return failure(VACCEL_INVALID_ARGUMENT, "image %zu has reserved fields that are not 0", index);
  }
  return {};
}

Status not_taken(const char* field, VisionOperator which) {
  return failure(VACCEL_INVALID_ARGUMENT,
                 "vaccel_vision_options.%s is set, which the operator '%s' does not take", field,
                 name_of(which));
}

Status check_wanted(const vaccel_vision_options& wanted, const Operator& known) {
  if (wanted.min_score != 0 && !known.takes_min_score) return not_taken("min_score", known.which);
  if (wanted.iou != 0 && !known.takes_iou) return not_taken("iou", known.which);
  if (wanted.top != 0 && !known.takes_top) return not_taken("top", known.which);
  if (std::isnan(wanted.min_score)) return {VACCEL_INVALID_ARGUMENT, "min_score is not a number"};
  if (!(wanted.iou >= 0 && wanted.iou <= 1)) {
    return failure(VACCEL_INVALID_ARGUMENT, "iou is %g; it must be from 0 to 1",
                   static_cast<double>(wanted.iou));
  }
  if (wanted.reserved != 0) {
    return failure(VACCEL_INVALID_ARGUMENT, "vaccel_vision_options.reserved is %u; it must be 0",
                   wanted.reserved);
  }
  return {};
}

}  // namespace

const char* name_of(VisionOperator which) {
  return facts_of(which).name;
}

VisionOperator vision_operator_named(const char* name) {
  for (const Operator& known : kOperators) {
    if (std::strcmp(known.name, name) == 0) return known.which;
  }
  return VisionOperator::kNone;
}

Status VisionArguments::set_images(const vaccel_image* images, size_t count) {
  if (images == nullptr) return {VACCEL_INVALID_ARGUMENT, "the array of images is NULL"};
  if (count == 0 || count > VACCEL_MAX_IMAGES) {
    return failure(VACCEL_INVALID_ARGUMENT, "%zu images are given; a call takes 1 to %d", count,
                   VACCEL_MAX_IMAGES);
  }
  for (size_t index = 0; index < count; ++index) {
    if (Status status = check_image(images[index], index, count == 1); !status.ok()) return status;
  }
  if (count == 1) {
    set_tensor(one_, one_shape_, images[0].data, images[0].bytes);
    one_.name = "image";
    return {};
  }
  shapes_.resize(count);
  tensors_.resize(count);
  for (size_t index = 0; index < count; ++index)
    set_tensor(tensors_[index], shapes_[index], images[index].data, images[index].bytes);
  return {};
}

Status VisionArguments::set_wanted(VisionOperator which, const vaccel_vision_options* wanted) {
  vaccel_vision_options known;
  if (Status status = read_sized(wanted, "vaccel_vision_options", known); !status.ok()) return status;
  if (Status status = check_wanted(known, facts_of(which)); !status.ok()) return status;
  if (which == VisionOperator::kClassify && known.top == 0)
    return {VACCEL_INVALID_ARGUMENT, "top is 0; ask for at least one class"};
  if (known.min_score != 0) add_real("min_score", std::max(known.min_score, 0.0F));
  if (known.iou != 0) add_real("iou", known.iou);
  if (known.top != 0) add_top(known.top);
  return {};
}

void VisionArguments::add_real(const char* name, float value) {
  vaccel_attribute& attribute = attributes_[attribute_count_++];
  attribute.name = name;
  attribute.type = VACCEL_ATTRIBUTE_FLOAT;
  attribute.value.real = static_cast<double>(value);
}

void VisionArguments::add_top(uint32_t top) {
  vaccel_attribute& attribute = attributes_[attribute_count_++];
  attribute.name = "top";
  attribute.type = VACCEL_ATTRIBUTE_INT;
  attribute.value.integer = top;
}

Status VisionArguments::fill(VisionOperator which, const char* model, CallSpec& spec) const {
  if (Status status = check_name(model, "model's name"); !status.ok()) return status;
  if (!spec.places.empty()) {
    return failure(
        VACCEL_INVALID_ARGUMENT,
        "options.outputs is set; typed results always lie in memory of the library's (vaccel_call() with "
        "the operator '%s' returns tensors)",
        name_of(which));
  }
  spec.operator_name = name_of(which);
  spec.model = model;
  spec.inputs = tensors_.empty() ? std::span(&one_, 1) : std::span<const vaccel_tensor>(tensors_);
  spec.attributes = {attributes_, attribute_count_};
  spec.timings = true;
  return {};
}

}  // namespace vaccel::client
