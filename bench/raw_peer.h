// SPDX-License-Identifier: Apache-2.0
//
// The floor for a call over a unix socket: another process that reads so many bytes from a socket, makes an answer of so
// many (one memset, as `reference.fill` does) and sends it, in the plainest way there is. Both ends block in read() and
// write() on a connected pair of stream sockets.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <vector>

#include "core/unique_fd.h"

namespace vaccel::bench {

class RawPeer {
 public:
  /// @param cpu  Where the other process is; -1: wherever the scheduler puts it.
  RawPeer(size_t request_bytes, size_t answer_bytes, int cpu = -1);
  ~RawPeer();
  RawPeer(const RawPeer&) = delete;
  RawPeer& operator=(const RawPeer&) = delete;

  /// Sends one request and takes in its answer.
  void exchange();

 private:
  UniqueFd socket_;
  std::vector<std::byte> request_;
  std::vector<std::byte> answer_;
  pid_t pid_ = 0;
};

}  // namespace vaccel::bench
