// SPDX-License-Identifier: Apache-2.0
//
// Feeds arbitrary text to the reader of the agent's configuration, as a file. What it accepts must keep what config.h
// promises, since the agent starts workers, listens and divides by it.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>

#include "agent/config.h"
#include "agent/vm.h"
#include "agent/vm_watch.h"
#include "core/unique_fd.h"
#include "runtime/toml_reader.h"

namespace vaccel::agent {
namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

// vaccelctl shows settings as TOML, from which the same must come.
void check_settings(const TenantSettings& settings) {
  require(settings.weight >= 1 && settings.weight <= 10'000);
  require(settings.calls_per_second >= 0 && settings.burst_calls() >= 1);
  auto document = runtime::TomlDocument::parse(toml_of(settings), "settings");
  require(document.has_value());
  TenantSettings again;
  runtime::TomlTable root = document->root();
  read_tenant_settings(root, again);
  require(document->finish().ok());
  require(again == settings);
}

void check(const Config& config) {
  require(config.worker.count >= 1 && config.worker.threads >= 1);
  check_settings(config.tenants.common);
  for (const TenantConfig& tenant : config.tenants.tenants) {
    require(is_tenant_name(tenant.name));
    check_settings(tenant.settings);
    for (const auto& endpoint : tenant.listen)
      require(endpoint.scheme != channel::Endpoint::Scheme::kLocal);
  }
  for (const WatchedVms& watched : config.watched)
    require(find_problem(watched).empty());
  for (const wire::AttachVm& vm : config.vms)
    require(!find_problem(vm));
}

}  // namespace
}  // namespace vaccel::agent

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vaccel::agent;
  const vaccel::UniqueFd file{::memfd_create("vaccel.toml", MFD_CLOEXEC)};
  require(file.valid());
  for (size_t written = 0; written < size;) {
    const ssize_t count = ::write(file.get(), data + written, size - written);
    require(count > 0);
    written += static_cast<size_t>(count);
  }
  const auto config = read_config("/proc/self/fd/" + std::to_string(file.get()));
  if (config) {
    check(*config);
  } else {
    require(!config.error().message().empty());
  }
  return 0;
}
