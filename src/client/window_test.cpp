// SPDX-License-Identifier: Apache-2.0
#include "client/window.h"

#include "client/window_testing.h"

namespace vaccel::client {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;
using Offsets = std::vector<uint64_t>;

vaccel_status refused(uint64_t claimed, const UniqueFd& memory) {
  wire::WindowOpened opened;
  opened.bytes = claimed;
  const auto window = Window::of_memory(opened, memory);
  return window ? VACCEL_OK : window.error().code();
}

TEST(WindowOfMemory, MustBeSealedAndAsLargeAsTheAgentSays) {
  EXPECT_EQ(refused(kMiB, make_window_memory(kMiB)), VACCEL_OK);
  EXPECT_EQ(refused(kMiB, make_window_memory(kMiB, 0)), VACCEL_PROTOCOL_ERROR) << "it could shrink";
  EXPECT_EQ(refused(kMiB, make_window_memory(kMiB - 4096)), VACCEL_PROTOCOL_ERROR);
  EXPECT_EQ(refused(0, make_window_memory(kMiB)), VACCEL_PROTOCOL_ERROR);
  EXPECT_EQ(refused(UINT64_MAX, make_window_memory(kMiB)), VACCEL_PROTOCOL_ERROR);
  EXPECT_EQ(refused(kMiB, UniqueFd{}), VACCEL_PROTOCOL_ERROR);
  EXPECT_EQ(refused(4096, UniqueFd{::open("/dev/zero", O_RDWR | O_CLOEXEC)}), VACCEL_PROTOCOL_ERROR);
}

TEST(WindowOfMemory, IsMappedWhereAlignedOffsetsAreAlignedAddresses) {
  for (const uint64_t bytes : {kMiB, 3 * kMiB, 2 * kMiB + 4096}) {
    const auto window = make_window(bytes);
    ASSERT_NE(window, nullptr);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(window->base()) % wire::kMaxLeaseAlignment, 0u);
    EXPECT_EQ(window->size(), bytes);
    window->base()[0] = std::byte{1};
    window->base()[bytes - 1] = std::byte{2};
  }
  EXPECT_EQ(make_window(3 * kMiB)->description(), "shared memory, 3 MiB");
}

TEST(Slabs, ComeInFewSizesThatWasteLittle) {
  uint64_t before = 0;
  size_t sizes = 0;
  for (uint64_t bytes = 1; bytes < 100 * kMiB; bytes += bytes / 64 + 1) {
    const uint64_t size = Window::slab_size(bytes);
    EXPECT_GE(size, bytes);
    EXPECT_GE(size, before) << bytes;
    EXPECT_EQ(size % 4096, 0u);
    EXPECT_LE(size - bytes, std::max<uint64_t>(4096, bytes / 4)) << bytes;
    EXPECT_EQ(Window::slab_size(size), size) << "a slab of a slab's size is one";
    sizes += size != before ? 1 : 0;
    before = size;
  }
  EXPECT_LT(sizes, 70u);
}

TEST(Slabs, AreKeptForTheNextTaker) {
  const auto window = make_window(64 * kMiB);
  EXPECT_FALSE(window->take_kept(4096, 64).valid());
  { const Slab slab(window, 8192, 4096); }
  EXPECT_FALSE(window->has_released()) << "it is kept";
  EXPECT_FALSE(window->take_kept(8192, 64).valid()) << "of another size";
  EXPECT_FALSE(window->take_kept(4096, 65536).valid()) << "of another alignment";
  Slab again = window->take_kept(4096, 8192);
  ASSERT_TRUE(again.valid());
  EXPECT_EQ(again.offset(), 8192u);
  EXPECT_EQ(again.data(), window->base() + 8192);
  EXPECT_FALSE(window->take_kept(4096, 64).valid()) << "it is taken";
  { const Slab newer(window, 16'384, 4096); }
  again.reset();
  EXPECT_EQ(window->take_kept(4096, 64).offset(), 8192u) << "the last one used is warm";
}

TEST(Slabs, AreGivenBackWhenTooManyAreKept) {
  const auto window = make_window(64 * kMiB);
  for (uint64_t count = 0; count < 64; ++count)
    const Slab slab(window, count * 4096, 4096);
  EXPECT_FALSE(window->has_released());
  { const Slab one_more(window, 64 * 4096, 4096); }
  EXPECT_TRUE(window->has_released());
  EXPECT_EQ(window->take_released(), Offsets{0}) << "the oldest";
  EXPECT_FALSE(window->has_released());
  // A quarter of what the session may lease.
  { const Slab large(window, kMiB, 16 * kMiB); }
  EXPECT_EQ(window->take_released().size(), 64u);
  EXPECT_TRUE(window->take_kept(16 * kMiB, 64).valid());
}

TEST(Slabs, AreGivenBackWhenDiscardedOrAllAtOnce) {
  const auto window = make_window(64 * kMiB);
  Slab one(window, 4096, 4096);
  one.discard();
  EXPECT_FALSE(one.valid());
  EXPECT_FALSE(window->take_kept(4096, 64).valid()) << "somebody may write to it yet";
  EXPECT_EQ(window->take_released(), Offsets{4096});
  { const Slab other(window, 8192, 4096); }
  window->release_kept();
  EXPECT_EQ(window->take_released(), Offsets{8192});
  EXPECT_FALSE(window->take_kept(4096, 64).valid());
}

TEST(Slabs, MoveAndOutliveTheirConnection) {
  auto window = make_window(kMiB);
  Slab one(window, 4096, 4096);
  Slab other = std::move(one);
  EXPECT_FALSE(one.valid());  // NOLINT(bugprone-use-after-move)
  other = Slab(window, 8192, 4096);
  EXPECT_EQ(window->take_kept(4096, 64).offset(), 4096u) << "what was assigned to is kept";
  window->lose();
  window.reset();
  other.data()[4095] = std::byte{7};
  const auto lost = other.window();
  other.reset();
  EXPECT_FALSE(lost->take_kept(4096, 64).valid() && lost->take_kept(4096, 64).offset() == 8192u)
      << "leases of a lost connection are nobody's";
  EXPECT_FALSE(lost->has_released());
}

TEST(Slabs, AreGivenBackInFramesThatTakeThem) {
  const auto window = make_window(64 * kMiB);
  for (uint64_t count = 0; count < wire::kMaxReleases + 10; ++count)
    Slab(window, count * 4096, 4096).discard();
  EXPECT_EQ(window->take_released().size(), wire::kMaxReleases);
  EXPECT_TRUE(window->has_released());
  EXPECT_EQ(window->take_released().size(), 10u);
  EXPECT_FALSE(window->has_released());
}

}  // namespace
}  // namespace vaccel::client
