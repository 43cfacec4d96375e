// SPDX-License-Identifier: Apache-2.0
//
// The paths that a call's payload can take from a process to an agent on the same host, and what a call over each of
// them is.
#pragma once

#include <deque>
#include <memory>
#include <string>

#include "measure.h"
#include "session.h"
#include "subprocess.h"

namespace vaccel::bench {

struct ChannelPath {
  enum class Tensors {
    kInline,    ///< Follow the call over the socket.
    kInWindow,  ///< Lie in a buffer.
    kCopied,    ///< Lie in ordinary memory; the library copies them into the window, once.
  };
  const char* name;
  uint32_t open_flags;
  Tensors tensors;
  bool spins = false;  ///< Both ends look for calls and answers before they sleep, which takes two CPUs.
};

// Of these, the first is without a window, the next two without rings.
inline constexpr ChannelPath kUnixInline{"unix inline", VACCEL_OPEN_NO_WINDOW, ChannelPath::Tensors::kInline};
inline constexpr ChannelPath kUnixWindow{"unix window", VACCEL_OPEN_NO_RINGS,
                                         ChannelPath::Tensors::kInWindow};
inline constexpr ChannelPath kUnixCopied{"unix window, copied", VACCEL_OPEN_NO_RINGS,
                                         ChannelPath::Tensors::kCopied};
inline constexpr ChannelPath kRingSpinning{"ring spinning", 0, ChannelPath::Tensors::kInWindow, true};
inline constexpr ChannelPath kRingCopied{"ring spinning, copied", 0, ChannelPath::Tensors::kCopied, true};
inline constexpr ChannelPath kRingSleeping{"ring sleeping", VACCEL_OPEN_NO_SPIN,
                                           ChannelPath::Tensors::kInWindow};

/// Two agents, one that spins before it sleeps and one that does not.
class ChannelAgents {
 public:
  explicit ChannelAgents(const Setting& setting);
  void stay_on(int cpu);
  /// Where the agent for a path is.
  [[nodiscard]] std::string endpoint_for(const ChannelPath& path) const;
  [[nodiscard]] const WorkFolder& folder() const { return folder_; }

 private:
  WorkFolder folder_;
  AgentProcess agent_;
  WorkFolder sleeping_folder_;
  AgentProcess sleeping_agent_;
};

/// A session over one path, and payloads to send.
class ChannelClient {
 public:
  ChannelClient(const ChannelAgents& agents, const ChannelPath& path);

  [[nodiscard]] const ChannelPath& path() const { return path_; }
  /// A uint8 tensor of so many bytes, where the path has them. It lives as long as the client or the next forget().
  const vaccel_tensor* payload(size_t bytes);
  /// Frees all payloads.
  void forget() { payloads_.clear(); }
  /// The agent takes in a tensor and answers nothing.
  void discard(const vaccel_tensor* tensor) const { session_.call_for_nothing("vaccel.discard", tensor); }
  /// The agent takes in a tensor and answers with the same.
  void echo(const vaccel_tensor* tensor) const { session_.call("vaccel.echo", tensor); }

 private:
  void expect_nothing_copied(const vaccel_tensor* tensor) const;

  const ChannelPath& path_;
  Session session_;
  std::deque<Tensor> payloads_;
};

}  // namespace vaccel::bench
