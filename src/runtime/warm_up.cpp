// SPDX-License-Identifier: Apache-2.0
#include "runtime/warm_up.h"

#include <algorithm>
#include <new>
#include <vector>

#include "core/tensor.h"
#include "runtime/model.h"

namespace vaccel::runtime {
namespace {

constexpr uint64_t kMostBytes = uint64_t{256} << 20;
constexpr std::align_val_t kAlignment{64};

struct Free {
  void operator()(std::byte* memory) const { ::operator delete[](memory, kAlignment); }
};
using Zeros = std::unique_ptr<std::byte[], Free>;

Zeros zeros(size_t bytes) {
  auto* memory = static_cast<std::byte*>(::operator new[](std::max<size_t>(bytes, 1), kAlignment));
  std::fill_n(memory, bytes, std::byte{});
  return Zeros(memory);
}

// Results go where nobody looks.
struct Results {
  std::vector<Zeros> memories;

  static void* take(void* context, size_t /*index*/, const char* /*name*/, vaccel_dtype /*dtype*/,
                    int32_t /*rank*/, const int64_t* /*shape*/, size_t bytes) {
    if (bytes > kMostBytes) return nullptr;
    auto* self = static_cast<Results*>(context);
    self->memories.push_back(zeros(bytes));
    return self->memories.back().get();
  }
};

}  // namespace

Status warm_up(Runtime& runtime, Model& model) {
  const std::vector<TensorFacts>& facts = model.primary().inputs();
  std::vector<std::vector<int64_t>> shapes;
  std::vector<Zeros> memories;
  std::vector<vaccel_tensor> inputs;
  uint64_t total = 0;
  for (const TensorFacts& input : facts) {
    if (input.any_rank || input.dtype == VACCEL_STRING || input.dtype == 0)
      return failure(VACCEL_UNIMPLEMENTED, "input '%s' may be anything", printable(input.name).c_str());
    std::vector<int64_t>& shape = shapes.emplace_back(input.shape);
    std::ranges::replace(shape, -1, 1);
    const auto bytes = dense_bytes(static_cast<vaccel_dtype>(input.dtype), shape);
    if (!bytes || *bytes > kMostBytes || (total += *bytes) > kMostBytes)
      return failure(VACCEL_UNIMPLEMENTED, "input '%s' takes too much memory", printable(input.name).c_str());
    memories.push_back(zeros(*bytes));
    vaccel_tensor view{};
    view.name = input.name.c_str();
    view.data = memories.back().get();
    view.bytes = *bytes;
    view.rank = static_cast<int32_t>(shape.size());
    view.dtype = input.dtype;
    inputs.push_back(view);
  }
  for (size_t index = 0; index < inputs.size(); ++index)
    inputs[index].shape = shapes[index].data();
  Results results;
  RuntimeCall call{};
  call.size = sizeof call;
  call.operator_name = "infer";
  call.model = &model;
  call.inputs = inputs.data();
  call.input_count = inputs.size();
  call.output = Results::take;
  call.output_context = &results;
  return runtime.call(call);
}

}  // namespace vaccel::runtime
