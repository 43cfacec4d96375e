// SPDX-License-Identifier: Apache-2.0
//
// Where the tensors of a subgraph get their values from, followed operator by operator in the order of the file, which
// is the one that TensorFlow Lite runs them in. It plans memory by that order and trusts it: an operator that reads
// what nobody has written, or writes over its own input, reads and writes memory of somebody else.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace vaccel::tflite {

class Dataflow {
 public:
  enum class Source : uint8_t {
    kNone,      ///< Has no value yet.
    kEmpty,     ///< Has no elements, and so no value either: may be read, and may be computed.
    kConstant,  ///< In the file.
    kVariable,  ///< Kept from run to run.
    kInput,
    kComputed
  };

  /// The subgraph's number, for sentences, and of each tensor what it is before anything runs.
  Dataflow(size_t subgraph, std::vector<Source> sources)
      : subgraph_(subgraph), sources_(std::move(sources)), used_(sources_.size(), false) {}

  /// In this order: its inputs; for each operator what it reads and then what it computes; its outputs. All refuse with
  /// INVALID_ARGUMENT what cannot be.
  void give(int32_t tensor);
  void read(int32_t tensor);
  void compute(int32_t tensor);

  /// Whether everything that was computed is read by somebody.
  [[nodiscard]] bool uses_all() const;

 private:
  Source& source_of(int32_t tensor);

  size_t subgraph_;
  std::vector<Source> sources_;
  std::vector<bool> used_;
};

}  // namespace vaccel::tflite
