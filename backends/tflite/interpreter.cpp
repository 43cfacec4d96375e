// SPDX-License-Identifier: Apache-2.0
#include "interpreter.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <limits>

#include "tensors.h"

namespace vaccel::tflite {
namespace {

constexpr size_t kMostWords = 1500;

size_t count_of(const int64_t* shape, int32_t rank) {
  size_t count = 1;
  for (int32_t axis = 0; axis < rank; ++axis)
    count *= static_cast<size_t>(shape[axis]);
  return count;
}

// A shape as TensorFlow Lite takes it. The runtime has checked that the sizes' product is one of memory that is there.
std::vector<int> shape_for(const vaccel_tensor& input) {
  std::vector<int> shape;
  for (int32_t axis = 0; axis < input.rank; ++axis) {
    const int64_t size = input.shape[axis];
    if (size == 0) {
      // Its operators divide by sizes without looking.
      refuse(VACCEL_INVALID_ARGUMENT, "input '%s' has no elements; TensorFlow Lite takes no empty tensors",
             printable(input.name).c_str());
    }
    if (size > std::numeric_limits<int>::max()) {
      refuse(VACCEL_INVALID_ARGUMENT, "input '%s' has a dimension of %lld; TensorFlow Lite counts up to %d",
             printable(input.name).c_str(), static_cast<long long>(size), std::numeric_limits<int>::max());
    }
    shape.push_back(static_cast<int>(size));
  }
  return shape;
}

// Two things that TensorFlow Lite 2.9 does not get right with it. Inputs that change their shape have it take the graph
// back from its delegates and hand it out again, and float16 tensors are then taken for ones that XNNPACK left behind.
// And XNNPACK writes a result that nobody reads to where there is no memory.
bool suits_xnnpack(const ModelFile& file) {
  return !(file.is_dynamic() && file.computes_float16) && !file.computes_in_vain;
}

}  // namespace

Interpreter::Interpreter(const Api& api, const TfLiteModel* model, const ModelFile& file,
                         Delegates& delegates, int threads)
    : api_(api), file_(file), delegates_(delegates.take()) {
  if (delegates.has_xnnpack() && suits_xnnpack(file)) {
    xnnpack_ = delegates.make_xnnpack(threads);
    interpreter_ = create(model, threads);
    // XNNPACK refuses a graph with shapes that are known only while it runs.
    if (interpreter_ == nullptr) xnnpack_.reset();
  }
  if (interpreter_ == nullptr) interpreter_ = create(model, threads);
  if (interpreter_ == nullptr) {
    refuse(VACCEL_INVALID_ARGUMENT, "TensorFlow Lite refuses the model: %s", words_.c_str());
  }
}

Handle<TfLiteInterpreter> Interpreter::create(const TfLiteModel* model, int threads) {
  words_.clear();
  const Handle<TfLiteInterpreterOptions> options(api_.options_create(),
                                                 Release<TfLiteInterpreterOptions>{api_.options_delete});
  if (options == nullptr) refuse(VACCEL_RESOURCE_EXHAUSTED, "no memory");
  api_.options_set_threads(options.get(), threads);
  api_.options_set_reporter(options.get(), report, this);
  for (const auto& delegate : delegates_)
    api_.options_add_delegate(options.get(), delegate.get());
  if (xnnpack_ != nullptr) api_.options_add_delegate(options.get(), xnnpack_.get());
  return {api_.interpreter_create(model, options.get()), Release<TfLiteInterpreter>{api_.interpreter_delete}};
}

void Interpreter::report(void* self, const char* format, va_list arguments) {
  char line[512];
  std::vsnprintf(line, sizeof line, format, arguments);
  std::string& words = static_cast<Interpreter*>(self)->words_;
  if (words.size() > kMostWords) return;
  words += words.empty() ? "" : "; ";
  for (char* character = line; *character != '\0'; ++character) {
    if (static_cast<unsigned char>(*character) < 0x20) *character = ' ';
  }
  words += line;
  words.erase(words.find_last_not_of(' ') + 1);
}

bool Interpreter::allocate() {
  words_.clear();
  allocated_ = api_.allocate_tensors(interpreter_.get()) == kTfLiteOk;
  return allocated_;
}

bool Interpreter::fits(const vaccel_backend_run& run) const {
  if (!allocated_ || shapes_.size() != run.input_count) return false;
  for (size_t index = 0; index < run.input_count; ++index) {
    const vaccel_tensor& input = run.inputs[index];
    if (!std::equal(shapes_[index].begin(), shapes_[index].end(), input.shape, input.shape + input.rank))
      return false;
  }
  return true;
}

void Interpreter::reshape(const vaccel_backend_run& run) {
  std::vector<std::vector<int>> wanted;
  for (size_t index = 0; index < run.input_count; ++index)
    wanted.push_back(shape_for(run.inputs[index]));
  shapes_.clear();
  words_.clear();
  for (size_t index = 0; index < wanted.size(); ++index) {
    if (api_.resize_input(interpreter_.get(), static_cast<int32_t>(index), wanted[index].data(),
                          static_cast<int32_t>(wanted[index].size())) != kTfLiteOk) {
      refuse(VACCEL_INVALID_ARGUMENT, "TensorFlow Lite does not take the shape of input '%s': %s",
             printable(run.inputs[index].name).c_str(), words_.c_str());
    }
  }
  if (!allocate()) {
    refuse(VACCEL_INVALID_ARGUMENT, "TensorFlow Lite cannot run the model on inputs of these shapes: %s",
           words_.c_str());
  }
  shapes_ = std::move(wanted);
}

void Interpreter::take_inputs(const vaccel_backend_run& run) {
  if (!fits(run)) reshape(run);
  if (file_.has_variables && api_.reset_variables(interpreter_.get()) != kTfLiteOk) {
    refuse(VACCEL_INTERNAL, "TensorFlow Lite cannot reset the model's variables");
  }
  for (size_t index = 0; index < run.input_count; ++index) {
    const vaccel_tensor& input = run.inputs[index];
    TfLiteTensor* tensor = api_.input_tensor(interpreter_.get(), static_cast<int32_t>(index));
    if (input.dtype == VACCEL_STRING) {
      take_strings(tensor, input);
      continue;
    }
    const size_t bytes = count_of(input.shape, input.rank) * type_of_dtype(input.dtype)->size;
    const bool ready = api_.tensor_data(tensor) != nullptr && api_.tensor_bytes(tensor) == bytes;
    if (!ready || api_.tensor_copy_from(tensor, input.data, bytes) != kTfLiteOk) {
      refuse(VACCEL_INTERNAL, "TensorFlow Lite has %zu bytes for input '%s' of %zu bytes",
             api_.tensor_bytes(tensor), printable(input.name).c_str(), bytes);
    }
  }
}

void Interpreter::take_strings(TfLiteTensor* tensor, const vaccel_tensor& input) const {
  const std::string strings = strings_to_tflite(input.data, count_of(input.shape, input.rank));
  api_.tensor_reallocate(strings.size(), tensor);
  const bool ready = api_.tensor_data(tensor) != nullptr && api_.tensor_bytes(tensor) == strings.size();
  if (!ready || api_.tensor_copy_from(tensor, strings.data(), strings.size()) != kTfLiteOk) {
    refuse(VACCEL_RESOURCE_EXHAUSTED, "TensorFlow Lite has no memory for input '%s' of %zu bytes",
           printable(input.name).c_str(), strings.size());
  }
}

void Interpreter::invoke() {
  words_.clear();
  if (api_.invoke(interpreter_.get()) == kTfLiteOk) return;
  // A device may be there again the next time; this interpreter is not used any more.
  if (!delegates_.empty()) {
    refuse(VACCEL_UNAVAILABLE, "TensorFlow Lite failed, or a delegate did: %s", words_.c_str());
  }
  refuse(VACCEL_INTERNAL, "TensorFlow Lite failed: %s", words_.c_str());
}

Interpreter::Known Interpreter::output_shape(size_t index) const {
  const TfLiteTensor* tensor = api_.output_tensor(interpreter_.get(), static_cast<int32_t>(index));
  // A tensor whose shape is found only by running has no memory yet; one of strings never has.
  if (api_.tensor_data(tensor) == nullptr) return {false, {}};
  std::vector<int64_t> shape;
  for (int32_t axis = 0; axis < api_.tensor_rank(tensor); ++axis)
    shape.push_back(api_.tensor_dimension(tensor, axis));
  return {true, std::move(shape)};
}

bool Interpreter::give_outputs(vaccel_backend_run& run) const {
  for (size_t index = 0; index < file_.outputs.size(); ++index) {
    if (!give_output(run, index)) return false;
  }
  return true;
}

bool Interpreter::give_output(vaccel_backend_run& run, size_t index) const {
  const char* name = file_.outputs[index].name.c_str();
  const TfLiteTensor* tensor = api_.output_tensor(interpreter_.get(), static_cast<int32_t>(index));
  const ElementType* type = type_in_memory(api_.tensor_type(tensor));
  const int32_t rank = api_.tensor_rank(tensor);
  if (type == nullptr || rank < 0 || rank > VACCEL_MAX_RANK) {
    refuse(VACCEL_UNIMPLEMENTED, "output '%s' came with rank %d or a type that vAccel has no name for",
           printable(name).c_str(), rank);
  }
  int64_t shape[VACCEL_MAX_RANK];
  for (int32_t axis = 0; axis < rank; ++axis)
    shape[axis] = api_.tensor_dimension(tensor, axis);
  const size_t count = count_of(shape, rank);
  const std::span data(static_cast<const std::byte*>(api_.tensor_data(tensor)), api_.tensor_bytes(tensor));
  const bool strings = type->dtype == VACCEL_STRING;
  if (strings ? !are_strings(data, count)
              : data.size() != count * type->size || (count > 0 && data.data() == nullptr)) {
    refuse(VACCEL_INTERNAL, "output '%s' came with %zu bytes for %zu elements", printable(name).c_str(),
           data.size(), count);
  }
  const size_t bytes = strings ? vaccel_strings_size(data) : data.size();
  void* memory =
      run.output(run.context, index, name, static_cast<vaccel_dtype>(type->dtype), rank, shape, bytes);
  if (memory == nullptr) return false;
  if (strings) {
    strings_to_vaccel(data, memory);
  } else if (bytes > 0) {
    std::memcpy(memory, data.data(), bytes);
  }
  return true;
}

}  // namespace vaccel::tflite
