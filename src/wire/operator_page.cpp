// SPDX-License-Identifier: Apache-2.0
#include "wire/operator_page.h"

namespace vaccel::wire {
namespace {

// A table with its entry in a vector, the offsets of its fields and padding. A vtable is shared by all tables alike; it is
// counted each time. A body of such tables has less than the 2048 that a decoder looks at.
constexpr size_t kTableBytes = 56;

// Length, NUL, padding. The encoder cuts, which only makes it less.
size_t text_bytes(const std::string& text) {
  return text.size() + 8;
}

}  // namespace

size_t most_bytes_of(const OperatorInfo& info) {
  size_t bytes = kTableBytes + text_bytes(info.name) + text_bytes(info.description);
  for (const OperatorPart& part : info.parts)
    bytes += kTableBytes + text_bytes(part.name) + text_bytes(part.type) + text_bytes(part.description);
  for (const OperatorBackend& backend : info.backends)
    bytes += kTableBytes + text_bytes(backend.name);
  return bytes;
}

void put_page(const std::vector<OperatorInfo>& all, uint32_t start, Description& description) {
  size_t bytes = 0;
  for (size_t index = start; index < all.size(); ++index) {
    bytes += most_bytes_of(all[index]);
    if (bytes > kMaxPageBytes || description.operators.size() == kMaxOperatorsInBody) {
      description.more = true;
      return;
    }
    description.operators.push_back(all[index]);
  }
}

}  // namespace vaccel::wire
