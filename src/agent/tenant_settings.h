// SPDX-License-Identifier: Apache-2.0
//
// What the operator says of a tenant: its share, what it may take, what it may use, and by which processes of this host
// it is known. Written as TOML, in the configuration's [[tenant]] and by `vaccelctl tenant set`; both are read here. What
// a tenant uses at present is tenant.h's.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "channel/endpoint.h"
#include "core/status.h"
#include "runtime/toml_reader.h"

namespace vaccel::agent {

/// Whoever belongs to no other tenant.
inline constexpr const char* kDefaultTenant = "default";

/// What a tenant can only have so much of, all of its sessions together.
enum class Resource : uint8_t {
  kSessions,
  kCalls,  ///< In flight, those that are queued included.
  kBytes,  ///< Of these calls, or of their results, until those have been taken.
  kModels,
  kLeases,
  kLeasedBytes,
  kDeviceBuffers,
  kDeviceBytes,
};
inline constexpr size_t kResourceCount = 8;

/// Names that are permitted; '*' stands for any characters. Not given: all.
struct Permission {
  std::optional<std::vector<std::string>> patterns;
  [[nodiscard]] bool allows(std::string_view name) const;
  bool operator==(const Permission&) const = default;
};

struct TenantSettings {
  uint32_t weight = 1;  ///< Its share of a worker's time beside others', 1 to 10000.
  std::array<uint64_t, kResourceCount> limits = default_limits();
  double calls_per_second = 0;                ///< 0: any number.
  uint32_t burst = 0;                         ///< Calls that may come at once; 0: a second's, at least one.
  std::optional<uint64_t> max_upload_bytes;   ///< Of models that it brings; not given: as [uploads] has it.
  std::optional<uint64_t> max_upload_models;  ///< Likewise.
  Permission models;                          ///< Of the catalogue.
  Permission operators;
  Permission backends;

  [[nodiscard]] uint64_t limit(Resource resource) const { return limits[static_cast<size_t>(resource)]; }
  [[nodiscard]] double burst_calls() const;
  bool operator==(const TenantSettings&) const = default;

  static std::array<uint64_t, kResourceCount> default_limits();
};

/// A tenant of the configuration.
struct TenantConfig {
  std::string name;
  TenantSettings settings;
  std::vector<uid_t> uids;                ///< Processes of this host that are its, on endpoints of all.
  std::vector<channel::Endpoint> listen;  ///< Endpoints where only it connects.
  bool operator==(const TenantConfig&) const = default;
};

/// 1 to 64 of A-Z a-z 0-9 . _ -
bool is_tenant_name(std::string_view name);

/// The key by which a resource's limit is set, "max_sessions".
const char* key_of(Resource resource);

/// Reads the keys that are there over `settings`. Mistakes are noted in the table's document.
void read_tenant_settings(runtime::TomlTable& table, TenantSettings& settings);

/// Reads [tenants] and [[tenant]]: what holds where a tenant says nothing else, and the tenants.
struct TenantTables {
  TenantSettings common;
  bool refuse_unknown = false;  ///< Who belongs to no tenant of the configuration's is turned away.
  std::vector<TenantConfig> tenants;
};
TenantTables read_tenants(runtime::TomlTable& root);

/// All of a tenant's settings as TOML that read_tenant_settings() takes.
std::string toml_of(const TenantSettings& settings);

}  // namespace vaccel::agent
