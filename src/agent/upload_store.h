// SPDX-License-Identifier: Apache-2.0
//
// Models that tenants have brought, on disk: files by their SHA-256, and models that are made of them. Each tenant has a folder, within
// its quota, and none of it shows in another's.
//
//   DIRECTORY/TENANT/files/SHA256              whole ones, as their sender says: a model's SHA-256 is checked when it is loaded
//   DIRECTORY/TENANT/files/SHA256.BYTES.part   of which more is to come
//   DIRECTORY/TENANT/models/NAME/...           links to files: a folder of a catalogue, which the tenant's worker reads
//
// Nothing here looks into a file, and nothing waits for a disk other than as write() does.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "agent/config.h"
#include "agent/tenant_settings.h"
#include "core/status.h"

namespace vaccel::agent {

/// How names of such models begin: "own/cat".
inline constexpr const char* kOwnPrefix = "own/";
/// What stands for them where a client's text must not.
inline constexpr const char* kOwnModels = "own";
inline bool is_own_model(std::string_view model) {
  return model.starts_with(kOwnPrefix);
}

class UploadStore {
 public:
  explicit UploadStore(UploadSettings settings) : settings_(std::move(settings)) {}

  [[nodiscard]] bool enabled() const { return !settings_.directory.empty(); }
  [[nodiscard]] const UploadSettings& settings() const { return settings_; }

  /// Removes what an earlier agent left half done: files that no model has, and parts that nobody has gone on with for a day.
  void tidy() const;

  /// What a tenant may have: what its settings say, else the store's.
  struct Quota {
    uint64_t bytes = 0;
    uint64_t models = 0;
  };
  [[nodiscard]] Quota quota_of(const TenantSettings& tenant) const {
    return {tenant.max_upload_bytes.value_or(settings_.max_bytes),
            tenant.max_upload_models.value_or(settings_.max_models)};
  }

  /// A piece of a file. With no bytes: a question.
  struct Piece {
    std::string sha256;   ///< Of the whole file, 64 hexadecimal digits in lower case.
    uint64_t bytes = 0;   ///< Of the whole file.
    uint64_t offset = 0;  ///< Where these go.
  };
  /// Appends a piece, if it is the next one. @return how many bytes of the file are there now: where to go on.
  /// INVALID_ARGUMENT; RESOURCE_EXHAUSTED: the quota, the disk, or too much in too short a time, with when to try again.
  [[nodiscard]] Result<uint64_t> append(const std::string& tenant, const Quota& quota, const Piece& piece,
                                        std::span<const std::byte> bytes) const;

  /// A file of a model, and the SHA-256 that it was uploaded under.
  using ModelFile = std::pair<std::string, std::string>;
  /// Makes a model of files that are there, "model.toml" among them. The same again is fine. @param name  without its prefix.
  /// INVALID_ARGUMENT: a name, or there is another of that name; NOT_FOUND: a file; RESOURCE_EXHAUSTED: too many models.
  [[nodiscard]] Status put(const std::string& tenant, const Quota& quota, const std::string& name,
                           const std::vector<ModelFile>& files) const;
  /// Removes a model, and files that no other has. NOT_FOUND.
  [[nodiscard]] Status remove(const std::string& tenant, const std::string& name) const;

  /// Without their prefix, sorted.
  [[nodiscard]] std::vector<std::string> models(const std::string& tenant) const;
  [[nodiscard]] bool has(const std::string& tenant, const std::string& name) const;
  /// The catalogue of a tenant; made, if it is not there.
  [[nodiscard]] Result<std::filesystem::path> catalogue_of(const std::string& tenant) const;

 private:
  [[nodiscard]] std::filesystem::path files_of(const std::string& tenant) const {
    return settings_.directory / tenant / "files";
  }
  [[nodiscard]] std::filesystem::path models_of(const std::string& tenant) const {
    return settings_.directory / tenant / "models";
  }
  [[nodiscard]] Status permit(const std::string& tenant, const Quota& quota) const;
  [[nodiscard]] Status make_folders(const std::string& tenant) const;
  [[nodiscard]] Status admit(const std::string& tenant, const Quota& quota, const Piece& piece) const;
  void remove_unused_files(const std::string& tenant,
                           const std::function<bool(const struct stat&)>& wanted) const;
  void remove_parts_before(const std::string& tenant, std::filesystem::file_time_type moment) const;
  [[nodiscard]] std::pair<uint64_t, size_t> usage_of(const std::string& tenant) const;

  [[nodiscard]] Status count_bytes(const std::string& tenant, uint64_t bytes) const;

  // What a tenant may still send now.
  struct Allowance {
    double bytes = 0;
    int64_t at_ns = 0;
  };
  const UploadSettings settings_;
  mutable std::map<std::string, Allowance> allowances_;  // by tenant
};

}  // namespace vaccel::agent
