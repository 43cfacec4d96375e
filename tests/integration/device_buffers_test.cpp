// SPDX-License-Identifier: Apache-2.0
//
// Buffers on devices as a program uses them: through an agent and in this process, on a device with memory of its own
// (OpenCL) and on backends that have none. What is uploaded stays there, and is computed with where it lies.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <numeric>
#include <thread>

#include "client/linalg_api_testing.h"
#include "support/agent_process.h"
#include "support/library.h"
#include "support/raw_client.h"
#include "support/real_parts.h"

namespace vaccel::integration {
namespace {

#define EXPECT_FAILS(call, expected, words)                                                                  \
  do {                                                                                                       \
    EXPECT_EQ(call, expected) << vaccel_error_message();                                                     \
    EXPECT_NE(std::string(vaccel_error_message()).find(words), std::string::npos) << vaccel_error_message(); \
  } while (false)

Given<BufferPtr> allocate_on(const Session& session, const char* backend, size_t bytes) {
  vaccel_buffer_options options = VACCEL_INIT(vaccel_buffer_options);
  options.flags = VACCEL_BUFFER_DEVICE;
  options.backend = backend;
  return session.allocate(bytes, &options);
}

std::byte* address_of(const BufferPtr& buffer) {
  void* address = nullptr;
  EXPECT_EQ(vaccel_buffer_device_address(buffer.get(), &address), VACCEL_OK) << vaccel_error_message();
  return static_cast<std::byte*>(address);
}

void upload(const Session& session, const BufferPtr& buffer, std::span<const std::byte> bytes,
            size_t offset = 0) {
  EXPECT_EQ(vaccel_buffer_upload(session.get(), buffer.get(), offset, bytes.data(), bytes.size(), nullptr),
            VACCEL_OK)
      << vaccel_error_message();
}

std::vector<std::byte> download(const Session& session, const BufferPtr& buffer, size_t offset,
                                size_t bytes) {
  std::vector<std::byte> got(bytes, std::byte{0xee});
  EXPECT_EQ(vaccel_buffer_download(session.get(), buffer.get(), offset, got.data(), bytes, nullptr),
            VACCEL_OK)
      << vaccel_error_message();
  return got;
}

std::vector<float> floats_of(std::span<const std::byte> bytes) {
  std::vector<float> floats(bytes.size() / sizeof(float));
  std::memcpy(floats.data(), bytes.data(), bytes.size());
  return floats;
}

std::span<const std::byte> bytes_of(const std::vector<float>& floats) {
  return std::as_bytes(std::span(floats));
}

// How a session reaches its backends.
enum class Way { kRings, kStream, kLocal };

struct Setting {
  Way way;
  const char* backend;
};

class DeviceBuffers : public testing::TestWithParam<Setting> {
 protected:
  static void SetUpTestSuite() {
    agent_.emplace(AgentSetup{.catalogue = real_catalogue(), .all_backends = true});
    config_.emplace();
    write_file(config_->path() / "vaccel.toml",
               "catalogue = \"" + std::filesystem::absolute(real_catalogue()).string() +
                   "\"\n[backends]\nload = [\"onnxruntime\", \"openblas\", \"opencl\", \"reference\"]\n");
  }
  static void TearDownTestSuite() {
    agent_.reset();
    config_.reset();
  }
  static std::string endpoint() {
    return GetParam().way == Way::kLocal ? "local:" + (config_->path() / "vaccel.toml").string()
                                         : agent_->endpoint();
  }
  static const char* backend() { return GetParam().backend; }
  [[nodiscard]] static bool has_own_memory() { return std::string(backend()) == "opencl"; }
  [[nodiscard]] Given<BufferPtr> allocate(size_t bytes) const {
    return allocate_on(session, backend(), bytes);
  }

