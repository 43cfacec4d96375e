// SPDX-License-Identifier: Apache-2.0
//
// vaccelctl, the tool for operators of hosts: reads the command line, runs one command, and turns what became of it
// into an exit code.
#include <csignal>
#include <cstdio>
#include <string_view>

#include "tools/vaccel/exit_code.h"
#include "tools/vaccel/output.h"
#include "tools/vaccel/text.h"
#include "tools/vaccelctl/arguments.h"
#include "tools/vaccelctl/commands.h"
#include "tools/vaccelctl/json.h"

namespace {

using namespace vaccel;

// Before the command line is understood, and however wrong it is.
bool asks_for_json(int argc, char** argv) {
  for (int index = 1; index < argc; ++index) {
    if (argv[index] == std::string_view("--json")) return true;
  }
  return false;
}

int end(Status status, tool::Output& output) {
  if (!status.ok() && output.json()) output.object(ctl::json_of_error(status));
  const Status written = output.finish();
  if (status.ok()) status = written;
  if (!status.ok()) std::fprintf(stderr, "vaccelctl: %s\n", tool::safe_text(status.message()).c_str());
  return tool::exit_code_of(status.code());
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // an agent that goes away is an error like others
  tool::Output output(asks_for_json(argc, argv));
  const auto parsed = ctl::parse_arguments(argc, argv);
  if (!parsed) return end(parsed.error(), output);
  if (const auto* help = std::get_if<ctl::HelpText>(&*parsed)) {
    output.text(help->text);
    return end({}, output);
  }
  const auto& arguments = std::get<ctl::Arguments>(*parsed);
  const ctl::Context context{arguments.common, output};
  return end(
      std::visit([&](const auto& command) { return ctl::run_command(command, context); }, arguments.command),
      output);
}
