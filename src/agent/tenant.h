// SPDX-License-Identifier: Apache-2.0
//
// Tenants at work: what each has taken of what it may have, and the way from a connection to its tenant. Who somebody is
// is told by where they connect (a VM that is attached, an endpoint of the tenant's own, the uid of a process of this host),
// and by nothing that they say.
//
// Everything that a tenant can only have so much of is taken with take(), and given back when the Taken goes: no path can
// forget it, and a session that outlives its tenant's settings counts on.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>

#include "agent/metrics.h"
#include "agent/tenant_settings.h"
#include "core/status.h"

namespace vaccel::agent {

class Tenant;

/// So much of one of a tenant's resources, given back when destroyed. Empty after a move.
class Taken {
 public:
  Taken() = default;
  Taken(std::shared_ptr<Tenant> tenant, Resource resource, uint64_t amount)
      : tenant_(std::move(tenant)), resource_(resource), amount_(amount) {}
  Taken(Taken&& other) noexcept = default;
  Taken& operator=(Taken&& other) noexcept;
  ~Taken() { give_back(); }

  [[nodiscard]] uint64_t amount() const { return tenant_ ? amount_ : 0; }
  void give_back();

 private:
  std::shared_ptr<Tenant> tenant_;  // shared: it counts for as long as anything of its is taken
  Resource resource_ = Resource::kSessions;
  uint64_t amount_ = 0;
};

class Tenant : public std::enable_shared_from_this<Tenant> {
 public:
  Tenant(std::string name, TenantSettings settings);
  Tenant(const Tenant&) = delete;
  Tenant& operator=(const Tenant&) = delete;

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const TenantSettings& settings() const { return settings_; }
  /// Holds from the next take() on; what has been taken stays.
  void set(TenantSettings settings);

  /// RESOURCE_EXHAUSTED: the tenant would be over its limit.
  Result<Taken> take(Resource resource, uint64_t amount = 1);
  [[nodiscard]] uint64_t taken(Resource resource) const { return taken_[static_cast<size_t>(resource)]; }
  /// A call of its was answered, so long after it had come.
  void call_took(uint64_t nanoseconds);
  /// When one of its calls in flight is likely to be done; 0: it has none, or none was ever done.
  [[nodiscard]] uint64_t next_done_us() const;

  /// A call of the tenant's has come. RESOURCE_EXHAUSTED, with the time to wait: it is over its calls a second.
  Status count_call(int64_t now_ns);

  /// What has been done for it since it was known.
  [[nodiscard]] Totals& totals() { return totals_; }
  [[nodiscard]] const Totals& totals() const { return totals_; }

  /// Whether anything of its is open.
  [[nodiscard]] bool in_use() const;

 private:
  friend class Taken;
  const std::string name_;
  TenantSettings settings_;
  std::array<uint64_t, kResourceCount> taken_{};
  Totals totals_;
  double usual_call_ns_ = 0;  // a moving average
  double tokens_;             // calls that may come now
  int64_t refilled_ns_ = 0;   // 0: never
};

/// All tenants.
class Tenants {
 public:
  /// Takes the configuration's: new ones come, present ones change, those that are no longer there keep what they have open
  /// and get what holds for all.
  void apply(const TenantTables& tables);

  /// The tenant of that name, with the settings of all if the configuration has none. PERMISSION_DENIED: such are
  /// refused.
  Result<std::shared_ptr<Tenant>> of_name(const std::string& name);
  /// The tenant of a process on this host, or the default one. PERMISSION_DENIED as above.
  Result<std::shared_ptr<Tenant>> of_uid(std::optional<uid_t> uid);

  /// Changes one at run time, or makes it: `toml` has the keys of [[tenant]] that change. INVALID_ARGUMENT, with line and
  /// column.
  Status set(const std::string& name, const std::string& toml);
  /// Forgets what was said of it: the settings of all hold. NOT_FOUND.
  Status remove(const std::string& name);
  /// A tenant that nothing was said of and that has nothing open is forgotten: at once, if nothing was ever done for it, else
  /// when there are many.
  void forget_if_unused(const std::string& name);

  using TenantMap = std::map<std::string, std::shared_ptr<Tenant>, std::less<>>;
  [[nodiscard]] const TenantMap& all() const { return tenants_; }
  [[nodiscard]] Result<std::shared_ptr<Tenant>> find(const std::string& name) const;

 private:
  [[nodiscard]] bool is_unused(const TenantMap::value_type& entry) const;
  void sweep();

  TenantMap tenants_;
  std::set<std::string, std::less<>> named_;  // tenants that something was said of
  std::unordered_map<uid_t, std::string> by_uid_;
  TenantSettings common_;
  bool refuse_unknown_ = false;
  size_t sweep_at_ = 64;  // so many tenants are looked through for those that have gone
};

}  // namespace vaccel::agent
