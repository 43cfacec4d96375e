// SPDX-License-Identifier: Apache-2.0
//
// OpenCV's DNN module, on the CPU: one net, its input the caller's memory.
#include <opencv2/dnn.hpp>
#include <vector>

#include "peer.h"

namespace {

using vaccel::bench::Peer;
using vaccel::bench::PeerProblem;
using vaccel::bench::PeerResult;
using vaccel::bench::PeerTensor;

class OpencvPeer final : public Peer {
 public:
  explicit OpencvPeer(const PeerProblem& problem)
      : net_(cv::dnn::readNetFromONNX(problem.model_file)),
        input_(wrap(problem.inputs[0])),
        input_name_(problem.inputs[0].name),
        output_names_{problem.output_name} {
    net_.setPreferableBackend(cv::dnn::DNN_BACKEND_OPENCV);
    net_.setPreferableTarget(cv::dnn::DNN_TARGET_CPU);
  }
  PeerResult run() override {
    net_.setInput(input_, input_name_);
    net_.forward(results_, output_names_);
    return {results_.front().ptr<float>(), results_.front().total()};
  }

 private:
  static cv::Mat wrap(const PeerTensor& tensor) {
    const std::vector<int> sizes(tensor.shape, tensor.shape + tensor.rank);
    return {static_cast<int>(sizes.size()), sizes.data(), CV_32F, const_cast<float*>(tensor.data)};
  }

  cv::dnn::Net net_;
  cv::Mat input_;
  cv::String input_name_;
  std::vector<cv::String> output_names_;
  std::vector<cv::Mat> results_;
};

}  // namespace

const vaccel::bench::PeerEntry* vaccel_bench_peer() {
  static const vaccel::bench::PeerEntry kEntry{
      "Net::forward", [](const PeerProblem& problem) -> Peer* { return new OpencvPeer(problem); }};
  return &kEntry;
}
