// SPDX-License-Identifier: Apache-2.0
//
// classify: a real model behind agent and worker, and how soon a program that has just been started has its first label.
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>

#include "core/clock.h"
#include "direct_model.h"
#include "failure.h"
#include "models_beside.h"
#include "section.h"
#include "session.h"
#include "subprocess.h"

namespace vaccel::bench {
namespace {

constexpr size_t kLeastStarts = 5;

// Everything that a program prints.
std::string output_of(const std::vector<std::string>& command, int64_t& first_byte_ns) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) give_up("pipe: %s", std::strerror(errno));
  const UniqueFd reading{ends[0]};
  UniqueFd writing{ends[1]};
  ChildProcess program(command, {.output = writing.get()});
  writing.reset();
  std::string text;
  std::array<char, 4096> piece;
  for (;;) {
    const ssize_t count = ::read(reading.get(), piece.data(), piece.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    if (text.empty()) first_byte_ns = now_ns();
    text.append(piece.data(), static_cast<size_t>(count));
  }
  program.expect_success();
  return text;
}

// Nanoseconds from the start of a program to the first thing that it prints, which goes to `text`.
double start_to_output_ns(const std::vector<std::string>& command, std::string& text) {
  const int64_t started_ns = now_ns();
  int64_t first_byte_ns = 0;
  text = output_of(command, first_byte_ns);
  if (text.empty()) give_up("%s printed nothing", command.front().c_str());
  return static_cast<double>(first_byte_ns - started_ns);
}

// The worker's own time, as `vaccel --json classify` tells it.
double worker_ns_in(const std::string& json) {
  constexpr std::string_view kKey = "\"worker_us\":";
  const size_t key = json.find(kKey);
  const double microseconds =
      key == std::string::npos ? 0 : std::strtod(json.c_str() + key + kKey.size(), nullptr);
  if (!(microseconds > 0)) give_up("'vaccel --json classify' told no worker_us: %s", json.c_str());
  return microseconds * 1000;
}

// From the start of a process that was not there to its first label, the model being loaded: all of it but the worker's
// own time, which is the model's and the photo's. Beside it, the same program started to print its version.
void measure_warm_start(const Setting& setting, const WorkFolder& folder, Report& report) {
  const std::string program = (setting.programs / "vaccel").string();
  const std::vector<std::string> classify{program,  "--endpoint", folder.agent_endpoint(),
                                          "--json", "classify",   setting.photo.string()};
  std::vector<double> whole;
  std::vector<double> ours;
  std::vector<double> version;
  std::string text;
  const int64_t until = now_ns() + static_cast<int64_t>(setting.seconds_per_case * 1e9);
  for (size_t round = 0; round < kLeastStarts || now_ns() < until; ++round) {
    const double label_ns = start_to_output_ns(classify, text);
    whole.push_back(label_ns);
    ours.push_back(label_ns - worker_ns_in(text));
    version.push_back(start_to_output_ns({program, "--version"}, text));
  }
  report.add("classify", {.name = "start to first label, without the worker",
                          .unit = Unit::kMilliseconds,
                          .ours = ours,
                          .beside_name = "vaccel --version",
                          .beside = version,
                          .goal = Goal::at_most(5),
                          .our_samples = ours,
                          .beside_samples = version});
  report.add("classify", {.name = "start to first label, all of it",
                          .unit = Unit::kMilliseconds,
                          .ours = whole,
                          .beside_name = "vaccel --version",
                          .beside = version,
                          .our_samples = whole,
                          .beside_samples = version});
}

}  // namespace

void measure_classify(const Setting& setting, Report& report) {
  DirectModel direct(setting);
  const WorkFolder folder(setting);
  const AgentProcess agent(setting, folder);
  const Session inline_session(folder.agent_endpoint(), VACCEL_OPEN_NO_WINDOW);
  const Session session(folder.agent_endpoint());
  measure_models_beside("classify", setting, inline_session,
                        {.how = ", inline", .goal = Goal::at_most_times(1.03)}, direct, report);
  measure_models_beside("classify", setting, session,
                        {.how = ", in the window", .in_buffers = true, .goal = Goal::at_most_times(1.01)},
                        direct, report);
  measure_models_beside("classify", setting, session, {.how = ", copied into the window"}, direct, report);
  measure_warm_start(setting, folder, report);
}

}  // namespace vaccel::bench
