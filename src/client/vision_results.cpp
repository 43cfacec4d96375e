// SPDX-License-Identifier: Apache-2.0
#include "client/vision_results.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <limits>
#include <new>

#include "core/tensor.h"

namespace vaccel::client {
namespace {

// ---- The tensors of one image, and whether they fit together

// In a shape, in place of a size that the operator does not fix: the same for all tensors of an image that have it.
enum Free : int8_t { kItems = -1, kKeypoints = -2 };
enum FreeOfMaps : int8_t { kHeight = -1, kWidth = -2, kModelHeight = -3, kModelWidth = -4, kLabels = -5 };
constexpr size_t kMostFree = 5;
constexpr size_t kMostTensors = 5;
constexpr size_t kMostDimensions = 3;

// A tensor that an operator returns. (The name lies in it, so that the tables need no relocation.)
struct Wanted {
  char name[16];
  int8_t dtype;
  int8_t rank;
  int8_t shape[kMostDimensions];
};

constexpr Wanted kClasses[] = {{"index", VACCEL_INT32, 1, {kItems}},
                               {"score", VACCEL_FLOAT32, 1, {kItems}},
                               {"label", VACCEL_STRING, 1, {kItems}}};
constexpr Wanted kDetections[] = {{"index", VACCEL_INT32, 1, {kItems}},
                                  {"score", VACCEL_FLOAT32, 1, {kItems}},
                                  {"label", VACCEL_STRING, 1, {kItems}},
                                  {"box", VACCEL_FLOAT32, 2, {kItems, 4}},
                                  {"size", VACCEL_INT32, 1, {2}}};
constexpr Wanted kSegmentation[] = {{"classes", VACCEL_UINT8, 2, {kHeight, kWidth}},
                                    {"model_classes", VACCEL_UINT8, 2, {kModelHeight, kModelWidth}},
                                    {"label", VACCEL_STRING, 1, {kLabels}}};
constexpr Wanted kLargeSegmentation[] = {{"classes", VACCEL_UINT16, 2, {kHeight, kWidth}},
                                         {"model_classes", VACCEL_UINT16, 2, {kModelHeight, kModelWidth}},
                                         {"label", VACCEL_STRING, 1, {kLabels}}};
constexpr Wanted kPoses[] = {{"keypoint", VACCEL_FLOAT32, 3, {kItems, kKeypoints, 3}},
                             {"score", VACCEL_FLOAT32, 1, {kItems}},
                             {"name", VACCEL_STRING, 1, {kKeypoints}},
                             {"size", VACCEL_INT32, 1, {2}}};
constexpr Wanted kDepth[] = {{"depth", VACCEL_FLOAT32, 2, {kHeight, kWidth}},
                             {"model_depth", VACCEL_FLOAT32, 2, {kModelHeight, kModelWidth}},
                             {"kind", VACCEL_STRING, 1, {1}}};

class ImageTensors {
 public:
  ImageTensors(VisionOperator which, const vaccel_outputs& outputs, size_t image)
      : which_(which), outputs_(outputs), image_(image) {
    std::fill(std::begin(free_), std::end(free_), -1);
    if (image > 0)
      prefix_length_ = static_cast<size_t>(std::snprintf(prefix_, sizeof prefix_, "%zu.", image));
  }

  /// The image's tensor of this name; nullptr: there is none. @param at  Where it probably is.
  [[nodiscard]] const vaccel_tensor* find(const char* name, size_t at) const {
    for (size_t step = 0; step < outputs_.count; ++step) {
      const vaccel_tensor& tensor = outputs_.tensors[(at + step) % outputs_.count];
      if (std::strncmp(tensor.name, prefix_, prefix_length_) == 0 &&
          std::strcmp(tensor.name + prefix_length_, name) == 0)
        return &tensor;
    }
    return nullptr;
  }

  /// Finds these, checks them, and learns the sizes that are free.
  Status take(std::span<const Wanted> wanted) {
    for (size_t index = 0; index < wanted.size(); ++index) {
      const vaccel_tensor* tensor = find(wanted[index].name, image_ * wanted.size() + index);
      if (tensor == nullptr || !fits(*tensor, wanted[index])) return misfit(tensor, wanted[index]);
      tensors_[index] = tensor;
    }
    return {};
  }

