// SPDX-License-Identifier: Apache-2.0
//
// What stands beside vAccel in the section operators: a framework, called directly. Each is a library of its own that
// vaccel-bench loads (libvaccel-bench-NAME.so), so that the program needs none of the frameworks, and measures what is
// there. This header is all that the two share; it is read by C++17 too, which LibTorch's headers want.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

namespace vaccel::bench {

/// float32, dense, row-major. The memory outlives the peer.
struct PeerTensor {
  const char* name = nullptr;
  const float* data = nullptr;
  const int64_t* shape = nullptr;
  size_t rank = 0;
};

/// What a peer is to compute again and again: a model's output from its input, or the product of two square matrices.
struct PeerProblem {
  const char* model_file = nullptr;   ///< Null: a product.
  const char* output_name = nullptr;  ///< Of the model.
  const PeerTensor* inputs = nullptr;
  size_t input_count = 0;
};

/// A result, where the framework has it, until the next run.
struct PeerResult {
  const float* data = nullptr;
  size_t count = 0;
};

/// What a peer needs is not on this machine: a driver, a device.
class PeerMissing : public std::runtime_error {
 public:
  explicit PeerMissing(const std::string& why) : std::runtime_error(why) {}
};

/// A framework that has everything ready for one problem. What fails is thrown.
class Peer {
 public:
  Peer() = default;
  virtual ~Peer() = default;
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;
  virtual PeerResult run() = 0;
};

/// What the library exports.
struct PeerEntry {
  const char* call;  ///< What run() is, for the reports' column beside_name: "OrtRun".
  Peer* (*make)(const PeerProblem& problem);  ///< The caller's to delete.
};

}  // namespace vaccel::bench

extern "C" __attribute__((visibility("default"))) const vaccel::bench::PeerEntry* vaccel_bench_peer();
