// SPDX-License-Identifier: Apache-2.0
//
// For the tests of this room: a window of memory as an agent sends it, without an agent.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include "client/window.h"

namespace vaccel::client {

inline UniqueFd make_window_memory(uint64_t bytes, int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) {
  UniqueFd memory{::memfd_create("window", MFD_CLOEXEC | MFD_ALLOW_SEALING)};
  EXPECT_EQ(::ftruncate(memory.get(), static_cast<off_t>(bytes)), 0);
  EXPECT_EQ(::fcntl(memory.get(), F_ADD_SEALS, seals), 0);
  return memory;
}

/// A window of which a session may lease all.
inline std::shared_ptr<Window> make_window(uint64_t bytes) {
  wire::WindowOpened opened;
  opened.bytes = bytes;
  opened.max_leased_bytes = bytes;
  auto window = Window::of_memory(opened, make_window_memory(bytes));
  EXPECT_TRUE(window.has_value()) << window.error().message();
  return window ? *window : nullptr;
}

}  // namespace vaccel::client