  /// A failure of this image's results that no shape shows.
  [[gnu::cold]] [[nodiscard]] Status wrong(const char* name, const char* what) const {
    return failure(VACCEL_PROTOCOL_ERROR, "the operator '%s' returned a result '%s%s' %s", name_of(which_),
                   prefix_, name, what);
  }

  // Of what take() took, by its index.
  [[nodiscard]] size_t size(int free) const { return static_cast<size_t>(free_[-1 - free]); }
  template <typename T>
  [[nodiscard]] const T* data(size_t tensor) const {
    return static_cast<const T*>(tensors_[tensor]->data);
  }
  [[nodiscard]] const char* string(size_t tensor, size_t index) const {
    const auto* strings = data<char>(tensor);
    uint32_t offset = 0;
    std::memcpy(&offset, strings + index * sizeof offset, sizeof offset);
    return strings + offset;
  }

 private:
  bool fits(const vaccel_tensor& tensor, const Wanted& wanted) {
    if (tensor.dtype != wanted.dtype || tensor.rank != wanted.rank) return false;
    for (int32_t index = 0; index < tensor.rank; ++index) {
      const int8_t size = wanted.shape[index];
      if (size < 0 && free_[-1 - size] < 0) free_[-1 - size] = tensor.shape[index];
      if (tensor.shape[index] != (size < 0 ? free_[-1 - size] : size)) return false;
    }
    return true;
  }

  [[gnu::cold]] Status misfit(const vaccel_tensor* tensor, const Wanted& wanted) const {
    int64_t shape[kMostDimensions];
    for (size_t index = 0; index < kMostDimensions; ++index)
      shape[index] = wanted.shape[index] < 0 ? free_[-1 - wanted.shape[index]] : wanted.shape[index];
    std::string seen = "none of that name";
    if (tensor != nullptr)
      seen = std::string(dtype_name(tensor->dtype)) + " " + shape_text(shape_of(*tensor));
    return failure(VACCEL_PROTOCOL_ERROR, "the operator '%s' returned no result '%s%s' of type %s %s: %s",
                   name_of(which_), prefix_, wanted.name, dtype_name(wanted.dtype),
                   shape_text({shape, static_cast<size_t>(wanted.rank)}).c_str(), seen.c_str());
  }

