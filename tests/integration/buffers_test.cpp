// SPDX-License-Identifier: Apache-2.0
//
// Buffers as a program uses them, through the library, a real agent and a real worker: what lies in one arrives right
// and uncopied, wherever in it it lies; and where there is no window, or not enough of it, the same program works.
#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <numeric>
#include <set>
#include <thread>

#include "core/clock.h"
#include "support/agent_process.h"
#include "support/library.h"
#include "support/raw_client.h"
#include "support/real_parts.h"

namespace vaccel::integration {
namespace {

constexpr size_t kSumBytes =
    sizeof(uint64_t);  // of reference.checksum: it travels with the result, which counts

#define EXPECT_REFUSED(given, expected, words)             \
  do {                                                     \
    const auto& refused = (given);                         \
    EXPECT_EQ(refused.status, expected) << refused.text(); \
    EXPECT_TRUE(refused.says(words)) << refused.text();    \
  } while (false)

// A tensor over memory that is somebody else's.
struct View {
  vaccel_tensor tensor{};
  std::vector<int64_t> shape;

  View(const char* name, vaccel_dtype dtype, std::span<const std::byte> bytes,
       std::vector<int64_t> dimensions)
      : shape(std::move(dimensions)) {
    tensor.name = name;
    tensor.dtype = dtype;
    tensor.data = const_cast<std::byte*>(bytes.data());
    tensor.bytes = bytes.size();
    tensor.shape = shape.data();
    tensor.rank = static_cast<int32_t>(shape.size());
  }
};

View floats(const char* name, std::span<const std::byte> bytes) {
  return {name, VACCEL_FLOAT32, bytes, {static_cast<int64_t>(bytes.size() / sizeof(float))}};
}

View octets(const char* name, std::span<const std::byte> bytes) {
  return {name, VACCEL_UINT8, bytes, {static_cast<int64_t>(bytes.size())}};
}

void fill(std::span<std::byte> memory, uint32_t seed) {
  std::ranges::copy(some_bytes(memory.size(), seed), memory.begin());
}

// Options that say where results go.
struct Places {
  explicit Places(std::vector<vaccel_tensor> its_places) : places(std::move(its_places)) {
    options.outputs = places.data();
    options.output_count = places.size();
  }
  Places(const Places&) = delete;
  Places& operator=(const Places&) = delete;

  std::vector<vaccel_tensor> places;
  vaccel_call_options options = VACCEL_INIT(vaccel_call_options);
};

// A number at the top of `vaccelctl status --json`.
uint64_t status_of(const AgentProcess& agent, const std::string& name) {
  const Ended ended = agent.vaccelctl({"--json", "status"});
  EXPECT_EQ(ended.status, 0) << ended.log;
  const size_t at = ended.log.find("\"" + name + "\":");
  EXPECT_NE(at, std::string::npos) << ended.log;
  return at != std::string::npos ? std::stoull(ended.log.substr(at + name.size() + 3)) : 0;
}

class BufferTest : public testing::Test {
 protected:
  // The sum of what lies in `memory`, as a worker sees it.
  void expect_sum(const View& view, uint64_t copied_bytes) {
    const auto bytes = data_of(view.tensor);
    const auto sum = session.call_views("reference.checksum", {&view.tensor, 1});
    ASSERT_TRUE(sum.ok()) << sum.text();
    EXPECT_EQ(sum_in(*sum.value), sum_of(bytes));
    EXPECT_EQ(sum.value->copied_bytes, copied_bytes + kSumBytes);
  }

