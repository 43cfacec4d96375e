// SPDX-License-Identifier: Apache-2.0
//
// LibTorch, as its documentation runs a TorchScript module: loaded, set to evaluation, called without gradients on the
// caller's memory.
#include <ATen/ops/from_blob.h>
#include <torch/csrc/jit/serialization/import.h>

#include "peer.h"

namespace {

using vaccel::bench::Peer;
using vaccel::bench::PeerProblem;
using vaccel::bench::PeerResult;
using vaccel::bench::PeerTensor;

class TorchPeer final : public Peer {
 public:
  explicit TorchPeer(const PeerProblem& problem)
      : module_(torch::jit::load(problem.model_file)), input_(wrap(problem.inputs[0])) {
    module_.eval();
  }
  PeerResult run() override {
    const c10::InferenceMode inference;
    result_ = module_.forward({input_}).toTensor().contiguous();
    return {result_.data_ptr<float>(), static_cast<size_t>(result_.numel())};
  }

 private:
  static at::Tensor wrap(const PeerTensor& tensor) {
    const c10::InferenceMode inference;
    return at::from_blob(const_cast<float*>(tensor.data), at::IntArrayRef(tensor.shape, tensor.rank),
                         at::TensorOptions().dtype(at::kFloat));
  }

  torch::jit::Module module_;
  at::Tensor input_;
  at::Tensor result_;
};

}  // namespace

const vaccel::bench::PeerEntry* vaccel_bench_peer() {
  static const vaccel::bench::PeerEntry kEntry{
      "Module::forward", [](const PeerProblem& problem) -> Peer* { return new TorchPeer(problem); }};
  return &kEntry;
}
