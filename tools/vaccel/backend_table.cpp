// SPDX-License-Identifier: Apache-2.0
#include "tools/vaccel/backend_table.h"

#include <span>
#include <string>

namespace vaccel::tool {

Table backend_table(const vaccel_agent& agent) {
  Table table({{"backend"}, {"version"}, {"devices"}});
  for (const vaccel_backend_info& backend : std::span(agent.backends, agent.backend_count)) {
    const bool runs = *backend.problem == '\0';
    table.add({backend.name, backend.version,
               runs ? backend.devices : std::string("does not run: ") + backend.problem});
  }
  return table;
}

}  // namespace vaccel::tool
