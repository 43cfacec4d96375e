// SPDX-License-Identifier: Apache-2.0
//
// What a worker inherits from the agent that starts it, and where.
#pragma once

namespace vaccel::worker {

inline constexpr int kChannelFd = 3;
inline constexpr int kCallsFd = 4;
inline constexpr int kResultsFd = 5;
inline constexpr int kRingsFd = 6;
inline constexpr int kConfigFd = 8;  ///< The configuration, or an empty file.
inline constexpr int kWakeFd = 7;    ///< One of channel::make_wake_sockets().

}  // namespace vaccel::worker
