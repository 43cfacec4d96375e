// SPDX-License-Identifier: Apache-2.0
//
// A model of the catalogue, for those who call its framework directly: what its model.toml says, and the photo as the
// model takes it.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/catalogue.h"
#include "section.h"

namespace vaccel::bench {

/// Whether the catalogue has a model of that name.
bool is_in_catalogue(const Setting& setting, const char* model);

class CatalogueModel {
 public:
  /// Throws when there is no such model, or one that takes no picture.
  CatalogueModel(const Setting& setting, const char* model);
  CatalogueModel(const CatalogueModel&) = delete;
  CatalogueModel& operator=(const CatalogueModel&) = delete;

  [[nodiscard]] const runtime::CatalogueEntry& entry() const { return entry_; }
  [[nodiscard]] const runtime::ModelDescription& description() const { return entry_.model; }
  [[nodiscard]] std::filesystem::path file() const { return entry_.folder / entry_.model.file; }
  /// One picture's.
  [[nodiscard]] std::vector<int64_t> input_shape() const;
  /// The photo, decoded and prepared.
  [[nodiscard]] std::vector<float> prepared(const std::filesystem::path& photo) const;

 private:
  const runtime::Catalogue catalogue_;
  const runtime::CatalogueEntry& entry_;
};

}  // namespace vaccel::bench
