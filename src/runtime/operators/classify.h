// SPDX-License-Identifier: Apache-2.0
//
// "classify": what a picture shows. Decode, resize and normalise, infer, take the best classes; as the
// model's model.toml says.
//
//   input      0 "image"  uint8 [n], a whole PNG, JPEG or WebP file
//   attribute  "top"      integer >= 1: how many classes at most
//   outputs    "index" int32 [k], "score" float32 [k], "label" string [k], best first
#pragma once

#include "runtime/cancel_watcher.h"
#include "runtime/operators/operator.h"
#include "runtime/runtime.h"

namespace vaccel::runtime {

class ClassifyOperator final : public Operator {
 public:
  ClassifyOperator(const ImageLimits& limits, CancelWatcher& watcher)
      : Operator("classify"), limits_(limits), watcher_(watcher) {}
  Status run(RuntimeCall& call) const override;

 private:
  const ImageLimits limits_;
  CancelWatcher& watcher_;
};

}  // namespace vaccel::runtime
