// SPDX-License-Identifier: Apache-2.0
//
// One interpreter of a model: its delegates, its working memory, and what it said last. Used by one thread at a time;
// interpreter_pool.h hands them out.
//
// Inputs are copied into the interpreter's memory and results out of it, once each: the C API offers no way to lend it
// memory. So nothing that TensorFlow Lite computes with can be changed by a guest meanwhile.
#pragma once

#include <string>
#include <vector>

#include "api.h"
#include "delegates.h"
#include "model_file.h"

namespace vaccel::tflite {

class Interpreter {
 public:
  /// `api` and `model` must outlive the interpreter. INVALID_ARGUMENT when TensorFlow Lite refuses the model.
  Interpreter(const Api& api, const TfLiteModel* model, const ModelFile& file, Delegates& delegates,
              int threads);

  /// Makes ready for inputs of the shapes that the file gives. False, with words(): they do not fit the model.
  bool allocate();
  /// Whether the inputs have these shapes already.
  [[nodiscard]] bool fits(const vaccel_backend_run& run) const;
  /// Gives the inputs their shapes and values. INVALID_ARGUMENT: shapes that the model cannot take.
  void take_inputs(const vaccel_backend_run& run);
  void invoke();
  /// Writes all results. False: there was no memory for one.
  bool give_outputs(vaccel_backend_run& run) const;

  /// What an output has come to; an empty rank where it is known only after a run.
  struct Known {
    bool known;
    std::vector<int64_t> shape;
  };
  [[nodiscard]] Known output_shape(size_t index) const;

  /// What TensorFlow Lite said since the last call.
  [[nodiscard]] const std::string& words() const { return words_; }

 private:
  static void report(void* self, const char* format, va_list arguments);
  Handle<TfLiteInterpreter> create(const TfLiteModel* model, int threads);
  void reshape(const vaccel_backend_run& run);
  void take_strings(TfLiteTensor* tensor, const vaccel_tensor& input) const;
  bool give_output(vaccel_backend_run& run, size_t index) const;

  const Api& api_;
  const ModelFile& file_;
  std::string words_;
  // In this order: an interpreter is gone before its delegates are.
  std::vector<Handle<TfLiteDelegate>> delegates_;
  Handle<TfLiteDelegate> xnnpack_;
  Handle<TfLiteInterpreter> interpreter_;
  bool allocated_ = false;
  std::vector<std::vector<int>> shapes_;  // of the inputs, as they were last asked for
};

}  // namespace vaccel::tflite
