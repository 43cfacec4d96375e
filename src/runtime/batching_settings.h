// SPDX-License-Identifier: Apache-2.0
//
// [batching] of a model.toml: whether and how far calls of several callers are joined into one run. Values only; who joins is
// batcher.h.
#pragma once

#include <cstdint>
#include <optional>

#include "runtime/toml_reader.h"

namespace vaccel::runtime {

inline constexpr uint32_t kMostBatchRows = 4096;
inline constexpr uint32_t kMostBatchDelayUs = 1'000'000;
inline constexpr uint32_t kMostRunsAtATime = 64;

struct BatchingSettings {
  std::optional<bool>
      enabled;  ///< Nothing: where the model is of a vision task and leaves its first dimension open.
  uint32_t max_size = 64;        ///< Rows of a joint run, at most.
  uint32_t max_delay_us = 2000;  ///< How long a run may wait for calls that are being prepared, at most.
  bool tuned = true;             ///< Size and delay follow what runs cost; else they are what is given.
  uint32_t runs = 2;             ///< Of the model at a time.
};

BatchingSettings read_batching(TomlTable& table);

}  // namespace vaccel::runtime
