// SPDX-License-Identifier: Apache-2.0
#include <poll.h>

#include <algorithm>
#include <cstdio>
#include <numeric>

#include "core/clock.h"
#include "tools/vaccel/commands.h"
#include "tools/vaccel/json.h"
#include "tools/vaccel/session.h"

namespace vaccel::tool {
namespace {

constexpr uint32_t kCount = 4;
constexpr std::chrono::microseconds kPatience = std::chrono::seconds(3);

std::string milliseconds(double nanoseconds) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3f", nanoseconds / 1e6);
  return text;
}

// Ends early on Ctrl-C.
void wait_until(int64_t time_ns, const Interrupt& interrupt) {
  for (int64_t left = time_ns - now_ns(); left > 0 && !interrupt.happened(); left = time_ns - now_ns()) {
    const timespec rest{left / 1'000'000'000, left % 1'000'000'000};
    pollfd waiting{interrupt.fd(), POLLIN, 0};
    ::ppoll(&waiting, 1, &rest, nullptr);
  }
}

void print_statistics(uint32_t sent, const std::vector<uint64_t>& round_trips, Output& output) {
  const auto received = static_cast<uint32_t>(round_trips.size());
  const uint64_t lost = sent == 0 ? 0 : uint64_t{sent - received} * 100 / sent;
  output.line("");
  output.line(std::to_string(sent) + " sent, " + std::to_string(received) + " answered, " +
              std::to_string(lost) + "% lost");
  if (round_trips.empty()) return;
  const auto [least, most] = std::minmax_element(round_trips.begin(), round_trips.end());
  const auto sum = std::accumulate(round_trips.begin(), round_trips.end(), uint64_t{0});
  output.line("min/avg/max " + milliseconds(static_cast<double>(*least)) + "/" +
              milliseconds(static_cast<double>(sum) / received) + "/" +
              milliseconds(static_cast<double>(*most)) + " ms");
}

}  // namespace

Status run_command(const PingArguments& arguments, const Context& context) {
  Output& output = context.output;
  auto session = Session::open(context.common, context.interrupt);
  if (!session) return session.error();
  const std::string endpoint = session->endpoint();
  const uint32_t count = arguments.count.value_or(output.json() ? 1 : kCount);
  const Interrupt::Watch watch(context.interrupt);
  std::vector<uint64_t> round_trips;
  Status last_loss;
  uint32_t sent = 0;
  for (int64_t next = now_ns(); sent < count; next += std::chrono::nanoseconds(arguments.interval).count()) {
    if (sent > 0) wait_until(next, context.interrupt);
    if (context.interrupt.happened()) break;
    const auto round_trip = session->ping(kPatience);
    ++sent;
    if (round_trip) round_trips.push_back(*round_trip);
    if (!round_trip) last_loss = round_trip.error();
    if (output.json()) continue;
    const std::string name = endpoint + ": seq=" + std::to_string(sent);
    output.line(round_trip ? "answer from " + name +
                                 " time=" + milliseconds(static_cast<double>(*round_trip)) + " ms"
                           : "no answer from " + name + ": " + round_trip.error().message());
  }
  if (!output.json()) print_statistics(sent, round_trips, output);
  if (round_trips.empty() && !last_loss.ok()) return last_loss;
  if (output.json()) output.object(json_of_pings(endpoint, sent, round_trips));
  return {};
}

}  // namespace vaccel::tool
