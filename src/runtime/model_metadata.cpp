// SPDX-License-Identifier: Apache-2.0
#include "runtime/model_metadata.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace vaccel::runtime {
namespace {

// See wire/limits.h; all together they leave a body room for hundreds of inputs and outputs.
constexpr size_t kMostPairs = 64;
constexpr size_t kMostKeyBytes = 200;
constexpr size_t kMostValueBytes = 2048;
constexpr size_t kMostBytes = 8192;
constexpr std::string_view kCut = "...";

// The bytes of the character that `text` begins with; 0: it begins with none. Strict: nothing overlong, no surrogates.
size_t character_bytes(std::string_view text) {
  const auto byte = [&](size_t at) { return at < text.size() ? static_cast<uint8_t>(text[at]) : uint8_t{0}; };
  const auto continues = [&](size_t at) { return (byte(at) & 0xc0) == 0x80; };
  const uint8_t first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return continues(1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    const bool overlong = first == 0xe0 && byte(1) < 0xa0;
    const bool surrogate = first == 0xed && byte(1) >= 0xa0;
    return continues(1) && continues(2) && !overlong && !surrogate ? 3 : 0;
  }
  if (first < 0xf0 || first > 0xf4) return 0;
  const bool outside = (first == 0xf0 && byte(1) < 0x90) || (first == 0xf4 && byte(1) >= 0x90);
  return continues(1) && continues(2) && continues(3) && !outside ? 4 : 0;
}

// The text, cut between two characters; nothing when it is no UTF-8 up to there.
std::optional<std::string> readable(const char* text, size_t limit) {
  if (text == nullptr) return std::nullopt;
  const std::string_view whole(text);
  size_t end = 0;
  while (end < whole.size()) {
    const size_t bytes = character_bytes(whole.substr(end));
    if (bytes == 0) return std::nullopt;
    if (end + bytes > limit) return std::string(whole.substr(0, end)) + std::string(kCut);
    end += bytes;
  }
  return std::string(whole);
}

}  // namespace

std::vector<MetadataPair> limited(std::span<const vaccel_metadata> pairs) {
  std::vector<MetadataPair> kept;
  size_t bytes = 0;
  for (const vaccel_metadata& pair : pairs) {
    if (kept.size() == kMostPairs) break;
    auto key = readable(pair.key, kMostKeyBytes);
    auto value = readable(pair.value, kMostValueBytes);
    if (!key || key->empty() || !value) continue;
    if (bytes + key->size() + value->size() > kMostBytes) continue;  // a shorter one may fit
    bytes += key->size() + value->size();
    kept.push_back({std::move(*key), std::move(*value)});
  }
  return kept;
}

std::vector<MetadataPair> read_metadata(const vaccel_backend& backend, vaccel_backend_model* model) {
  // Backends of before this function have a shorter table.
  constexpr size_t kTableWithMetadata = offsetof(vaccel_backend, model_metadata) + sizeof(void*);
  if (backend.size < kTableWithMetadata || backend.model_metadata == nullptr) return {};
  const vaccel_metadata* pairs = nullptr;
  size_t count = 0;
  backend.model_metadata(model, &pairs, &count);
  return limited({pairs, count});
}

}  // namespace vaccel::runtime
