// SPDX-License-Identifier: Apache-2.0
//
// The C API: checks what callers hand in, and says what became of it. All else is elsewhere.
#include "vaccel/vaccel.h"

#include <algorithm>
#include <bit>
#include <limits>

#include "client/api.h"
#include "client/call.h"
#include "client/device_buffers.h"
#include "client/error.h"
#include "client/outputs.h"
#include "client/request.h"
#include "client/session.h"
#include "core/clock.h"
#include "core/tensor.h"
#include "wire/limits.h"

using vaccel::failure;
using vaccel::Status;
using vaccel::client::already_taken;
using vaccel::client::call;
using vaccel::client::CallSpec;
using vaccel::client::check_call;
using vaccel::client::check_takable;
using vaccel::client::is_null;
using vaccel::client::read_options;
using vaccel::client::report;
using vaccel::client::submit;

#define VACCEL_TEXT_(x) #x
#define VACCEL_TEXT(x) VACCEL_TEXT_(x)

// ---- The library itself

const char* vaccel_version(void) {
  return VACCEL_TEXT(VACCEL_VERSION_MAJOR) "." VACCEL_TEXT(VACCEL_VERSION_MINOR) "." VACCEL_TEXT(
      VACCEL_VERSION_PATCH);
}

const char* vaccel_status_name(vaccel_status status) {
  return vaccel::status_name(status);
}

const char* vaccel_error_message(void) {
  return vaccel::client::last_sentence();
}

uint32_t vaccel_error_retry_after_us(void) {
  return vaccel::client::last_retry_after_us();
}

int64_t vaccel_deadline_after_us(uint64_t timeout_us) {
  constexpr auto kMost = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  const auto now = static_cast<uint64_t>(vaccel::now_ns());
  if (timeout_us >= (kMost - now) / 1000) return static_cast<int64_t>(kMost);
  return static_cast<int64_t>(now + timeout_us * 1000);
}

// ---- Sessions

vaccel_status vaccel_open(const char* endpoint, const vaccel_open_options* options,
                          vaccel_session** session) {
  if (session == nullptr) return report(is_null("the place for the session"));
  vaccel_open_options known;
  if (Status status = vaccel::client::read_sized(options, "vaccel_open_options", known); !status.ok())
    return report(status);
  constexpr uint32_t kFlags = VACCEL_OPEN_NO_WINDOW | VACCEL_OPEN_NO_RINGS | VACCEL_OPEN_NO_SPIN;
  if ((known.flags & ~kFlags) != 0) {
    return report(failure(VACCEL_INVALID_ARGUMENT,
                          "vaccel_open_options has flags 0x%x; only 0x%x are defined", known.flags, kFlags));
  }
  auto opened =
      endpoint != nullptr ? vaccel::client::open_at(endpoint, known) : vaccel::client::open_anywhere(known);
  if (!opened) return report(opened.error());
  *session = opened->release();
  return VACCEL_OK;
}

void vaccel_close(vaccel_session* session) {
  delete session;
}

const char* vaccel_session_endpoint(const vaccel_session* session) {
  return session != nullptr ? session->endpoint.c_str() : "";
}

// ---- Calls

void vaccel_outputs_free(vaccel_outputs* outputs) {
  vaccel::client::FreeOutputs{}(outputs);
}

vaccel_status vaccel_infer(vaccel_session* session, const char* model, const vaccel_tensor* inputs,
                           size_t input_count, const vaccel_call_options* options, vaccel_outputs** outputs) {
  if (Status status = vaccel::client::check_name(model, "model's name"); !status.ok()) return report(status);
  if (outputs == nullptr) return report(is_null("the place for the outputs"));
  return vaccel_call(session, "infer", model, nullptr, 0, inputs, input_count, options, outputs);
}

vaccel_status vaccel_call(vaccel_session* session, const char* operator_name, const char* model,
                          const vaccel_attribute* attributes, size_t attribute_count,
                          const vaccel_tensor* inputs, size_t input_count, const vaccel_call_options* options,
                          vaccel_outputs** outputs) {
  if (session == nullptr) return report(is_null("the session"));
  CallSpec spec;
  spec.operator_name = operator_name;
  spec.model = model;
  spec.attributes = {attributes, attribute_count};
  spec.inputs = {inputs, input_count};
  if (Status status = read_options(options, spec); !status.ok()) return report(status);
  return call(session, spec, outputs);
}

vaccel_status vaccel_ping(vaccel_session* session, const vaccel_call_options* options,
                          uint64_t* round_trip_ns) {
  if (session == nullptr) return report(is_null("the session"));
  CallSpec spec;
  spec.operator_name = "vaccel.echo";
  if (Status status = read_options(options, spec); !status.ok()) return report(status);
  if (Status status = check_call(spec); !status.ok()) return report(status);
  const vaccel::Stopwatch stopwatch;
  if (Status status = session->transport->ping(spec.deadline_ns); !status.ok()) return report(status);
  if (round_trip_ns != nullptr) *round_trip_ns = stopwatch.elapsed_ns();
  return VACCEL_OK;
}

