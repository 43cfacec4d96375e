// SPDX-License-Identifier: Apache-2.0
#include "agent/upload_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <set>

#include "core/clock.h"
#include "core/unique_fd.h"
#include "runtime/catalogue.h"

namespace vaccel::agent {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostFilesOfModel = 16;
constexpr size_t kFilesForEachModel = 4;  // that a tenant may have: descriptions and labels come besides
constexpr uint64_t kBytesOfAQuestion = uint64_t{16} << 10;
constexpr uint64_t kMostDescriptionBytes = uint64_t{1} << 20;
constexpr const char* kPart = ".part";
constexpr const char* kDescription = "model.toml";

bool is_sha256(const std::string& text) {
  return text.size() == 64 && std::ranges::all_of(text, [](char digit) {
           return (digit >= '0' && digit <= '9') || (digit >= 'a' && digit <= 'f');
         });
}

bool is_file_name(const std::string& name) {
  return !name.empty() && name.size() <= 64 && name.front() != '.' && std::ranges::all_of(name, [](char one) {
    return (one >= 'a' && one <= 'z') || (one >= 'A' && one <= 'Z') || (one >= '0' && one <= '9') ||
           one == '.' || one == '_' || one == '-';
  });
}

// A name that is none of a path.
bool is_folder_name(const std::string& tenant) {
  return !tenant.empty() && tenant.front() != '.' && tenant.find('/') == std::string::npos;
}

std::optional<uint64_t> size_of(const fs::path& file) {
  struct stat status {};
  if (::lstat(file.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return std::nullopt;
  return static_cast<uint64_t>(status.st_size);
}

// Of "SHA256.BYTES.part": how much it is to become; of others nothing.
std::optional<uint64_t> announced_bytes(const std::string& name) {
  if (!name.ends_with(kPart) || name.size() < 66) return std::nullopt;
  uint64_t bytes = 0;
  const char* end = name.data() + name.size() - std::char_traits<char>::length(kPart);
  const auto [stopped, error] = std::from_chars(name.data() + 65, end, bytes);
  return error == std::errc() && stopped == end ? std::optional(bytes) : std::nullopt;
}

fs::path part_of(const fs::path& files, const UploadStore::Piece& piece) {
  return files / (piece.sha256 + "." + std::to_string(piece.bytes) + kPart);
}

Status write_at(const fs::path& file, uint64_t offset, std::span<const std::byte> bytes) {
  const UniqueFd fd{::open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)};
  if (!fd.valid())
    return failure(VACCEL_UNAVAILABLE, "the agent cannot store it: %s", errno_text(errno).c_str());
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(fd.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      // What is there of it stays, and can be gone on with.
      return failure(errno == ENOSPC || errno == EDQUOT ? VACCEL_RESOURCE_EXHAUSTED : VACCEL_UNAVAILABLE,
                     "the agent cannot store it: %s", errno_text(errno).c_str());
    }
    offset += static_cast<uint64_t>(written);
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
  return {};
}

bool is_same_file(const fs::path& one, const fs::path& other) {
  struct stat a {};
  struct stat b {};
  return ::lstat(one.c_str(), &a) == 0 && ::lstat(other.c_str(), &b) == 0 && a.st_ino == b.st_ino &&
         a.st_dev == b.st_dev;
}

std::set<ino_t> inodes_in(const fs::path& folder) {
  std::set<ino_t> inodes;
  std::error_code error;
  for (fs::directory_iterator entries(folder, error), end; !error && entries != end;
       entries.increment(error)) {
    struct stat status {};
    if (::lstat(entries->path().c_str(), &status) == 0) inodes.insert(status.st_ino);
  }
  return inodes;
}

size_t count_of(const fs::path& folder) {
  std::error_code error;
  size_t count = 0;
  for (fs::directory_iterator entries(folder, error), end; !error && entries != end; entries.increment(error))
    ++count;
  return count;
}

}  // namespace

Status UploadStore::permit(const std::string& tenant, const Quota& quota) const {
  if (quota.bytes == 0 || quota.models == 0)
    return failure(VACCEL_PERMISSION_DENIED, "this tenant may not bring models of its own");
  return make_folders(tenant);
}

Status UploadStore::make_folders(const std::string& tenant) const {
  if (!enabled())
    return failure(VACCEL_UNIMPLEMENTED,
                   "this agent takes no models of its clients' own; its operator can allow them: [uploads]");
  if (!is_folder_name(tenant))
    return failure(VACCEL_PERMISSION_DENIED, "a tenant of that name cannot have models of its own");
  std::error_code error;
  for (const fs::path& folder : {files_of(tenant), models_of(tenant)}) {
    fs::create_directories(folder, error);
    if (error)
      return failure(VACCEL_UNAVAILABLE, "the agent cannot store models: %s", error.message().c_str());
  }
  return {};
}

Result<fs::path> UploadStore::catalogue_of(const std::string& tenant) const {
  if (Status status = make_folders(tenant); !status.ok()) return Unexpected{std::move(status)};
  return models_of(tenant);
}

// What has been announced counts as if it were there. @return bytes, and files.
std::pair<uint64_t, size_t> UploadStore::usage_of(const std::string& tenant) const {
  uint64_t used = 0;
  size_t count = 0;
  std::error_code error;
  for (fs::directory_iterator entries(files_of(tenant), error), end; !error && entries != end;
       entries.increment(error)) {
    const auto announced = announced_bytes(entries->path().filename().string());
    used += announced ? *announced : size_of(entries->path()).value_or(0);
    ++count;
  }
  return {used, count};
}

// Whether a new file is within the quota. Uploads that nobody has gone on with for an hour make way.
Status UploadStore::admit(const std::string& tenant, const Quota& quota, const Piece& piece) const {
  const size_t most_files = quota.models * kFilesForEachModel;
  const auto fits = [&](const std::pair<uint64_t, size_t>& usage) {
    return piece.bytes <= quota.bytes && usage.first <= quota.bytes - piece.bytes &&
           usage.second < most_files;
  };
  auto usage = usage_of(tenant);
  if (!fits(usage)) {
    remove_parts_before(tenant, fs::file_time_type::clock::now() - std::chrono::hours(1));
    usage = usage_of(tenant);
  }
  if (fits(usage)) return {};
  if (usage.second >= most_files)
    return failure(VACCEL_RESOURCE_EXHAUSTED, "this tenant has %zu files of models; that is the limit",
                   usage.second);
  return failure(VACCEL_RESOURCE_EXHAUSTED,
                 "%llu bytes are over this tenant's quota for models: it has %llu of %llu bytes",
                 static_cast<unsigned long long>(piece.bytes), static_cast<unsigned long long>(usage.first),
                 static_cast<unsigned long long>(quota.bytes));
}

void UploadStore::remove_parts_before(const std::string& tenant, fs::file_time_type moment) const {
  std::error_code error;
  for (fs::directory_iterator files(files_of(tenant), error), end; !error && files != end;
       files.increment(error)) {
    std::error_code ignored;
    if (files->path().string().ends_with(kPart) && files->last_write_time(ignored) < moment && !ignored)
      fs::remove(files->path(), ignored);
  }
}

// A second's worth may come at once, and a piece of any size that is allowed when nothing came for a while.
Status UploadStore::count_bytes(const std::string& tenant, uint64_t bytes) const {
  const auto rate = static_cast<double>(settings_.bytes_per_second);
  const int64_t now = now_ns();
  const auto [entry, is_new] = allowances_.try_emplace(tenant, Allowance{rate, now});
  Allowance& left = entry->second;
  left.bytes = std::min(rate, left.bytes + rate * static_cast<double>(now - left.at_ns) / 1e9);
  left.at_ns = now;
  if (left.bytes <= 0) {
    return failure(VACCEL_RESOURCE_EXHAUSTED, "this tenant uploads more than %llu bytes a second",
                   static_cast<unsigned long long>(settings_.bytes_per_second))
        .with_retry_after(static_cast<uint64_t>(-left.bytes / rate * 1e6) + 1000);
  }
  left.bytes -= static_cast<double>(bytes);  // into debt, which the next one waits for
  return {};
}

Result<uint64_t> UploadStore::append(const std::string& tenant, const Quota& quota, const Piece& piece,
                                     std::span<const std::byte> bytes) const {
  if (!is_sha256(piece.sha256))
    return fail(VACCEL_INVALID_ARGUMENT, "'%s' is no SHA-256: 64 hexadecimal digits in lower case",
                printable(piece.sha256).c_str());
  if (piece.bytes == 0) return fail(VACCEL_INVALID_ARGUMENT, "a file of a model has at least one byte");
  if (Status status = permit(tenant, quota); !status.ok()) return Unexpected{std::move(status)};
  const fs::path files = files_of(tenant);
  if (const auto whole = size_of(files / piece.sha256)) {
    if (*whole == piece.bytes) return *whole;
    return fail(VACCEL_INVALID_ARGUMENT, "a file of that SHA-256 has %llu bytes, and not %llu",
                static_cast<unsigned long long>(*whole), static_cast<unsigned long long>(piece.bytes));
  }
  const fs::path part = part_of(files, piece);
  const auto known = size_of(part);
  if (!known) {
    // The folder is gone through for it, and a question has no bytes that would be counted.
    Status status = bytes.empty()
                        ? count_bytes(tenant, std::min(kBytesOfAQuestion, settings_.bytes_per_second / 64))
                        : Status();
    if (status.ok()) status = admit(tenant, quota, piece);
    if (!status.ok()) return Unexpected{std::move(status)};
  } else if (piece.bytes > quota.bytes) {
    return fail(VACCEL_RESOURCE_EXHAUSTED, "%llu bytes are over this tenant's quota for models, %llu",
                static_cast<unsigned long long>(piece.bytes), static_cast<unsigned long long>(quota.bytes));
  }
  const uint64_t have = known.value_or(0);
  if (have != piece.bytes && (bytes.empty() || piece.offset != have)) return have;
  if (have != piece.bytes && bytes.size() > piece.bytes - have)
    return fail(VACCEL_INVALID_ARGUMENT, "%zu bytes at %llu are beyond the file's %llu", bytes.size(),
                static_cast<unsigned long long>(have), static_cast<unsigned long long>(piece.bytes));
  uint64_t now = have;
  if (have != piece.bytes) {
    if (Status status = count_bytes(tenant, bytes.size()); !status.ok()) return Unexpected{std::move(status)};
    if (Status status = write_at(part, have, bytes); !status.ok()) return Unexpected{std::move(status)};
    now += bytes.size();
  }
  if (now == piece.bytes && ::rename(part.c_str(), (files / piece.sha256).c_str()) != 0)
    return fail(VACCEL_UNAVAILABLE, "the agent cannot store it: %s", errno_text(errno).c_str());
  return now;
}

Status UploadStore::put(const std::string& tenant, const Quota& quota, const std::string& name,
                        const std::vector<ModelFile>& files) const {
  if (Status status = permit(tenant, quota); !status.ok()) return status;
  if (!runtime::is_model_name(name)) {
    return failure(VACCEL_INVALID_ARGUMENT,
                   "'%s' cannot be a model's name: it has at most 64 of a-z, 0-9, '.', '_' and '-'",
                   printable(name).c_str());
  }
  if (files.size() > kMostFilesOfModel ||
      std::ranges::find(files, kDescription, &ModelFile::first) == files.end())
    return failure(VACCEL_INVALID_ARGUMENT, "a model has a model.toml, and at most %zu files",
                   kMostFilesOfModel);
  std::set<std::string> names;
  for (const auto& [file, sha256] : files) {
    if (!is_file_name(file) || !names.insert(file).second)
      return failure(VACCEL_INVALID_ARGUMENT, "'%s' cannot be a file's name, or stands there twice",
                     printable(file).c_str());
    const auto bytes = is_sha256(sha256) ? size_of(files_of(tenant) / sha256) : std::nullopt;
    if (!bytes)
      return failure(VACCEL_NOT_FOUND, "file %s has not been uploaded: there is none of SHA-256 '%s'",
                     file.c_str(), printable(sha256).c_str());
    if (file == kDescription && *bytes > kMostDescriptionBytes)
      return failure(VACCEL_INVALID_ARGUMENT, "its model.toml has %llu bytes; at most 1 MiB is read",
                     static_cast<unsigned long long>(*bytes));
  }
  const fs::path place = models_of(tenant) / name;
  std::error_code error;
  if (fs::exists(place, error)) {
    const bool same =
        count_of(place) == files.size() && std::ranges::all_of(files, [&](const ModelFile& file) {
          return is_same_file(place / file.first, files_of(tenant) / file.second);
        });
    if (same) return {};
    return failure(VACCEL_INVALID_ARGUMENT, "there is another model %s%s; delete it first", kOwnPrefix,
                   name.c_str());
  }
  if (count_of(models_of(tenant)) >= quota.models)
    return failure(VACCEL_RESOURCE_EXHAUSTED, "this tenant has %zu models of its own; that is the limit",
                   count_of(models_of(tenant)));
  // All of it or nothing: catalogues pass over names that begin so.
  const fs::path making = models_of(tenant) / ("." + name);
  fs::remove_all(making, error);
  fs::create_directory(making, error);
  for (const auto& [file, sha256] : files) {
    if (!error) fs::create_hard_link(files_of(tenant) / sha256, making / file, error);
  }
  if (!error) fs::rename(making, place, error);
  if (!error) return {};
  std::error_code ignored;
  fs::remove_all(making, ignored);
  return failure(VACCEL_UNAVAILABLE, "the agent cannot store it: %s", error.message().c_str());
}

Status UploadStore::remove(const std::string& tenant, const std::string& name) const {
  if (!has(tenant, name))
    return failure(VACCEL_NOT_FOUND, "no model '%s%s'", kOwnPrefix, printable(name).c_str());
  const fs::path place = models_of(tenant) / name;
  const std::set<ino_t> files = inodes_in(place);
  std::error_code error;
  fs::remove_all(place, error);
  // Others that no model has may be about to become one.
  remove_unused_files(tenant, [&files](const struct stat& status) { return files.contains(status.st_ino); });
  return error ? failure(VACCEL_UNAVAILABLE, "the agent cannot remove it: %s", error.message().c_str())
               : Status();
}

// Whole files that have no other name.
void UploadStore::remove_unused_files(const std::string& tenant,
                                      const std::function<bool(const struct stat&)>& wanted) const {
  std::error_code error;
  for (fs::directory_iterator entries(files_of(tenant), error), end; !error && entries != end;
       entries.increment(error)) {
    struct stat status {};
    const fs::path& file = entries->path();
    if (file.string().ends_with(kPart) || ::lstat(file.c_str(), &status) != 0 || status.st_nlink > 1)
      continue;
    if (wanted(status)) ::unlink(file.c_str());
  }
}

void UploadStore::tidy() const {
  if (!enabled()) return;
  const auto day_ago = fs::file_time_type::clock::now() - std::chrono::hours(24);
  std::error_code error;
  for (fs::directory_iterator tenants(settings_.directory, error), end; !error && tenants != end;
       tenants.increment(error)) {
    const std::string tenant = tenants->path().filename().string();
    remove_unused_files(tenant, [](const struct stat&) { return true; });
    remove_parts_before(tenant, day_ago);
    std::error_code within;
    for (fs::directory_iterator models(models_of(tenant), within); !within && models != end;
         models.increment(within)) {
      std::error_code ignored;
      if (models->path().filename().string().starts_with('.')) fs::remove_all(models->path(), ignored);
    }
  }
}

std::vector<std::string> UploadStore::models(const std::string& tenant) const {
  std::vector<std::string> names;
  if (!enabled() || !is_folder_name(tenant)) return names;
  std::error_code error;
  for (fs::directory_iterator entries(models_of(tenant), error), end; !error && entries != end;
       entries.increment(error)) {
    std::string name = entries->path().filename().string();
    if (runtime::is_model_name(name)) names.push_back(std::move(name));
  }
  std::ranges::sort(names);
  return names;
}

bool UploadStore::has(const std::string& tenant, const std::string& name) const {
  return enabled() && is_folder_name(tenant) && runtime::is_model_name(name) &&
         size_of(models_of(tenant) / name / kDescription);
}

}  // namespace vaccel::agent
