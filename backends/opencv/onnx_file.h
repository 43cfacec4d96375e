// SPDX-License-Identifier: Apache-2.0
//
// What an ONNX file says of its inputs and outputs, which OpenCV tells nobody; and the checks that OpenCV leaves out: it
// takes as many weights as a tensor's dimensions say, however few the file has. Knows nothing of OpenCV.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace vaccel::opencv {

/// TensorProto.DataType, as far as it is of interest.
enum OnnxElement : int32_t { kOnnxNone = 0, kOnnxFloat = 1 };

/// An input or output of the graph.
struct OnnxValue {
  std::string name;
  int32_t element =
      kOnnxNone;         ///< A TensorProto.DataType; kOnnxNone: the file does not say, or it is no tensor.
  bool any_rank = true;  ///< The file gives no shape.
  std::vector<int64_t> shape;  ///< -1: any size.
};

struct OnnxFile {
  int64_t opset = 0;              ///< Of ONNX's own operators; 0: the file does not say.
  std::vector<OnnxValue> inputs;  ///< Without those that the file has values for.
  std::vector<OnnxValue> outputs;
};

/// Reads and checks a file. Throws a Failure, INVALID_ARGUMENT: it is no ONNX file, it is damaged, or it keeps weights in
/// other files.
OnnxFile read_onnx_file(std::string_view file);

/// "float32", "int64"; "type 77" for one without a name.
std::string onnx_element_name(int32_t element);

}  // namespace vaccel::opencv
