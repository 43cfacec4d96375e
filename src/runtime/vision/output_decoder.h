// SPDX-License-Identifier: Apache-2.0
//
// What turns a model's outputs into an operator's results. A decoder is made when a model is loaded, from its model.toml,
// and says then whether the model's outputs can be what it takes; each family of outputs ("ssd", "yolo", "posenet", ...)
// is one, in a file of its own. Decoders see one image's share of the outputs, whatever the batch.
//
// The values are what a model computed, perhaps from memory that a guest was writing to: a decoder reads each as often as
// it likes (they lie in private memory) and takes none on trust. It never indexes by one that it has not checked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/status.h"

namespace vaccel::runtime {

/// The shape of an output for one image, without the batch's dimension.
struct OutputShape {
  std::string_view name;
  std::span<const int64_t> dimensions;  ///< -1: not known before the model has run.
  bool any_rank = false;                ///< Nothing is known.

  /// "'boxes' [1917, 4]"
  [[nodiscard]] std::string text() const;
};

/// An output for one image: dense, row-major.
struct OutputView {
  OutputShape shape;
  std::span<const float> values;
};

/// The model's labels, as far as shapes must fit them.
struct LabelFacts {
  std::string_view file;
  size_t count = 0;  ///< 0: there are none, and everything fits.
};

class OutputDecoder {
 public:
  OutputDecoder() = default;
  virtual ~OutputDecoder() = default;
  OutputDecoder(const OutputDecoder&) = delete;
  OutputDecoder& operator=(const OutputDecoder&) = delete;

  /// What an output's values are to the decoder, and so which types they may have.
  enum class Values {
    kNumbers,  ///< Numbers: float32, or uint8 and int8 that are known to stand for some.
    kOrder,    ///< Only compared with each other: the same, and it does not matter what integers stand for.
    kClasses,  ///< Class numbers: uint8, int32 or int64.
  };

  /// The names of the outputs that it reads, with the model.toml's key for each, in the order of check().
  struct Wanted {
    const char* key;
    std::string name;
    Values values = Values::kNumbers;
  };
  [[nodiscard]] virtual std::vector<Wanted> outputs() const = 0;

  /// Whether outputs of these shapes can be decoded. Asked when the model is loaded, with what is known then, and again
  /// for each image: what decode() gets has been checked. INVALID_ARGUMENT, with what was seen and what would be right.
  [[nodiscard]] virtual Status check(std::span<const OutputShape> shapes, const LabelFacts& labels) const = 0;
};

/// Whether `shape` can be `wanted`, where -1 is any size.
bool can_be(const OutputShape& shape, std::initializer_list<int64_t> wanted);

/// The size of a dimension, -1 when it is not known (yet).
int64_t dimension_of(const OutputShape& shape, size_t axis);

/// OK, or INVALID_ARGUMENT when `labels` are there and `classes` is known and another number.
Status check_labels(const LabelFacts& labels, const OutputShape& shape, int64_t classes);

/// 1 / (1 + e^-x).
float sigmoid(float value);

}  // namespace vaccel::runtime
