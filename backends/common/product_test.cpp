// SPDX-License-Identifier: Apache-2.0
#include "product.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace vaccel::product {
namespace {

constexpr size_t kAll = SIZE_MAX;

TEST(Blocks, LeaveWholeWhatFits) {
  const ProductSize block = block_of({100, 90, 80, 7}, 4, kAll);
  EXPECT_EQ(block.m, 100u);
  EXPECT_EQ(block.n, 90u);
  EXPECT_EQ(block.k, 80u);
  EXPECT_EQ(block.count, 7u);
}

TEST(Blocks, CutTheBatchFirst) {
  // 64 x 64 floats are 16 KiB.
  const ProductSize block = block_of({64, 64, 64, 100}, 4, 16384 * 10);
  EXPECT_EQ(block.m, 64u);
  EXPECT_EQ(block.k, 64u);
  EXPECT_LE(block.count, 10u);
  EXPECT_GE(block.count, 5u);
}

TEST(Blocks, HoldTheirLimit) {
  for (const size_t limit : {size_t{4096}, size_t{100'000}, size_t{1} << 20, size_t{1} << 28}) {
    for (const ProductSize whole : {ProductSize{1000, 3, 5000, 1}, ProductSize{1, 1, 10'000'000, 3},
                                    ProductSize{4097, 4097, 4097, 2}, ProductSize{1, 100'000'000, 1, 1}}) {
      const ProductSize block = block_of(whole, 8, limit);
      EXPECT_LE(block.m * block.k * block.count * 8, limit);
      EXPECT_LE(block.k * block.n * block.count * 8, limit);
      EXPECT_LE(block.m * block.n * block.count * 8, limit);
      EXPECT_GE(block.m, 1u);
      EXPECT_GE(block.n, 1u);
      EXPECT_GE(block.k, 1u);
      EXPECT_GE(block.count, 1u);
      EXPECT_LE(block.m, whole.m);
      EXPECT_LE(block.n, whole.n);
      EXPECT_LE(block.k, whole.k);
    }
  }
}

// CLBlast fills a row up to a tile of 128, and 128 times as much memory would not be countable.
TEST(Blocks, StayCountableOnceFilledUp) {
  const ProductSize row = block_of({1, size_t{1} << 29, 8, 1}, 4, kAll);
  EXPECT_LE(row.n * 128, size_t{1} << 30);
  const ProductSize huge =
      block_of({size_t{1} << 62, size_t{1} << 62, size_t{1} << 62, size_t{1} << 62}, 8, kAll);
  EXPECT_LE(huge.m * huge.k, size_t{1} << 30);
  EXPECT_EQ(huge.count, 1u);
}

TEST(Blocks, BeginOnTheGrain) {
  const ProductSize block = block_of({1001, 1001, 1001, 1}, 4, 200'000);
  EXPECT_EQ(block.m % 64, 0u);
  EXPECT_EQ(block.n % 64, 0u);
  EXPECT_EQ(block.k % 64, 0u);
}

// The block of a transposed matrix begins where its rows and columns are exchanged.
TEST(Parts, LieWhereTheirElementsAre) {
  std::byte memory[8 * 100];
  const HostMatrices plain = part_of({memory, false, 7, 50}, {2, 3, 4, 1, 1, 2}, 8);
  EXPECT_EQ(plain.data - memory, 8 * (2 + 3 * 7 + 50));
  EXPECT_EQ(plain.rows, 4u);
  EXPECT_EQ(plain.columns, 1u);
  EXPECT_EQ(plain.count, 2u);
  const HostMatrices transposed = part_of({memory, true, 7, 0}, {2, 3, 4, 1, 1, 2}, 8);
  EXPECT_EQ(transposed.data - memory, 8 * (3 + 2 * 7));
  EXPECT_EQ(transposed.rows, 1u);
  EXPECT_EQ(transposed.columns, 4u);
  EXPECT_EQ(transposed.count, 1u);
}

}  // namespace
}  // namespace vaccel::product