  const VisionOperator which_;
  const vaccel_outputs& outputs_;
  const size_t image_;
  char prefix_[24] = "";
  size_t prefix_length_ = 0;
  const vaccel_tensor* tensors_[kMostTensors]{};
  int64_t free_[kMostFree];  // -1: not known yet
};

// ---- Memory of a result: this, the public struct, and what it points to that is no tensor

struct alignas(16) Head {
  vaccel_outputs* source;  // its tensors
};

// Makes a public struct with `extra` bytes behind it.
template <typename T>
Result<T*> make(const vaccel_outputs& outputs, size_t extra) {
  const size_t bytes = sizeof(Head) + sizeof(T) + extra;
  void* memory = std::malloc(bytes);
  if (memory == nullptr) {
    return fail(VACCEL_RESOURCE_EXHAUSTED, "there is no memory for a result of %zu bytes", bytes);
  }
  auto* result = new (new (memory) Head{nullptr} + 1) T{};
  static_assert(sizeof(T) % alignof(void*) == 0, "what follows it is aligned");
  result->size = sizeof(T);
  result->timings = outputs.timings;
  result->copied_bytes = outputs.copied_bytes;
  return result;
}

// ---- One maker an operator

using Made = Result<void*>;

Made make_classes(ImageTensors& image, const vaccel_outputs& outputs) {
  if (Status status = image.take(kClasses); !status.ok()) return Unexpected{std::move(status)};
  const size_t count = image.size(kItems);
  const auto classes = make<vaccel_classes>(outputs, count * sizeof(vaccel_class));
  if (!classes) return Unexpected{classes.error()};
  auto* items = reinterpret_cast<vaccel_class*>(*classes + 1);
  for (size_t index = 0; index < count; ++index) {
    new (items + index)
        vaccel_class{image.data<int32_t>(0)[index], image.data<float>(1)[index], image.string(2, index)};
  }
  (*classes)->count = count;
  (*classes)->items = items;
  return *classes;
}

// The width and height that are in tensor `tensor`, for whichever struct has them.
template <typename T>
Status read_image_size(const ImageTensors& image, size_t tensor, T& result) {
  const int32_t* size = image.data<int32_t>(tensor);
  if (size[0] <= 0 || size[1] <= 0) return image.wrong("size", "that is not positive");
  result.image_width = static_cast<uint32_t>(size[0]);
  result.image_height = static_cast<uint32_t>(size[1]);
  return {};
}

// A result that must not be handed out after all.
template <typename T>
Made give_up(T* result, Status status) {
  std::free(reinterpret_cast<Head*>(result) - 1);
  return Unexpected{std::move(status)};
}

Made make_detections(ImageTensors& image, const vaccel_outputs& outputs) {
  if (Status status = image.take(kDetections); !status.ok()) return Unexpected{std::move(status)};
  const size_t count = image.size(kItems);
  const auto detections = make<vaccel_detections>(outputs, count * sizeof(vaccel_detection));
  if (!detections) return Unexpected{detections.error()};
  auto* items = reinterpret_cast<vaccel_detection*>(*detections + 1);
  for (size_t index = 0; index < count; ++index) {
    const float* box = image.data<float>(3) + 4 * index;
    new (items + index) vaccel_detection{image.data<int32_t>(0)[index],
                                         image.data<float>(1)[index],
                                         image.string(2, index),
                                         box[0],
                                         box[1],
                                         box[2],
                                         box[3]};
  }
  (*detections)->count = count;
  (*detections)->items = items;
  if (Status status = read_image_size(image, 4, **detections); !status.ok())
    return give_up(*detections, std::move(status));
  return *detections;
}

// The sizes of the two maps that are the first two results of an operator.
template <typename T>
Status read_map_sizes(const ImageTensors& image, const char* name, T& result) {
  for (const int free : {kHeight, kWidth, kModelHeight, kModelWidth}) {
    if (image.size(free) == 0 || image.size(free) > std::numeric_limits<int32_t>::max())
      return image.wrong(name, "whose width or height is none of an image");
  }
  result.height = static_cast<uint32_t>(image.size(kHeight));
  result.width = static_cast<uint32_t>(image.size(kWidth));
  result.model_height = static_cast<uint32_t>(image.size(kModelHeight));
  result.model_width = static_cast<uint32_t>(image.size(kModelWidth));
  return {};
}

// The largest of so many numbers. In blocks, which the compiler turns into vector instructions: a map has millions.
template <typename T>
T largest(const T* values, size_t count) {
  constexpr size_t kBlock = 64 / sizeof(T);
  T lanes[kBlock]{};
  size_t index = 0;
  for (; index + kBlock <= count; index += kBlock) {
    for (size_t lane = 0; lane < kBlock; ++lane)
      lanes[lane] = std::max(lanes[lane], values[index + lane]);
  }
  T most = *std::max_element(std::begin(lanes), std::end(lanes));
  for (; index < count; ++index)
    most = std::max(most, values[index]);
  return most;
}

// Callers use class numbers as indices of the labels.
template <typename T>
bool are_below(const T* classes, size_t count, size_t limit) {
  return limit > std::numeric_limits<T>::max() || largest(classes, count) < limit;
}

Made make_segmentation(ImageTensors& image, const vaccel_outputs& outputs) {
  const vaccel_tensor* map = image.find(kSegmentation[0].name, 0);
  const bool large = map != nullptr && map->dtype == VACCEL_UINT16;
  if (Status status = image.take(large ? kLargeSegmentation : kSegmentation); !status.ok())
    return Unexpected{std::move(status)};
  const size_t labels = image.size(kLabels);
  const auto made = make<vaccel_segmentation>(outputs, labels * sizeof(const char*));
  if (!made) return Unexpected{made.error()};
  vaccel_segmentation& result = **made;
  if (Status status = read_map_sizes(image, kSegmentation[0].name, result); !status.ok())
    return give_up(*made, std::move(status));
  const size_t sizes[] = {size_t{result.width} * result.height,
                          size_t{result.model_width} * result.model_height};
  for (size_t index = 0; index < 2; ++index) {
    const bool fit = large ? are_below(image.data<uint16_t>(index), sizes[index], labels)
                           : are_below(image.data<uint8_t>(index), sizes[index], labels);
    if (!fit) return give_up(*made, image.wrong(kSegmentation[index].name, "with a class that has no label"));
  }
  auto* names = reinterpret_cast<const char**>(*made + 1);
  for (size_t index = 0; index < labels; ++index)
    names[index] = image.string(2, index);
  result.classes = image.data<void>(0);
  result.model_classes = image.data<void>(1);
  result.element_bytes = large ? 2 : 1;
  result.label_count = labels;
  result.labels = names;
  return *made;
}

Made make_poses(ImageTensors& image, const vaccel_outputs& outputs) {
  if (Status status = image.take(kPoses); !status.ok()) return Unexpected{std::move(status)};
  const size_t count = image.size(kItems);
  const size_t keypoints = image.size(kKeypoints);
  const auto poses =
      make<vaccel_poses>(outputs, count * (sizeof(vaccel_pose_item) + keypoints * sizeof(vaccel_keypoint)));
  if (!poses) return Unexpected{poses.error()};
  auto* items = reinterpret_cast<vaccel_pose_item*>(*poses + 1);
  auto* points = reinterpret_cast<vaccel_keypoint*>(items + count);
  const float* numbers = image.data<float>(0);
  for (size_t index = 0; index < count; ++index) {
    new (items + index) vaccel_pose_item{image.data<float>(1)[index], 0, keypoints, points};
    for (size_t point = 0; point < keypoints; ++point, numbers += 3)
      new (points++) vaccel_keypoint{numbers[0], numbers[1], numbers[2], image.string(2, point)};
  }
  (*poses)->count = count;
  (*poses)->items = items;
  if (Status status = read_image_size(image, 3, **poses); !status.ok())
    return give_up(*poses, std::move(status));
  return *poses;
}

int32_t depth_kind_named(const char* name) {
  if (std::strcmp(name, "metric") == 0) return VACCEL_DEPTH_METRIC;
  if (std::strcmp(name, "relative") == 0) return VACCEL_DEPTH_RELATIVE;
  if (std::strcmp(name, "inverse") == 0) return VACCEL_DEPTH_INVERSE;
  return 0;
}

Made make_depth_map(ImageTensors& image, const vaccel_outputs& outputs) {
  if (Status status = image.take(kDepth); !status.ok()) return Unexpected{std::move(status)};
  const auto map = make<vaccel_depth_map>(outputs, 0);
  if (!map) return Unexpected{map.error()};
  if (Status status = read_map_sizes(image, kDepth[0].name, **map); !status.ok())
    return give_up(*map, std::move(status));
  (*map)->depth = image.data<float>(0);
  (*map)->model_depth = image.data<float>(1);
  (*map)->kind = depth_kind_named(image.string(2, 0));
  if ((*map)->kind == 0)
    return give_up(*map, image.wrong("kind", "that is none of metric, relative and inverse"));
  return *map;
}

Made make_result(VisionOperator which, const vaccel_outputs& outputs, size_t index) {
  ImageTensors image(which, outputs, index);
  switch (which) {
    case VisionOperator::kDetect:
      return make_detections(image, outputs);
    case VisionOperator::kSegment:
      return make_segmentation(image, outputs);
    case VisionOperator::kPose:
      return make_poses(image, outputs);
    case VisionOperator::kDepth:
      return make_depth_map(image, outputs);
    default:
      return make_classes(image, outputs);
  }
}

}  // namespace

Status make_vision_results(VisionOperator which, OutputsPtr outputs, std::span<void*> results) {
  for (size_t index = 0; index < results.size(); ++index) {
    auto made = make_result(which, *outputs, index);
    if (!made) {
      while (index-- > 0)
        std::free(static_cast<Head*>(results[index]) - 1);
      return made.error();
    }
    results[index] = *made;
  }
  for (void* result : results)
    (static_cast<Head*>(result) - 1)->source = share_outputs(*outputs);
  return {};
}

void free_vision_result(void* result) {
  if (result == nullptr) return;
  Head* head = static_cast<Head*>(result) - 1;
  FreeOutputs{}(head->source);
  std::free(head);
}

}  // namespace vaccel::client
