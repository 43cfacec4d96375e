// SPDX-License-Identifier: Apache-2.0
//
// Values of a backend's options. What is wrong with one is refused as INVALID_ARGUMENT, with its place in the host's
// configuration.
#pragma once

#include <cstdint>
#include <string>

#include "vaccel/backend.h"

namespace vaccel::backends {

/// What threads of any framework are limited to.
inline constexpr int kMostThreads = 1024;

/// All of the value as an integer, `least` to `most`.
int parse_integer(const vaccel_backend_option& option, int least, int most);

/// "true" or "false".
bool parse_boolean(const vaccel_backend_option& option);

/// A number of bytes, at least `least`.
uint64_t parse_bytes(const vaccel_backend_option& option, uint64_t least);

/// A key of an array of tables: "providers.0.device_id" is key "device_id" of element 0.
struct ElementKey {
  size_t index;
  std::string key;
};
/// @param list        name of the array: "providers"
/// @param most        how many elements it may have
/// @param first_key   a key that each element has, for the sentence
ElementKey parse_element_key(const vaccel_backend_option& option, const char* list, size_t most,
                             const char* first_key);

/// Refuses an option that the backend does not know. @param known  those that it knows: "library, threads".
[[noreturn]] void refuse_unknown(const vaccel_backend_option& option, const char* known);

}  // namespace vaccel::backends
