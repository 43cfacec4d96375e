// SPDX-License-Identifier: Apache-2.0
//
// The calling thread's last failure: where a Status becomes what the C API returns.
#pragma once

#include "core/status.h"

namespace vaccel::client {

/// Keeps a failure's sentence for vaccel_error_message() in this thread, and returns its code. An OK status
/// changes nothing.
[[gnu::cold]] vaccel_status report_failure(const Status& status);
inline vaccel_status report(const Status& status) {
  return status.ok() ? VACCEL_OK : report_failure(status);
}

/// What report() kept last; "" when there was nothing. Valid until this thread's next report().
const char* last_sentence();
/// When to try again what it was that failed; 0: not known.
uint32_t last_retry_after_us();

}  // namespace vaccel::client
