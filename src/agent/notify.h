// SPDX-License-Identifier: Apache-2.0
//
// Telling systemd how the service is: the protocol of Type=notify, a datagram to $NOTIFY_SOCKET.
#pragma once

namespace vaccel::agent {

/// Sends a state ("READY=1", "STOPPING=1"); does nothing when not started by systemd.
void notify_service_manager(const char* state);

}  // namespace vaccel::agent
