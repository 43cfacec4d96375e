// SPDX-License-Identifier: Apache-2.0
//
// The promise that nothing is copied and nothing large allocated for a call whose tensors lie in buffers, and that where
// a rule demands a copy it is one: counted in a real agent and its worker, whose allocations a preloaded library sees.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <functional>

#include "support/agent_process.h"
#include "support/allocation_counts.h"
#include "support/library.h"
#include "support/raw_client.h"
#include "support/real_parts.h"

namespace vaccel::integration {
namespace {

constexpr int kCalls = 200;

// The counters of the processes that have the library preloaded.
class AllocationCounts {
 public:
  AllocationCounts() {
    const UniqueFd fd{::open(file().c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)};
    constexpr size_t kBytes = kCountedProcesses * sizeof(allocation_count);
    EXPECT_EQ(::ftruncate(fd.get(), kBytes), 0);
    void* memory = ::mmap(nullptr, kBytes, PROT_READ, MAP_SHARED, fd.get(), 0);
    EXPECT_NE(memory, MAP_FAILED);
    mapping_ = Mapping{memory, kBytes};
  }

  /// A command that runs another with its allocations counted.
  [[nodiscard]] std::vector<std::string> wrapper() const {
    return {"env", "LD_PRELOAD=" VACCEL_COUNT_ALLOCATIONS, VACCEL_ALLOCATION_COUNTS "=" + file()};
  }
  /// What the worker must be let have for it.
  [[nodiscard]] std::string jail() const {
    return "[jail]\nread = [\"" VACCEL_COUNT_ALLOCATIONS "\"]\nwrite = [\"" + file() + "\"]\n";
  }
  /// Those of a process; nullptr: there are none.
  [[nodiscard]] const allocation_count* of(pid_t pid, const std::string& program) const {
    const auto* all = reinterpret_cast<const allocation_count*>(mapping_.bytes().data());
    for (const allocation_count& one : std::span(all, static_cast<size_t>(kCountedProcesses))) {
      // A jailed one has counted itself as the first of its namespace.
      if ((one.pid == pid || one.pid == 1) && one.program == program) return &one;
    }
    return nullptr;
  }

 private:
  [[nodiscard]] std::string file() const { return (folder_.path() / "counts").string(); }

  TemporaryFolder folder_;
  Mapping mapping_;
};

class Copies : public testing::Test {
 protected:
  void SetUp() override {
    if (is_sanitized()) GTEST_SKIP() << "skipped: a sanitizer has an allocator of its own";
    agent.emplace(AgentSetup{.worker = "threads = 2",
                             .more = counts.jail(),
                             .catalogue = std::filesystem::exists(real_catalogue()) ? real_catalogue() : "",
                             .all_backends = true,
                             .wrapper = counts.wrapper()});
    session.emplace(agent->endpoint());
    agent_count = counts.of(agent->pid(), "vacceld");
    worker_count = counts.of(agent->worker(), "vaccel-worker");
    ASSERT_NE(agent_count, nullptr);
    ASSERT_NE(worker_count, nullptr);
    ASSERT_GT(agent_count->large, 0u) << "even its start allocates something";
    ASSERT_GT(worker_count->maps, 0u);
  }

  enum class Pieces { kLarge, kHuge };  // of more than 4 KB; of more than 64 KB
  /// What both processes have allocated and mapped so far.
  [[nodiscard]] uint64_t allocated(Pieces pieces) const {
    const uint64_t maps = agent_count->maps + worker_count->maps;
    return maps + (pieces == Pieces::kLarge ? agent_count->large + worker_count->large
                                            : agent_count->huge + worker_count->huge);
  }
  /// Who allocated last, for messages.
  [[nodiscard]] std::string last() const {
    std::string text;
    for (const allocation_count* one : {agent_count, worker_count}) {
      char offset[32];
      std::snprintf(offset, sizeof offset, "+%#llx", static_cast<unsigned long long>(one->module_offset));
      text += "\n  " + std::string(one->program) + " has allocated " + std::to_string(one->large) +
              ", mapped " + std::to_string(one->maps) + "; last " + std::to_string(one->bytes) +
              " bytes, by " + one->module + offset;
    }
    return text;
  }

