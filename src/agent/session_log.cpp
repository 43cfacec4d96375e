// SPDX-License-Identifier: Apache-2.0
//
// What a session says in the log of itself and of its requests. All of it is caused by its client, so all of it is measured.
#include <array>

#include "agent/session.h"

namespace vaccel::agent {
namespace {

/// A call that took longer from its arrival to its answer is told of.
constexpr uint64_t kSlowCallNs = 1'000'000'000;

double ms(uint64_t ns) {
  return static_cast<double>(ns) / 1e6;
}

}  // namespace

LogSubject Session::log_subject(uint64_t request_id) const {
  return {.session = id_,
          .request = request_id,
          .peer = origin_.peer,
          .tenant = origin_.tenant->name(),
          .vm = origin_.vm ? std::string_view(origin_.vm->name) : std::string_view()};
}

void Session::log_broken_protocol(uint64_t request_id, const Status& status) const {
  host_.log().client_line(ClientLine::kBrokenProtocol, LogLevel::kWarning, log_subject(request_id), "%s",
                          status.message().c_str());
}

void Session::log_refusal(uint64_t request_id, wire::Kind kind, const Status& status) const {
  host_.log().client_line(ClientLine::kRefusedRequest, LogLevel::kDebug, log_subject(request_id),
                          "the %s is refused: %s: %s", wire::kind_name(kind), status_name(status.code()),
                          status.message().c_str());
}

void Session::log_call(uint64_t request_id, const CallMetrics& figures, const WorkerSlot& worker,
                       const Status& status, const vaccel_timings& timings) const {
  const bool slow = timings.agent_ns >= kSlowCallNs;
  if ((status.ok() && !slow) || !host_.log().writes(LogLevel::kDebug)) return;
  const uint32_t worker_index = worker.index();
  const std::array<LogNumber, 4> numbers{{{"duration_us", timings.agent_ns / 1000},
                                          {"queue_us", timings.queue_ns / 1000},
                                          {"worker_us", timings.worker_ns / 1000},
                                          {"infer_us", timings.infer_ns / 1000}}};
  // Names of the host's own: what a client called it is not repeated here.
  const std::string& model = figures.kind.model;
  const std::string of_model = model.empty() ? "" : " on model '" + model + "'";
  LogSubject subject = log_subject(request_id);
  subject.operator_name = figures.kind.operator_name;
  subject.model = model;
  subject.worker = &worker_index;
  subject.numbers = numbers;
  const std::string outcome =
      status.ok() ? "was slow"
                  : std::string("failed: ") + status_name(status.code()) + ": " + status.message();
  host_.log().client_line(status.ok() ? ClientLine::kSlowCall : ClientLine::kFailedCall, LogLevel::kDebug,
                          subject, "the call of '%s'%s, %.1f ms (queue %.1f, worker %.1f, infer %.1f), %s",
                          figures.kind.operator_name.c_str(), of_model.c_str(), ms(timings.agent_ns),
                          ms(timings.queue_ns), ms(timings.worker_ns), ms(timings.infer_ns), outcome.c_str());
}

}  // namespace vaccel::agent
