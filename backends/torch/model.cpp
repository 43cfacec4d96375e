// SPDX-License-Identifier: Apache-2.0
#include "model.h"

#include <torch/csrc/jit/serialization/import.h>

#include <istream>
#include <streambuf>

#include "failure.h"
#include "framework.h"
#include "signature.h"
#include "tensors.h"
#include "trust.h"

namespace vaccel::torch_backend {
namespace {

// The archive where it lies, as a stream: of all that LibTorch can load from, that has never changed.
class MemoryBuffer : public std::streambuf {
 public:
  MemoryBuffer(const void* data, size_t size) {
    auto* begin = static_cast<char*>(const_cast<void*>(data));  // which is only ever read
    setg(begin, begin, begin + size);
  }

 protected:
  pos_type seekoff(off_type offset, std::ios_base::seekdir from, std::ios_base::openmode /*mode*/) override {
    const off_type base = from == std::ios_base::beg   ? 0
                          : from == std::ios_base::cur ? gptr() - eback()
                                                       : egptr() - eback();
    return seekpos(base + offset, std::ios_base::in);
  }
  pos_type seekpos(pos_type position, std::ios_base::openmode /*mode*/) override {
    if (position < 0 || position > egptr() - eback()) return {off_type(-1)};
    setg(eback(), eback() + static_cast<off_type>(position), egptr());
    return position;
  }
};

torch::jit::Module load(const vaccel_backend_model_source& source, const c10::Device& device) {
  if (source.data == nullptr) return torch::jit::load(std::string(source.path), device);
  MemoryBuffer buffer(source.data, source.data_size);
  std::istream stream(&buffer);
  return torch::jit::load(stream, device);
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
  std::vector<bool> copied;  // by input: the script must not have the caller's memory

  Module(const vaccel_backend_host* backend_host, const std::string& device_name,
         const vaccel_backend_model_source& source)
      : host(backend_host),
        device(device_name),
        module(load_checked(source, device)),
        forward(module.get_method("forward")),
        signature(read_signature(forward.function().getSchema(), source)),
        copied(find_inputs_to_copy(forward)) {}

  [[nodiscard]] c10::IValue prepare(const vaccel_tensor& tensor, bool is_copied) const {
    const at::Tensor wrapped = wrap(tensor);
    if (!device.is_cpu()) return wrapped.to(device);
    return is_copied ? wrapped.clone() : wrapped;
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
    arguments.push_back(module_->prepare(run.inputs[index], module_->copied[index]));
  const c10::IValue returned = module_->forward(std::move(arguments));
  const std::vector<at::Tensor> results = take_results(module_->signature, returned);
  for (size_t index = 0; index < results.size(); ++index) {
    if (!copy_out(results[index], outputs()[index], run, index)) return VACCEL_RESOURCE_EXHAUSTED;
  }
  return VACCEL_OK;
}

}  // namespace vaccel::torch_backend