  /// Calls until a while has passed in which nothing was allocated, and then expects that of every further call. A thread of
  /// the worker's that has its first call late is allowed what it keeps from then on: then it begins again.
  /// @param call  Makes one, and says how much was copied.
  /// @param pieces  Those that are not allowed.
  void expect_steady(uint64_t copied_bytes, const std::function<uint64_t()>& call,
                     Pieces pieces = Pieces::kLarge) {
    constexpr int kQuiet = 100;
    constexpr int kMost = 3000;
    int quiet = 0;
    for (int count = 0; count < kMost && quiet < kQuiet && !HasFailure(); ++count) {
      const uint64_t before = allocated(pieces);
      (void)call();
      quiet = allocated(pieces) == before ? quiet + 1 : 0;
    }
    ASSERT_EQ(quiet, kQuiet) << "it never stops allocating:" << last();
    constexpr int kLateThreads = 3;
    uint64_t before = 0;
    for (int trial = 0; trial <= kLateThreads; ++trial) {
      before = allocated(pieces);
      const uint64_t traffic = agent_copied();
      for (int count = 0; count < kCalls; ++count)
        ASSERT_EQ(call(), copied_bytes);
      EXPECT_EQ(agent_copied() - traffic, kCalls * through_agent) << "by the agent";
      if (allocated(pieces) == before) return;
    }
    EXPECT_EQ(allocated(pieces), before) << last();
  }

  /// The agent's own count: it never touches what lies in a window.
  [[nodiscard]] uint64_t agent_copied() const {
    const Ended ended = agent->vaccelctl({"--json", "status"});
    const std::string name = "\"copied_bytes\":";
    const size_t at = ended.log.find(name);
    EXPECT_NE(at, std::string::npos) << ended.log;
    return at != std::string::npos ? std::stoull(ended.log.substr(at + name.size())) : 0;
  }

