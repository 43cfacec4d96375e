// SPDX-License-Identifier: Apache-2.0
//
// `vaccelctl top`: how the agent is, again and again.
#include <poll.h>

#include <cmath>
#include <optional>

#include "core/clock.h"
#include "tools/vaccel/text.h"
#include "tools/vaccelctl/commands.h"
#include "tools/vaccelctl/control_client.h"
#include "tools/vaccelctl/live_terminal.h"
#include "tools/vaccelctl/top_screen.h"

namespace vaccel::ctl {
namespace {

// Reads an agent's status again and again, and finds the agent again when it was started anew.
class Reader {
 public:
  explicit Reader(std::string control) : control_(std::move(control)) {}

  Result<Reading> read() {
    if (!client_) {
      auto client = ControlClient::connect(control_);
      if (!client) return Unexpected{client.error()};
      client_.emplace(std::move(*client));
    }
    auto report = client_->full_status();
    if (!report) {
      client_.reset();
      return Unexpected{report.error()};
    }
    return Reading{std::move(*report), now_ns()};
  }

 private:
  const std::string control_;
  std::optional<ControlClient> client_;
};

void sleep_ns(int64_t duration_ns) {
  const timespec duration{duration_ns / 1'000'000'000, duration_ns % 1'000'000'000};
  (void)::nanosleep(&duration, nullptr);
}

Status show_once(Reader& reader, int64_t interval_ns, tool::Output& output) {
  auto before = reader.read();
  if (!before) return before.error();
  sleep_ns(interval_ns);
  const auto now = reader.read();
  if (!now) return now.error();
  for (const ScreenLine& line : top_screen(&*before, *now, {}))
    output.line(line.text);
  return {};
}

Status show_live(Reader& reader, int64_t interval_ns) {
  auto first = reader.read();
  if (!first) return first.error();  // nobody wants to look at an agent that is not there
  std::optional<Reading> before;
  std::optional<Reading> now = std::move(*first);
  Status problem;
  auto terminal = LiveTerminal::open();
  if (!terminal) return terminal.error();
  int64_t next_ns = now_ns() + interval_ns;
  for (;;) {
    auto lines = top_screen(before ? &*before : nullptr, *now, terminal->size());
    if (!problem.ok() && !lines.empty())
      lines.front().text = cut_to_width(tool::safe_text(problem.message()), terminal->size().columns);
    if (Status status = terminal->show(lines); !status.ok()) return status;
    const auto event = terminal->wait_until(next_ns);
    if (event == LiveTerminal::Event::kEnd) return {};
    if (event == LiveTerminal::Event::kResized) continue;
    next_ns = now_ns() + interval_ns;
    auto reading = reader.read();
    problem = reading ? Status() : reading.error();
    // What was seen last stays; its rates are of no use any more when the agent comes again.
    before = reading ? std::exchange(now, std::move(*reading)) : std::nullopt;
  }
}

}  // namespace

Status run_command(const TopArguments& arguments, const Context& context) {
  if (context.output.json())
    return failure(VACCEL_INVALID_ARGUMENT, "top is for people; 'vaccelctl status --json' has its numbers");
  Reader reader(context.common.control);
  const auto interval_ns = static_cast<int64_t>(std::llround(arguments.interval_seconds * 1e9));
  if (arguments.once || !LiveTerminal::is_possible()) return show_once(reader, interval_ns, context.output);
  return show_live(reader, interval_ns);
}

}  // namespace vaccel::ctl
