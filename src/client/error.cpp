// SPDX-License-Identifier: Apache-2.0
#include "client/error.h"

#include <algorithm>
#include <cstring>

namespace vaccel::client {
namespace {

// Plain memory: it needs no destructor, so it outlives whatever a thread does at its end, and a program may
// unload the library.
constexpr size_t kSentenceBytes = 2048;
constexpr char kCut[] = "...";
thread_local char sentence[kSentenceBytes];
thread_local uint32_t retry_after = 0;

}  // namespace

vaccel_status report_failure(const Status& status) {
  const std::string& message = status.message();
  retry_after = status.retry_after_us();
  const size_t size = std::min(message.size(), kSentenceBytes - 1);
  std::memcpy(sentence, message.data(), size);
  sentence[size] = '\0';
  if (message.size() > size) std::memcpy(sentence + kSentenceBytes - sizeof kCut, kCut, sizeof kCut);
  return status.code();
}

const char* last_sentence() {
  return sentence;
}

uint32_t last_retry_after_us() {
  return retry_after;
}

}  // namespace vaccel::client
