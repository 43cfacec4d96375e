// SPDX-License-Identifier: Apache-2.0
#include "runtime/operators/infer.h"

#include <array>
#include <vector>

#include "core/tensor.h"
#include "runtime/backend_run.h"
#include "runtime/operators/attributes.h"

namespace vaccel::runtime {
namespace {

// Models with more inputs than this take an allocation a call.
constexpr size_t kInlineInputs = 16;

// "'a' float32 [1, 3], 'b' int64 [?]"
std::string list_of(std::span<const TensorFacts> inputs) {
  std::string text;
  for (const TensorFacts& input : inputs) {
    text += (text.empty() ? "'" : ", '") + printable(input.name) + "' " + input.text();
  }
  return text.empty() ? "none" : text;
}

bool shape_fits(const TensorFacts& input, const vaccel_tensor& given) {
  if (input.any_rank) return true;
  if (input.shape.size() != static_cast<size_t>(given.rank)) return false;
  for (size_t axis = 0; axis < input.shape.size(); ++axis) {
    if (input.shape[axis] != -1 && input.shape[axis] != given.shape[axis]) return false;
  }
  return true;
}

// The model's input that the tensor at `position` is meant for; inputs.size() when there is none of its name.
size_t target_of(std::span<const TensorFacts> inputs, const vaccel_tensor& given, size_t position) {
  if (given.name == nullptr || given.name[0] == '\0') return position;
  size_t index = 0;
  while (index < inputs.size() && inputs[index].name != given.name)
    ++index;
  return index;
}

Status check_input(const TensorFacts& input, const vaccel_tensor& given) {
  if (given.dtype != input.dtype) {
    return failure(VACCEL_INVALID_ARGUMENT, "input '%s' is %s %s; the model takes %s",
                   printable(input.name).c_str(), dtype_name(given.dtype),
                   shape_text(shape_of(given)).c_str(), input.text().c_str());
  }
  if (!shape_fits(input, given)) {
    return failure(VACCEL_INVALID_ARGUMENT, "input '%s' has shape %s; the model takes %s",
                   printable(input.name).c_str(), shape_text(shape_of(given)).c_str(), input.text().c_str());
  }
  return {};
}

}  // namespace

Status order_inputs(std::span<const TensorFacts> inputs, std::span<const vaccel_tensor> given,
                    std::span<vaccel_tensor> ordered) {
  for (vaccel_tensor& tensor : ordered)
    tensor = vaccel_tensor{};  // dtype 0: not given yet
  for (size_t position = 0; position < given.size(); ++position) {
    const size_t target = target_of(inputs, given[position], position);
    if (target >= inputs.size()) {
      const bool named = given[position].name != nullptr && given[position].name[0] != '\0';
      return named ? failure(VACCEL_INVALID_ARGUMENT, "the model has no input '%s'; its inputs are: %s",
                             printable(given[position].name).c_str(), list_of(inputs).c_str())
                   : failure(VACCEL_INVALID_ARGUMENT, "%zu inputs are given; the model's inputs are: %s",
                             given.size(), list_of(inputs).c_str());
    }
    if (ordered[target].dtype != 0) {
      return failure(VACCEL_INVALID_ARGUMENT, "input '%s' is given twice; the model's inputs are: %s",
                     printable(inputs[target].name).c_str(), list_of(inputs).c_str());
    }
    if (Status status = check_input(inputs[target], given[position]); !status.ok()) return status;
    ordered[target] = given[position];
    ordered[target].name = inputs[target].name.c_str();
  }
  for (size_t index = 0; index < inputs.size(); ++index) {
    if (ordered[index].dtype == 0) {
      return failure(VACCEL_INVALID_ARGUMENT, "input '%s' is missing; the model's inputs are: %s",
                     printable(inputs[index].name).c_str(), list_of(inputs).c_str());
    }
  }
  return {};
}

OperatorFacts InferOperator::facts() const {
  return {.name = name(),
          .description = "Runs any model on tensors",
          .parts = {{VACCEL_OPERATOR_INPUT, "...", "the model's", "by name, or in its order"},
                    {VACCEL_OPERATOR_OUTPUT, "...", "the model's", "in its order"}},
          .offers = {},
          .works_on_model = true};
}

Status InferOperator::run(RuntimeCall& call) const {
  if (Status status = require_model(call, "infer"); !status.ok()) return status;
  const auto attributes = SortedAttributes::check(call.attributes, call.attribute_count);
  if (!attributes) return attributes.error();
  if (Status status = refuse_unknown("infer", attributes->all(), {}); !status.ok()) return status;
  const auto loaded = call.model->in_backend(call.backend);
  if (!loaded) return loaded.error();
  const LoadedModel& model = **loaded;

  std::array<vaccel_tensor, kInlineInputs> few;
  std::vector<vaccel_tensor> many;
  std::span<vaccel_tensor> ordered{few.data(), std::min(model.inputs().size(), few.size())};
  if (model.inputs().size() > few.size()) {
    many.resize(model.inputs().size());
    ordered = many;
  }
  Status status = order_inputs(model.inputs(), {call.inputs, call.input_count}, ordered);
  if (!status.ok()) return status.within("model '" + call.model->description().name + "'");

  const auto infer = [&] {
    return model.batcher().run(call, ordered, {call.output_context, call.output}, watcher_);
  };
  if (call.timings == nullptr) return infer();
  const Stopwatch watch;
  status = infer();
  call.timings->infer_ns = watch.elapsed_ns();
  return status;
}

}  // namespace vaccel::runtime
