// SPDX-License-Identifier: Apache-2.0
#include "client/buffers.h"

#include "client/window_testing.h"

namespace vaccel::client {
namespace {

class BuffersTest : public testing::Test {
 protected:
  std::unique_ptr<vaccel_buffer> make(uint64_t offset, size_t bytes) {
    return std::make_unique<vaccel_buffer>(std::make_shared<BufferMemory>(Slab(window, offset, 4096), bytes),
                                           buffers);
  }
  /// The offset that is found; -1: none; else minus the status.
  int64_t find(const std::byte* data, size_t bytes) {
    const auto found = buffers->find(data, bytes, {window.get(), nullptr});
    if (!found) return -int64_t{found.error().code()};
    return *found ? static_cast<int64_t>((*found)->offset) : -1;
  }

  std::shared_ptr<Window> window = make_window(1 << 20);
  std::shared_ptr<Buffers> buffers = std::make_shared<Buffers>();
};

TEST_F(BuffersTest, TellsWhereMemoryLies) {
  const std::byte* base = window->base();
  EXPECT_EQ(find(base + 4096, 1), -1) << "there are no buffers";
  const auto low = make(4096, 4096);
  const auto high = make(8192, 1000);
  EXPECT_EQ(find(base + 4096, 4096), 4096);
  EXPECT_EQ(find(base + 8191, 1), 8191);
  EXPECT_EQ(find(base + 8192, 1000), 8192);
  EXPECT_EQ(find(base + 9191, 1), 9191);
  EXPECT_EQ(find(base + 9192, 1), -1) << "the slab goes on, the buffer does not";
  EXPECT_EQ(find(base + 4095, 1), -1);
  const std::byte elsewhere{};
  EXPECT_EQ(find(&elsewhere, 1), -1);
}

TEST_F(BuffersTest, RefusesWhatReachesBeyondABuffer) {
  const std::byte* base = window->base();
  const auto low = make(4096, 4096);
  const auto high = make(8192, 1000);
  EXPECT_EQ(find(base + 4096, 4097), -VACCEL_INVALID_ARGUMENT) << "the next buffer is another";
  EXPECT_EQ(find(base + 8191, 2), -VACCEL_INVALID_ARGUMENT);
  EXPECT_EQ(find(base + 8193, 1000), -VACCEL_INVALID_ARGUMENT);
  EXPECT_EQ(find(base + 8192, SIZE_MAX), -VACCEL_INVALID_ARGUMENT);
}

TEST_F(BuffersTest, ForgetsWhatIsFreed) {
  auto one = make(4096, 100);
  const auto other = make(8192, 100);
  one.reset();
  EXPECT_EQ(find(window->base() + 4096, 1), -1);
  EXPECT_EQ(find(window->base() + 8192, 1), 8192);
  EXPECT_EQ(window->take_kept(4096, 64).offset(), 4096u) << "its slab is free";
}

TEST_F(BuffersTest, OfALostWindowAreUnavailable) {
  const auto stale = make(4096, 4096);
  const std::byte* data = window->base() + 4096;
  EXPECT_FALSE(stale->lost());
  window->lose();
  EXPECT_TRUE(stale->lost());
  window = make_window(1 << 20);  // of the next connection
  EXPECT_EQ(find(data + 10, 1), -VACCEL_UNAVAILABLE);
  EXPECT_EQ(find(data - 1, 1), -1);
  const auto fresh = make(4096, 4096);
  EXPECT_EQ(find(window->base() + 4096, 1), 4096);
}

TEST_F(BuffersTest, KeepTheirMemoryForACallThatUsesIt) {
  auto buffer = make(4096, 4096);
  auto used = buffers->find(window->base() + 4096, 100, {window.get(), nullptr});
  ASSERT_TRUE(used.has_value() && used->has_value());
  buffer.reset();
  EXPECT_FALSE(window->take_kept(4096, 64).valid()) << "the call has it";
  used = std::nullopt;
  EXPECT_TRUE(window->take_kept(4096, 64).valid());
}

TEST_F(BuffersTest, AreGivenBackWhenACallThatUsesThemWasGivenUp) {
  auto buffer = make(4096, 4096);
  buffers->find(window->base() + 4096, 100, {window.get(), nullptr}).value()->memory->given_up = true;
  buffer.reset();
  EXPECT_FALSE(window->take_kept(4096, 64).valid()) << "a late result may come there";
  EXPECT_EQ(window->take_released(), std::vector<uint64_t>{4096}) << "the agent knows when it is over";
}

TEST(OrdinaryBuffers, AreAligned) {
  for (const uint64_t alignment : {8u, 64u, 4096u, 1u << 21}) {
    const auto buffer = ordinary_buffer(100, alignment);
    ASSERT_TRUE(buffer.has_value());
    EXPECT_EQ(reinterpret_cast<uintptr_t>((*buffer)->data) % alignment, 0u);
    EXPECT_FALSE((*buffer)->shared());
    EXPECT_FALSE((*buffer)->lost());
  }
}

}  // namespace
}  // namespace vaccel::client
