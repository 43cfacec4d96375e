// SPDX-License-Identifier: Apache-2.0
#include "tools/vaccel/backend_table.h"
#include "tools/vaccel/commands.h"
#include "tools/vaccel/json.h"
#include "tools/vaccel/session.h"
#include "tools/vaccel/text.h"

namespace vaccel::tool {
namespace {

std::string transport_of(const std::string& endpoint) {
  return endpoint.substr(0, endpoint.find(':'));
}

void print_agent(const vaccel_agent& agent, Output& output) {
  const bool is_local = agent.protocol_version == 0;
  Table facts({{""}, {""}});
  facts.add({"endpoint", agent.endpoint});
  facts.add({"transport", is_local ? "none, the runtime is in this process" : transport_of(agent.endpoint)});
  facts.add({"window", agent.window});
  facts.add({"agent", agent.version});
  if (!is_local) facts.add({"protocol", "version " + std::to_string(agent.protocol_version)});
  facts.add({"library", std::string("libvaccel ") + vaccel_version()});
  if (!is_local) facts.add({"workers", std::to_string(agent.worker_count)});
  facts.add({"models", std::to_string(agent.model_count)});
  facts.add({"payload", "at most " + size_text(agent.max_payload_bytes) + " a call"});
  facts.add({"calls", "at most " + std::to_string(agent.max_calls_in_flight) + " at a time"});
  output.table(facts);
}

}  // namespace

Status run_command(const InfoArguments& /*arguments*/, const Context& context) {
  auto session = Session::open(context.common, context.interrupt);
  if (!session) return session.error();
  const auto agent = session->agent();
  if (!agent) return agent.error();
  if (context.output.json()) {
    context.output.object(json_of_agent(**agent, transport_of((*agent)->endpoint)));
    return {};
  }
  print_agent(**agent, context.output);
  context.output.line("");
  context.output.table(backend_table(**agent));
  return {};
}

}  // namespace vaccel::tool
