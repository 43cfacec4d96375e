// SPDX-License-Identifier: Apache-2.0
//
// For the tests of this room: what the vision operators of the test server return, as values that a test may also spoil.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "client/client_testing.h"
#include "wire/messages.h"

namespace vaccel::client {

/// A named tensor that owns its data.
struct NamedTensor {
  std::string name;
  int32_t dtype = 0;
  std::vector<int64_t> shape;
  std::vector<std::byte> data;
};

template <typename T>
NamedTensor tensor_of(std::string name, int dtype, std::vector<int64_t> shape, const std::vector<T>& values) {
  std::vector<std::byte> data(values.size() * sizeof(T));
  if (!data.empty()) std::memcpy(data.data(), values.data(), data.size());
  return {std::move(name), dtype, std::move(shape), std::move(data)};
}

/// Of VACCEL_STRING, with one dimension.
NamedTensor strings_of(std::string name, const std::vector<std::string>& strings);

/// What the server's `operator_name` returns for image `image`, a file of `image_bytes` bytes; the names have the image's
/// prefix. Nothing: it is no vision operator.
///   classify  at most 3 classes of scores 1/2, 1/4 and 1/6; the file's size is the first one's number
///   detect    at most 2 objects, "thing" 0.9 and "" 0.25, without those below `min_score`; x of the first one's box is
///             the file's size, its y 100 times `iou`; the image has 640 x 480 pixels
///   segment   4 x 2 pixels of 3 classes, from a model's 2 x 1; with a model whose name begins with "large" of 300
///   pose      1 pose of 2 keypoints in 640 x 480 pixels
///   depth     3 x 2 pixels from a model's 1 x 1, "relative"; the file's size is the first depth
std::vector<NamedTensor> vision_tensors(const wire::Call& call, const std::string& model, size_t image);

/// Sends tensors as the result of call `id`.
void reply_with(Peer& peer, uint64_t id, const std::vector<NamedTensor>& tensors);

}  // namespace vaccel::client
