// SPDX-License-Identifier: Apache-2.0
//
// What a model's file says of itself, as a backend hands it on: words that a stranger wrote, of any number and length. What
// comes out of here is UTF-8 and fits beside a model's description in one body of the wire.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "vaccel/backend.h"

namespace vaccel::runtime {

struct MetadataPair {
  std::string key;
  std::string value;
};

/// Nothing where the backend, or the format, has none.
std::vector<MetadataPair> read_metadata(const vaccel_backend& backend, vaccel_backend_model* model);

/// Leaves out pairs that are no UTF-8 or have no key, and cuts what is too long, which then ends in "...".
std::vector<MetadataPair> limited(std::span<const vaccel_metadata> pairs);

}  // namespace vaccel::runtime
