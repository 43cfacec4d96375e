// SPDX-License-Identifier: Apache-2.0
#include "runtime/catalogue.h"

#include <algorithm>
#include <system_error>

#include "runtime/toml_reader.h"

namespace vaccel::runtime {
namespace {

constexpr uint64_t kMostModelBytes = uint64_t{2} << 30;  // ONNX's own limit for one file
constexpr uint64_t kMostLabelBytes = uint64_t{4} << 20;
constexpr int64_t kMostSide = 8192;  // pixels of a model's input

bool is_sha256(std::string_view text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char digit) {
           return (digit >= '0' && digit <= '9') || (digit >= 'a' && digit <= 'f') ||
                  (digit >= 'A' && digit <= 'F');
         });
}

std::string lower_case(std::string text) {
  for (char& digit : text) {
    if (digit >= 'A' && digit <= 'F') digit = static_cast<char>(digit - 'A' + 'a');
  }
  return text;
}

std::string read_sha256(TomlTable& table, const char* key, bool required) {
  const auto value = table.string(key);
  if (!value && required) table.required<std::string>(key, std::nullopt);
  if (value && !is_sha256(*value)) {
    table.mistake(
        key, std::string("'") + key + "' must be 64 hexadecimal digits, not \"" + printable(*value) + "\"");
  }
  return lower_case(value.value_or(""));
}

// A file of the model's own folder: no way out of it, neither by "..", by "/" nor by a symbolic link (see
// below).
std::string read_file_name(TomlTable& table, const char* key, std::optional<std::string> value) {
  if (!value) return {};
  if (value->empty() || *value == "." || *value == ".." || value->find('/') != std::string::npos ||
      value->find('\0') != std::string::npos) {
    table.mistake(key, std::string("'") + key + "' is \"" + printable(*value) +
                           "\"; it must name a file in the model's own folder");
  }
  return *value;
}

std::array<float, 3> read_channels(TomlTable& table, const char* key) {
  const auto values = table.required(key, table.numbers(key, 3));
  std::array<float, 3> channels{};
  for (size_t index = 0; index < values.size(); ++index)
    channels[index] = static_cast<float>(values[index]);
  return channels;
}

ImageInput read_image(TomlTable table) {
  ImageInput image;
  image.input = table.required("input", table.string("input"));
  image.width = static_cast<uint32_t>(table.required("width", table.integer("width", 1, kMostSide)));
  image.height = static_cast<uint32_t>(table.required("height", table.integer("height", 1, kMostSide)));
  image.layout = static_cast<Layout>(table.required("layout", table.choice("layout", {"nchw", "nhwc"})));
  image.colour = static_cast<Colour>(table.choice("colour", {"rgb", "bgr"}).value_or(0));
  image.resize =
      static_cast<ResizeMode>(table.choice("resize", {"stretch", "crop", "letterbox"}).value_or(0));
  (void)table.choice("filter", {"bilinear"});
  image.mean = read_channels(table, "mean");
  image.scale = read_channels(table, "scale");
  const bool zero =
      std::any_of(image.scale.begin(), image.scale.end(), [](float scale) { return scale == 0; });
  if (zero && table.has("scale")) table.mistake("scale", "'scale' must not hold 0: pixels are divided by it");
  return image;
}

ClassifyOutput read_classify(TomlTable table) {
  ClassifyOutput classify;
  classify.output = table.required("output", table.string("output"));
  classify.activation = static_cast<Activation>(table.choice("activation", {"none", "softmax"}).value_or(0));
  classify.labels = read_file_name(table, "labels", table.string("labels"));
  classify.labels_sha256 = read_sha256(table, "labels_sha256", false);
  return classify;
}

void read_model_table(TomlTable table, ModelDescription& model) {
  model.file = read_file_name(table, "file", table.required("file", table.string("file")));
  model.format = table.required("format", table.string("format"));
  model.sha256 = read_sha256(table, "sha256", true);
  model.backends = table.strings("backends").value_or(std::vector<std::string>{});
}

Status read_description(const std::filesystem::path& file, const std::string& folder_name,
                        ModelDescription& model) {
  auto document = TomlDocument::read(file, "model.toml");
  if (!document) return document.error();
  TomlTable root = document->root();

  const std::string name = root.required("name", root.string("name"));
  if (root.has("name") && name != folder_name) {
    root.mistake("name", "'name' is \"" + printable(name) + "\" and its folder is \"" + folder_name +
                             "\"; they must be the same");
  }
  model.task = static_cast<Task>(root.required("task", root.choice("task", {"classify", "infer"})));
  model.description = root.string("description").value_or("");
  model.license = root.string("license").value_or("");
  model.version = root.string("version").value_or("");

  if (auto table = root.table("model")) {
    read_model_table(*table, model);
  } else if (!root.has("model")) {
    root.mistake("model", "table [model] is missing");
  }
  if (auto table = root.table("image")) model.image = read_image(*table);
  if (auto table = root.table("classify")) model.classify = read_classify(*table);
  model.inputs = read_tensor_declarations(root, "inputs");
  model.outputs = read_tensor_declarations(root, "outputs");
  if (model.task == Task::kClassify) {
    if (!root.has("image")) root.mistake("image", "table [image] is missing: task \"classify\" needs it");
    if (!root.has("classify"))
      root.mistake("classify", "table [classify] is missing: task \"classify\" needs it");
  }
  return document->finish();
}

