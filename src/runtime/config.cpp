// SPDX-License-Identifier: Apache-2.0
//
// The runtime's part of the configuration file.
#include <unistd.h>

#include <cerrno>

#include "runtime/runtime.h"
#include "runtime/toml_reader.h"

namespace vaccel::runtime {
namespace {

// What the agent reads from the same file; it checks these itself.
constexpr const char* kAgentKeys[] = {"listen",  "socket_mode", "log",    "log_format", "control",
                                      "spin_us", "limits",      "worker", "window",     "device",
                                      "vm",      "tenants",     "tenant", "model",      "watch",
                                      "metrics", "jail",        "user",   "uploads"};

constexpr int64_t kMostEncodedBytes = int64_t{4} << 30;
constexpr size_t kMostConfigBytes = size_t{1} << 20;
constexpr int64_t kMostPixels = int64_t{1} << 30;

void read_image_limits(TomlTable table, ImageLimits& limits) {
  if (const auto bytes = table.integer("max_encoded_bytes", 1, kMostEncodedBytes)) {
    limits.max_encoded_bytes = static_cast<uint64_t>(*bytes);
  }
  if (const auto pixels = table.integer("max_pixels", 1, kMostPixels)) {
    limits.max_pixels = static_cast<uint64_t>(*pixels);
  }
}

void read_backend_options(TomlTable table, RuntimeConfig& config) {
  for (const std::string& name : table.table_names()) {
    std::vector<BackendOption>& options = config.backend_options[name];
    for (TomlOption& option : table.table(name)->options()) {
      options.push_back({std::move(option.key), std::move(option.value), std::move(option.where)});
    }
  }
}

Result<RuntimeConfig> config_of(Result<TomlDocument> document, const std::filesystem::path& file) {
  if (!document) return Unexpected{document.error()};
  const std::filesystem::path folder = std::filesystem::absolute(file).parent_path();
  // "" stays "": not configured.
  const auto resolve = [&](const std::string& path) {
    return path.empty() ? std::filesystem::path() : (folder / path).lexically_normal();
  };

  RuntimeConfig config;
  TomlTable root = document->root();
  config.catalogue = resolve(root.string("catalogue").value_or(""));
  if (auto table = root.table("backends")) {
    config.backend_directory = resolve(table->string("directory").value_or(""));
    config.backends = table->strings("load").value_or(std::vector<std::string>{});
  }
  if (auto table = root.table("backend")) read_backend_options(*table, config);
  if (auto table = root.table("image")) read_image_limits(*table, config.image_limits);
  for (const char* key : kAgentKeys)
    root.skip(key);
  if (Status status = document->finish(); !status.ok()) return Unexpected{std::move(status)};
  return config;
}

}  // namespace

Result<RuntimeConfig> read_runtime_config(const std::filesystem::path& file) {
  return config_of(TomlDocument::read(file, file.filename().string()), file);
}

Result<RuntimeConfig> read_runtime_config(int fd, const std::filesystem::path& file) {
  std::string text;
  char piece[4096];
  for (;;) {
    const ssize_t got = ::read(fd, piece, sizeof piece);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0)
      return fail(VACCEL_UNAVAILABLE, "cannot read %s: %s", file.c_str(), errno_text(errno).c_str());
    if (got == 0) break;
    text.append(piece, static_cast<size_t>(got));
    if (text.size() > kMostConfigBytes)
      return fail(VACCEL_INVALID_ARGUMENT, "%s has more than 1 MiB", file.c_str());
  }
  return config_of(TomlDocument::parse(text, file.filename().string()), file);
}

}  // namespace vaccel::runtime
