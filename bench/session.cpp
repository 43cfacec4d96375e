// SPDX-License-Identifier: Apache-2.0
#include "session.h"

#include <utility>

#include "failure.h"

namespace vaccel::bench {
namespace {

constexpr uint32_t kTop = 5;

}  // namespace

Input::Input(const char* name, vaccel_dtype dtype, std::vector<int64_t> shape, std::vector<std::byte> data)
    : shape_(std::move(shape)), data_(std::move(data)) {
  view_.name = name;
  view_.data = data_.data();
  view_.bytes = data_.size();
  view_.shape = shape_.data();
  view_.rank = static_cast<int32_t>(shape_.size());
  view_.dtype = dtype;
}

std::vector<std::byte> some_bytes(size_t size) {
  std::vector<std::byte> bytes(size);
  for (size_t index = 0; index < size; ++index)
    bytes[index] = static_cast<std::byte>(index * 7);
  return bytes;
}

Session::Session(const std::string& endpoint) {
  check(vaccel_open(endpoint.c_str(), nullptr, &session_), "cannot open a session");
}

void Session::call(const char* name, const vaccel_tensor* input, const vaccel_attribute* attribute) const {
  vaccel_outputs* outputs = nullptr;
  check(vaccel_call(session_, name, nullptr, attribute, attribute != nullptr ? 1 : 0, input,
                    input != nullptr ? 1 : 0, nullptr, &outputs),
        name);
  vaccel_outputs_free(outputs);
}

void Session::call_for_nothing(const char* name, const vaccel_tensor* input) const {
  check(vaccel_call(session_, name, nullptr, nullptr, 0, input, input != nullptr ? 1 : 0, nullptr, nullptr),
        name);
}

int32_t Session::classify(std::span<const std::byte> image) const {
  vaccel_classes* classes = nullptr;
  check(vaccel_classify(session_, kModel, image.data(), image.size(), kTop, nullptr, &classes),
        "cannot classify");
  const int32_t best = classes->count > 0 ? classes->items[0].index : -1;
  vaccel_classes_free(classes);
  return best;
}

float Session::infer(const vaccel_tensor* input) const {
  vaccel_outputs* outputs = nullptr;
  check(vaccel_infer(session_, kModel, input, 1, nullptr, &outputs), "cannot infer");
  const float first = *static_cast<const float*>(outputs->tensors[0].data);
  vaccel_outputs_free(outputs);
  return first;
}

}  // namespace vaccel::bench
