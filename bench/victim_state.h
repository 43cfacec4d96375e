// SPDX-License-Identifier: Apache-2.0
//
// What a client is in the midst of when it is killed: the states that vaccel-bench-victim can bring itself into.
#pragma once

namespace vaccel::bench {

inline constexpr const char* kVictimStates[] = {
    "connected",      // nothing said yet
    "half-greeting",  // half a header
    "half-body",      // greeted, then half a call
    "half-payload",   // a call, and half of its payload
    "idle",           // a session, a window
    "running",        // a call in a worker
    "queued",         // more calls than the worker takes
    "cancelled",      // calls that were just given up
    "unread",         // a large result that it does not read
    "leases",         // buffers in the window
    "window-call",    // a call whose input lies in the window is in a worker
    "device",         // a device buffer
    "calling",        // calls through the ring, one after the other
    "connecting",     // sessions, one after the other
};

}  // namespace vaccel::bench
