// SPDX-License-Identifier: Apache-2.0
#include "agent/tenant_settings.h"

#include <algorithm>
#include <cstdio>
#include <set>

#include "wire/limits.h"

namespace vaccel::agent {
namespace {

using runtime::TomlTable;

constexpr uint32_t kMaxWeight = 10'000;
constexpr size_t kMaxNameBytes = 64;
constexpr double kMaxCallsPerSecond = 1e9;
constexpr int64_t kMaxCount = 1'000'000;
constexpr int64_t kMaxUploadModels = 4096;
constexpr uint64_t kMaxBytes = wire::kMaxMemoryBytes;

constexpr const char* kUploadBytes = "max_upload_bytes";
constexpr const char* kUploadModels = "max_upload_models";

struct ResourceFacts {
  const char* key;
  bool is_bytes;
  uint64_t standard;
};

// In the order of Resource.
constexpr ResourceFacts kResources[kResourceCount] = {
    {"max_sessions", false, 1024},
    {"max_calls_in_flight", false, 1024},
    {"max_bytes_in_flight", true, uint64_t{1} << 30},
    {"max_models_open", false, 4096},
    {"max_leases", false, 65'536},
    {"max_leased_bytes", true, uint64_t{4} << 30},
    {"max_device_buffers", false, 1024},
    {"max_device_bytes", true, uint64_t{1} << 30},
};

// '*' is any number of characters, and all else itself. Names come from guests: it takes no longer than their lengths' product,
// whatever the pattern, as fnmatch() may.
bool fits(std::string_view pattern, std::string_view name) {
  size_t in_pattern = 0;
  size_t in_name = 0;
  size_t star = std::string_view::npos;  // the last one, and where its part of the name ends
  size_t star_ends = 0;
  while (in_name < name.size()) {
    if (in_pattern < pattern.size() && pattern[in_pattern] == '*') {
      star = in_pattern++;
      star_ends = in_name;
    } else if (in_pattern < pattern.size() && pattern[in_pattern] == name[in_name]) {
      ++in_pattern;
      ++in_name;
    } else if (star != std::string_view::npos) {
      in_pattern = star + 1;
      in_name = ++star_ends;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', in_pattern) == std::string_view::npos;
}

void read_permission(TomlTable& table, const char* key, Permission& permission) {
  auto patterns = table.strings(key);
  if (!patterns) return;
  for (const std::string& pattern : *patterns) {
    if (pattern.empty() || pattern.size() > wire::kMaxNameBytes)
      table.mistake(key, "'" + printable(pattern) + "' is no name or pattern of 1 to 255 characters");
  }
  permission.patterns = std::move(patterns);
}

void read_uids(TomlTable& table, TenantConfig& tenant) {
  constexpr int64_t kMaxUid = 0xfffffffe;
  const auto uids = table.integers("uids", 0, kMaxUid, 4096);
  if (!uids) return;
  for (const int64_t uid : *uids)
    tenant.uids.push_back(static_cast<uid_t>(uid));
}

void read_listen(TomlTable& table, TenantConfig& tenant) {
  using Scheme = channel::Endpoint::Scheme;
  const auto texts = table.strings("listen");
  if (!texts) return;
  for (const std::string& text : *texts) {
    auto endpoint = channel::parse_endpoint(text);
    if (!endpoint) {
      table.mistake("listen", endpoint.error().message());
    } else if (endpoint->scheme == Scheme::kLocal || endpoint->scheme == Scheme::kVsock) {
      table.mistake("listen", "'" + printable(text) +
                                  "' is no endpoint of one tenant's; it has 'unix:', 'hvsock:' or 'tcp:'");
    } else {
      tenant.listen.push_back(std::move(*endpoint));
    }
  }
}

struct Known {
  std::set<std::string> names;
  std::set<uid_t> uids;
  std::set<std::string> endpoints;
};

// Who somebody is must have one answer.
void check_distinct(TomlTable& table, const TenantConfig& tenant, Known& known) {
  if (!known.names.insert(tenant.name).second)
    table.mistake("name", "there is a tenant '" + printable(tenant.name) + "' already");
  for (const uid_t uid : tenant.uids) {
    if (!known.uids.insert(uid).second)
      table.mistake("uids", "uid " + std::to_string(uid) + " belongs to a tenant already");
  }
  for (const channel::Endpoint& endpoint : tenant.listen) {
    if (!known.endpoints.insert(endpoint.text()).second)
      table.mistake("listen", endpoint.text() + " belongs to a tenant already");
  }
}

std::string toml_of(const char* key, const Permission& permission) {
  if (!permission.patterns) return {};
  std::string text = std::string(key) + " = [";
  for (const std::string& pattern : *permission.patterns) {
    if (text.back() != '[') text += ", ";
    text += '"';
    for (const char c : printable(pattern, wire::kMaxNameBytes)) {
      if (c == '"' || c == '\\') text += '\\';
      text += c;
    }
    text += '"';
  }
  return text + "]\n";
}

}  // namespace

bool Permission::allows(std::string_view name) const {
  if (!patterns) return true;
  return std::ranges::any_of(*patterns, [&](const std::string& pattern) { return fits(pattern, name); });
}

std::array<uint64_t, kResourceCount> TenantSettings::default_limits() {
  std::array<uint64_t, kResourceCount> limits{};
  std::ranges::transform(kResources, limits.begin(), &ResourceFacts::standard);
  return limits;
}

double TenantSettings::burst_calls() const {
  return burst > 0 ? static_cast<double>(burst) : std::max(1.0, calls_per_second);
}

bool is_tenant_name(std::string_view name) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  };
  return !name.empty() && name.size() <= kMaxNameBytes && std::ranges::all_of(name, fits);
}

const char* key_of(Resource resource) {
  return kResources[static_cast<size_t>(resource)].key;
}

void read_tenant_settings(TomlTable& table, TenantSettings& settings) {
  if (const auto weight = table.integer("weight", 1, kMaxWeight))
    settings.weight = static_cast<uint32_t>(*weight);
  for (size_t index = 0; index < kResourceCount; ++index) {
    const ResourceFacts& facts = kResources[index];
    if (facts.is_bytes) {
      if (const auto bytes = table.byte_size(facts.key, 0, kMaxBytes)) settings.limits[index] = *bytes;
    } else if (const auto count = table.integer(facts.key, 0, kMaxCount)) {
      settings.limits[index] = static_cast<uint64_t>(*count);
    }
  }
  if (const auto rate = table.number("calls_per_second")) {
    if (*rate < 0 || *rate > kMaxCallsPerSecond)
      table.mistake("calls_per_second", "calls_per_second is between 0 (any number) and 1e9");
    settings.calls_per_second = *rate;
  }
  if (const auto burst = table.integer("burst", 0, kMaxCount)) settings.burst = static_cast<uint32_t>(*burst);
  if (const auto bytes = table.byte_size(kUploadBytes, 0, kMaxBytes)) settings.max_upload_bytes = *bytes;
  if (const auto count = table.integer(kUploadModels, 0, kMaxUploadModels))
    settings.max_upload_models = static_cast<uint64_t>(*count);
  read_permission(table, "models", settings.models);
  read_permission(table, "operators", settings.operators);
  read_permission(table, "backends", settings.backends);
}

TenantTables read_tenants(TomlTable& root) {
  TenantTables tables;
  if (auto common = root.table("tenants")) {
    if (const auto unknown = common->choice("unknown", {"serve", "refuse"}))
      tables.refuse_unknown = *unknown == 1;
    read_tenant_settings(*common, tables.common);
  }
  Known known;
  for (TomlTable& table : root.tables("tenant")) {
    TenantConfig tenant{.name = table.required("name", table.string("name")),
                        .settings = tables.common,
                        .uids = {},
                        .listen = {}};
    if (!is_tenant_name(tenant.name)) {
      table.mistake("name", "'" + printable(tenant.name) +
                                "' cannot be a tenant's name; it has 1 to 64 of A-Z a-z 0-9 . _ -");
    }
    read_tenant_settings(table, tenant.settings);
    read_uids(table, tenant);
    read_listen(table, tenant);
    check_distinct(table, tenant, known);
    tables.tenants.push_back(std::move(tenant));
  }
  return tables;
}

std::string toml_of(const TenantSettings& settings) {
  std::string text = "weight = " + std::to_string(settings.weight) + "\n";
  for (size_t index = 0; index < kResourceCount; ++index)
    text += std::string(kResources[index].key) + " = " + std::to_string(settings.limits[index]) + "\n";
  char rate[64];
  std::snprintf(rate, sizeof rate, "calls_per_second = %.17g\n", settings.calls_per_second);
  text += rate;
  text += "burst = " + std::to_string(settings.burst) + "\n";
  for (const auto& [key, value] : {std::pair(kUploadBytes, settings.max_upload_bytes),
                                   std::pair(kUploadModels, settings.max_upload_models)}) {
    if (value) text += std::string(key) + " = " + std::to_string(*value) + "\n";
  }
  text += toml_of("models", settings.models);
  text += toml_of("operators", settings.operators);
  text += toml_of("backends", settings.backends);
  return text;
}

}  // namespace vaccel::agent
