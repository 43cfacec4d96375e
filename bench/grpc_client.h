// SPDX-License-Identifier: Apache-2.0
//
// The peer: the same payload in a unary gRPC call over a unix socket. Both its ends are processes of
// vaccel-bench-grpc (grpc_peer/), which may use every CPU there is, since gRPC brings threads of its own.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "subprocess.h"

namespace vaccel::bench {

class GrpcClient {
 public:
  /// Why there is no such peer here, as a sentence; nothing where there is one.
  static std::optional<std::string> missing(const Setting& setting);

  GrpcClient(const Setting& setting, const WorkFolder& folder);

  /// Makes so many calls with so many bytes. @return the nanoseconds of each.
  std::vector<double> calls(size_t bytes, size_t count);

 private:
  /// One process, ready when this is made, and the socket that is its standard input and output.
  class Process {
   public:
    Process(const Setting& setting, const std::string& what, const WorkFolder& folder);
    void write_line(const std::string& line);
    std::string read_line();

   private:
    Process(std::array<UniqueFd, 2> ends, const std::vector<std::string>& command);
    UniqueFd socket_;
    std::string read_;  ///< What has come after the last line.
    ChildProcess process_;
  };

  Process server_;
  Process client_;
};

}  // namespace vaccel::bench