  AllocationCounts counts;
  std::optional<AgentProcess> agent;
  std::optional<Session> session;
  const allocation_count* agent_count = nullptr;
  const allocation_count* worker_count = nullptr;
  uint64_t through_agent = 0;  // what of each call's results travels in frames
};

vaccel_tensor tensor_in(std::span<std::byte> memory, vaccel_dtype dtype, std::span<const int64_t> shape) {
  vaccel_tensor tensor{};
  tensor.data = memory.data();
  tensor.bytes = memory.size();
  tensor.dtype = dtype;
  tensor.rank = static_cast<int32_t>(shape.size());
  tensor.shape = shape.data();
  return tensor;
}

TEST_F(Copies, FloatsInBuffersGoThroughAnOperatorUncopied) {
  const auto buffer = session->allocate(1'200'000);
  ASSERT_TRUE(buffer.ok()) << buffer.text();
  const auto memory = memory_of(buffer.value);
  std::ranges::copy(some_bytes(600'000, 1), memory.begin());
  const int64_t shape[] = {150'000};
  const vaccel_tensor input = tensor_in(memory.first(600'000), VACCEL_FLOAT32, shape);
  const vaccel_tensor place = tensor_in(memory.subspan(600'000), VACCEL_FLOAT32, shape);
  auto options = VACCEL_INIT(vaccel_call_options);
  options.outputs = &place;
  options.output_count = 1;
  expect_steady(0, [&] {
    memory[700'000] = ~memory[100'000];
    const auto echo = session->call_views("reference.echo", {&input, 1}, &options);
    EXPECT_TRUE(echo.ok()) << echo.text();
    EXPECT_EQ(memory[700'000], memory[100'000]);
    return echo.ok() ? echo.value->copied_bytes : UINT64_MAX;
  });
}

TEST_F(Copies, FloatsInBuffersGoThroughAModelUncopied) {
  VACCEL_NEEDS_MOBILENET();
  const auto buffer = session->allocate(700'000);
  ASSERT_TRUE(buffer.ok()) << buffer.text();
  const auto memory = memory_of(buffer.value);
  const std::vector<float> grey(3 * 224 * 224, 0.25F);
  std::ranges::copy(std::as_bytes(std::span(grey)), memory.begin());
  const int64_t shape[] = {1, 3, 224, 224};
  const vaccel_tensor input = tensor_in(memory.first(grey.size() * 4), VACCEL_FLOAT32, shape);
  const vaccel_tensor place =
      tensor_in(memory.subspan(grey.size() * 4 + 64 - grey.size() * 4 % 64, 8192), VACCEL_FLOAT32, {});
  auto options = VACCEL_INIT(vaccel_call_options);
  options.outputs = &place;
  options.output_count = 1;
  expect_steady(0, [&] {
    const auto inferred = session->call_views("infer", {&input, 1}, &options, "mobilenet");
    EXPECT_TRUE(inferred.ok()) << inferred.text();
    if (!inferred.ok()) return UINT64_MAX;
    EXPECT_EQ(inferred.value->tensors[0].data, place.data);
    return inferred.value->copied_bytes;
  });
}

TEST_F(Copies, IntegersAreCopiedOnce) {
  const auto buffer = session->allocate(600'000);
  ASSERT_TRUE(buffer.ok()) << buffer.text();
  const auto memory = memory_of(buffer.value);
  std::ranges::copy(some_bytes(600'000, 2), memory.begin());
  const uint64_t sum = sum_of(memory);
  const int64_t shape[] = {150'000};
  const vaccel_tensor input = tensor_in(memory, VACCEL_INT32, shape);
  through_agent = sizeof sum;
  expect_steady(600'000 + sizeof sum, [&] {
    const auto checked = session->call_views("reference.checksum", {&input, 1});
    EXPECT_TRUE(checked.ok()) << checked.text();
    if (!checked.ok()) return UINT64_MAX;
    EXPECT_EQ(sum_in(*checked.value), sum);
    return checked.value->copied_bytes;
  });
}

TEST_F(Copies, InputsFromAnywhereAreCopiedOnceByTheLibrary) {
  std::vector<std::byte> bytes = some_bytes(600'000, 3);
  const int64_t shape[] = {150'000};
  const vaccel_tensor input = tensor_in(bytes, VACCEL_FLOAT32, shape);
  expect_steady(600'000, [&] {
    const auto echo = session->call_views("reference.echo", {&input, 1});
    EXPECT_TRUE(echo.ok()) << echo.text();
    return echo.ok() ? echo.value->copied_bytes : UINT64_MAX;
  });
}

// Decoders allocate their own state (zlib's window has 32 KB); pictures, pixels and tensors lie in memory that is kept.
TEST_F(Copies, APictureIsCopiedOnce) {
  VACCEL_NEEDS_MOBILENET();
  VACCEL_NEEDS(photo("chelsea.png"));
  const auto picture = file_bytes(photo("chelsea.png"));
  const auto buffer = session->allocate(picture.size());
  ASSERT_TRUE(buffer.ok()) << buffer.text();
  std::ranges::copy(picture, memory_of(buffer.value).begin());
  const int64_t shape[] = {static_cast<int64_t>(picture.size())};
  vaccel_tensor image = tensor_in(memory_of(buffer.value), VACCEL_UINT8, shape);
  image.name = "image";
  const vaccel_attribute top = int_attribute("top", 5);
  const auto call = [&] {
    const auto classes = given<OutputsPtr>([&](vaccel_outputs** outputs) {
      return vaccel_call(session->get(), "classify", "mobilenet", &top, 1, &image, 1, nullptr, outputs);
    });
    EXPECT_TRUE(classes.ok()) << classes.text();
    return classes.ok() ? classes.value->copied_bytes : UINT64_MAX;
  };
  const uint64_t before = agent_copied();
  const uint64_t copied = call();
  const uint64_t travelled = agent_copied() - before;
  EXPECT_LT(travelled, 1024u) << "the classes alone travel in frames";
  through_agent = travelled;
  expect_steady(picture.size() + travelled, call, Pieces::kHuge);
  EXPECT_EQ(copied, picture.size() + travelled);
}

}  // namespace
}  // namespace vaccel::integration
