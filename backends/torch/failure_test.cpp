// SPDX-License-Identifier: Apache-2.0
#include "failure.h"

#include <gtest/gtest.h>

namespace vaccel::torch_backend {
namespace {

TEST(TorchFailure, IsTheFirstLineWithoutTheStack) {
  EXPECT_EQ(line_of("PytorchStreamReader failed: not a ZIP archive\nException raised from valid at f.cpp:1 "
                    "(most recent "
                    "call first):\nframe #0: c10::Error::Error()\n"),
            "PytorchStreamReader failed: not a ZIP archive");
  EXPECT_EQ(line_of("\nUnknown builtin op: a::b.\nCould not find any similar ops\n"),
            "Unknown builtin op: a::b.");
}

TEST(TorchFailure, WithinAScriptIsTheLastLine) {
  const std::string listing =
      "The following operation failed in the TorchScript interpreter.\nTraceback of TorchScript (most recent "
      "call "
      "last):\n  File \"<string>\", line 2, in forward\n  return a + b\n         ~~~~~ <--- HERE\n";
  EXPECT_EQ(line_of(listing + "RuntimeError: The sizes do not match\n"), "The sizes do not match");
  EXPECT_EQ(line_of(listing + "ValueError: no\n\n"), "ValueError: no");
}

TEST(TorchFailure, AlwaysSaysSomething) {
  EXPECT_EQ(line_of(""), "it does not say why");
  EXPECT_EQ(line_of("\n \n"), "it does not say why");
  EXPECT_EQ(line_of("\nException raised from f"), "it does not say why");
}

TEST(TorchFailure, KnowsWhenMemoryRanOut) {
  EXPECT_TRUE(tells_of_memory(
      "[enforce fail at alloc_cpu.cpp:75] err == 0. DefaultCPUAllocator: can't allocate memory"));
  EXPECT_TRUE(tells_of_memory("CUDA out of memory. Tried to allocate 93.13 GiB"));
  EXPECT_TRUE(tells_of_memory("std::bad_alloc"));
  EXPECT_FALSE(tells_of_memory("The sizes do not match"));
}

}  // namespace
}  // namespace vaccel::torch_backend
