// SPDX-License-Identifier: Apache-2.0
//
// What the files of the C API share: reading of options, and a checked call from its arguments to the caller's place
// for its results. Everything here that returns a vaccel_status has reported it.
#pragma once

#include "client/call.h"
#include "client/outputs.h"
#include "client/request.h"
#include "core/status.h"
#include "vaccel/vaccel.h"

namespace vaccel::client {

/// INVALID_ARGUMENT: "the session is NULL".
[[gnu::cold]] Status is_null(const char* what);

/// For read_options().
Status read_given_options(const vaccel_call_options& given, CallSpec& spec, void** user_data);

/// The parts of a call that its options say; nothing where there are none. INVALID_ARGUMENT.
inline Status read_options(const vaccel_call_options* given, CallSpec& spec, void** user_data = nullptr) {
  return given == nullptr ? Status{} : read_given_options(*given, spec, user_data);
}

/// Checks and runs a call. @param outputs  out; nullptr: results are not wanted.
vaccel_status call(vaccel_session* session, const CallSpec& spec, vaccel_outputs** outputs);

/// Checks and starts a call.
vaccel_status submit(vaccel_session* session, const CallSpec& spec, const RequestTraits& traits,
                     vaccel_request** request);

/// What taking the results of a request has in common: whether there are arguments, and a success to take.
Status check_takable(const vaccel_request* request, const void* out);

/// INVALID_ARGUMENT: results are handed out once.
[[gnu::cold]] Status already_taken();

}  // namespace vaccel::client
