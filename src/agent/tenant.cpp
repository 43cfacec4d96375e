// SPDX-License-Identifier: Apache-2.0
#include "agent/tenant.h"

#include <algorithm>
#include <cmath>

namespace vaccel::agent {
namespace {

using Number = unsigned long long;  // for printf

/// Tenants that the agent knows at a time, of whatever origin.
constexpr size_t kMaxTenants = 100'000;

// What a limit is about, for "tenant 'acme' has 3 ... ; the limit is 3".
const char* what_of(Resource resource) {
  switch (resource) {
    case Resource::kSessions:
      return "sessions open";
    case Resource::kCalls:
      return "calls in flight";
    case Resource::kBytes:
      return "bytes of calls in flight";
    case Resource::kModels:
      return "models open";
    case Resource::kLeases:
      return "leases";
    case Resource::kLeasedBytes:
      return "bytes leased";
    case Resource::kDeviceBuffers:
      return "device buffers";
    case Resource::kDeviceBytes:
      return "bytes of device buffers";
  }
  return "";
}

}  // namespace

Taken& Taken::operator=(Taken&& other) noexcept {
  if (this == &other) return *this;
  give_back();
  tenant_ = std::move(other.tenant_);
  resource_ = other.resource_;
  amount_ = other.amount_;
  return *this;
}

void Taken::give_back() {
  if (const auto tenant = std::exchange(tenant_, nullptr))
    tenant->taken_[static_cast<size_t>(resource_)] -= amount_;
}

Tenant::Tenant(std::string name, TenantSettings settings)
    : name_(std::move(name)), settings_(std::move(settings)), tokens_(settings_.burst_calls()) {}

void Tenant::set(TenantSettings settings) {
  settings_ = std::move(settings);
  tokens_ = std::min(tokens_, settings_.burst_calls());
}

Result<Taken> Tenant::take(Resource resource, uint64_t amount) {
  uint64_t& taken = taken_[static_cast<size_t>(resource)];
  const uint64_t limit = settings_.limit(resource);
  if (amount > limit || taken > limit - amount) {
    const bool of_calls = resource == Resource::kCalls || resource == Resource::kBytes;
    return Unexpected{failure(VACCEL_RESOURCE_EXHAUSTED,
                              "tenant '%s' has %llu %s; with %llu more it would be over its limit of %llu",
                              name_.c_str(), static_cast<Number>(taken), what_of(resource),
                              static_cast<Number>(amount), static_cast<Number>(limit))
                          .with_retry_after(of_calls && amount <= limit ? next_done_us() : 0)};
  }
  taken += amount;
  return Taken(shared_from_this(), resource, amount);
}

void Tenant::call_took(uint64_t nanoseconds) {
  constexpr double kNewest = 0.1;
  const auto took = static_cast<double>(nanoseconds);
  usual_call_ns_ += usual_call_ns_ == 0 ? took : kNewest * (took - usual_call_ns_);
}

uint64_t Tenant::next_done_us() const {
  const uint64_t under_way = taken(Resource::kCalls);
  if (under_way == 0) return 0;
  return static_cast<uint64_t>(std::ceil(usual_call_ns_ / 1e3 / static_cast<double>(under_way)));
}

Status Tenant::count_call(int64_t now_ns) {
  const double rate = settings_.calls_per_second;
  if (rate <= 0) return {};
  if (refilled_ns_ != 0)
    tokens_ =
        std::min(settings_.burst_calls(), tokens_ + rate * static_cast<double>(now_ns - refilled_ns_) / 1e9);
  refilled_ns_ = now_ns;
  if (tokens_ >= 1) {
    tokens_ -= 1;
    return {};
  }
  const double wait_us = std::ceil((1 - tokens_) / rate * 1e6);
  return failure(VACCEL_RESOURCE_EXHAUSTED,
                 "tenant '%s' is over its %g calls per second; the next one is taken in %.3g ms",
                 name_.c_str(), rate, wait_us / 1e3)
      .with_retry_after(static_cast<uint64_t>(std::min(wait_us, 1e15)));
}

bool Tenant::in_use() const {
  return std::ranges::any_of(taken_, [](uint64_t amount) { return amount > 0; });
}

void Tenants::apply(const TenantTables& tables) {
  common_ = tables.common;
  refuse_unknown_ = tables.refuse_unknown;
  by_uid_.clear();
  named_.clear();
  for (const TenantConfig& tenant : tables.tenants) {
    named_.insert(tenant.name);
    for (const uid_t uid : tenant.uids)
      by_uid_[uid] = tenant.name;
    auto& known = tenants_[tenant.name];
    if (known) {
      known->set(tenant.settings);
    } else {
      known = std::make_shared<Tenant>(tenant.name, tenant.settings);
    }
  }
  for (auto& [name, tenant] : tenants_) {
    if (!named_.contains(name)) tenant->set(common_);
  }
}

Result<std::shared_ptr<Tenant>> Tenants::of_name(const std::string& name) {
  const bool named = named_.contains(name);
  if (!named && refuse_unknown_) {
    return fail(VACCEL_PERMISSION_DENIED,
                "this agent serves the tenants of its configuration only, and '%s' is none of them",
                printable(name).c_str());
  }
  if (const auto known = tenants_.find(name); known != tenants_.end()) return known->second;
  if (tenants_.size() >= std::min(sweep_at_, kMaxTenants)) sweep();
  if (tenants_.size() >= kMaxTenants)
    return fail(VACCEL_RESOURCE_EXHAUSTED, "the agent knows its most tenants, %zu", kMaxTenants);
  return tenants_.emplace(name, std::make_shared<Tenant>(name, common_)).first->second;
}

Result<std::shared_ptr<Tenant>> Tenants::of_uid(std::optional<uid_t> uid) {
  if (uid) {
    if (const auto known = by_uid_.find(*uid); known != by_uid_.end()) return of_name(known->second);
  }
  return of_name(kDefaultTenant);
}

Status Tenants::set(const std::string& name, const std::string& toml) {
  if (!is_tenant_name(name)) {
    return failure(VACCEL_INVALID_ARGUMENT,
                   "'%s' cannot be a tenant's name; it has 1 to 64 of A-Z a-z 0-9 . _ -",
                   printable(name).c_str());
  }
  auto document = runtime::TomlDocument::parse(toml, "settings");
  if (!document) return document.error();
  if (tenants_.size() >= kMaxTenants) sweep();
  const auto known = tenants_.find(name);
  TenantSettings settings = known != tenants_.end() ? known->second->settings() : common_;
  runtime::TomlTable root = document->root();
  read_tenant_settings(root, settings);
  if (Status status = document->finish(); !status.ok()) return status;
  if (known == tenants_.end() && tenants_.size() >= kMaxTenants)
    return failure(VACCEL_RESOURCE_EXHAUSTED, "the agent knows its most tenants, %zu", kMaxTenants);
  named_.insert(name);
  if (known != tenants_.end()) {
    known->second->set(std::move(settings));
  } else {
    tenants_.emplace(name, std::make_shared<Tenant>(name, std::move(settings)));
  }
  return {};
}

Status Tenants::remove(const std::string& name) {
  if (named_.erase(name) == 0)
    return failure(VACCEL_NOT_FOUND, "nothing was said of a tenant '%s'", printable(name).c_str());
  std::erase_if(by_uid_, [&](const auto& entry) { return entry.second == name; });
  const auto known = tenants_.find(name);
  known->second->set(common_);
  if (is_unused(*known)) tenants_.erase(known);
  return {};
}

void Tenants::forget_if_unused(const std::string& name) {
  const auto known = tenants_.find(name);
  // What one has done is told until there are many: functions come and go, and their tenant would begin anew each time.
  if (known != tenants_.end() && is_unused(*known) && known->second->totals() == Totals{})
    tenants_.erase(known);
}

// Some are still remembered by a queue when they go.
bool Tenants::is_unused(const TenantMap::value_type& entry) const {
  return !named_.contains(entry.first) && !entry.second->in_use() && entry.second.use_count() == 1;
}

void Tenants::sweep() {
  std::erase_if(tenants_, [this](const auto& entry) { return is_unused(entry); });
  sweep_at_ = std::max<size_t>(64, 2 * tenants_.size());
}

Result<std::shared_ptr<Tenant>> Tenants::find(const std::string& name) const {
  const auto known = tenants_.find(name);
  if (known == tenants_.end())
    return fail(VACCEL_NOT_FOUND, "there is no tenant '%s'", printable(name).c_str());
  return known->second;
}

}  // namespace vaccel::agent
