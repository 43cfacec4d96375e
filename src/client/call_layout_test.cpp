// SPDX-License-Identifier: Apache-2.0
#include "client/call_layout.h"

#include <sys/socket.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <numeric>

#include "channel/ring_channel.h"
#include "client/window_testing.h"

namespace vaccel::client {
namespace {

// A channel whose other end sleeps at its ring.
std::shared_ptr<channel::RingChannel> make_sleeping_peer(std::shared_ptr<std::byte> rings, UniqueFd wake) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) std::abort();
  const UniqueFd unused{ends[1]};
  auto peer = std::make_shared<channel::RingChannel>(channel::StreamChannel(UniqueFd(ends[0])));
  channel::initialise_rings(rings.get());
  peer->attach(rings.get(), rings, channel::RingChannel::Side::kClient, std::move(wake), /*spin_ns=*/0);
  return peer;
}

// One buffer of a page, and values that lie elsewhere.
class CallLayoutTest : public testing::Test {
 protected:
  CallLayoutTest() { std::iota(values.begin(), values.end(), 0.0F); }

  vaccel_tensor floats(const void* data, const std::vector<int64_t>& shape, const char* name = nullptr) {
    vaccel_tensor tensor{};
    tensor.name = name;
    tensor.data = const_cast<void*>(data);
    tensor.shape = shape.data();
    tensor.rank = static_cast<int32_t>(shape.size());
    tensor.dtype = VACCEL_FLOAT32;
    tensor.bytes = sizeof(float);
    for (const int64_t dimension : shape)
      tensor.bytes *= static_cast<size_t>(dimension);
    return tensor;
  }
  static vaccel_tensor place(const void* data, size_t bytes, const char* name = nullptr) {
    vaccel_tensor tensor{};
    tensor.name = name;
    tensor.data = const_cast<void*>(data);
    tensor.bytes = bytes;
    return tensor;
  }
  /// Lays a call out. @param slab  Where what lies elsewhere is copied to; invalid: it goes inline.
  wire::Call lay_out(Slab slab = {}) {
    CallSpec spec;
    spec.inputs = inputs;
    spec.places = places;
    memory = {};
    memory.window = window;
    memory.inputs = std::move(slab);
    const Status found = layout.find_in_buffers(spec, *buffers, nullptr, memory);
    EXPECT_TRUE(found.ok()) << found.message();
    outside = layout.bytes_outside(spec);
    EXPECT_TRUE(layout.place(spec, memory, *other_end).ok());
    wire::Call call;
    layout.fill(spec, memory, call);
    return call;
  }

  /// Whether the other end, which sleeps, has been woken since it was last asked.
  bool was_roused() {
    char said = 0;
    return ::recv(wakes[1].get(), &said, 1, MSG_DONTWAIT) == 1;
  }

  const std::shared_ptr<std::byte> rings{
      static_cast<std::byte*>(std::aligned_alloc(4096, wire::align_up(channel::kRingPairBytes, 4096))),
      std::free};
  std::array<UniqueFd, 2> wakes = channel::make_wake_sockets().value();
  std::shared_ptr<channel::RingChannel> other_end = make_sleeping_peer(rings, std::move(wakes[0]));
  std::shared_ptr<Window> window = make_window(16 << 20);
  std::shared_ptr<Buffers> buffers = std::make_shared<Buffers>();
  vaccel_buffer buffer{std::make_shared<BufferMemory>(Slab(window, 8192, 4096), 4096), buffers};
  std::byte* const shared = window->base() + 8192;
  std::vector<float> values = std::vector<float>(256);
  const std::vector<int64_t> ten{10};
  std::vector<vaccel_tensor> inputs;
  std::vector<vaccel_tensor> places;
  CallLayout layout;
  CallMemory memory;
  uint64_t outside = 0;
};

TEST_F(CallLayoutTest, WhatLiesInABufferStaysThere) {
  inputs = {floats(shared + 100, ten, "a"), floats(values.data(), ten, "b")};
  const wire::Call call = lay_out();
  EXPECT_EQ(call.inputs[0].segment, wire::Segment::kWindow);
  EXPECT_EQ(call.inputs[0].offset, 8292u);
  EXPECT_EQ(call.inputs[1].segment, wire::Segment::kPayload);
  EXPECT_EQ(call.inputs[1].name, "b");
  EXPECT_EQ(outside, 40u);
  EXPECT_EQ(layout.payload_bytes(), 40u);
  ASSERT_EQ(layout.payload().size(), 1u);
  EXPECT_EQ(static_cast<const void*>(layout.payload()[0].data()), values.data()) << "sent from where it lies";
  EXPECT_EQ(memory.copied_bytes, 0u);
  EXPECT_EQ(memory.buffers.size(), 1u);
}

