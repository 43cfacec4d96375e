// SPDX-License-Identifier: Apache-2.0
#include "dataflow.h"

#include "api.h"

namespace vaccel::tflite {

Dataflow::Source& Dataflow::source_of(int32_t tensor) {
  if (tensor < 0 || static_cast<size_t>(tensor) >= sources_.size()) {
    refuse(VACCEL_INVALID_ARGUMENT, "subgraph %zu refers to tensor %d, and has %zu", subgraph_, tensor,
           sources_.size());
  }
  return sources_[static_cast<size_t>(tensor)];
}

void Dataflow::give(int32_t tensor) {
  Source& source = source_of(tensor);
  if (source == Source::kConstant) {
    // Its values would be written over the file's own bytes.
    refuse(VACCEL_INVALID_ARGUMENT, "an input of subgraph %zu, tensor %d, is a constant", subgraph_, tensor);
  }
  source = Source::kInput;
}

void Dataflow::read(int32_t tensor) {
  if (source_of(tensor) == Source::kNone) {
    refuse(VACCEL_INVALID_ARGUMENT, "subgraph %zu reads tensor %d before anything has computed it", subgraph_,
           tensor);
  }
  used_[static_cast<size_t>(tensor)] = true;
}

void Dataflow::compute(int32_t tensor) {
  Source& source = source_of(tensor);
  if (source != Source::kNone && source != Source::kEmpty) {
    refuse(VACCEL_INVALID_ARGUMENT,
           "an operator of subgraph %zu writes tensor %d, which is an input, a constant or computed already",
           subgraph_, tensor);
  }
  source = Source::kComputed;
}

bool Dataflow::uses_all() const {
  for (size_t tensor = 0; tensor < sources_.size(); ++tensor) {
    if (sources_[tensor] == Source::kComputed && !used_[tensor]) return false;
  }
  return true;
}

}  // namespace vaccel::tflite
