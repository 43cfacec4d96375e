// SPDX-License-Identifier: Apache-2.0
//
// TensorFlow Lite by its C API, with XNNPACK and one thread, as the backend has it by default. The input is written to
// the interpreter's memory once: a program that prepares pictures would do that in place.
#include <tensorflow/lite/c/c_api.h>

#include <memory>
#include <stdexcept>

#include "peer.h"

// Its header is not among those that are installed with the C API.
extern "C" {
TfLiteDelegate* TfLiteXNNPackDelegateCreate(const void* options);
void TfLiteXNNPackDelegateDelete(TfLiteDelegate* delegate);
}

namespace {

using vaccel::bench::Peer;
using vaccel::bench::PeerProblem;
using vaccel::bench::PeerResult;
using vaccel::bench::PeerTensor;

template <typename T>
using Handle = std::unique_ptr<T, void (*)(T*)>;

void must(bool succeeded, const char* call) {
  if (!succeeded) throw std::runtime_error(std::string(call) + " failed");
}

class TflitePeer final : public Peer {
 public:
  explicit TflitePeer(const PeerProblem& problem)
      : model_(TfLiteModelCreateFromFile(problem.model_file), TfLiteModelDelete),
        xnnpack_(TfLiteXNNPackDelegateCreate(nullptr), TfLiteXNNPackDelegateDelete),
        interpreter_(nullptr, TfLiteInterpreterDelete) {
    must(model_ != nullptr, "TfLiteModelCreateFromFile");
    must(xnnpack_ != nullptr, "TfLiteXNNPackDelegateCreate");
    const Handle<TfLiteInterpreterOptions> options(TfLiteInterpreterOptionsCreate(),
                                                   TfLiteInterpreterOptionsDelete);
    TfLiteInterpreterOptionsSetNumThreads(options.get(), 1);
    TfLiteInterpreterOptionsAddDelegate(options.get(), xnnpack_.get());
    interpreter_.reset(TfLiteInterpreterCreate(model_.get(), options.get()));
    must(interpreter_ != nullptr, "TfLiteInterpreterCreate");
    must(TfLiteInterpreterAllocateTensors(interpreter_.get()) == kTfLiteOk,
         "TfLiteInterpreterAllocateTensors");
    take(problem.inputs[0]);
  }
  PeerResult run() override {
    must(TfLiteInterpreterInvoke(interpreter_.get()) == kTfLiteOk, "TfLiteInterpreterInvoke");
    const TfLiteTensor* output = TfLiteInterpreterGetOutputTensor(interpreter_.get(), 0);
    return {static_cast<const float*>(TfLiteTensorData(output)),
            TfLiteTensorByteSize(output) / sizeof(float)};
  }

 private:
  void take(const PeerTensor& tensor) {
    size_t bytes = sizeof(float);
    for (size_t axis = 0; axis < tensor.rank; ++axis)
      bytes *= static_cast<size_t>(tensor.shape[axis]);
    TfLiteTensor* input = TfLiteInterpreterGetInputTensor(interpreter_.get(), 0);
    must(TfLiteTensorCopyFromBuffer(input, tensor.data, bytes) == kTfLiteOk, "TfLiteTensorCopyFromBuffer");
  }

  // Released in the opposite order.
  Handle<TfLiteModel> model_;
  Handle<TfLiteDelegate> xnnpack_;
  Handle<TfLiteInterpreter> interpreter_;
};

}  // namespace

const vaccel::bench::PeerEntry* vaccel_bench_peer() {
  static const vaccel::bench::PeerEntry kEntry{
      "TfLiteInterpreterInvoke", [](const PeerProblem& problem) -> Peer* { return new TflitePeer(problem); }};
  return &kEntry;
}