  static inline std::optional<AgentProcess> agent_;
  static inline std::optional<TemporaryFolder> config_;
  const Session session{endpoint(), GetParam().way == Way::kStream ? VACCEL_OPEN_NO_WINDOW : 0u};
};

INSTANTIATE_TEST_SUITE_P(Ways, DeviceBuffers,
                         testing::Values(Setting{Way::kRings, "opencl"}, Setting{Way::kStream, "opencl"},
                                         Setting{Way::kLocal, "opencl"}, Setting{Way::kRings, "openblas"},
                                         Setting{Way::kStream, "openblas"}, Setting{Way::kLocal, "openblas"}),
                         [](const auto& one) {
                           const char* way = one.param.way == Way::kRings    ? "rings"
                                             : one.param.way == Way::kStream ? "stream"
                                                                             : "local";
                           return std::string(way) + "_" + one.param.backend;
                         });

TEST_P(DeviceBuffers, KeepWhatIsUploaded) {
  constexpr size_t kBytes = 100'003;
  const auto buffer = allocate(kBytes);
  ASSERT_TRUE(buffer.ok()) << buffer.text();
  EXPECT_EQ(vaccel_buffer_size(buffer.value.get()), kBytes);
  EXPECT_STREQ(vaccel_buffer_device(buffer.value.get()), has_own_memory() ? "opencl" : "");
  EXPECT_EQ(vaccel_buffer_is_shared(buffer.value.get()), 0);
  EXPECT_EQ(download(session, buffer.value, 0, kBytes), std::vector<std::byte>(kBytes))
      << "it begins as zeros";
  auto expected = some_bytes(kBytes, 1);
  upload(session, buffer.value, expected);
  EXPECT_EQ(download(session, buffer.value, 0, kBytes), expected);
  // Parts, at any byte.
  const auto part = some_bytes(1001, 2);
  upload(session, buffer.value, part, 777);
  std::ranges::copy(part, expected.begin() + 777);
  EXPECT_EQ(download(session, buffer.value, 0, kBytes), expected);
  EXPECT_EQ(download(session, buffer.value, 1234, 4),
            std::vector(expected.begin() + 1234, expected.begin() + 1238));
  EXPECT_EQ(download(session, buffer.value, kBytes - 1, 1), std::vector(1, expected.back()));
  upload(session, buffer.value, {}, kBytes);
}

TEST_P(DeviceBuffers, TakeMoreThanTravelsAtOnce) {
  constexpr size_t kBytes = (size_t{33} << 20) + 5;
  const auto buffer = allocate(kBytes);
  ASSERT_TRUE(buffer.ok()) << buffer.text();
  const auto bytes = some_bytes(kBytes, 3);
  upload(session, buffer.value, bytes);
  EXPECT_TRUE(download(session, buffer.value, 0, kBytes) == bytes);
}

TEST_P(DeviceBuffers, SaysWhatIsBeyondTheirEnd) {
  const auto buffer = allocate(100);
  ASSERT_TRUE(buffer.ok()) << buffer.text();
  std::byte byte{};
  EXPECT_FAILS(vaccel_buffer_upload(session.get(), buffer.value.get(), 100, &byte, 1, nullptr),
               VACCEL_INVALID_ARGUMENT,
               "1 bytes at offset 100 reach beyond the end of a buffer of 100 bytes");
  EXPECT_FAILS(vaccel_buffer_download(session.get(), buffer.value.get(), SIZE_MAX, &byte, 1, nullptr),
               VACCEL_INVALID_ARGUMENT, "reach beyond the end");
  EXPECT_FAILS(vaccel_buffer_upload(session.get(), buffer.value.get(), 0, nullptr, 1, nullptr),
               VACCEL_INVALID_ARGUMENT, "NULL");
  void* data = nullptr;
  EXPECT_FAILS(vaccel_buffer_map(buffer.value.get(), &data), VACCEL_UNIMPLEMENTED, "cannot be mapped");
  // A tensor that begins in it and goes on behind it.
  float result = 0;
  EXPECT_FAILS(vaccel_nrm2(session.get(), VACCEL_FLOAT32, 26, address_of(buffer.value), 1, &result, nullptr),
               VACCEL_INVALID_ARGUMENT, "beyond");
}

// Every operand in every kind of place, with gaps, in parts of a buffer that begin anywhere.
TEST_P(DeviceBuffers, ProductsAreWithinTheBounds) {
  const auto memory = allocate(1 << 20);
  ASSERT_TRUE(memory.ok()) << memory.text();
  std::byte* const base = address_of(memory.value);
  linalg_testing::Random random(31);
  for (const vaccel_dtype dtype : {VACCEL_FLOAT32, VACCEL_FLOAT64, VACCEL_FLOAT16}) {
    const size_t element = element_size(dtype);
    for (int where = 1; where < 8; ++where) {
      for (const size_t shift : {size_t{0}, size_t{3}}) {
        SCOPED_TRACE(linalg_testing::type_text(dtype) + std::string(", operands ") + std::to_string(where) +
                     ", shifted by " + std::to_string(shift));
        constexpr int64_t kM = 17, kN = 23, kK = 31;
        const linalg_testing::ProductCase one{
            dtype, VACCEL_COLUMN_MAJOR, VACCEL_TRANSPOSE, VACCEL_NO_TRANSPOSE, kM, kN, kK, 0.7, 0.5};
        auto a = one.a(5, 0, 1, random);
        auto b = one.b(2, 0, 1, random);
        auto c = one.c(0, 0, 1, random);
        const auto before = c;
        size_t used = shift * element;
        const auto place = [&](auto& matrix, int bit) -> std::byte* {
          if ((where & bit) == 0) return matrix.data();
          const size_t bytes = matrix.elements().count() * element;
          std::byte* const at = base + used;
          upload(session, memory.value, {matrix.data(), bytes}, used);
          used += bytes + element;  // never at a place that is aligned better
          return at;
        };
        std::byte* const a_at = place(a, 1);
        std::byte* const b_at = place(b, 2);
        const size_t c_offset = used;
        std::byte* const c_at = place(c, 4);
        ASSERT_EQ(vaccel_gemm(session.get(), dtype, one.order, one.transpose_a, one.transpose_b, kM, kN, kK,
                              one.alpha, a_at, a.ld(), b_at, b.ld(), one.beta, c_at, c.ld(), nullptr),
                  VACCEL_OK)
            << vaccel_error_message();
        if ((where & 4) != 0) {
          const size_t bytes = c.elements().count() * element;
          const auto got = download(session, memory.value, c_offset, bytes);
          std::ranges::copy(got, c.data());
        }
        one.expect(a, 0, b, 0, before, c, 0);
      }
    }
  }
}

TEST_P(DeviceBuffers, VectorsAreComputedWithWhereTheyLie) {
  constexpr int64_t kN = 1000;
  std::vector<float> x(kN), y(kN);
  std::iota(x.begin(), x.end(), 1.0f);
  std::fill(y.begin(), y.end(), 2.0f);
  const auto memory = allocate(4 * kN * sizeof(float));
  ASSERT_TRUE(memory.ok()) << memory.text();
  auto* const on_device = reinterpret_cast<float*>(address_of(memory.value));
  // At offsets that no alignment but an element's fits.
  float* const dx = on_device + 1;
  float* const dy = on_device + 1 + kN;
  float* const dz = on_device + 1 + 2 * kN;
  upload(session, memory.value, bytes_of(x), sizeof(float));
  upload(session, memory.value, bytes_of(y), sizeof(float) * (1 + kN));
  const auto read = [&](const float* from) {
    return floats_of(download(session, memory.value, static_cast<size_t>(from - on_device) * sizeof(float),
                              kN * sizeof(float)));
  };
  ASSERT_EQ(vaccel_axpy(session.get(), VACCEL_FLOAT32, kN, 3, dx, 1, dy, 1, nullptr), VACCEL_OK)
      << vaccel_error_message();
  for (size_t index = 0; index < kN; ++index)
    y[index] += 3 * x[index];
  EXPECT_EQ(read(dy), y);
  ASSERT_EQ(vaccel_scal(session.get(), VACCEL_FLOAT32, kN, 2, dy, 1, nullptr), VACCEL_OK);
  for (float& one : y)
    one *= 2;
  EXPECT_EQ(read(dy), y);
  ASSERT_EQ(vaccel_add(session.get(), VACCEL_FLOAT32, kN, dx, 1, dy, 1, dz, 1, nullptr), VACCEL_OK)
      << vaccel_error_message();
  std::vector<float> z(kN);
  std::ranges::transform(x, y, z.begin(), std::plus());
  EXPECT_EQ(read(dz), z);
  // From one place of the device to another, from there to here, and from here to there.
  ASSERT_EQ(vaccel_copy(session.get(), VACCEL_FLOAT32, kN, dz, 1, dx, 1, nullptr), VACCEL_OK);
  EXPECT_EQ(read(dx), z);
  std::vector<float> here(kN);
  ASSERT_EQ(vaccel_copy(session.get(), VACCEL_FLOAT32, kN, dy, 1, here.data(), 1, nullptr), VACCEL_OK);
  EXPECT_EQ(here, y);
  ASSERT_EQ(vaccel_copy(session.get(), VACCEL_FLOAT32, kN, x.data(), 1, dz, 1, nullptr), VACCEL_OK);
  EXPECT_EQ(read(dz), x);
  // Numbers, to here and to there.
  float greatest = 0;
  ASSERT_EQ(vaccel_max(session.get(), VACCEL_FLOAT32, kN, dz, 1, &greatest, nullptr), VACCEL_OK);
  EXPECT_EQ(greatest, static_cast<float>(kN));
  ASSERT_EQ(vaccel_min(session.get(), VACCEL_FLOAT32, kN, dz, 1, dx, nullptr), VACCEL_OK);
  EXPECT_EQ(read(dx).front(), 1.0f);
  ASSERT_EQ(vaccel_dot(session.get(), VACCEL_FLOAT32, kN, dz, 1, x.data(), 1, dx, nullptr), VACCEL_OK);
  EXPECT_NEAR(read(dx).front(), 333'833'500.0f, 1000.0f);
}

TEST_P(DeviceBuffers, HaveNoGapsWhereTheLibraryWouldHaveToLook) {
  const auto memory = allocate(4096);
  ASSERT_TRUE(memory.ok()) << memory.text();
  std::byte* const there = address_of(memory.value);
  std::vector<float> here(1024, 1.0f);
  float result = 0;
  const auto gemm = [&](void* c, int64_t ldc) {
    return vaccel_gemm(session.get(), VACCEL_FLOAT32, VACCEL_ROW_MAJOR, VACCEL_NO_TRANSPOSE,
                       VACCEL_NO_TRANSPOSE, 4, 4, 4, 1, here.data(), 4, here.data(), 4, 0, c, ldc, nullptr);
  };
  EXPECT_FAILS(gemm(there, 5), VACCEL_INVALID_ARGUMENT,
               "the result lies in a device buffer, where it must be dense");
  EXPECT_FAILS(vaccel_nrm2(session.get(), VACCEL_FLOAT32, 10, there, 2, &result, nullptr),
               VACCEL_INVALID_ARGUMENT, "lies in a device buffer with gaps");
  EXPECT_FAILS(vaccel_nrm2(session.get(), VACCEL_FLOAT32, 10, there, -1, &result, nullptr),
               VACCEL_INVALID_ARGUMENT, "x lies in a device buffer");
  EXPECT_FAILS(vaccel_scal(session.get(), VACCEL_FLOAT32, 10, 2, there, -1, nullptr), VACCEL_INVALID_ARGUMENT,
               "lies in a device buffer");
  const void* const matrices[] = {there};
  void* const results[] = {here.data()};
  EXPECT_FAILS(
      vaccel_gemm_batch(session.get(), VACCEL_FLOAT32, VACCEL_ROW_MAJOR, VACCEL_NO_TRANSPOSE,
                        VACCEL_NO_TRANSPOSE, 2, 2, 2, 1, matrices, 2, matrices, 2, 0, results, 2, 1, nullptr),
      VACCEL_INVALID_ARGUMENT, "a lies in a device buffer");
  // Strings would have to be looked at.
  const int64_t one = 1;
  vaccel_tensor strings{};
  strings.data = there;
  strings.bytes = 64;
  strings.shape = &one;
  strings.rank = 1;
  strings.dtype = VACCEL_STRING;
  const auto echoed = session.call_views("vaccel.echo", {&strings, 1});
  EXPECT_EQ(echoed.status, VACCEL_INVALID_ARGUMENT) << echoed.text();
  EXPECT_TRUE(echoed.says("strings, which cannot lie in a device buffer")) << echoed.text();
}

TEST_P(DeviceBuffers, AreUsedAsTheyWereWhenTheCallWasMade) {
  // Submitted calls, many at once, each with a buffer of its own that is freed at once. On its own, another backend would
  // be chosen for this operator, which could not reach OpenCL's memory.
  std::vector<std::vector<float>> results(8, std::vector<float>(512));
  std::vector<RequestPtr> requests;
  std::vector<std::unique_ptr<vaccel_tensor>> places;
  const int64_t count = 512;
  for (size_t index = 0; index < results.size(); ++index) {
    const auto buffer = allocate(512 * sizeof(float));
    ASSERT_TRUE(buffer.ok()) << buffer.text();
    const std::vector<float> values(512, static_cast<float>(index));
    upload(session, buffer.value, bytes_of(values));
    vaccel_tensor x{};
    x.name = "x";
    x.data = address_of(buffer.value);
    x.bytes = values.size() * sizeof(float);
    x.shape = &count;
    x.rank = 1;
    x.dtype = VACCEL_FLOAT32;
    auto place = std::make_unique<vaccel_tensor>();
    place->data = results[index].data();
    place->bytes = results[index].size() * sizeof(float);
    vaccel_call_options options = VACCEL_INIT(vaccel_call_options);
    options.outputs = place.get();
    options.output_count = 1;
    auto request = session.submit_views("scal", {&x, 1}, &options);
    ASSERT_TRUE(request.ok()) << request.text();
    requests.push_back(std::move(request.value));
    places.push_back(std::move(place));
  }
  for (size_t index = 0; index < requests.size(); ++index) {
    ASSERT_EQ(vaccel_wait(requests[index].get(), 0), VACCEL_OK) << vaccel_error_message();
    EXPECT_EQ(results[index], std::vector<float>(512, static_cast<float>(index)));
  }
}

TEST_P(DeviceBuffers, TakeOperatorsThatWorkThereAndNoOthers) {
  const auto cat = file_bytes(photo("chelsea.png"));
  const auto buffer = allocate(cat.size());
  ASSERT_TRUE(buffer.ok()) << buffer.text();
  upload(session, buffer.value, cat);
  const auto classes = session.classify("mobilenet", {address_of(buffer.value), cat.size()});
  if (!has_own_memory()) {
    ASSERT_TRUE(classes.ok()) << classes.text();
    EXPECT_EQ(classes.value->items[0].index, 286);
    return;
  }
  EXPECT_EQ(classes.status, VACCEL_UNIMPLEMENTED) << classes.text();
  EXPECT_TRUE(classes.says("operator 'classify' cannot use memory on the device of backend 'opencl'"))
      << classes.text();
  // Another backend cannot reach it.
  vaccel_call_options options = VACCEL_INIT(vaccel_call_options);
  options.backend = "openblas";
  float result = 0;
  EXPECT_FAILS(vaccel_nrm2(session.get(), VACCEL_FLOAT32, 8, address_of(buffer.value), 1, &result, &options),
               VACCEL_INVALID_ARGUMENT,
               "wants backend 'openblas' and uses memory on the device of backend 'opencl'");
  // An element that begins between two.
  EXPECT_FAILS(
      vaccel_nrm2(session.get(), VACCEL_FLOAT64, 1, address_of(buffer.value) + 4, 1, &result, nullptr),
      VACCEL_INVALID_ARGUMENT, "begins 4 bytes into a device buffer; it must be a multiple of 8");
}

TEST_P(DeviceBuffers, SayWhatTheyCannotBe) {
  const auto allocate_with = [&](uint32_t flags, uint64_t alignment, const char* name) {
    vaccel_buffer_options options = VACCEL_INIT(vaccel_buffer_options);
    options.flags = flags;
    options.alignment = alignment;
    options.backend = name;
    return session.allocate(100, &options);
  };
  EXPECT_EQ(allocate_with(VACCEL_BUFFER_DEVICE, 0, "no-such").status, VACCEL_NOT_FOUND);
  EXPECT_TRUE(allocate_with(VACCEL_BUFFER_DEVICE, 0, "no-such").says("no backend 'no-such'; there are: "));
  EXPECT_TRUE(allocate_with(VACCEL_BUFFER_DEVICE, 64, nullptr).says("alignment must be 0"));
  EXPECT_TRUE(allocate_with(VACCEL_BUFFER_DEVICE | VACCEL_BUFFER_SHARED, 0, nullptr).says("must be 0"));
  EXPECT_TRUE(allocate_with(0, 0, "openblas").says("it is for buffers with VACCEL_BUFFER_DEVICE"));
  EXPECT_EQ(allocate_on(session, backend(), size_t{1} << 45).status, VACCEL_RESOURCE_EXHAUSTED);
  EXPECT_EQ(allocate_on(session, backend(), size_t{1} << 43).status, VACCEL_RESOURCE_EXHAUSTED);
  // Without a name: where products are best.
  const auto any = allocate_on(session, nullptr, 100);
  ASSERT_TRUE(any.ok()) << any.text();
  upload(session, any.value, some_bytes(100, 5));
  EXPECT_EQ(download(session, any.value, 0, 100), some_bytes(100, 5));
}

TEST_P(DeviceBuffers, BelongToTheirSession) {
  const Session other{endpoint()};
  const auto buffer = allocate(64);
  ASSERT_TRUE(buffer.ok()) << buffer.text();
  std::byte byte{};
  EXPECT_FAILS(vaccel_buffer_upload(other.get(), buffer.value.get(), 0, &byte, 1, nullptr),
               VACCEL_INVALID_ARGUMENT, "belongs to another session");
}

TEST_P(DeviceBuffers, MayBeFreedWhenTheirSessionHasGone) {
  Session closing{endpoint()};
  auto buffer = allocate_on(closing, backend(), 1 << 20);
  ASSERT_TRUE(buffer.ok()) << buffer.text();
  closing.close();
  buffer.value.reset();
}

TEST(OrdinaryBuffers, AreUploadedToAndDownloadedFromAlike) {
  const AgentProcess agent;
  for (const uint32_t flags : {0u, VACCEL_OPEN_NO_WINDOW}) {
    const Session session(agent.endpoint(), flags);
    const auto buffer = session.allocate(1000);
    ASSERT_TRUE(buffer.ok()) << buffer.text();
    const auto bytes = some_bytes(1000, 9);
    upload(session, buffer.value, bytes);
    EXPECT_EQ(download(session, buffer.value, 0, 1000), bytes);
    EXPECT_EQ(address_of(buffer.value), memory_of(buffer.value).data());
    EXPECT_STREQ(vaccel_buffer_device(buffer.value.get()), "");
  }
}

// ---- Limits and ends

uint64_t device_bytes(const AgentProcess& agent) {
  const Ended ended = agent.vaccelctl({"--json", "status"});
  const std::string name = "\"device_bytes\":";
  const size_t at = ended.log.find(name);
  EXPECT_NE(at, std::string::npos) << ended.log;
  return at == std::string::npos ? 0 : std::strtoull(ended.log.c_str() + at + name.size(), nullptr, 10);
}

AgentSetup limited() {
  return {.more = "[device]\nmax_bytes = \"1M\"\nmax_buffers = 3\nmax_total_bytes = \"1536K\"\n"};
}

TEST(DeviceBufferLimits, HoldToTheByte) {
  const AgentProcess agent(limited());
  const Session session(agent.endpoint());
  constexpr size_t kMost = size_t{1} << 20;
  const auto over = allocate_on(session, "reference", kMost + 1);
  EXPECT_EQ(over.status, VACCEL_RESOURCE_EXHAUSTED);
  EXPECT_TRUE(over.says("0 bytes of device buffers; with 1048577 more")) << over.text();
  auto whole = allocate_on(session, "reference", kMost);
  ASSERT_TRUE(whole.ok()) << whole.text();
  EXPECT_EQ(allocate_on(session, "reference", 1).status, VACCEL_RESOURCE_EXHAUSTED);
  EXPECT_EQ(device_bytes(agent), kMost);
  whole.value.reset();
  EXPECT_TRUE(eventually([&] { return device_bytes(agent) == 0; })) << "freed without another call";
  std::vector<BufferPtr> few;
  for (int index = 0; index < 3; ++index) {
    auto one = allocate_on(session, "reference", 1);
    ASSERT_TRUE(one.ok()) << one.text();
    few.push_back(std::move(one.value));
  }
  const auto fourth = allocate_on(session, "reference", 1);
  EXPECT_EQ(fourth.status, VACCEL_RESOURCE_EXHAUSTED);
  EXPECT_TRUE(fourth.says("has 3 device buffers; the limit is 3")) << fourth.text();
  // All sessions together.
  few.clear();
  auto mine = allocate_on(session, "reference", kMost);
  ASSERT_TRUE(mine.ok()) << mine.text();
  Session other(agent.endpoint());
  auto its = allocate_on(other, "reference", kMost / 2);
  ASSERT_TRUE(its.ok()) << its.text();
  const auto too_much = allocate_on(other, "reference", 1);
  EXPECT_EQ(too_much.status, VACCEL_RESOURCE_EXHAUSTED);
  EXPECT_TRUE(too_much.says("of 1572864 for all sessions")) << too_much.text();
  its.value.reset();
  other.close();
  mine.value.reset();
  EXPECT_TRUE(eventually([&] { return device_bytes(agent) == 0; }));
}

TEST(DeviceBufferEnds, ASessionsMemoryGoesWithIt) {
  const AgentProcess agent(limited());
  {
    RawClient client(agent.endpoint());
    const Answer answer = client.ask(2, wire::AllocateMemory{"reference", 1 << 20, 0});
    ASSERT_EQ(answer.kind, wire::Kind::kMemoryAllocated) << answer.text();
    EXPECT_EQ(device_bytes(agent), 1u << 20);
    // One that is asked for while the client goes.
    client.send(3, wire::AllocateMemory{"reference", 100, 0});
  }
  EXPECT_TRUE(eventually([&] { return device_bytes(agent) == 0; }));
  // The worker has let go of it, too: it can be had again, many times.
  const Session session(agent.endpoint());
  for (int round = 0; round < 200; ++round)
    ASSERT_TRUE(allocate_on(session, "reference", 1 << 20).ok()) << round;
}

TEST(DeviceBufferEnds, AWorkersEndLosesThem) {
  AgentProcess agent;
  const Session session(agent.endpoint());
  const auto buffer = allocate_on(session, "reference", 4096);
  ASSERT_TRUE(buffer.ok()) << buffer.text();
  upload(session, buffer.value, some_bytes(4096, 7));
  agent.kill_worker();
  std::byte byte{};
  ASSERT_TRUE(eventually([&] { return session.call("reference.noop").ok(); }));
  EXPECT_FAILS(vaccel_buffer_download(session.get(), buffer.value.get(), 0, &byte, 1, nullptr),
               VACCEL_UNAVAILABLE, "the device buffer was lost with the worker that held it");
  const auto another = allocate_on(session, "reference", 4096);
  ASSERT_TRUE(another.ok()) << another.text();
  EXPECT_EQ(download(session, another.value, 0, 4096), std::vector<std::byte>(4096));
}

TEST(DeviceBufferEnds, AnAgentsEndLosesThem) {
  AgentProcess agent;
  const Session session(agent.endpoint());
  auto buffer = allocate_on(session, "reference", 4096);
  ASSERT_TRUE(buffer.ok()) << buffer.text();
  agent.kill();
  agent.start();
  ASSERT_TRUE(eventually([&] { return session.call("reference.noop").ok(); }));
  std::byte byte{};
  EXPECT_FAILS(vaccel_buffer_download(session.get(), buffer.value.get(), 0, &byte, 1, nullptr),
               VACCEL_UNAVAILABLE, "gone since");
  buffer.value.reset();  // and tells the new agent nothing
  EXPECT_TRUE(session.call("reference.noop").ok());
}

// ---- Clients that are not the library

wire::Call transfer_of(uint32_t memory, uint64_t offset, uint64_t bytes) {
  wire::Call call = call_of("transfer");
  wire::Tensor data{.name = "data", .dtype = VACCEL_UINT8, .rank = 1};
  data.shape[0] = static_cast<int64_t>(bytes);
  data.segment = static_cast<wire::Segment>(memory);
  data.offset = offset;
  data.bytes = bytes;
  call.inputs = {data};
  return call;
}

TEST(HostileDeviceBuffers, AreReachedBySoManyBytesOfTheirOwnAndNoMore) {
  const AgentProcess agent(limited());
  RawClient client(agent.endpoint());
  RawClient other(agent.endpoint());
  const Answer mine = client.ask(2, wire::AllocateMemory{"reference", 1000, 0});
  const Answer its = other.ask(2, wire::AllocateMemory{"reference", 1000, 0});
  ASSERT_EQ(mine.kind, wire::Kind::kMemoryAllocated) << mine.text();
  ASSERT_EQ(its.kind, wire::Kind::kMemoryAllocated) << its.text();
  ASSERT_NE(mine.memory, its.memory);
  uint64_t id = 3;
  EXPECT_TRUE(client.ask(id++, transfer_of(mine.memory, 0, 1000)).is_result());
  EXPECT_TRUE(client.ask(id++, transfer_of(mine.memory, 999, 1)).is_result());
  for (const auto& [memory, offset, bytes] : {std::tuple{mine.memory, uint64_t{0}, uint64_t{1001}},
                                              {mine.memory, 1000, 1},
                                              {mine.memory, ~uint64_t{0}, 1},
                                              {mine.memory, 1, 1000},
                                              {its.memory, 0, 1},
                                              {mine.memory + 1, 0, 1},
                                              {wire::kFirstMemoryNumber, 0, 1}}) {
    const Answer answer = client.ask(id++, transfer_of(memory, offset, bytes));
    EXPECT_EQ(answer.code, VACCEL_INVALID_ARGUMENT)
        << memory << " " << offset << " " << bytes << answer.text();
  }
  // Places for results, likewise, and two that overlap.
  for (const auto& places : {std::vector<wire::Place>{{"", 990, 11, static_cast<wire::Segment>(mine.memory)}},
                             {{"", 0, 8, static_cast<wire::Segment>(its.memory)}},
                             {{"", 0, 8, static_cast<wire::Segment>(mine.memory)},
                              {"", 7, 8, static_cast<wire::Segment>(mine.memory)}},
                             {{"", 0, 8, static_cast<wire::Segment>(wire::kFirstWindowNumber)}}}) {
    wire::Call call = transfer_of(mine.memory, 100, 8);
    call.places = places;
    const Answer answer = client.ask(id++, call);
    EXPECT_EQ(answer.code, VACCEL_INVALID_ARGUMENT) << answer.text();
  }
  wire::Call good = transfer_of(mine.memory, 100, 8);
  good.places = {{"", 0, 8, static_cast<wire::Segment>(mine.memory)}};
  const Answer placed = client.ask(id++, good);
  ASSERT_TRUE(placed.is_result()) << placed.text();
  EXPECT_EQ(static_cast<uint32_t>(placed.result.outputs[0].segment), mine.memory);
  // The agent's own operators take none.
  wire::Call echo = transfer_of(mine.memory, 0, 8);
  echo.operator_name = "vaccel.echo";
  EXPECT_EQ(client.ask(id++, echo).code, VACCEL_INVALID_ARGUMENT);
  // One that has none of its own reaches nobody's, by whichever number: those of the worker are counted from 0.
  RawClient third(agent.endpoint());
  for (const uint32_t memory :
       {mine.memory, its.memory, wire::kFirstMemoryNumber, wire::kFirstMemoryNumber + 1}) {
    EXPECT_EQ(third.ask(id++, transfer_of(memory, 0, 1)).code, VACCEL_INVALID_ARGUMENT);
    wire::Call call = call_with_bytes("transfer", 8);
    call.places = {{"", 0, 8, static_cast<wire::Segment>(memory)}};
    EXPECT_EQ(third.ask(id++, call, some_bytes(8, 1)).code, VACCEL_INVALID_ARGUMENT);
  }
  // What is freed is gone, and freeing what one has not is told.
  EXPECT_TRUE(client.send(id++, wire::FreeMemory{mine.memory}));
  EXPECT_EQ(client.ask(id++, transfer_of(mine.memory, 0, 1)).code, VACCEL_INVALID_ARGUMENT);
  EXPECT_EQ(client.ask(id++, wire::FreeMemory{its.memory}).code, VACCEL_INVALID_ARGUMENT);
  EXPECT_EQ(client.ask(id++, wire::FreeMemory{7}).code, VACCEL_INVALID_ARGUMENT);
  EXPECT_EQ(client.ask(id++, wire::AllocateMemory{"", 0, 0}).code, VACCEL_INVALID_ARGUMENT);
  EXPECT_EQ(client.ask(id++, wire::AllocateMemory{"", UINT64_MAX, 0}).code, VACCEL_INVALID_ARGUMENT);
  EXPECT_TRUE(other.ask(3, transfer_of(its.memory, 0, 1000)).is_result());
  expect_serves(agent.endpoint());
}

TEST(HostileDeviceBuffers, CannotBeHadFasterThanTheyAreCounted) {
  const AgentProcess agent(limited());
  RawClient client(agent.endpoint());
  for (uint64_t id = 2; id < 22; ++id)
    ASSERT_TRUE(client.send(id, wire::AllocateMemory{"reference", 600'000, 0}));
  int got = 0;
  for (uint64_t id = 2; id < 22; ++id) {
    const auto answer = client.await(id);
    ASSERT_TRUE(answer);
    if (answer->kind == wire::Kind::kMemoryAllocated) ++got;
  }
  EXPECT_EQ(got, 1) << "two would be more than a session may have";
  EXPECT_EQ(device_bytes(agent), 600'000u);
}

// A guest that writes to the memory while its own calls read integers there hurts nobody: they are copied first.
TEST(HostileDeviceBuffers, ThatChangeMeanwhileAreNoIndices) {
  const AgentProcess agent({.catalogue = real_catalogue(), .all_backends = true});
  const Session session(agent.endpoint());
  const auto cat = file_bytes(photo("chelsea.png"));
  const auto buffer = allocate_on(session, "openblas", cat.size());
  ASSERT_TRUE(buffer.ok()) << buffer.text();
  upload(session, buffer.value, cat);
  std::atomic<bool> done = false;
  std::thread writer([&] {
    for (uint32_t round = 0; !done; ++round) {
      const auto noise = some_bytes(512, round);
      EXPECT_EQ(vaccel_buffer_upload(session.get(), buffer.value.get(), round % 2 == 0 ? 0 : cat.size() - 512,
                                     noise.data(), noise.size(), nullptr),
                VACCEL_OK);
      EXPECT_EQ(vaccel_buffer_upload(session.get(), buffer.value.get(), 0, cat.data(), cat.size(), nullptr),
                VACCEL_OK);
    }
  });
  for (int round = 0; round < 20; ++round) {
    const auto classes = session.classify("mobilenet", {address_of(buffer.value), cat.size()});
    EXPECT_TRUE(classes.ok() || classes.status == VACCEL_INVALID_ARGUMENT) << classes.text();
  }
  done = true;
  writer.join();
  EXPECT_EQ(agent.workers().size(), 1u);
  expect_serves(agent.endpoint());
}

}  // namespace
}  // namespace vaccel::integration
