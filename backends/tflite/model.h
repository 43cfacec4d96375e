// SPDX-License-Identifier: Apache-2.0
//
// A model in TensorFlow Lite: checked, opened, described, run. The file's bytes stay in use for as long as the model
// lives, since its weights are used where they lie.
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <span>
#include <vector>

#include "api.h"
#include "delegates.h"
#include "interpreter_pool.h"
#include "model_file.h"
#include "options.h"

namespace vaccel::tflite {

/// A model's file, aligned as TensorFlow Lite wants its constants.
class ModelBytes {
 public:
  /// Bytes that the source lends are used in place where they are aligned.
  explicit ModelBytes(const vaccel_backend_model_source& source);
  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }

 private:
  static constexpr std::align_val_t kAlignment{64};
  struct Free {
    void operator()(std::byte* memory) const { ::operator delete(memory, kAlignment); }
  };
  std::byte* allocate(size_t size);
  void read(const char* path);

  std::unique_ptr<std::byte, Free> own_;
  std::span<const std::byte> bytes_;
};

class Model {
 public:
  /// `api` and `delegates` must outlive the model. INVALID_ARGUMENT: not a TensorFlow Lite model, or a broken one;
  /// UNIMPLEMENTED: it needs a delegate that is not there, or its inputs or outputs are of types that vAccel has no
  /// name for.
  Model(const Api& api, Delegates& delegates, const Options& options,
        const vaccel_backend_model_source& source);
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  [[nodiscard]] const std::vector<vaccel_tensor_info>& inputs() const { return inputs_; }
  [[nodiscard]] const std::vector<vaccel_tensor_info>& outputs() const { return outputs_; }
  /// Of each input and output, as the file says it.
  [[nodiscard]] const std::vector<vaccel_quantisation>& input_quantisation() const {
    return input_quantisation_;
  }
  [[nodiscard]] const std::vector<vaccel_quantisation>& output_quantisation() const {
    return output_quantisation_;
  }

  [[nodiscard]] const std::vector<vaccel_metadata>& metadata() const { return metadata_; }

  /// From many threads at once.
  vaccel_status run(vaccel_backend_run& run);

 private:
  std::unique_ptr<Interpreter> make_interpreter();
  void open_first();
  void learn_shapes(const Interpreter& interpreter);

  const Api& api_;
  Delegates& delegates_;
  const int threads_;
  ModelBytes bytes_;
  ModelFile file_;
  Handle<TfLiteModel> model_;
  InterpreterPool pool_;
  std::vector<vaccel_tensor_info> inputs_;
  std::vector<vaccel_tensor_info> outputs_;
  std::vector<vaccel_quantisation> input_quantisation_;
  std::vector<vaccel_quantisation> output_quantisation_;
  std::vector<vaccel_metadata> metadata_;
};

}  // namespace vaccel::tflite
