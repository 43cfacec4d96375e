// SPDX-License-Identifier: Apache-2.0
//
// vaccel, the tool for authors of functions: reads the command line, runs one command, and turns what became of it into an exit
// code.
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "tools/vaccel/arguments.h"
#include "tools/vaccel/commands.h"
#include "tools/vaccel/exit_code.h"
#include "tools/vaccel/interrupt.h"
#include "tools/vaccel/json.h"
#include "tools/vaccel/output.h"
#include "tools/vaccel/text.h"

namespace {

using namespace vaccel;
using namespace vaccel::tool;

// Before the command line is understood, and however wrong it is.
bool asks_for_json(int argc, char** argv) {
  for (int index = 1; index < argc; ++index) {
    if (argv[index] == std::string_view("--json")) return true;
  }
  return false;
}

int end(Status status, const Interrupt& interrupt, Output& output) {
  if (!status.ok() && output.json()) output.object(json_of_error(status));
  const Status written = output.finish();
  if (status.ok()) status = written;
  if (!status.ok()) std::fprintf(stderr, "vaccel: %s\n", safe_text(status.message()).c_str());
  return interrupt.happened() ? kInterruptedExitCode : exit_code_of(status.code());
}

}  // namespace

int main(int argc, char** argv) {
  const Interrupt interrupt;
  Output output(asks_for_json(argc, argv));
  const auto parsed = parse_arguments(argc, argv);
  if (!parsed) return end(parsed.error(), interrupt, output);
  if (const auto* help = std::get_if<HelpText>(&*parsed)) {
    output.text(help->text);
    return end({}, interrupt, output);
  }
  const auto& arguments = std::get<Arguments>(*parsed);
  const Context context{arguments.common, interrupt, output};
  return end(
      std::visit([&](const auto& command) { return run_command(command, context); }, arguments.command),
      interrupt, output);
}
