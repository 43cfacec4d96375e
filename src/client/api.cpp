// SPDX-License-Identifier: Apache-2.0
#include "client/api.h"

#include "client/error.h"
#include "client/session.h"
#include "wire/limits.h"

namespace vaccel::client {

Status is_null(const char* what) {
  return failure(VACCEL_INVALID_ARGUMENT, "%s is NULL", what);
}

Status read_given_options(const vaccel_call_options& given, CallSpec& spec, void** user_data) {
  vaccel_call_options options;
  if (Status status = read_sized(&given, "vaccel_call_options", options); !status.ok()) return status;
  if ((options.flags & ~VACCEL_CALL_TIMINGS) != 0 || options.priority < -wire::kMaxPriority ||
      options.priority > wire::kMaxPriority) {
    return failure(VACCEL_INVALID_ARGUMENT,
                   "vaccel_call_options has flags 0x%x and priority %d; only VACCEL_CALL_TIMINGS (0x%x) is "
                   "defined, and -100 to 100",
                   options.flags, options.priority, VACCEL_CALL_TIMINGS);
  }
  spec.priority = static_cast<int8_t>(options.priority);
  spec.deadline_ns = options.deadline_ns;
  spec.backend = options.backend;
  spec.timings = (options.flags & VACCEL_CALL_TIMINGS) != 0;
  spec.places = {options.outputs, options.output_count};
  if (user_data != nullptr) *user_data = options.user_data;
  return {};
}

// Checking strings reads them, which cannot be done on a device.
static Status check_readable(const vaccel_session& session, const CallSpec& spec) {
  const Buffers& buffers = session.transport->buffers();
  for (size_t index = 0; buffers.any() && spec.inputs.data() != nullptr && index < spec.inputs.size();
       ++index) {
    if (spec.inputs[index].dtype == VACCEL_STRING && buffers.on_device(spec.inputs[index].data))
      return failure(VACCEL_INVALID_ARGUMENT, "inputs[%zu] are strings, which cannot lie in a device buffer",
                     index);
  }
  return {};
}

vaccel_status call(vaccel_session* session, const CallSpec& spec, vaccel_outputs** outputs) {
  if (Status status = check_readable(*session, spec); !status.ok()) return report(status);
  if (Status status = check_call(spec); !status.ok()) return report(status);
  if (outputs == nullptr) return report(session->transport->call(spec, nullptr));
  OutputsPtr results;
  if (Status status = session->transport->call(spec, &results); !status.ok()) return report(status);
  *outputs = results.release();
  return VACCEL_OK;
}

vaccel_status submit(vaccel_session* session, const CallSpec& spec, const RequestTraits& traits,
                     vaccel_request** request) {
  if (Status status = check_readable(*session, spec); !status.ok()) return report(status);
  if (Status status = check_call(spec); !status.ok()) return report(status);
  auto submitted = session->transport->submit(spec, traits);
  if (!submitted) return report(submitted.error());
  *request = submitted->release();
  return VACCEL_OK;
}

Status check_takable(const vaccel_request* request, const void* out) {
  if (request == nullptr) return is_null("the request");
  if (out == nullptr) return is_null("the place for the results");
  if (!request->done()) return {VACCEL_UNAVAILABLE, "the request has not completed"};
  return request->status();
}

Status already_taken() {
  return {VACCEL_INVALID_ARGUMENT, "the results of this request have been taken before"};
}

}  // namespace vaccel::client
