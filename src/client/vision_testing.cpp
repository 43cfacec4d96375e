// SPDX-License-Identifier: Apache-2.0
#include "client/vision_testing.h"

#include <algorithm>
#include <numeric>

#include "wire/limits.h"

namespace vaccel::client {
namespace {

template <typename T>
T attribute(const wire::Call& call, std::string_view name, T otherwise) {
  for (const wire::Attribute& attribute : call.attributes) {
    if (attribute.name == name) return std::get<T>(attribute.value);
  }
  return otherwise;
}

std::vector<NamedTensor> classify(const wire::Call& call, size_t image_bytes) {
  const std::vector<std::string> labels{"first", "", "third"};
  const auto count = static_cast<size_t>(std::clamp<int64_t>(attribute<int64_t>(call, "top", 0), 0, 3));
  std::vector<int32_t> indices(count);
  std::vector<float> scores(count);
  std::iota(indices.begin(), indices.end(), 0);
  if (count > 0) indices[0] = static_cast<int32_t>(image_bytes);
  for (size_t index = 0; index < count; ++index)
    scores[index] = 0.5F / static_cast<float>(index + 1);
  const auto n = static_cast<int64_t>(count);
  return {tensor_of("index", VACCEL_INT32, {n}, indices), tensor_of("score", VACCEL_FLOAT32, {n}, scores),
          strings_of("label", {labels.begin(), labels.begin() + static_cast<ptrdiff_t>(count)})};
}

std::vector<NamedTensor> detect(const wire::Call& call, size_t image_bytes) {
  const auto iou = static_cast<float>(attribute(call, "iou", 0.5));
  std::vector<float> boxes{static_cast<float>(image_bytes), 100 * iou, 30, 40, 600, 400, 40, 80};
  std::vector<int32_t> indices{7, 3};
  std::vector<float> scores{0.9F, 0.25F};
  std::vector<std::string> labels{"thing", ""};
  const auto top = static_cast<size_t>(attribute<int64_t>(call, "top", 100));
  while (scores.size() > top ||
         (!scores.empty() && static_cast<double>(scores.back()) < attribute(call, "min_score", 0.5))) {
    boxes.resize(boxes.size() - 4);
    indices.pop_back();
    scores.pop_back();
    labels.pop_back();
  }
  const auto n = static_cast<int64_t>(scores.size());
  return {tensor_of("box", VACCEL_FLOAT32, {n, 4}, boxes), tensor_of("index", VACCEL_INT32, {n}, indices),
          tensor_of("score", VACCEL_FLOAT32, {n}, scores), strings_of("label", labels),
          tensor_of("size", VACCEL_INT32, {2}, std::vector<int32_t>{640, 480})};
}

std::vector<NamedTensor> segment(bool large) {
  const std::vector<int> map{0, 1, 2, 0, 0, 1, 1, large ? 299 : 2};
  std::vector<std::string> labels{"background", "cat", ""};
  if (!large) {
    const std::vector<uint8_t> classes(map.begin(), map.end());
    return {tensor_of("classes", VACCEL_UINT8, {2, 4}, classes),
            tensor_of("model_classes", VACCEL_UINT8, {1, 2}, std::vector<uint8_t>{1, 0}),
            strings_of("label", labels)};
  }
  labels.resize(300, "one of many");
  const std::vector<uint16_t> classes(map.begin(), map.end());
  return {tensor_of("classes", VACCEL_UINT16, {2, 4}, classes),
          tensor_of("model_classes", VACCEL_UINT16, {1, 2}, std::vector<uint16_t>{299, 0}),
          strings_of("label", labels)};
}

std::vector<NamedTensor> pose() {
  return {
      tensor_of("keypoint", VACCEL_FLOAT32, {1, 2, 3}, std::vector<float>{10.5F, 20, 0.75F, -3, 500, 0.125F}),
      tensor_of("score", VACCEL_FLOAT32, {1}, std::vector<float>{0.5F}),
      strings_of("name", {"nose", "left knee"}),
      tensor_of("size", VACCEL_INT32, {2}, std::vector<int32_t>{640, 480})};
}

std::vector<NamedTensor> depth(size_t image_bytes) {
  return {tensor_of("depth", VACCEL_FLOAT32, {2, 3},
                    std::vector<float>{static_cast<float>(image_bytes), 2, 3, 4, 5, 6}),
          tensor_of("model_depth", VACCEL_FLOAT32, {1, 1}, std::vector<float>{3.5F}),
          strings_of("kind", {"relative"})};
}

}  // namespace

NamedTensor strings_of(std::string name, const std::vector<std::string>& strings) {
  std::vector<uint32_t> offsets{static_cast<uint32_t>((strings.size() + 1) * sizeof(uint32_t))};
  for (const std::string& string : strings)
    offsets.push_back(offsets.back() + static_cast<uint32_t>(string.size() + 1));
  NamedTensor tensor =
      tensor_of(std::move(name), VACCEL_STRING, {static_cast<int64_t>(strings.size())}, offsets);
  for (const std::string& string : strings) {
    const auto* bytes = reinterpret_cast<const std::byte*>(string.c_str());
    tensor.data.insert(tensor.data.end(), bytes, bytes + string.size() + 1);
  }
  return tensor;
}

std::vector<NamedTensor> vision_tensors(const wire::Call& call, const std::string& model, size_t image) {
  const auto image_bytes = static_cast<size_t>(call.inputs.at(image).bytes);
  std::vector<NamedTensor> tensors;
  if (call.operator_name == "classify") tensors = classify(call, image_bytes);
  if (call.operator_name == "detect") tensors = detect(call, image_bytes);
  if (call.operator_name == "segment") tensors = segment(model.starts_with("large"));
  if (call.operator_name == "pose") tensors = pose();
  if (call.operator_name == "depth") tensors = depth(image_bytes);
  for (NamedTensor& tensor : tensors) {
    if (image > 0) tensor.name = std::to_string(image) + "." + tensor.name;
  }
  return tensors;
}

void reply_with(Peer& peer, uint64_t id, const std::vector<NamedTensor>& tensors) {
  wire::CallResult result;
  result.timings.infer_ns = 1234;
  std::vector<std::byte> payload;
  for (const NamedTensor& tensor : tensors) {
    payload.resize(wire::align_up(payload.size(), wire::kTensorAlignment));
    wire::Tensor sent{.name = tensor.name,
                      .dtype = tensor.dtype,
                      .rank = static_cast<int32_t>(tensor.shape.size()),
                      .offset = payload.size(),
                      .bytes = tensor.data.size()};
    std::copy(tensor.shape.begin(), tensor.shape.end(), sent.shape.begin());
    result.outputs.push_back(sent);
    payload.insert(payload.end(), tensor.data.begin(), tensor.data.end());
  }
  peer.reply(id, result, payload);
}

}  // namespace vaccel::client
