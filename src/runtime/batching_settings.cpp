// SPDX-License-Identifier: Apache-2.0
#include "runtime/batching_settings.h"

namespace vaccel::runtime {

BatchingSettings read_batching(TomlTable& table) {
  BatchingSettings settings;
  settings.enabled = table.boolean("enabled");
  const auto number = [&](const char* key, int64_t least, uint32_t most, uint32_t otherwise) {
    return static_cast<uint32_t>(table.integer(key, least, most).value_or(otherwise));
  };
  settings.max_size = number("max_size", 1, kMostBatchRows, settings.max_size);
  settings.max_delay_us = number("max_delay_us", 0, kMostBatchDelayUs, settings.max_delay_us);
  settings.tuned = table.boolean("tuned").value_or(settings.tuned);
  settings.runs = number("runs", 1, kMostRunsAtATime, settings.runs);
  return settings;
}

}  // namespace vaccel::runtime