CatalogueEntry read_entry(const std::filesystem::path& folder) {
  CatalogueEntry entry;
  entry.folder = folder;
  entry.model.name = folder.filename().string();
  if (!is_model_name(entry.model.name)) {
    entry.problem =
        "the folder's name cannot name a model: it may have at most 64 of a-z, 0-9, '.', '_' and '-'";
    return entry;
  }
  if (const Status status = read_description(folder / "model.toml", entry.model.name, entry.model);
      !status.ok()) {
    entry.problem = status.message();
    return entry;
  }
  // A glance, so that a listing shows what is plainly missing; loading checks again.
  for (const std::string& file :
       {entry.model.file, entry.model.classify ? entry.model.classify->labels : ""}) {
    std::error_code error;
    if (!file.empty() && !std::filesystem::is_regular_file(folder / file, error)) {
      entry.problem = "its file " + file + " is missing";
    }
  }
  return entry;
}

// Reads a file of a model's folder, and refuses a symbolic link that leads out of it. (Links within it are
// how some systems swap a folder's files at once.)
Result<FileBytes> read_own_file(const CatalogueEntry& entry, const std::string& file, uint64_t most) {
  const std::filesystem::path path = entry.folder / file;
  std::error_code error;
  const std::filesystem::path real = std::filesystem::canonical(path, error);
  const std::filesystem::path folder = std::filesystem::canonical(entry.folder, error);
  if (!real.empty() && !folder.empty() && !real.native().starts_with(folder.native() + "/")) {
    return fail(VACCEL_INVALID_ARGUMENT, "%s leads out of the model's folder, to %s", path.c_str(),
                real.c_str());
  }
  return FileBytes::read(path, most);
}

Status check_sha256(const std::string& file, std::span<const std::byte> bytes, const std::string& expected) {
  const std::string actual = sha256_hex(bytes);
  if (actual == expected) return {};
  return failure(VACCEL_UNAVAILABLE, "%s has SHA-256 %s; its model.toml says %s", file.c_str(),
                 actual.c_str(), expected.c_str());
}

}  // namespace

const char* task_name(Task task) {
  return task == Task::kClassify ? "classify" : "infer";
}

bool is_model_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 && name.front() != '.' &&
         std::all_of(name.begin(), name.end(), [](char character) {
           return (character >= 'a' && character <= 'z') || (character >= '0' && character <= '9') ||
                  character == '.' || character == '_' || character == '-';
         });
}

Result<Catalogue> Catalogue::read(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::directory_iterator files(folder, error);
  Catalogue catalogue;
  for (; !error && files != std::filesystem::directory_iterator{}; files.increment(error)) {
    std::error_code ignored;
    const std::string name = files->path().filename().string();
    if (name.front() == '.' || !files->is_directory(ignored)) continue;
    catalogue.entries_.emplace(name, read_entry(files->path()));
  }
  if (error) {
    return fail(error == std::errc::permission_denied ? VACCEL_PERMISSION_DENIED : VACCEL_NOT_FOUND,
                "cannot read the catalogue folder %s: %s", folder.c_str(), error.message().c_str());
  }
  return catalogue;
}

const CatalogueEntry* Catalogue::find(std::string_view name) const {
  const auto found = entries_.find(name);
  return found == entries_.end() ? nullptr : &found->second;
}

Result<FileBytes> read_model_file(const CatalogueEntry& entry) {
  auto bytes = read_own_file(entry, entry.model.file, kMostModelBytes);
  if (!bytes) return bytes;
  if (bytes->bytes().empty()) return fail(VACCEL_INVALID_ARGUMENT, "%s is empty", entry.model.file.c_str());
  if (Status status = check_sha256(entry.model.file, bytes->bytes(), entry.model.sha256); !status.ok()) {
    return Unexpected{std::move(status)};
  }
  return bytes;
}

Result<std::vector<std::string>> read_labels(const CatalogueEntry& entry) {
  std::vector<std::string> labels;
  if (!entry.model.classify || entry.model.classify->labels.empty()) return labels;
  const ClassifyOutput& classify = *entry.model.classify;
  const auto bytes = read_own_file(entry, classify.labels, kMostLabelBytes);
  if (!bytes) return Unexpected{bytes.error()};
  if (!classify.labels_sha256.empty()) {
    if (Status status = check_sha256(classify.labels, bytes->bytes(), classify.labels_sha256); !status.ok()) {
      return Unexpected{std::move(status)};
    }
  }
  std::string_view rest = bytes->text();
  while (!rest.empty()) {
    const size_t end = rest.find('\n');
    std::string_view line = rest.substr(0, end);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (line.find('\0') != std::string_view::npos) {
      return fail(VACCEL_INVALID_ARGUMENT, "%s is no text file: line %zu has a NUL", classify.labels.c_str(),
                  labels.size() + 1);
    }
    labels.emplace_back(line);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  }
  return labels;
}

}  // namespace vaccel::runtime
