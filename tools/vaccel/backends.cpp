// SPDX-License-Identifier: Apache-2.0
#include "tools/vaccel/backend_table.h"
#include "tools/vaccel/commands.h"
#include "tools/vaccel/json.h"
#include "tools/vaccel/session.h"

namespace vaccel::tool {

Status run_command(const BackendsArguments& /*arguments*/, const Context& context) {
  auto session = Session::open(context.common, context.interrupt);
  if (!session) return session.error();
  const auto agent = session->agent();
  if (!agent) return agent.error();
  if (context.output.json()) {
    context.output.object(json_of_backends(**agent));
  } else {
    context.output.table(backend_table(**agent));
  }
  return {};
}

}  // namespace vaccel::tool
