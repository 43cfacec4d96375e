// SPDX-License-Identifier: Apache-2.0
#include "core/memory_block.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <limits>
#include <utility>

namespace vaccel {
namespace {

TEST(MemoryBlock, IsAlignedAndAsLargeAsAsked) {
  for (const size_t size : {size_t{0}, size_t{1}, size_t{64}, size_t{65}, MemoryBlock::kLarge - 1,
                            MemoryBlock::kLarge, MemoryBlock::kLarge + 1, size_t{5} << 20}) {
    const MemoryBlock block(size);
    ASSERT_TRUE(block.valid()) << size;
    EXPECT_GE(block.size(), size);
    EXPECT_LT(block.size(), size + 4096);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(block.data()) % MemoryBlock::kAlignment, 0u) << size;
    std::memset(block.data(), 1, block.size());
  }
}

TEST(MemoryBlock, HoldsNothingWhereThereIsNoMemory) {
  for (const size_t size : {std::numeric_limits<size_t>::max(), std::numeric_limits<size_t>::max() - 4096,
                            std::numeric_limits<size_t>::max() / 2}) {
    const MemoryBlock block(size);
    EXPECT_FALSE(block.valid()) << size;
    EXPECT_EQ(block.size(), 0u);
  }
  EXPECT_FALSE(MemoryBlock().valid());
}

TEST(MemoryBlock, IsGivenOnWhole) {
  for (const size_t size : {size_t{100}, size_t{1} << 20}) {
    MemoryBlock first(size);
    std::byte* data = first.data();
    data[size - 1] = std::byte{7};
    MemoryBlock second = std::move(first);
    EXPECT_EQ(second.data(), data);
    EXPECT_EQ(second.data()[size - 1], std::byte{7});
    second = MemoryBlock(10);
    EXPECT_NE(second.data(), nullptr);
  }
}

}  // namespace
}  // namespace vaccel
