// SPDX-License-Identifier: Apache-2.0
//
// Of the C API: buffers on devices.
#pragma once

#include "vaccel/vaccel.h"

namespace vaccel::client {

/// vaccel_buffer_alloc() with VACCEL_BUFFER_DEVICE. It has reported what it returns.
vaccel_status allocate_on_device(vaccel_session& session, size_t bytes, const vaccel_buffer_options& options,
                                 vaccel_buffer** buffer);

}  // namespace vaccel::client
