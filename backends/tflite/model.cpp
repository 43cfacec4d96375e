// SPDX-License-Identifier: Apache-2.0
#include "model.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <thread>

namespace vaccel::tflite {
namespace {

constexpr std::string_view kEdgeTpuOperator = "edgetpu-custom-op";
constexpr std::string_view kUnresolved = "unresolved custom op";

constexpr int kMostInterpretersByDefault = 8;

int cores() {
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

int threads_of(const Options& options) {
  return options.threads > 0 ? options.threads : cores();
}

size_t interpreters_of(const Options& options) {
  return static_cast<size_t>(options.interpreters > 0 ? options.interpreters
                                                      : std::min(cores(), kMostInterpretersByDefault));
}

bool is_for_edge_tpu(const ModelFile& file) {
  const auto& custom = file.custom_operators;
  return std::find(custom.begin(), custom.end(), kEdgeTpuOperator) != custom.end();
}

// What has an operator that nobody here knows, with what can be done about it.
[[noreturn]] void refuse_operators(const ModelFile& file, const Delegates& delegates,
                                   const std::string& words) {
  std::string names;
  for (const std::string& name : file.custom_operators)
    names += (names.empty() ? "'" : ", '") + printable(name) + "'";
  std::string skipped;
  for (const std::string& warning : delegates.warnings())
    skipped += "; " + warning;
  if (is_for_edge_tpu(file)) {
    refuse(VACCEL_UNIMPLEMENTED,
           "the model is compiled for a Coral Edge TPU (operator '%s'), and no delegate here runs it: "
           "[backend.tflite] "
           "delegates = [{ library = \"libedgetpu.so.1\" }] loads Coral's%s",
           kEdgeTpuOperator.data(), skipped.c_str());
  }
  refuse(VACCEL_UNIMPLEMENTED,
         "the model's operators %s are custom ones, and neither TensorFlow Lite nor a delegate here runs "
         "them all: %s%s",
         names.c_str(), words.c_str(), skipped.c_str());
}

void describe(const std::vector<FileTensor>& tensors, std::vector<vaccel_tensor_info>& infos) {
  for (const FileTensor& one : tensors) {
    const auto rank = static_cast<int32_t>(one.shape.size());
    infos.push_back({one.name.c_str(), one.shape.data(), one.ranked ? rank : -1, one.dtype});
  }
}

}  // namespace

ModelBytes::ModelBytes(const vaccel_backend_model_source& source) {
  if (source.data == nullptr) {
    read(source.path);
    return;
  }
  bytes_ = {static_cast<const std::byte*>(source.data), source.data_size};
  if (reinterpret_cast<uintptr_t>(source.data) % static_cast<size_t>(kAlignment) == 0) return;
  std::memcpy(allocate(source.data_size), source.data, source.data_size);
}

std::byte* ModelBytes::allocate(size_t size) {
  own_.reset(static_cast<std::byte*>(::operator new(size, kAlignment)));
  bytes_ = {own_.get(), size};
  return own_.get();
}

void ModelBytes::read(const char* path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  const std::streamoff size = file.tellg();
  if (size < 0 || !file.seekg(0)) refuse(VACCEL_INVALID_ARGUMENT, "cannot read %s", path);
  if (!file.read(reinterpret_cast<char*>(allocate(static_cast<size_t>(size))), size))
    refuse(VACCEL_INVALID_ARGUMENT, "cannot read %s to its end", path);
}

Model::Model(const Api& api, Delegates& delegates, const Options& options,
             const vaccel_backend_model_source& source)
    : api_(api),
      delegates_(delegates),
      threads_(threads_of(options)),
      bytes_(source),
      file_(ModelFile::read(bytes_.bytes())),
      model_(nullptr, Release<TfLiteModel>{api.model_delete}),
      pool_([this] { return make_interpreter(); }, interpreters_of(options)) {
  if (is_for_edge_tpu(file_) && !delegates.has_libraries()) refuse_operators(file_, delegates, "");
  model_.reset(api.model_create(bytes_.bytes().data(), bytes_.bytes().size()));
  if (model_ == nullptr) {
    refuse(VACCEL_INVALID_ARGUMENT,
           "TensorFlow Lite refuses the model: the file is damaged, some of its offsets lead nowhere");
  }
  open_first();
  describe(file_.inputs, inputs_);
  describe(file_.outputs, outputs_);
  for (const FileTensor& input : file_.inputs)
    input_quantisation_.push_back(input.quantisation);
  for (const FileTensor& output : file_.outputs)
    output_quantisation_.push_back(output.quantisation);
  for (const auto& [key, value] : file_.metadata)
    metadata_.push_back({key.c_str(), value.c_str()});
}

std::unique_ptr<Interpreter> Model::make_interpreter() {
  return std::make_unique<Interpreter>(api_, model_.get(), file_, delegates_, threads_);
}

// Shows that the model can run, before anybody asks it to.
void Model::open_first() {
  std::unique_ptr<Interpreter> first;
  try {
    first = make_interpreter();
  } catch (const Failure& failure) {
    // Delegates of some kinds have all operators prepared before they are made.
    if (failure.sentence.find(kUnresolved) == std::string::npos) throw;
    refuse_operators(file_, delegates_, failure.sentence);
  }
  if (first->allocate()) {
    learn_shapes(*first);
  } else if (first->words().find(kUnresolved) != std::string::npos) {
    refuse_operators(file_, delegates_, first->words());
  } else if (!file_.is_dynamic()) {
    refuse(VACCEL_INVALID_ARGUMENT, "TensorFlow Lite cannot prepare the model: %s", first->words().c_str());
  } else {
    return;  // The file has 1 where a dimension is free, and not every model can work with so little.
  }
  pool_.add(std::move(first));
}

// What the operators make of the inputs' shapes is what comes out, whatever the file says; but which dimensions are
// free only the file knows.
void Model::learn_shapes(const Interpreter& interpreter) {
  for (size_t index = 0; index < file_.outputs.size(); ++index) {
    FileTensor& output = file_.outputs[index];
    const Interpreter::Known found = interpreter.output_shape(index);
    if (!found.known) {
      // Found by running: what the file says is a guess, unless it says what is free.
      output.ranked = output.ranked && output.is_dynamic();
    } else if (!output.ranked || found.shape.size() != output.shape.size()) {
      output.shape = found.shape;
      output.ranked = true;
    } else {
      for (size_t axis = 0; axis < output.shape.size(); ++axis) {
        if (output.shape[axis] != -1) output.shape[axis] = found.shape[axis];
      }
    }
  }
}

vaccel_status Model::run(vaccel_backend_run& run) {
  std::unique_ptr<Interpreter> taken = pool_.take(run);
  if (taken == nullptr) return VACCEL_CANCELLED;
  InterpreterPool::Lease interpreter(pool_, std::move(taken));
  interpreter->take_inputs(run);
  interpreter->invoke();
  interpreter.keep();
  if (run.cancelled(run.context) != 0) return VACCEL_CANCELLED;
  return interpreter->give_outputs(run) ? VACCEL_OK : VACCEL_RESOURCE_EXHAUSTED;
}

}  // namespace vaccel::tflite
