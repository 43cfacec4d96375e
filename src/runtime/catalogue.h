// SPDX-License-Identifier: Apache-2.0
//
// The catalogue: a folder with one folder a model, each with a model.toml that says what the model is, which
// file it is in, and how a picture becomes its input. Reading a catalogue reads the model.toml files only; a
// model's file is read, and its SHA-256 checked, when the model is loaded: on the very bytes that are then
// parsed.
//
// A model that is wrong stays in the catalogue by name, with its problem as a sentence; the others serve. The
// agent uses this room without the rest of the runtime: nothing here may know of backends, images or tensors'
// contents.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/status.h"
#include "runtime/file_bytes.h"
#include "runtime/model_description.h"

namespace vaccel::runtime {

struct CatalogueEntry {
  std::filesystem::path folder;
  /// Tells this state of its model.toml and files from another: what they weigh, and when they were changed.
  std::string stamp;
  ModelDescription model;  ///< With a problem: the name, and of the rest what could be read.
  std::string problem;     ///< Why it cannot be used, as a sentence; "" as far as its model.toml tells.
};

class Catalogue {
 public:
  /// Reads a folder. Folders whose names begin with '.' and plain files are passed over. Fails when the
  /// folder itself cannot be read. @param prefix  of each model's name, before its folder's: "own/".
  static Result<Catalogue> read(const std::filesystem::path& folder, const std::string& prefix = "");

  /// By name, sorted.
  [[nodiscard]] const std::map<std::string, CatalogueEntry, std::less<>>& entries() const { return entries_; }
  /// nullptr when there is none of that name.
  [[nodiscard]] const CatalogueEntry* find(std::string_view name) const;

 private:
  std::map<std::string, CatalogueEntry, std::less<>> entries_;
};

/// Whether `name` can name a model: [a-z0-9._-], at most 64 characters, not beginning with '.'.
bool is_model_name(std::string_view name);

/// Reads the model's file into private memory and checks its SHA-256. NOT_FOUND: the file is missing;
/// UNAVAILABLE: another SHA-256, with both.
Result<FileBytes> read_model_file(const CatalogueEntry& entry);

/// The labels, one a line; none when the model has no label file.
Result<std::vector<std::string>> read_labels(const CatalogueEntry& entry);

}  // namespace vaccel::runtime
