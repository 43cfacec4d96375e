// SPDX-License-Identifier: Apache-2.0
#include "model.h"

#include <caffe2/serialize/read_adapter_interface.h>
#include <torch/csrc/jit/serialization/import.h>

#include <algorithm>
#include <cstring>

#include "failure.h"
#include "framework.h"
#include "signature.h"
#include "tensors.h"
#include "trust.h"

namespace vaccel::torch_backend {
namespace {

// The archive where it lies.
class MemoryReader : public caffe2::serialize::ReadAdapterInterface {
 public:
  MemoryReader(const void* data, size_t size) : data_(static_cast<const char*>(data)), size_(size) {}
  size_t size() const override { return size_; }
  size_t read(uint64_t position, void* buffer, size_t size, const char* /*what*/) const override {
    if (position >= size_) return 0;
    const size_t some = std::min(size, size_ - static_cast<size_t>(position));
    if (some > 0) std::memcpy(buffer, data_ + position, some);
    return some;
  }

 private:
  const char* data_;
  size_t size_;
};

torch::jit::Module load(const vaccel_backend_model_source& source, const c10::Device& device) {
  if (source.data == nullptr) return torch::jit::load(std::string(source.path), device);
  return torch::jit::load(std::make_shared<MemoryReader>(source.data, source.data_size), device);
}

torch::jit::Module load_checked(const vaccel_backend_model_source& source, const c10::Device& device) {
  torch::jit::Module module = load(source, c10::kCPU);
  check_module(module);
  // Again and not moved: what is a constant in the code would stay behind.
  if (!device.is_cpu()) module = load(source, device);
  if (!module.find_method("forward")) refuse(VACCEL_INVALID_ARGUMENT, "the module has no forward()");
  module.eval();
  return module;
}

}  // namespace

struct Model::Module {
  const vaccel_backend_host* host;
  c10::Device device;
  torch::jit::Module module;
  torch::jit::Method forward;
  Signature signature;
  std::vector<bool> written;  // by input: the script writes to it

  Module(const vaccel_backend_host* backend_host, const std::string& device_name,
         const vaccel_backend_model_source& source)
      : host(backend_host),
        device(device_name),
        module(load_checked(source, device)),
        forward(module.get_method("forward")),
        signature(read_signature(forward.function().getSchema(), source)),
        written(find_written_inputs(forward)) {}

  [[nodiscard]] c10::IValue prepare(const vaccel_tensor& tensor, bool is_written) const {
    const at::Tensor wrapped = wrap(tensor);
    if (!device.is_cpu()) return wrapped.to(device);
    return is_written ? wrapped.clone() : wrapped;
  }
};

Model::Model(const vaccel_backend_host* host, const std::string& device,
             const vaccel_backend_model_source& source) {
  const Listener listener(host);
  const c10::InferenceMode inference;
  module_ = std::make_unique<const Module>(host, device, source);
}

Model::~Model() = default;

const std::vector<vaccel_tensor_info>& Model::inputs() const {
  return module_->signature.inputs.infos();
}
const std::vector<vaccel_tensor_info>& Model::outputs() const {
  return module_->signature.outputs.infos();
}

vaccel_status Model::run(vaccel_backend_run& run) const {
  const Listener listener(module_->host);
  const c10::InferenceMode inference;
  std::vector<c10::IValue> arguments;
  for (size_t index = 0; index < run.input_count; ++index)
    arguments.push_back(module_->prepare(run.inputs[index], module_->written[index]));
  const c10::IValue returned = module_->forward(std::move(arguments));
  const std::vector<at::Tensor> results = take_results(module_->signature, returned);
  for (size_t index = 0; index < results.size(); ++index) {
    if (!copy_out(results[index], outputs()[index], run, index)) return VACCEL_RESOURCE_EXHAUSTED;
  }
  return VACCEL_OK;
}

}  // namespace vaccel::torch_backend