TEST_F(CallLayoutTest, WhatLiesElsewhereIsCopiedToASlabIfThereIsOne) {
  inputs = {floats(values.data(), ten), floats(shared, ten), floats(values.data() + 10, ten)};
  const wire::Call call = lay_out(Slab(window, 16'384, 4096));
  EXPECT_EQ(outside, 64u + 40u) << "each on its alignment";
  EXPECT_EQ(call.inputs[0].offset, 16'384u);
  EXPECT_EQ(call.inputs[1].offset, 8192u);
  EXPECT_EQ(call.inputs[2].offset, 16'384u + 64u);
  EXPECT_EQ(std::memcmp(window->base() + 16'384, values.data(), 40), 0);
  EXPECT_EQ(std::memcmp(window->base() + 16'384 + 64, values.data() + 10, 40), 0);
  EXPECT_EQ(layout.payload_bytes(), 0u);
  EXPECT_EQ(memory.copied_bytes, 80u);
}

// The other end falls asleep over a long copy, and is awake again when it is done.
TEST_F(CallLayoutTest, ALongCopyRousesTheOtherEndBeforeItsEnd) {
  std::vector<float> many(1'000'000);
  std::iota(many.begin(), many.end(), 0.0F);
  const std::vector<int64_t> all{1'000'000};
  const std::vector<int64_t> some{200'000};
  const std::byte* const slab = window->base() + 65'536;
  const auto copy_of = [&](const std::vector<vaccel_tensor>& tensors) {
    inputs = tensors;
    layout = {};
    const wire::Call call = lay_out(Slab(window, 65'536, 12 << 20));
    for (size_t index = 0; index < tensors.size(); ++index) {
      EXPECT_EQ(
          std::memcmp(slab - 65'536 + call.inputs[index].offset, tensors[index].data, tensors[index].bytes),
          0)
          << index;
    }
  };
  copy_of({floats(many.data(), all)});
  EXPECT_TRUE(was_roused());
  EXPECT_FALSE(was_roused()) << "twice for one copy";
  channel::initialise_rings(rings.get());  // it sleeps again
  copy_of({floats(many.data(), some), floats(many.data() + 7, some), floats(many.data() + 1, some)});
  EXPECT_TRUE(was_roused()) << "in the second of three";
  channel::initialise_rings(rings.get());
  copy_of({floats(many.data(), some)});
  EXPECT_FALSE(was_roused()) << "800 KB are copied before it could wake up";
}

TEST_F(CallLayoutTest, APayloadHasItsTensorsAligned) {
  inputs = {floats(values.data(), ten), floats(values.data(), {0}), floats(values.data() + 20, ten)};
  const std::vector<int64_t> none{0};
  inputs[1].shape = none.data();
  const wire::Call call = lay_out();
  EXPECT_EQ(call.inputs[2].offset, 64u);
  EXPECT_EQ(layout.payload_bytes(), 104u);
  uint64_t pieces = 0;
  for (const auto& piece : layout.payload())
    pieces += piece.size();
  EXPECT_EQ(pieces, 104u);
}

TEST_F(CallLayoutTest, StridedTensorsArePackedAlsoOutOfBuffers) {
  std::memcpy(shared, values.data(), 40 * sizeof(float));
  const std::vector<int64_t> shape{5, 2};
  const int64_t strides[] = {1, 5};
  inputs = {floats(shared, shape)};
  inputs[0].strides = strides;
  const wire::Call call = lay_out(Slab(window, 16'384, 4096));
  EXPECT_EQ(call.inputs[0].offset, 16'384u);
  const auto* packed = reinterpret_cast<const float*>(window->base() + 16'384);
  EXPECT_EQ(std::vector<float>(packed, packed + 10), (std::vector<float>{0, 5, 1, 6, 2, 7, 3, 8, 4, 9}));
}

TEST_F(CallLayoutTest, PlacesInBuffersAreToldByNameOrPosition) {
  std::vector<std::byte> aside(100);
  places = {place(shared, 100, "a"), place(aside.data(), 100), place(shared + 100, 200),
            place(shared + 300, 50, "d"), place(nullptr, 0)};
  const wire::Call call = lay_out();
  EXPECT_EQ(call.window, wire::Segment::kWindow);
  ASSERT_EQ(call.places.size(), 4u);
  EXPECT_EQ(call.places[0].name, "a");
  EXPECT_EQ(call.places[0].offset, 8192u);
  EXPECT_EQ(call.places[1].bytes, 0u) << "the library puts that one there itself";
  EXPECT_EQ(call.places[2].name, "");
  EXPECT_EQ(call.places[2].offset, 8292u);
  EXPECT_EQ(call.places[2].bytes, 200u);
  EXPECT_EQ(call.places[3].name, "d");
  EXPECT_EQ(memory.buffers.size(), 3u);
}

TEST_F(CallLayoutTest, ACallThatIsGivenUpMarksItsBuffers) {
  inputs = {floats(shared, ten)};
  (void)lay_out();
  memory.finished = true;
  { const CallMemory done = std::move(memory); }
  EXPECT_FALSE(buffer.memory->given_up);
  layout = {};
  (void)lay_out();
  { const CallMemory given_up = std::move(memory); }
  EXPECT_TRUE(buffer.memory->given_up);
}

TEST(ResultSizes, RemembersTheLastOfAFew) {
  ResultSizes sizes;
  const uint64_t one = ResultSizes::key("infer", "one");
  EXPECT_NE(one, ResultSizes::key("infer", "two"));
  EXPECT_NE(one, ResultSizes::key("inferone", nullptr));
  EXPECT_NE(one, ResultSizes::key("infero", "ne"));
  EXPECT_EQ(sizes.find(one), 0u);
  sizes.remember(one, 0);
  sizes.remember(one, 5000);
  EXPECT_EQ(sizes.find(one), 5000u);
  sizes.remember(one, 0);
  EXPECT_EQ(sizes.find(one), 0u) << "its results have become small, or have places";
  sizes.remember(one, 7000);
  for (uint64_t other = 1; other <= 16; ++other)
    sizes.remember(ResultSizes::key("call", std::to_string(other).c_str()), other);
  EXPECT_EQ(sizes.find(one), 0u) << "the oldest goes";
  EXPECT_EQ(sizes.find(ResultSizes::key("call", "16")), 16u);
  EXPECT_EQ(sizes.find(ResultSizes::key("call", "1")), 1u);
}

}  // namespace
}  // namespace vaccel::client
