// SPDX-License-Identifier: Apache-2.0
//
// Buffers in C++, with memory that is really shared.
#include <gtest/gtest.h>

#include <numeric>

#include "support/agent_process.h"
#include "support/real_parts.h"
#include "vaccel/vaccel.hpp"

namespace {

using vaccel::integration::AgentProcess;

TEST(CppBuffer, TensorsAndResultsLieInBuffers) {
  const AgentProcess agent;
  const vaccel::Session session(agent.endpoint());
  const vaccel::Agent described = session.agent();
  EXPECT_TRUE(described.window.starts_with("shared memory, ")) << described.window;
  EXPECT_GT(described.window_bytes, 1u << 20);
  const vaccel::Buffer in = session.allocate(600'000, 0, true);
  const vaccel::Buffer out = session.allocate(600'000, 4096, true);
  EXPECT_TRUE(in.shared());
  EXPECT_EQ(reinterpret_cast<uintptr_t>(out.data()) % 4096, 0u);
  const std::span<float> values = in.as<float>();
  std::iota(values.begin(), values.end(), 1.0F);
  vaccel::CallOptions options;
  options.outputs.push_back(vaccel::tensor("x", out.bytes()));
  const vaccel::Outputs outputs =
      session.call("reference.echo", "", {}, {vaccel::tensor("x", values)}, options);
  EXPECT_EQ(outputs.copied_bytes(), 0u);
  EXPECT_EQ(outputs["x"].bytes().data(), out.data());
  EXPECT_TRUE(std::ranges::equal(out.as<float>(), values));
}

TEST(CppBuffer, SaysSoWhenItsAgentHasGone) {
  AgentProcess agent;
  const vaccel::Session session(agent.endpoint());
  const vaccel::Buffer buffer = session.allocate(1000);
  std::byte* const before = buffer.data();
  agent.kill();
  agent.start();
  EXPECT_TRUE(vaccel::integration::eventually([&] {
    try {
      return session.ping().count() > 0;
    } catch (const vaccel::Error&) {
      return false;
    }
  }));
  *before = std::byte{1};  // harmless
  try {
    (void)buffer.bytes();
    FAIL() << "its lease has gone";
  } catch (const vaccel::Error& error) {
    EXPECT_EQ(error.code(), VACCEL_UNAVAILABLE);
  }
}

TEST(CppBuffer, OpensWithoutAWindowIfAsked) {
  const AgentProcess agent;
  vaccel::OpenOptions options;
  options.flags = VACCEL_OPEN_NO_WINDOW;
  const vaccel::Session session(agent.endpoint(), options);
  EXPECT_FALSE(session.allocate(1000).shared());
  EXPECT_EQ(session.agent().window_bytes, 0u);
}

TEST(CppBuffer, PicturesSayWhatWasCopied) {
  VACCEL_NEEDS_MOBILENET();
  VACCEL_NEEDS(vaccel::integration::photo("chelsea.png"));
  const AgentProcess agent({.catalogue = vaccel::integration::real_catalogue(), .all_backends = true});
  const vaccel::Session session(agent.endpoint());
  const std::string picture = vaccel::integration::read_file(vaccel::integration::photo("chelsea.png"));
  const vaccel::Buffer buffer = session.allocate(picture.size());
  std::ranges::copy(std::as_bytes(std::span(picture)), buffer.data());
  uint64_t copied = 0;
  EXPECT_EQ(session.classify("mobilenet", buffer.bytes(), 1, {}, nullptr, &copied).at(0).index, 286);
  EXPECT_GE(copied, picture.size());
  EXPECT_LT(copied, picture.size() + 1024);
  vaccel::Request request = session.submit_classify("mobilenet", buffer.bytes(), 1);
  uint64_t copied_again = 0;
  (void)request.classes(nullptr, &copied_again);
  EXPECT_EQ(copied_again, copied);
}

}  // namespace
