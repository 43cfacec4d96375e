// SPDX-License-Identifier: Apache-2.0
//
// The numbers are those of onnx.proto. All occurrences of a field are looked at, since protobuf merges what comes twice.
#include "external_data.h"

#include "common/failure.h"
#include "common/protobuf_reader.h"

namespace vaccel::onnxruntime {
namespace {

using backends::ProtobufReader;
using backends::refuse;

// Protobuf itself refuses messages that are nested more than 100 deep; a graph within a graph is three of them.
constexpr int kDeepestGraph = 32;

// What a message may hold, as far as it leads to tensors.
enum class Kind { kModel, kGraph, kFunction, kTraining, kNode, kAttribute, kSparseTensor, kTensor };

struct Step {
  Kind from;
  uint32_t field;
  Kind to;
};
constexpr Step kSteps[] = {{Kind::kModel, 7, Kind::kGraph},
                           {Kind::kModel, 20, Kind::kTraining},
                           {Kind::kModel, 25, Kind::kFunction},
                           {Kind::kTraining, 1, Kind::kGraph},
                           {Kind::kTraining, 2, Kind::kGraph},
                           {Kind::kFunction, 7, Kind::kNode},
                           {Kind::kFunction, 11, Kind::kAttribute},
                           {Kind::kGraph, 1, Kind::kNode},
                           {Kind::kGraph, 5, Kind::kTensor},
                           {Kind::kGraph, 15, Kind::kSparseTensor},
                           {Kind::kNode, 5, Kind::kAttribute},
                           {Kind::kAttribute, 5, Kind::kTensor},
                           {Kind::kAttribute, 6, Kind::kGraph},
                           {Kind::kAttribute, 10, Kind::kTensor},
                           {Kind::kAttribute, 11, Kind::kGraph},
                           {Kind::kAttribute, 22, Kind::kSparseTensor},
                           {Kind::kAttribute, 23, Kind::kSparseTensor},
                           {Kind::kSparseTensor, 1, Kind::kTensor},
                           {Kind::kSparseTensor, 2, Kind::kTensor}};

// external_data, or a data_location that is not DEFAULT.
bool is_elsewhere(const ProtobufReader& field) {
  return field.field() == 13 || (field.field() == 14 && field.number() != 0);
}

bool leads_elsewhere(Kind kind, std::string_view message, int depth) {
  if (depth > kDeepestGraph) {
    refuse(VACCEL_INVALID_ARGUMENT, "the model has graphs within graphs, more than %d deep", kDeepestGraph);
  }
  for (ProtobufReader field(message); field.next();) {
    if (kind == Kind::kTensor && is_elsewhere(field)) return true;
    for (const Step& step : kSteps) {
      if (step.from != kind || step.field != field.field()) continue;
      if (leads_elsewhere(step.to, field.bytes(), depth + (step.to == Kind::kGraph ? 1 : 0))) return true;
    }
  }
  return false;
}

}  // namespace

bool keeps_weights_elsewhere(std::string_view file) {
  return leads_elsewhere(Kind::kModel, file, 0);
}

}  // namespace vaccel::onnxruntime