// ---- Buffers

vaccel_status vaccel_buffer_alloc(vaccel_session* session, size_t bytes, const vaccel_buffer_options* options,
                                  vaccel_buffer** buffer) {
  if (session == nullptr) return report(is_null("the session"));
  if (buffer == nullptr) return report(is_null("the place for the buffer"));
  vaccel_buffer_options known;
  if (Status status = vaccel::client::read_sized(options, "vaccel_buffer_options", known); !status.ok())
    return report(status);
  if ((known.flags & ~(VACCEL_BUFFER_SHARED | VACCEL_BUFFER_DEVICE)) != 0 || known.reserved != 0) {
    return report(failure(
        VACCEL_INVALID_ARGUMENT,
        "vaccel_buffer_options has flags 0x%x and reserved 0x%x; only VACCEL_BUFFER_SHARED (0x%x) and "
        "VACCEL_BUFFER_DEVICE (0x%x) are defined",
        known.flags, known.reserved, VACCEL_BUFFER_SHARED, VACCEL_BUFFER_DEVICE));
  }
  if (bytes == 0) return report({VACCEL_INVALID_ARGUMENT, "a buffer of 0 bytes is asked for"});
  if ((known.flags & VACCEL_BUFFER_DEVICE) != 0)
    return vaccel::client::allocate_on_device(*session, bytes, known, buffer);
  if (known.backend != nullptr) {
    return report({VACCEL_INVALID_ARGUMENT,
                   "vaccel_buffer_options has a backend; it is for buffers with VACCEL_BUFFER_DEVICE"});
  }
  const uint64_t alignment = known.alignment == 0 ? vaccel::wire::kTensorAlignment : known.alignment;
  if (!std::has_single_bit(alignment) || alignment > vaccel::wire::kMaxLeaseAlignment) {
    return report(failure(VACCEL_INVALID_ARGUMENT,
                          "an alignment of %llu is asked for; it must be a power of two up to %llu",
                          static_cast<unsigned long long>(alignment),
                          static_cast<unsigned long long>(vaccel::wire::kMaxLeaseAlignment)));
  }
  auto allocated = session->transport->allocate_buffer(bytes, std::max<uint64_t>(alignment, sizeof(void*)),
                                                       (known.flags & VACCEL_BUFFER_SHARED) != 0);
  if (!allocated) return report(allocated.error());
  *buffer = allocated->release();
  return VACCEL_OK;
}

vaccel_status vaccel_buffer_map(const vaccel_buffer* buffer, void** data) {
  if (buffer == nullptr) return report(is_null("the buffer"));
  if (data == nullptr) return report(is_null("the place for the memory's address"));
  if (buffer->on_device()) {
    return report(
        {VACCEL_UNIMPLEMENTED,
         "a device buffer cannot be mapped; vaccel_buffer_device_address() has an address for tensors, "
         "vaccel_buffer_upload() and _download() copy"});
  }
  if (buffer->lost()) {
    return report({VACCEL_UNAVAILABLE,
                   "the buffer was leased from an agent that has gone since; free it and allocate another"});
  }
  *data = buffer->data;
  return VACCEL_OK;
}

size_t vaccel_buffer_size(const vaccel_buffer* buffer) {
  return buffer != nullptr ? buffer->size : 0;
}

int vaccel_buffer_is_shared(const vaccel_buffer* buffer) {
  return buffer != nullptr && buffer->shared() ? 1 : 0;
}

void vaccel_buffer_free(vaccel_buffer* buffer) {
  delete buffer;
}

// ---- Calls that do not block

vaccel_status vaccel_submit_infer(vaccel_session* session, const char* model, const vaccel_tensor* inputs,
                                  size_t input_count, const vaccel_call_options* options,
                                  vaccel_request** request) {
  if (Status status = vaccel::client::check_name(model, "model's name"); !status.ok()) return report(status);
  return vaccel_submit_call(session, "infer", model, nullptr, 0, inputs, input_count, options, request);
}

vaccel_status vaccel_submit_call(vaccel_session* session, const char* operator_name, const char* model,
                                 const vaccel_attribute* attributes, size_t attribute_count,
                                 const vaccel_tensor* inputs, size_t input_count,
                                 const vaccel_call_options* options, vaccel_request** request) {
  if (session == nullptr) return report(is_null("the session"));
  if (request == nullptr) return report(is_null("the place for the request"));
  CallSpec spec;
  spec.operator_name = operator_name;
  spec.model = model;
  spec.attributes = {attributes, attribute_count};
  spec.inputs = {inputs, input_count};
  vaccel::client::RequestTraits traits;
  if (Status status = read_options(options, spec, &traits.user_data); !status.ok()) return report(status);
  return submit(session, spec, traits, request);
}

