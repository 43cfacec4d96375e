// SPDX-License-Identifier: Apache-2.0
//
// `vaccelctl status`: how the agent is, once.
#include "core/clock.h"
#include "tools/vaccel/text.h"
#include "tools/vaccelctl/commands.h"
#include "tools/vaccelctl/control_client.h"
#include "tools/vaccelctl/json.h"
#include "tools/vaccelctl/status_sections.h"

namespace vaccel::ctl {

Status run_command(const StatusArguments& /*arguments*/, const Context& context) {
  auto client = ControlClient::connect(context.common.control);
  if (!client) return client.error();
  auto report = client->full_status();
  if (!report) return report.error();
  tool::Output& output = context.output;
  if (output.json()) {
    output.object(json_of_status(*report));
    return {};
  }
  output.line("agent     " + report->server);
  output.line("sessions  " + std::to_string(report->sessions));
  output.line("workers   " + std::to_string(report->workers));
  output.line("calls     " + std::to_string(report->calls) + ", of which " +
              std::to_string(report->failed_calls) + " failed");
  output.line("tensors   " + tool::size_text(report->copied_bytes) + " copied, " +
              tool::size_text(report->window_bytes) + " in windows");
  output.line("windows   " + std::to_string(report->windows) + ", " + tool::size_text(report->leased_bytes) +
              " leased");
  output.line("devices   " + tool::size_text(report->device_bytes) + " in buffers");
  const Reading reading{std::move(*report), now_ns()};
  for (const Section& section : sections_of(nullptr, reading, /*with_rates=*/false)) {
    tool::Table table(section.columns);
    for (const std::vector<std::string>& row : section.rows)
      table.add(row);
    output.line("");
    output.table(table);
  }
  if (reading.report.vms.empty()) return {};
  output.line("");
  print_vms(reading.report, output);
  return {};
}

}  // namespace vaccel::ctl
