// SPDX-License-Identifier: Apache-2.0
#include "runtime/catalogue.h"

#include <algorithm>
#include <system_error>

namespace vaccel::runtime {
namespace {

constexpr uint64_t kMostModelBytes = uint64_t{2} << 30;  // ONNX's own limit for one file
constexpr uint64_t kMostLabelBytes = uint64_t{4} << 20;
std::string stamp_of(const std::filesystem::path& file) {
  std::error_code error;
  const auto bytes = std::filesystem::file_size(file, error);
  const auto changed = std::filesystem::last_write_time(file, error).time_since_epoch().count();
  return error ? "-;" : std::to_string(bytes) + "," + std::to_string(changed) + ";";
}

CatalogueEntry read_entry(const std::filesystem::path& folder, const std::string& prefix) {
  CatalogueEntry entry;
  entry.folder = folder;
  entry.model.name = folder.filename().string();
  if (!is_model_name(entry.model.name)) {
    entry.problem =
        "the folder's name cannot name a model: it may have at most 64 of a-z, 0-9, '.', '_' and '-'";
    return entry;
  }
  entry.stamp = stamp_of(folder / "model.toml");
  if (const Status status = read_description(folder / "model.toml",
                                             prefix.empty() ? entry.model.name : std::string(), entry.model);
      !status.ok()) {
    entry.problem = status.message();
    return entry;
  }
  entry.stamp += stamp_of(folder / entry.model.file);
  if (!entry.model.labels.file.empty()) entry.stamp += stamp_of(folder / entry.model.labels.file);
  // A glance, so that a listing shows what is plainly missing; loading checks again.
  for (const std::string& file : {entry.model.file, entry.model.labels.file}) {
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

bool is_model_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 && name.front() != '.' &&
         std::all_of(name.begin(), name.end(), [](char character) {
           return (character >= 'a' && character <= 'z') || (character >= '0' && character <= '9') ||
                  character == '.' || character == '_' || character == '-';
         });
}

Result<Catalogue> Catalogue::read(const std::filesystem::path& folder, const std::string& prefix) {
  std::error_code error;
  std::filesystem::directory_iterator files(folder, error);
  Catalogue catalogue;
  for (; !error && files != std::filesystem::directory_iterator{}; files.increment(error)) {
    std::error_code ignored;
    const std::string name = files->path().filename().string();
    if (name.front() == '.' || !files->is_directory(ignored)) continue;
    CatalogueEntry entry = read_entry(files->path(), prefix);
    entry.model.name = prefix + name;
    catalogue.entries_.emplace(prefix + name, std::move(entry));
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
  const LabelFile& file = entry.model.labels;
  if (file.file.empty()) return labels;
  const auto bytes = read_own_file(entry, file.file, kMostLabelBytes);
  if (!bytes) return Unexpected{bytes.error()};
  if (!file.sha256.empty()) {
    if (Status status = check_sha256(file.file, bytes->bytes(), file.sha256); !status.ok()) {
      return Unexpected{std::move(status)};
    }
  }
  std::string_view rest = bytes->text();
  while (!rest.empty()) {
    const size_t end = rest.find('\n');
    std::string_view line = rest.substr(0, end);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (line.find('\0') != std::string_view::npos) {
      return fail(VACCEL_INVALID_ARGUMENT, "%s is no text file: line %zu has a NUL", file.file.c_str(),
                  labels.size() + 1);
    }
    labels.emplace_back(line);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  }
  return labels;
}

}  // namespace vaccel::runtime
