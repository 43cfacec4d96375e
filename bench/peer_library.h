// SPDX-License-Identifier: Apache-2.0
//
// The frameworks that stand beside us in libraries of their own (peers/), loaded where they are.
#pragma once

#include <memory>
#include <string>

#include "peers/peer.h"
#include "section.h"

namespace vaccel::bench {

class PeerLibrary {
 public:
  /// Loads libvaccel-bench-FRAMEWORK.so. Throws PeerMissing when it is not built, or when the framework is not on this
  /// machine.
  PeerLibrary(const Setting& setting, const std::string& framework);

  /// What a peer calls of the framework.
  [[nodiscard]] const char* call() const { return entry_->call; }
  /// Makes one ready for a problem. Throws PeerMissing when it needs a device that is not there.
  [[nodiscard]] std::unique_ptr<Peer> make(const PeerProblem& problem) const;

 private:
  const PeerEntry* entry_ = nullptr;
};

}  // namespace vaccel::bench