  AgentProcess agent;
  Session session{agent.endpoint()};
};

// ---- What lies in buffers

TEST_F(BufferTest, FloatsAreNotCopiedWhereverTheyLie) {
  const auto buffer = session.allocate(1 << 20);
  ASSERT_TRUE(buffer.ok()) << buffer.text();
  EXPECT_EQ(vaccel_buffer_is_shared(buffer.value.get()), 1);
  EXPECT_EQ(vaccel_buffer_size(buffer.value.get()), size_t{1} << 20);
  const auto memory = memory_of(buffer.value);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(memory.data()) % 64, 0u);
  fill(memory, 7);
  for (const size_t offset : {0u, 4u, 64u, 4096u, 500'000u, (1u << 20) - 8000}) {
    SCOPED_TRACE(offset);
    expect_sum(floats("x", memory.subspan(offset, 8000)), 0);
  }
  expect_sum(floats("all", memory), 0);
}

TEST_F(BufferTest, FloatsAtAnAddressThatIsNoneForFloatsAreCopiedOnce) {
  const auto buffer = session.allocate(100'000);
  ASSERT_TRUE(buffer.ok()) << buffer.text();
  const auto memory = memory_of(buffer.value);
  fill(memory, 8);
  for (const size_t offset : {1u, 2u, 3u, 5u, 4097u}) {
    SCOPED_TRACE(offset);
    expect_sum(floats("x", memory.subspan(offset, 80'000)), 80'000);
  }
}

TEST_F(BufferTest, WhatReachesBeyondItsBufferIsRefused) {
  const auto buffer = session.allocate(5000);  // a slab has more
  ASSERT_TRUE(buffer.ok()) << buffer.text();
  const auto memory = memory_of(buffer.value);
  View beyond = octets("x", memory.subspan(4000));
  beyond.tensor.bytes = 1001;
  beyond.shape[0] = 1001;
  EXPECT_REFUSED(session.call_views("reference.checksum", {&beyond.tensor, 1}), VACCEL_INVALID_ARGUMENT,
                 "a tensor of 1001 bytes begins 4000 bytes into a buffer of 5000");
  const Places there({beyond.tensor});
  EXPECT_REFUSED(session.call_views("reference.noop", {}, &there.options), VACCEL_INVALID_ARGUMENT,
                 "beyond its end");
  expect_sum(octets("x", memory.subspan(4000)), 1000);
}

TEST_F(BufferTest, TwoTensorsLieInOneBuffer) {
  const auto buffer = session.allocate(200'000);
  ASSERT_TRUE(buffer.ok()) << buffer.text();
  const auto memory = memory_of(buffer.value);
  fill(memory, 9);
  const View one = floats("one", memory.first(80'000));
  const View other = floats("other", memory.subspan(100'000, 40'000));
  const std::vector<vaccel_tensor> inputs{one.tensor, other.tensor};
  const auto echo = session.call_views("reference.echo", inputs);
  ASSERT_TRUE(echo.ok()) << echo.text();
  ASSERT_EQ(echo.value->count, 2u);
  EXPECT_TRUE(std::ranges::equal(data_of(echo.value->tensors[0]), memory.first(80'000)));
  EXPECT_TRUE(std::ranges::equal(data_of(echo.value->tensors[1]), memory.subspan(100'000, 40'000)));
}

TEST_F(BufferTest, IntegersAndStringsAreCopiedOnce) {
  const auto buffer = session.allocate(100'000);
  ASSERT_TRUE(buffer.ok()) << buffer.text();
  const auto memory = memory_of(buffer.value);
  fill(memory, 10);
  expect_sum({"x", VACCEL_INT32, memory.subspan(64, 80'000), {20'000}}, 80'000);
  expect_sum({"x", VACCEL_UINT8, memory.subspan(33, 7777), {7777}}, 7777);
  // Two strings: their offsets, then the bytes.
  const uint32_t offsets[] = {12, 18, 23};
  std::memcpy(memory.data(), offsets, sizeof offsets);
  std::memcpy(memory.data() + sizeof offsets, "first\0last", 11);
  const View strings("names", VACCEL_STRING, memory.first(23), {2});
  const auto echo = session.call_views("reference.echo", {&strings.tensor, 1});
  ASSERT_TRUE(echo.ok()) << echo.text();
  EXPECT_TRUE(std::ranges::equal(data_of(echo.value->tensors[0]), memory.first(23)));
  EXPECT_EQ(echo.value->copied_bytes, 2 * 23u) << "into the worker's own memory, and back with the result";
  // What they say is checked on a copy, and refused.
  const uint32_t wrong[] = {12, 18, 99'999};
  std::memcpy(memory.data(), wrong, sizeof wrong);
  EXPECT_FALSE(session.call_views("reference.echo", {&strings.tensor, 1}).ok());
}

TEST_F(BufferTest, StridedTensorsArePackedOnce) {
  const auto buffer = session.allocate(40'000);
  ASSERT_TRUE(buffer.ok()) << buffer.text();
  const auto memory = memory_of(buffer.value);
  fill(memory, 11);
  // A matrix of 50 by 100, transposed.
  View transposed("x", VACCEL_FLOAT32, memory.first(20'000), {100, 50});
  const int64_t strides[] = {1, 100};
  transposed.tensor.strides = strides;
  const auto echo = session.call_views("reference.echo", {&transposed.tensor, 1});
  ASSERT_TRUE(echo.ok()) << echo.text();
  const auto result = data_of(echo.value->tensors[0]);
  ASSERT_EQ(result.size(), 20'000u);
  for (size_t row = 0; row < 100; ++row) {
    for (size_t column = 0; column < 50; ++column) {
      ASSERT_EQ(
          std::memcmp(result.data() + (row * 50 + column) * 4, memory.data() + (column * 100 + row) * 4, 4),
          0)
          << row << ", " << column;
    }
  }
}

// ---- Results

TEST_F(BufferTest, ResultsComeWhereTheyAreWanted) {
  const auto buffer = session.allocate(300'000);
  ASSERT_TRUE(buffer.ok()) << buffer.text();
  const auto memory = memory_of(buffer.value);
  fill(memory, 12);
  const View a = floats("a", memory.first(40'000));
  const View b = floats("b", memory.subspan(40'000, 40'000));
  const std::vector<vaccel_tensor> inputs{a.tensor, b.tensor};
  std::vector<std::byte> ordinary(40'000);
  const auto expect = [&](const std::vector<vaccel_tensor>& places, std::vector<const void*> at,
                          uint64_t copied) {
    std::ranges::fill(memory.subspan(100'000), std::byte{0xee});
    const Places there(places);
    const auto echo = session.call_views("reference.echo", inputs, &there.options);
    ASSERT_TRUE(echo.ok()) << echo.text();
    ASSERT_EQ(echo.value->count, 2u);
    for (size_t index = 0; index < 2; ++index) {
      const vaccel_tensor& result = echo.value->tensors[index];
      if (at[index] != nullptr) {
        EXPECT_EQ(result.data, at[index]) << index;
      }
      EXPECT_TRUE(std::ranges::equal(data_of(result), data_of(inputs[index]))) << index;
    }
    EXPECT_EQ(echo.value->copied_bytes, copied);
  };
  const View first = octets(nullptr, memory.subspan(100'000, 40'000));
  const View second = octets(nullptr, memory.subspan(200'000, 50'000));
  View named_b = octets("b", memory.subspan(150'000, 40'000));
  const View aside = octets(nullptr, ordinary);
  {
    SCOPED_TRACE("by position");
    expect({first.tensor, second.tensor}, {first.tensor.data, second.tensor.data}, 0);
  }
  {
    SCOPED_TRACE("by name, the other one where the library likes");
    expect({named_b.tensor}, {nullptr, named_b.tensor.data}, 40'000);
    expect({named_b.tensor}, {nullptr, named_b.tensor.data}, 0);
  }
  {
    SCOPED_TRACE("one in a buffer, one in ordinary memory");
    expect({aside.tensor, second.tensor}, {ordinary.data(), second.tensor.data}, 40'000);
    expect({first.tensor, aside.tensor}, {first.tensor.data, ordinary.data()}, 40'000);
  }
  {
    SCOPED_TRACE("by name and by position");
    expect({first.tensor, named_b.tensor}, {first.tensor.data, named_b.tensor.data}, 0);
  }
  {
    SCOPED_TRACE("at an address that is none for floats");
    const View odd = octets(nullptr, memory.subspan(100'001, 40'000));
    expect({odd.tensor, second.tensor}, {odd.tensor.data, second.tensor.data}, 40'000);
  }
}

TEST_F(BufferTest, PlacesThatAreTooSmallOrNobodysAreRefused) {
  const auto buffer = session.allocate(100'000);
  ASSERT_TRUE(buffer.ok()) << buffer.text();
  const auto memory = memory_of(buffer.value);
  fill(memory, 13);
  const View input = floats("a", memory.first(40'000));
  const View small = octets(nullptr, memory.subspan(50'000, 39'999));
  const Places too_small({small.tensor});
  const auto cramped = session.call_views("reference.echo", {&input.tensor, 1}, &too_small.options);
  EXPECT_REFUSED(cramped, VACCEL_INVALID_ARGUMENT, "40000 bytes");
  EXPECT_TRUE(cramped.says("39999")) << cramped.text();
  const View nobodys = octets("c", memory.subspan(50'000));
  const Places wrong_name({nobodys.tensor});
  EXPECT_REFUSED(session.call_views("reference.echo", {&input.tensor, 1}, &wrong_name.options),
                 VACCEL_INVALID_ARGUMENT, "'c'");
  const View over = octets(nullptr, memory.subspan(60'000, 40'000));
  const Places twice({over.tensor, over.tensor});
  const std::vector<vaccel_tensor> two{input.tensor, input.tensor};
  EXPECT_REFUSED(session.call_views("reference.echo", two, &twice.options), VACCEL_INVALID_ARGUMENT,
                 "overlap");
  expect_sum(input, 0);
}

TEST_F(BufferTest, LargeInputsFromAnywhereAreCopiedOnce) {
  const auto bytes = some_bytes(600'000, 14);
  expect_sum(floats("x", bytes), 600'000);
  expect_sum(floats("x", bytes), 600'000);
}

TEST_F(BufferTest, LargeResultsWithoutAPlaceAreNotCopiedFromTheSecondOnAndStay) {
  const auto buffer = session.allocate(600'000);
  ASSERT_TRUE(buffer.ok()) << buffer.text();
  const auto memory = memory_of(buffer.value);
  const View input = floats("x", memory);
  std::vector<OutputsPtr> kept;
  for (uint32_t turn = 0; turn < 5; ++turn) {
    fill(memory, turn);
    auto echo = session.call_views("reference.echo", {&input.tensor, 1});
    ASSERT_TRUE(echo.ok()) << echo.text();
    EXPECT_EQ(echo.value->copied_bytes, turn == 0 ? 600'000u : 0u);
    kept.push_back(std::move(echo.value));
  }
  const auto expect_kept = [&] {
    for (uint32_t turn = 0; turn < kept.size(); ++turn)
      EXPECT_TRUE(std::ranges::equal(data_of(kept[turn]->tensors[0]), some_bytes(600'000, turn))) << turn;
  };
  expect_kept();
  vaccel_buffer_free(const_cast<BufferPtr&>(buffer.value).release());
  session.close();
  expect_kept();
  ASSERT_TRUE(eventually([&] { return status_of(agent, "leased_bytes") == 0; }));
  expect_kept();
}

TEST(Buffer, APictureInABufferIsCopiedOnce) {
  VACCEL_NEEDS_MOBILENET();
  VACCEL_NEEDS(photo("chelsea.png"));
  const AgentProcess agent({.catalogue = real_catalogue(), .all_backends = true});
  const Session session(agent.endpoint());
  const auto picture = file_bytes(photo("chelsea.png"));
  const auto buffer = session.allocate(picture.size() + 1);
  ASSERT_TRUE(buffer.ok()) << buffer.text();
  const auto place = memory_of(buffer.value).subspan(1);
  std::ranges::copy(picture, place.begin());
  const auto classes = session.classify("mobilenet", place);
  ASSERT_TRUE(classes.ok()) << classes.text();
  EXPECT_EQ(classes.value->items[0].index, 286);
  EXPECT_GE(classes.value->copied_bytes, picture.size());
  EXPECT_LT(classes.value->copied_bytes, picture.size() + 4096) << "the picture once, and the classes";
}

// ---- How buffers are asked for

TEST_F(BufferTest, WrongQuestionsAreRefused) {
  EXPECT_REFUSED(session.allocate(0), VACCEL_INVALID_ARGUMENT, "0 bytes");
  auto options = VACCEL_INIT(vaccel_buffer_options);
  options.alignment = 96;
  EXPECT_REFUSED(session.allocate(10, &options), VACCEL_INVALID_ARGUMENT, "96");
  options.alignment = 4 << 20;
  EXPECT_REFUSED(session.allocate(10, &options), VACCEL_INVALID_ARGUMENT, "4194304");
  options.alignment = 0;
  options.flags = 6;
  EXPECT_REFUSED(session.allocate(10, &options), VACCEL_INVALID_ARGUMENT, "0x6");
  options.flags = 0;
  options.size = 0;
  EXPECT_REFUSED(session.allocate(10, &options), VACCEL_INVALID_ARGUMENT, "vaccel_buffer_options");
  EXPECT_REFUSED(session.allocate(size_t{1} << 50), VACCEL_RESOURCE_EXHAUSTED, "");
  EXPECT_REFUSED(session.allocate(SIZE_MAX), VACCEL_RESOURCE_EXHAUSTED, "");
  vaccel_buffer* none = nullptr;
  EXPECT_EQ(vaccel_buffer_alloc(nullptr, 10, nullptr, &none), VACCEL_INVALID_ARGUMENT);
  EXPECT_EQ(vaccel_buffer_alloc(session.get(), 10, nullptr, nullptr), VACCEL_INVALID_ARGUMENT);
  void* data = nullptr;
  EXPECT_EQ(vaccel_buffer_map(nullptr, &data), VACCEL_INVALID_ARGUMENT);
  EXPECT_EQ(vaccel_buffer_size(nullptr), 0u);
  EXPECT_EQ(vaccel_buffer_is_shared(nullptr), 0);
  vaccel_buffer_free(nullptr);
  EXPECT_EQ(status_of(agent, "leased_bytes"), 0u);
}

TEST_F(BufferTest, AlignmentsAreKept) {
  for (uint64_t alignment = 1; alignment <= 2 << 20; alignment *= 2) {
    auto options = VACCEL_INIT(vaccel_buffer_options);
    options.alignment = alignment;
    const auto buffer = session.allocate(5000, &options);
    ASSERT_TRUE(buffer.ok()) << buffer.text();
    EXPECT_EQ(reinterpret_cast<uintptr_t>(memory_of(buffer.value).data()) % alignment, 0u) << alignment;
  }
}

// ---- Limits

TEST(BufferLimits, ASessionHasNoMoreThanItsShareAndWorksOn) {
  const AgentProcess agent({.more = "[window]\nmax_leased_bytes = \"1M\"\n"});
  const Session session(agent.endpoint());
  auto most = session.allocate(1 << 20);
  ASSERT_TRUE(most.ok()) << most.text();
  EXPECT_REFUSED(session.allocate(1), VACCEL_RESOURCE_EXHAUSTED, "1048576");
  EXPECT_REFUSED(session.allocate((1 << 20) + 1), VACCEL_RESOURCE_EXHAUSTED, "1048576");
  const auto bytes = some_bytes(600'000, 20);
  const View input = floats("x", bytes);
  for (int turn = 0; turn < 3; ++turn) {
    const auto echo = session.call_views("reference.echo", {&input.tensor, 1});
    ASSERT_TRUE(echo.ok()) << echo.text();
    EXPECT_TRUE(std::ranges::equal(data_of(echo.value->tensors[0]), bytes));
  }
  // What the one gave back, others may have, also in other sizes.
  most.value.reset();
  std::vector<BufferPtr> small;
  for (int count = 0; count < 4; ++count) {
    auto one = session.allocate(200'000);
    ASSERT_TRUE(one.ok()) << one.text();
    small.push_back(std::move(one.value));
  }
  small.clear();
  EXPECT_TRUE(session.allocate(1 << 20).ok());
}

TEST(BufferLimits, LeasesAreCounted) {
  const AgentProcess agent({.more = "[window]\nmax_leases = 8\n"});
  const Session session(agent.endpoint());
  std::vector<BufferPtr> buffers;
  for (int count = 0; count < 8; ++count) {
    auto one = session.allocate(1000);
    ASSERT_TRUE(one.ok()) << count << ": " << one.text();
    buffers.push_back(std::move(one.value));
  }
  EXPECT_REFUSED(session.allocate(1000), VACCEL_RESOURCE_EXHAUSTED, "8");
  buffers.pop_back();
  EXPECT_TRUE(session.allocate(50'000).ok()) << "what is kept of another size is given back for it";
}

TEST(BufferLimits, AWindowThatIsTooSmallFailsNoCall) {
  const AgentProcess agent({.more = "[window]\nsession_bytes = \"2M\"\n"});
  const Session session(agent.endpoint());
  EXPECT_REFUSED(session.allocate(3 << 20), VACCEL_RESOURCE_EXHAUSTED, "");
  const auto bytes = some_bytes(3 << 20, 21);
  const View input = floats("x", bytes);
  for (int turn = 0; turn < 3; ++turn) {
    const auto echo = session.call_views("reference.echo", {&input.tensor, 1});
    ASSERT_TRUE(echo.ok()) << echo.text();
    EXPECT_TRUE(std::ranges::equal(data_of(echo.value->tensors[0]), bytes));
  }
}

TEST_F(BufferTest, AMillionBuffersCostTheAgentNothing) {
  const size_t sizes[] = {1, 5000, 65'536, 600'000};
  const auto cycle = [&](int times) {
    for (int count = 0; count < times; ++count) {
      vaccel_buffer* buffer = nullptr;
      if (vaccel_buffer_alloc(session.get(), sizes[count % 4], nullptr, &buffer) != VACCEL_OK) return false;
      vaccel_buffer_free(buffer);
    }
    return true;
  };
  ASSERT_TRUE(cycle(1000)) << vaccel_error_message();
  const uint64_t leased = status_of(agent, "leased_bytes");
  const uint64_t calls = status_of(agent, "calls");
  const int64_t agent_kib = private_kib(agent.pid());
  const int64_t own_kib = private_kib(::getpid());
  const int64_t agent_ms = cpu_ms(agent.pid());
  ASSERT_TRUE(cycle(is_sanitized() ? 100'000 : 1'000'000)) << vaccel_error_message();
  EXPECT_LE(cpu_ms(agent.pid()) - agent_ms, 20) << "it was asked for something";
  EXPECT_EQ(status_of(agent, "leased_bytes"), leased);
  EXPECT_EQ(status_of(agent, "calls"), calls);
  if (is_sanitized()) return;
  EXPECT_LE(private_kib(agent.pid()) - agent_kib, 64);
  EXPECT_LE(private_kib(::getpid()) - own_kib, 64);
}

TEST_F(BufferTest, ManyBuffersAtOnceAreGivenBack) {
  for (int turn = 0; turn < 5; ++turn) {
    std::vector<BufferPtr> buffers;
    std::set<void*> addresses;
    for (int count = 0; count < 300; ++count) {
      auto one = session.allocate(100'000);
      ASSERT_TRUE(one.ok()) << one.text();
      addresses.insert(memory_of(one.value).data());
      buffers.push_back(std::move(one.value));
    }
    EXPECT_EQ(addresses.size(), 300u);
  }
  // The next request takes along what is to be given back.
  EXPECT_TRUE(session.call("reference.noop").ok());
  EXPECT_TRUE(eventually([&] { return status_of(agent, "leased_bytes") <= 64 << 20; }));
  session.close();
  EXPECT_TRUE(eventually([&] { return status_of(agent, "leased_bytes") == 0; }));
}

// ---- Lifetimes

TEST_F(BufferTest, ABufferThatIsFreedMeanwhileServesItsCallToTheEnd) {
  auto buffer = session.allocate(100'000);
  ASSERT_TRUE(buffer.ok()) << buffer.text();
  std::byte* const first = memory_of(buffer.value).data();
  const View input = floats("x", memory_of(buffer.value));
  const vaccel_attribute delay = int_attribute("microseconds", 60'000'000);
  auto request = given<RequestPtr>([&](vaccel_request** place) {
    return vaccel_submit_call(session.get(), "reference.delay", nullptr, &delay, 1, &input.tensor, 1, nullptr,
                              place);
  });
  ASSERT_TRUE(request.ok()) << request.text();
  buffer.value.reset();
  {
    const auto another = session.allocate(100'000);
    ASSERT_TRUE(another.ok()) << another.text();
    EXPECT_NE(memory_of(another.value).data(), first) << "the call has it yet";
  }
  vaccel_cancel(request.value.get());
  EXPECT_EQ(vaccel_wait(request.value.get(), 0), VACCEL_CANCELLED);
}

TEST(Buffer, AResultThatComesTooLateHurtsNobody) {
  const AgentProcess agent({.worker = "threads = 1"});
  const Session session(agent.endpoint());
  constexpr size_t kBytes = 24 << 20;
  const vaccel_attribute attributes[] = {int_attribute("bytes", kBytes), int_attribute("value", 0xbb)};
  int late = 0;
  for (int turn = 0; turn < 10; ++turn) {
    auto buffer = session.allocate(kBytes);
    ASSERT_TRUE(buffer.ok()) << buffer.text();
    const View place = octets(nullptr, memory_of(buffer.value));
    Places there({place.tensor});
    there.options.deadline_ns = vaccel_deadline_after_us(2000);
    const auto filled = given<OutputsPtr>([&](vaccel_outputs** outputs) {
      return vaccel_call(session.get(), "reference.fill", nullptr, attributes, 2, nullptr, 0, &there.options,
                         outputs);
    });
    late += filled.status == VACCEL_DEADLINE_EXCEEDED ? 1 : 0;
    // What has this size next is somebody else's: of this program, and of the library for copies.
    buffer.value.reset();
    const auto next = session.allocate(kBytes);
    ASSERT_TRUE(next.ok()) << next.text();
    const auto memory = memory_of(next.value);
    std::ranges::fill(memory, std::byte{0x11});
    ASSERT_TRUE(session.call("reference.noop").ok());  // the only thread is done with what came before
    ASSERT_TRUE(std::ranges::all_of(memory, [](std::byte one) { return one == std::byte{0x11}; })) << turn;
  }
  EXPECT_GT(late, 0) << "none of the calls was late, so nothing has been tested";
}

TEST_F(BufferTest, AfterTheAgentRestartedABufferIsAnErrorAndNoCrash) {
  auto buffer = session.allocate(100'000);
  ASSERT_TRUE(buffer.ok()) << buffer.text();
  const auto memory = memory_of(buffer.value);
  fill(memory, 30);
  const View input = floats("x", memory);
  expect_sum(input, 0);
  agent.kill();
  agent.start();
  ASSERT_TRUE(eventually([&] { return session.call("reference.noop").ok(); })) << "connects again";
  void* data = nullptr;
  EXPECT_EQ(vaccel_buffer_map(buffer.value.get(), &data), VACCEL_UNAVAILABLE);
  EXPECT_STREQ(vaccel_error_message(),
               "the buffer was leased from an agent that has gone since; free it and allocate another");
  EXPECT_REFUSED(session.call_views("reference.checksum", {&input.tensor, 1}), VACCEL_UNAVAILABLE,
                 "allocate another");
  const Places there({input.tensor});
  EXPECT_REFUSED(session.call_views("reference.noop", {}, &there.options), VACCEL_UNAVAILABLE,
                 "allocate another");
  EXPECT_EQ(sum_of(memory), sum_of(some_bytes(100'000, 30))) << "still to be read";
  std::ranges::fill(memory, std::byte{1});
  auto another = session.allocate(100'000);
  ASSERT_TRUE(another.ok()) << another.text();
  fill(memory_of(another.value), 31);
  expect_sum(floats("x", memory_of(another.value)), 0);
  buffer.value.reset();
  expect_sum(floats("x", memory_of(another.value)), 0);
}

TEST_F(BufferTest, AKilledWorkerLeavesBuffersAsTheyAre) {
  const auto buffer = session.allocate(100'000);
  ASSERT_TRUE(buffer.ok()) << buffer.text();
  fill(memory_of(buffer.value), 32);
  expect_sum(floats("x", memory_of(buffer.value)), 0);
  agent.kill_worker();
  const View input = floats("x", memory_of(buffer.value));
  ASSERT_TRUE(eventually([&] { return session.call_views("reference.checksum", {&input.tensor, 1}).ok(); }));
  expect_sum(input, 0);
}

// ---- With and without windows

struct Path {
  const char* name;
  const char* root;    // lines at the top of the agent's configuration
  const char* window;  // lines of [window]
  bool tcp;
  uint32_t flags;
  bool shared;
};

void PrintTo(const Path& path, std::ostream* out) {
  *out << path.name;
}

class BufferPaths : public testing::TestWithParam<Path> {};

TEST_P(BufferPaths, TheSameProgramDoesTheSame) {
  const Path& path = GetParam();
  const std::string tcp = "tcp:127.0.0.1:" + std::to_string(free_tcp_port());
  const AgentProcess agent(
      {.root = path.root, .more = std::string("[window]\n") + path.window, .listen = {tcp}});
  const Session session(path.tcp ? tcp : agent.endpoint(), path.flags);
  auto must_share = VACCEL_INIT(vaccel_buffer_options);
  must_share.flags = VACCEL_BUFFER_SHARED;
  if (path.shared) {
    EXPECT_TRUE(session.allocate(1000, &must_share).ok());
  } else {
    EXPECT_REFUSED(session.allocate(1000, &must_share), VACCEL_UNIMPLEMENTED, "shares no memory");
  }
  auto agent_told =
      given<AgentPtr>([&](vaccel_agent** place) { return vaccel_agent_describe(session.get(), place); });
  ASSERT_TRUE(agent_told.ok()) << agent_told.text();
  EXPECT_EQ(std::string(agent_told.value->window).starts_with("none: "), !path.shared)
      << agent_told.value->window;
  EXPECT_EQ(agent_told.value->window_bytes > 0, path.shared);
  const auto buffer = session.allocate(1'400'000);
  ASSERT_TRUE(buffer.ok()) << buffer.text();
  EXPECT_EQ(vaccel_buffer_is_shared(buffer.value.get()) != 0, path.shared);
  const auto memory = memory_of(buffer.value);
  for (const size_t size : {0u, 4u, 1000u, 4096u, 100'000u, 600'000u}) {
    for (uint32_t turn = 0; turn < 3; ++turn) {
      fill(memory.first(700'000), turn);
      std::ranges::fill(memory.subspan(700'000), std::byte{0});
      const View input = floats("x", memory.first(size));
      const View place = octets(nullptr, memory.subspan(700'000, size));
      const Places there({place.tensor});
      const auto echo =
          session.call_views("reference.echo", {&input.tensor, 1}, size > 0 ? &there.options : nullptr);
      ASSERT_TRUE(echo.ok()) << size << ": " << echo.text();
      EXPECT_TRUE(std::ranges::equal(data_of(echo.value->tensors[0]), memory.first(size))) << size;
      EXPECT_EQ(sum_of(memory.subspan(700'000)), sum_of(memory.first(size))) << size;
      if (path.shared) {
        EXPECT_EQ(echo.value->copied_bytes, 0u) << size;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, BufferPaths,
                         testing::Values(Path{"Window", "", "", false, 0, true},
                                         Path{"SwitchedOff", "", "enabled = false\n", false, 0, false},
                                         Path{"Tcp", "", "", true, 0, false},
                                         Path{"NoWindow", "", "", false, VACCEL_OPEN_NO_WINDOW, false},
                                         Path{"NoRings", "", "", false, VACCEL_OPEN_NO_RINGS, true},
                                         Path{"NoSpin", "", "", false, VACCEL_OPEN_NO_SPIN, true},
                                         Path{"AgentDoesNotSpin", "spin_us = 0\n", "", false, 0, true}),
                         [](const auto& path) { return path.param.name; });

// ---- Many at once

TEST_F(BufferTest, ThreadsShareBuffersAndASession) {
  constexpr size_t kThreads = 8;
  constexpr size_t kPart = 100'000;
  const auto shared = session.allocate(kThreads * kPart);
  ASSERT_TRUE(shared.ok()) << shared.text();
  const auto all = memory_of(shared.value);
  std::atomic<int> wrong = 0;
  {
    std::vector<std::jthread> threads;
    for (size_t thread = 0; thread < kThreads; ++thread) {
      threads.emplace_back([&, thread] {
        const auto part = all.subspan(thread * kPart, kPart);
        for (uint32_t turn = 0; turn < 100; ++turn) {
          fill(part, static_cast<uint32_t>(thread) * 1000 + turn);
          const auto own = session.allocate(kPart + thread * 3000);  // the sizes of some are the same
          if (!own.ok()) return void(++wrong);
          const View input = floats("x", part);
          const View place = octets("x", memory_of(own.value));
          const Places there({place.tensor});
          const auto echo = session.call_views("reference.echo", {&input.tensor, 1}, &there.options);
          const auto sum = session.call_views("reference.checksum", {&input.tensor, 1});
          if (!echo.ok() || !sum.ok() || !std::ranges::equal(data_of(echo.value->tensors[0]), part) ||
              sum_in(*sum.value) != sum_of(part))
            ++wrong;
        }
      });
    }
  }
  EXPECT_EQ(wrong, 0);
}

TEST_F(BufferTest, AnEventLoopMissesNoResult) {
  constexpr size_t kSlots = 32;
  constexpr size_t kBytes = 8192;
  const size_t calls = is_sanitized() ? 1000 : 10'000;
  struct Slot {
    BufferPtr buffer;
    RequestPtr request;
    uint32_t seed = 0;
    vaccel_tensor place{};  // lives as long as the request
  };
  std::vector<Slot> slots(kSlots);
  const int fd = vaccel_session_fd(session.get());
  ASSERT_GE(fd, 0) << vaccel_error_message();
  const UniqueFd epoll{::epoll_create1(EPOLL_CLOEXEC)};
  epoll_event wanted{.events = EPOLLIN, .data = {}};
  ASSERT_EQ(::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd, &wanted), 0);
  size_t sent = 0;
  size_t done = 0;
  const auto send = [&](Slot& slot) {
    slot.seed = static_cast<uint32_t>(sent++);
    const auto memory = memory_of(slot.buffer);
    fill(memory.first(kBytes), slot.seed);
    const View input = floats("x", memory.first(kBytes));
    slot.place.data = memory.data() + kBytes;
    slot.place.bytes = kBytes;
    auto options = VACCEL_INIT(vaccel_call_options);
    options.outputs = &slot.place;
    options.output_count = 1;
    options.user_data = &slot;
    auto request = session.submit_views("reference.echo", {&input.tensor, 1}, &options);
    ASSERT_TRUE(request.ok()) << request.text();
    slot.request = std::move(request.value);
  };
  for (Slot& slot : slots) {
    auto buffer = session.allocate(2 * kBytes);
    ASSERT_TRUE(buffer.ok()) << buffer.text();
    slot.buffer = std::move(buffer.value);
    ASSERT_NO_FATAL_FAILURE(send(slot));
  }
  while (done < calls) {
    epoll_event event{};
    ASSERT_EQ(::epoll_wait(epoll.get(), &event, 1, 20'000), 1) << "nothing after " << done << " of " << sent;
    for (vaccel_request* request = nullptr;;) {
      ASSERT_EQ(vaccel_poll(session.get(), &request), VACCEL_OK) << vaccel_error_message();
      if (request == nullptr) break;
      auto& slot = *static_cast<Slot*>(vaccel_request_user_data(request));
      ASSERT_EQ(vaccel_request_status(request), VACCEL_OK) << vaccel_error_message();
      const auto memory = memory_of(slot.buffer);
      ASSERT_TRUE(std::ranges::equal(memory.first(kBytes), memory.subspan(kBytes))) << slot.seed;
      slot.request.reset();
      ++done;
      if (sent == calls) continue;
      ASSERT_NO_FATAL_FAILURE(send(slot));
    }
  }
  EXPECT_EQ(done, calls);
  EXPECT_EQ(sent, calls);
}

}  // namespace
}  // namespace vaccel::integration
