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

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/status.h"
#include "runtime/file_bytes.h"
#include "runtime/tensor_declaration.h"

namespace vaccel::runtime {

enum class Task { kClassify, kInfer };
enum class Layout { kNchw, kNhwc };
enum class Colour { kRgb, kBgr };
enum class ResizeMode { kStretch, kCrop, kLetterbox };
enum class Activation { kNone, kSoftmax };

/// "classify", "infer".
const char* task_name(Task task);

/// [image]: how a picture becomes the input tensor.
struct ImageInput {
  std::string input;  ///< Name of the model's input.
  uint32_t width = 0;
  uint32_t height = 0;
  Layout layout = Layout::kNchw;
  Colour colour = Colour::kRgb;
  ResizeMode resize = ResizeMode::kStretch;
  std::array<float, 3> mean{};  ///< (x - mean) / scale per channel, in the order of `colour`; x is 0..255.
  std::array<float, 3> scale{};
};

/// [classify]: how the output tensor becomes classes.
struct ClassifyOutput {
  std::string output;  ///< Name of the model's output with a score per class.
  Activation activation = Activation::kNone;
  std::string labels;         ///< File, within the model's folder; "": none.
  std::string labels_sha256;  ///< 64 hexadecimal digits; "": not checked.
};

/// What model.toml says.
struct ModelDescription {
  std::string name;
  Task task = Task::kInfer;
  std::string description;
  std::string license;
  std::string version;
  std::string file;  ///< Within the model's folder.
  std::string format;
  std::string sha256;                 ///< 64 lower-case hexadecimal digits.
  std::vector<std::string> backends;  ///< In order of preference; empty: any.
  std::optional<ImageInput> image;
  std::optional<ClassifyOutput> classify;
  std::vector<TensorDeclaration> inputs;  ///< [[inputs]] and [[outputs]]: of formats that do not tell them.
  std::vector<TensorDeclaration> outputs;
};

struct CatalogueEntry {
  std::filesystem::path folder;
  ModelDescription model;  ///< With a problem: the name, and of the rest what could be read.
  std::string problem;     ///< Why it cannot be used, as a sentence; "" as far as its model.toml tells.
};

class Catalogue {
 public:
  /// Reads a folder. Folders whose names begin with '.' and plain files are passed over. Fails when the
  /// folder itself cannot be read.
  static Result<Catalogue> read(const std::filesystem::path& folder);

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