vaccel_status vaccel_wait(vaccel_request* request, int64_t deadline_ns) {
  if (request == nullptr) return report(is_null("the request"));
  if (deadline_ns < 0) return report({VACCEL_INVALID_ARGUMENT, "deadline_ns is negative"});
  if (!request->wait(deadline_ns))
    return report({VACCEL_DEADLINE_EXCEEDED, "the wait's deadline passed; the call goes on"});
  request->handed_out();
  return report(request->status());
}

vaccel_status vaccel_poll(vaccel_session* session, vaccel_request** request) {
  if (session == nullptr) return report(is_null("the session"));
  if (request == nullptr) return report(is_null("the place for the request"));
  session->completions.begin_poll();
  vaccel_request* completed = session->completions.pop();
  if (completed == nullptr) {
    session->transport->take_in();
    completed = session->completions.pop();
  }
  session->completions.end_poll();
  *request = completed;
  return VACCEL_OK;
}

int vaccel_session_fd(vaccel_session* session) {
  if (session == nullptr) {
    (void)report(is_null("the session"));
    return -1;
  }
  const auto descriptor = session->completions.descriptor();
  if (!descriptor) (void)report(descriptor.error());
  return descriptor.value_or(-1);
}

int vaccel_request_done(const vaccel_request* request) {
  return request != nullptr && request->done() ? 1 : 0;
}

vaccel_status vaccel_request_status(const vaccel_request* request) {
  if (request == nullptr) return report(is_null("the request"));
  if (!request->done()) return report({VACCEL_UNAVAILABLE, "the request has not completed"});
  return report(request->status());
}

void* vaccel_request_user_data(const vaccel_request* request) {
  return request != nullptr ? request->traits.user_data : nullptr;
}

vaccel_status vaccel_request_outputs(vaccel_request* request, vaccel_outputs** outputs) {
  if (Status status = check_takable(request, outputs); !status.ok()) return report(status);
  if (!request->outputs()) return report(already_taken());
  *outputs = request->outputs().release();
  return VACCEL_OK;
}

void vaccel_cancel(vaccel_request* request) {
  if (request != nullptr) request->cancel();
}

void vaccel_request_free(vaccel_request* request) {
  delete request;
}

// ---- What there is

void vaccel_model_free(vaccel_model* model) {
  delete static_cast<vaccel::client::Model*>(model);
}

void vaccel_model_list_free(vaccel_model_list* list) {
  delete static_cast<vaccel::client::ModelList*>(list);
}

vaccel_status vaccel_models(vaccel_session* session, vaccel_model_list** list) {
  if (session == nullptr) return report(is_null("the session"));
  if (list == nullptr) return report(is_null("the place for the list"));
  auto models = session->transport->list_models();
  if (!models) return report(models.error());
  *list = models->release();
  return VACCEL_OK;
}

vaccel_status vaccel_model_describe(vaccel_session* session, const char* name, vaccel_model** model) {
  if (session == nullptr) return report(is_null("the session"));
  if (model == nullptr) return report(is_null("the place for the model"));
  if (Status status = vaccel::client::check_name(name, "model's name"); !status.ok()) return report(status);
  auto described = session->transport->describe_model(name);
  if (!described) return report(described.error());
  *model = described->release();
  return VACCEL_OK;
}

vaccel_status vaccel_model_load(vaccel_session* session, const char* name) {
  if (session == nullptr) return report(is_null("the session"));
  if (Status status = vaccel::client::check_name(name, "model's name"); !status.ok()) return report(status);
  return report(session->transport->load_model(name));
}

void vaccel_agent_free(vaccel_agent* agent) {
  delete static_cast<vaccel::client::Agent*>(agent);
}

vaccel_status vaccel_agent_describe(vaccel_session* session, vaccel_agent** agent) {
  if (session == nullptr) return report(is_null("the session"));
  if (agent == nullptr) return report(is_null("the place for the agent's description"));
  auto described = session->transport->describe_agent();
  if (!described) return report(described.error());
  *agent = described->release();
  return VACCEL_OK;
}

void vaccel_operator_list_free(vaccel_operator_list* list) {
  delete static_cast<vaccel::client::OperatorList*>(list);
}

vaccel_status vaccel_operators(vaccel_session* session, vaccel_operator_list** list) {
  if (session == nullptr) return report(is_null("the session"));
  if (list == nullptr) return report(is_null("the place for the list"));
  auto operators = session->transport->list_operators();
  if (!operators) return report(operators.error());
  *list = operators->release();
  return VACCEL_OK;
}
