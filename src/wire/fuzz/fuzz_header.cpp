// SPDX-License-Identifier: Apache-2.0
//
// Feeds 32 bytes to the header's decoder: what it accepts encodes to the very same bytes.
#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "wire/frame.h"
#include "wire/limits.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vaccel::wire;
  HeaderBytes bytes;
  if (size != bytes.size()) return 0;
  std::memcpy(bytes.data(), data, size);
  const auto header = decode_header(bytes);
  if (!header) return 0;
  if (header->body_bytes > kMaxBodyBytes || header->payload_bytes > kMaxPayloadBytes) std::abort();
  if (encode_header(*header) != bytes) std::abort();
  return 0;
}
