// SPDX-License-Identifier: Apache-2.0
//
// Feeds arbitrary text to `vaccelctl tenant set`'s end in the agent, twice, with a tenant at work in between: whatever its
// settings are, what it takes is counted, given back, and never more than they say.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "agent/tenant.h"

namespace vaccel::agent {
namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

void use(Tenant& tenant) {
  const TenantSettings& settings = tenant.settings();
  require(settings.weight >= 1 && settings.weight <= 10'000);
  std::vector<Taken> all;
  for (size_t index = 0; index < kResourceCount; ++index) {
    const auto resource = static_cast<Resource>(index);
    const uint64_t limit = settings.limit(resource);
    for (const uint64_t amount : {uint64_t{1}, limit / 2, limit, limit + 1, ~uint64_t{0}}) {
      if (auto taken = tenant.take(resource, amount)) all.push_back(std::move(*taken));
      require(tenant.taken(resource) <= limit);
    }
  }
  int64_t now_ns = 1;
  uint64_t calls = 0;
  for (int time = 0; time < 20; ++time, now_ns += 50'000'000)
    calls += tenant.count_call(now_ns).ok() ? 1 : 0;
  if (settings.calls_per_second > 0)
    require(static_cast<double>(calls) <= settings.burst_calls() + settings.calls_per_second + 1);
  else
    require(calls == 20);
  for (const Permission* permission : {&settings.models, &settings.operators, &settings.backends}) {
    const bool allows = permission->allows("mobilenet");
    require(allows || permission->patterns.has_value());
  }
  all.clear();
  require(!tenant.in_use());
}

}  // namespace
}  // namespace vaccel::agent

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vaccel::agent;
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  const size_t middle = text.find('\0');
  const std::string first(text.substr(0, middle));
  const std::string second(middle != std::string_view::npos ? text.substr(middle + 1) : "");
  Tenants tenants;
  for (const std::string& settings : {first, second}) {
    const auto status = tenants.set("acme", settings);
    require(status.ok() || !status.message().empty());
    if (const auto acme = tenants.find("acme")) use(**acme);
  }
  if (tenants.find("acme")) require(tenants.remove("acme").ok());
  return 0;
}
