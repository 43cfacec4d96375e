// SPDX-License-Identifier: Apache-2.0
//
// LibTorch as a whole: its version and devices, and what keeps it from printing. Includes nothing of LibTorch, so that the
// files that need no more compile quickly.
#pragma once

#include <memory>
#include <string>

#include "options.h"
#include "vaccel/backend.h"

namespace vaccel::torch_backend {

/// What options.device comes to here: "cpu", "cuda:0". Throws a Failure: UNAVAILABLE when it is not there.
std::string choose_device(const Options& options);
/// A device for people: "CPU", "CUDA: cuda:0".
std::string device_text(const std::string& device);

/// Applies options.threads, and from now on sends what scripts print on threads with a Listener to its host.
void set_up_framework(const Options& options);

/// While it lives, what this thread's models print and LibTorch's warnings go to the host's log.
class Listener {
 public:
  explicit Listener(const vaccel_backend_host* host);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

 private:
  struct Warnings;
  std::unique_ptr<Warnings> warnings_;
  const vaccel_backend_host* before_;
};

}  // namespace vaccel::torch_backend
