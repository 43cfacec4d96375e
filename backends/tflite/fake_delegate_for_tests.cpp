// SPDX-License-Identifier: Apache-2.0
//
// A delegate like Coral's libedgetpu, from the same interface, without the device: it takes the operator
// "edgetpu-custom-op" and computes y = factor * x + 1 for float tensors, which no operator of TensorFlow Lite does by
// chance.
//
// Options: factor = a number; fail = a sentence, with which no delegate is made; gate = the path of a FIFO, from which a
// run whose first value is negative reads a byte before it goes on; gone = a path: as long as it exists, the device does
// not.
#include <tensorflow/lite/c/common.h>

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

namespace {

struct FakeDelegate {
  TfLiteDelegate base{};
  float factor = 1;
  std::string gate;
  std::string gone;
};

// What goes into the node that was taken, and what comes out.
struct Kernel {
  const FakeDelegate* delegate;
  int input;
  int output;
};

TfLiteIntArray* make_array(const std::vector<int>& values) {
  // As TfLiteIntArrayCreate() does it; TensorFlow Lite frees it.
  auto* array =
      static_cast<TfLiteIntArray*>(std::malloc(sizeof(TfLiteIntArray) + values.size() * sizeof(int)));
  array->size = static_cast<int>(values.size());
  std::memcpy(array->data, values.data(), values.size() * sizeof(int));
  return array;
}

void* init(TfLiteContext* /*context*/, const char* buffer, size_t /*length*/) {
  const auto* parameters = reinterpret_cast<const TfLiteDelegateParams*>(buffer);
  return new Kernel{static_cast<const FakeDelegate*>(parameters->delegate->data_),
                    parameters->input_tensors->data[0], parameters->output_tensors->data[0]};
}

void release(TfLiteContext* /*context*/, void* kernel) {
  delete static_cast<Kernel*>(kernel);
}

TfLiteStatus prepare(TfLiteContext* context, TfLiteNode* node) {
  const auto* kernel = static_cast<const Kernel*>(node->user_data);
  const TfLiteIntArray* shape = context->tensors[kernel->input].dims;
  return context->ResizeTensor(context, &context->tensors[kernel->output],
                               make_array({shape->data, shape->data + shape->size}));
}

bool is_gone(const FakeDelegate& delegate) {
  return !delegate.gone.empty() && ::access(delegate.gone.c_str(), F_OK) == 0;
}

void wait_at(const std::string& gate) {
  const int file = ::open(gate.c_str(), O_RDONLY | O_CLOEXEC);
  char byte = 0;
  while (::read(file, &byte, 1) < 0) {
  }
  ::close(file);
}

TfLiteStatus invoke(TfLiteContext* context, TfLiteNode* node) {
  const auto* kernel = static_cast<const Kernel*>(node->user_data);
  const TfLiteTensor& input = context->tensors[kernel->input];
  TfLiteTensor& output = context->tensors[kernel->output];
  const size_t count = input.bytes / sizeof(float);
  if (is_gone(*kernel->delegate)) return kTfLiteDelegateError;
  if (!kernel->delegate->gate.empty() && input.data.f[0] < 0) wait_at(kernel->delegate->gate);
  for (size_t index = 0; index < count; ++index)
    output.data.f[index] = kernel->delegate->factor * input.data.f[index] + 1;
  return kTfLiteOk;
}

TfLiteStatus take_operators(TfLiteContext* context, TfLiteDelegate* delegate) {
  TfLiteIntArray* plan = nullptr;
  if (context->GetExecutionPlan(context, &plan) != kTfLiteOk) return kTfLiteError;
  std::vector<int> mine;
  for (int index = 0; index < plan->size; ++index) {
    TfLiteNode* node = nullptr;
    TfLiteRegistration* registration = nullptr;
    if (context->GetNodeAndRegistration(context, plan->data[index], &node, &registration) != kTfLiteOk)
      return kTfLiteError;
    const char* name = registration->custom_name;
    if (name != nullptr && std::strcmp(name, "edgetpu-custom-op") == 0) mine.push_back(plan->data[index]);
  }
  TfLiteRegistration kernel{};
  kernel.init = init;
  kernel.free = release;
  kernel.prepare = prepare;
  kernel.invoke = invoke;
  kernel.custom_name = "FakeEdgeTpu";
  kernel.version = 1;
  for (const int index : mine) {
    TfLiteIntArray* nodes = make_array({index});
    const TfLiteStatus status =
        context->ReplaceNodeSubsetsWithDelegateKernels(context, kernel, nodes, delegate);
    std::free(nodes);
    if (status != kTfLiteOk) return status;
  }
  return kTfLiteOk;
}

}  // namespace

extern "C" {

__attribute__((visibility("default"))) TfLiteDelegate* tflite_plugin_create_delegate(
    char** keys, char** values, size_t count, void (*report)(const char*)) {
  auto made = std::make_unique<FakeDelegate>();
  for (size_t index = 0; index < count; ++index) {
    const std::string key = keys[index];
    if (key == "factor") {
      made->factor = std::strtof(values[index], nullptr);
    } else if (key == "gate") {
      made->gate = values[index];
    } else if (key == "gone") {
      made->gone = values[index];
    } else {
      report(key == "fail" ? values[index] : ("no such option: " + key).c_str());
      return nullptr;
    }
  }
  if (is_gone(*made)) {
    report("no device of that kind");
    return nullptr;
  }
  made->base.data_ = made.get();
  made->base.Prepare = take_operators;
  // As libedgetpu's. Without it TensorFlow Lite prepares all operators before it asks the delegate, and nobody else can
  // prepare this one.
  made->base.flags = kTfLiteDelegateFlagsAllowDynamicTensors;
  return &made.release()->base;
}

__attribute__((visibility("default"))) void tflite_plugin_destroy_delegate(TfLiteDelegate* delegate) {
  delete static_cast<FakeDelegate*>(delegate->data_);
}

}  // extern "C"
