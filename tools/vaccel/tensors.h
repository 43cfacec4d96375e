// SPDX-License-Identifier: Apache-2.0
//
// What infer and call share: inputs from files, outputs to files and to the terminal.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "core/status.h"
#include "tools/vaccel/arguments.h"
#include "tools/vaccel/npy.h"
#include "tools/vaccel/output.h"
#include "vaccel/vaccel.h"

namespace vaccel::tool {

/// The arrays of --input, and views of them for a call.
class InputTensors {
 public:
  static Result<InputTensors> read(std::span<const TensorFile> files);

  /// Valid as long as this and the files' names.
  [[nodiscard]] std::span<const vaccel_tensor> views() const { return views_; }

 private:
  std::vector<NpyArray> arrays_;
  std::vector<vaccel_tensor> views_;
};

/// The call that outputs come from.
struct CallNames {
  std::string operator_name;
  const char* model;  ///< nullptr: none.
  std::string endpoint;
};

/// Writes outputs where --output and --output-dir want them, and prints what they are and where the time went. NOT_FOUND: an
/// output that is to be written is not there; then nothing is written.
Status deliver(const vaccel_outputs& outputs, const CallNames& names, const TensorArguments& arguments,
               Output& output);

/// A file's name for a tensor's: "MobilenetV1/Predictions" becomes "MobilenetV1_Predictions.npy". Names come from the other end:
/// the file's has no '/', does not begin with '.' and is none of `taken`.
std::string file_name_for(const std::string& tensor_name, std::span<const std::string> taken);

}  // namespace vaccel::tool
