// SPDX-License-Identifier: Apache-2.0
//
// What a client can do to the memory that it shares with the agent, and say about it: the agent answers with a clear
// error where it can, ends that session where it must, and serves everybody else as if nothing had been. The clients are
// sessions of this host and functions in VMs; for these, the guest's side is played here: they connect to the hybrid
// vsock's socket on the host, and their memory is the window's file.
//
//   VACCEL_HOSTILE_SECONDS  How long Rewriting lasts, 10 unless said otherwise.
//   VACCEL_HOSTILE_CALLS    ... until so many calls have been made, however long that takes.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <functional>
#include <random>
#include <thread>

#include "channel/ring.h"
#include "core/clock.h"
#include "support/agent_process.h"
#include "support/raw_client.h"
#include "support/window_guest.h"
#include "wire/limits.h"

namespace vaccel::integration {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;
constexpr uint64_t kPage = 4096;
using Rings = WindowGuest::Rings;

// Of a pair of rings, see channel/ring.h.
constexpr uint64_t kTailToAgent = 0;
constexpr uint64_t kHeadFromAgent = 512 + 128;
constexpr uint64_t kSleepingFromAgent = 512 + 256;
constexpr uint64_t kDataToAgent = channel::kRingControlBytes;

AgentSetup with_vms(AgentSetup setup = {}) {
  for (const char* name : {"vm1", "vm2"}) {
    setup.more += std::string("\n[[vm]]\nname = \"") + name + "\"\nlisten = \"hvsock:FOLDER/" + name +
                  ".vsock:4411\"\nmemory = \"64M\"\n";
  }
  return setup;
}

// A real agent with two VMs, and a client that must not notice anything.
class HostileMemory : public testing::Test {
 protected:
  explicit HostileMemory(const AgentSetup& setup = {}) : agent(with_vms(setup)), worker_(agent.worker()) {}

  [[nodiscard]] std::string vm_endpoint(const std::string& vm = "vm1") const {
    return "unix:" + (agent.folder() / (vm + ".vsock_4411")).string();
  }
  [[nodiscard]] wire::StatusReport status() const {
    RawClient control("unix:" + agent.control());
    const Answer answer = control.ask(2, wire::ReadStatus{});
    EXPECT_EQ(answer.kind, wire::Kind::kStatus) << answer.text();
    return answer.status;
  }
  [[nodiscard]] wire::VmStatus vm_status(const std::string& vm = "vm1") const {
    const auto report = status();
    const auto found = std::ranges::find(report.vms, vm, &wire::VmStatus::name);
    if (found != report.vms.end()) return *found;
    ADD_FAILURE() << "no VM " << vm;
    return {};
  }
  [[nodiscard]] std::unique_ptr<WindowGuest> guest_in_vm(Rings rings = Rings::kUsed,
                                                         const std::string& vm = "vm1") const {
    return std::make_unique<WindowGuest>(vm_endpoint(vm), vm_status(vm).window, rings);
  }
  [[nodiscard]] std::unique_ptr<WindowGuest> guest_on_host(Rings rings = Rings::kUsed) const {
    return std::make_unique<WindowGuest>(agent.endpoint(), rings);
  }

  // Agent and worker are the ones that were there at first, and serve.
  void expect_unharmed() const {
    EXPECT_TRUE(is_running(agent.pid()));
    EXPECT_EQ(agent.workers(), std::vector<pid_t>{worker_});
    expect_serves(agent.endpoint());
  }
  // Nothing is left of any client.
  void expect_nothing_leased() const {
    const auto leased = [&] {
      const auto report = status();
      uint64_t bytes = report.leased_bytes;
      for (const wire::VmStatus& vm : report.vms)
        bytes += vm.leased_bytes + vm.sessions;
      return bytes;
    };
    EXPECT_TRUE(eventually([&] { return leased() == 0; })) << leased() << " bytes are leased by nobody";
  }

  AgentProcess agent;
  const pid_t worker_;
};

void expect_protocol_error(WindowGuest& guest, const std::string& sentence) {
  std::optional<Answer> answer;
  do {
    answer = guest.receive();
  } while (answer && answer->kind == wire::Kind::kWake);
  ASSERT_TRUE(answer) << "the agent said nothing";
  EXPECT_EQ(answer->code, VACCEL_PROTOCOL_ERROR) << answer->text();
  EXPECT_NE(answer->sentence.find(sentence), std::string::npos) << answer->sentence;
  EXPECT_TRUE(guest.is_closed_by_agent());
}

// ---- Offsets and lengths

struct Range {
  const char* name;
  uint64_t offset;
  uint64_t bytes;
};

wire::Call call_with_place(const Range& range) {
  wire::Call call = call_of("reference.fill", {integer("bytes", 100), integer("value", 7)});
  call.window = wire::Segment::kWindow;
  call.places.push_back({"", range.offset, range.bytes});
  return call;
}

wire::Call call_with_area(const Range& range) {
  wire::Call call = call_of("reference.fill", {integer("bytes", 100), integer("value", 7)});
  call.window = wire::Segment::kWindow;
  call.area_offset = range.offset;
  call.area_bytes = range.bytes;
  return call;
}

class Ranges : public HostileMemory {
 protected:
  Ranges()
      : HostileMemory({.limits = "max_payload_bytes = 33554432\nmax_session_bytes_in_flight = 67108864\n"}) {}

  // Refused, over both ways, with a sentence that says why, and no more.
  void expect_refused(wire::Call call, const std::string& what) {
    SCOPED_TRACE(what);
    for (WindowGuest* guest : {ringing.get(), streaming.get()}) {
      const Answer answer = guest->ask(++next_id, call);
      ASSERT_EQ(answer.kind, wire::Kind::kFailure) << "it was not refused";
      EXPECT_EQ(answer.code, VACCEL_INVALID_ARGUMENT) << answer.text();
    }
  }
  // A call as it should be: what was refused has left no trace.
  void expect_goes_on() {
    struct Side {
      WindowGuest* guest;
      wire::Leased lease;
    };
    for (const auto& [guest, lease] : {Side{ringing.get(), first}, Side{streaming.get(), others}}) {
      const auto bytes = some_bytes(4096, static_cast<uint32_t>(++next_id));
      std::ranges::copy(bytes, guest->at(lease.offset));
      const Answer sum = guest->ask(next_id, checksum_in_window(lease.offset, bytes.size(), VACCEL_UINT8));
      ASSERT_TRUE(sum.is_result()) << sum.text();
      EXPECT_EQ(sum.sum(), sum_of(bytes));
    }
  }

  // Two sessions of one VM, so that each sees the other's leases in its memory.
  std::unique_ptr<WindowGuest> ringing = guest_in_vm(Rings::kUsed);
  std::unique_ptr<WindowGuest> streaming = guest_in_vm(Rings::kUnused);
  wire::Leased first = ringing->lease(3, 2 * kPage);
  wire::Leased second = ringing->lease(4, 2 * kPage);
  wire::Leased freed = ringing->lease(5, kPage);
  wire::Leased others = streaming->lease(3, 2 * kPage);
  uint64_t next_id = 100;
};

TEST_F(Ranges, OutsideOfItsOwnLeasesIsRefused) {
  ASSERT_EQ(second.offset, first.offset + first.bytes) << "the leases are not next to each other";
  ringing->send(0, wire::Release{{freed.offset}});
  const uint64_t end = ringing->window().bytes;
  // What is the first session's is refused to both by being no whole lease of theirs, or the other's.
  const Range ranges[] = {
      {"wraps", UINT64_MAX - 63, 4096},
      {"wraps to its lease", UINT64_MAX - 63, 64 + first.offset + 64},
      {"at the window's end", end, 64},
      {"over the window's end", end - 4096, 8192},
      {"far beyond the window", uint64_t{1} << 40, 4096},
      {"beyond its lease by one byte", second.offset, second.bytes + 1},
      {"before its lease", first.offset - 64, 128},
      {"across two leases", first.offset + kPage, 2 * kPage},
      {"a lease that was given back", freed.offset, 64},
      {"the header", 0, 64},
      {"all of the window", 0, end},
      {"its own rings", ringing->window().ring_offset, 64},
      {"the other's rings", streaming->window().ring_offset, 64},
      {"2^63 bytes", first.offset, uint64_t{1} << 63},
      {"2^64 - 64 bytes", first.offset, UINT64_MAX - 63},
      {"16 GiB", first.offset, wire::kMaxPayloadBytes},
  };
  for (const Range& range : ranges) {
    SCOPED_TRACE(range.name);
    for (const vaccel_dtype dtype : {VACCEL_UINT8, VACCEL_FLOAT32, VACCEL_STRING}) {
      wire::Call call = call_of("reference.checksum");
      call.inputs.push_back(input_in_window(range.offset, range.bytes, dtype));
      expect_refused(call, "as an input");
      call.operator_name = "vaccel.echo";
      expect_refused(call, "as an input of the agent's own operator");
    }
    expect_refused(call_with_place(range), "as a place");
    expect_refused(call_with_area(range), "as the area");
    expect_goes_on();
  }
  expect_unharmed();
}

TEST_F(Ranges, AnotherSessionsLeaseIsRefused) {
  const auto refused = [&](WindowGuest& guest, const wire::Call& call) {
    const Answer answer = guest.ask(++next_id, call);
    EXPECT_EQ(answer.code, VACCEL_INVALID_ARGUMENT) << answer.text();
  };
  std::fill_n(ringing->at(others.offset), others.bytes, std::byte{9});
  for (const auto& [guest, lease] : {std::pair{ringing.get(), others}, std::pair{streaming.get(), first},
                                     std::pair{streaming.get(), freed}}) {
    for (const vaccel_dtype dtype : {VACCEL_UINT8, VACCEL_FLOAT32})
      refused(*guest, checksum_in_window(lease.offset, 64, dtype));
    refused(*guest, call_with_place({"", lease.offset, 4096}));
    refused(*guest, call_with_area({"", lease.offset, 4096}));
    const Answer given_back = guest->ask(++next_id, wire::Release{{lease.offset}});
    EXPECT_EQ(given_back.code, VACCEL_INVALID_ARGUMENT) << given_back.text();
  }
  EXPECT_TRUE(std::ranges::all_of(ringing->memory().subspan(others.offset, others.bytes), [](std::byte byte) {
    return byte == std::byte{9};
  })) << "something was written to another session's lease";
  expect_goes_on();
  expect_unharmed();
}

TEST_F(Ranges, EmptyTensorsOutsideAreRefusedToo) {
  for (const uint64_t offset : {uint64_t{0}, ringing->window().bytes, UINT64_MAX})
    expect_refused(checksum_in_window(offset, 0, VACCEL_FLOAT32), std::to_string(offset));
  const Answer at_its_end =
      ringing->ask(99, checksum_in_window(second.offset + second.bytes, 0, VACCEL_UINT8));
  EXPECT_TRUE(at_its_end.is_result()) << at_its_end.text();
  expect_goes_on();
  expect_unharmed();
}

TEST_F(Ranges, PlacesThatOverlapAreRefused) {
  const auto with_places = [&](const std::vector<wire::Place>& places) {
    wire::Call call = call_of("reference.noop");
    call.window = wire::Segment::kWindow;
    call.places = places;
    return call;
  };
  for (const wire::Leased& lease : {first, others}) {
    expect_refused(with_places({{"", lease.offset, 128}, {"", lease.offset, 128}}), "twice the same");
    expect_refused(with_places({{"", lease.offset, 128}, {"", lease.offset + 127, 64}}), "by one byte");
    expect_refused(with_places({{"b", lease.offset + 64, 1}, {"a", lease.offset, 4096}}),
                   "one within another");
    wire::Call over_area = with_places({{"", lease.offset + 100, 100}});
    over_area.area_offset = lease.offset;
    over_area.area_bytes = 128;
    expect_refused(over_area, "the area over a place");
  }
  const Answer side_by_side =
      ringing->ask(99, with_places({{"", first.offset, 128}, {"", first.offset + 128, 64}}));
  EXPECT_TRUE(side_by_side.is_result()) << side_by_side.text();
  expect_goes_on();
  expect_unharmed();
}

TEST_F(Ranges, AreasAndSegmentsThatCannotBeAreRefused) {
  for (const uint64_t shift : {1U, 8U, 63U})
    expect_refused(call_with_area({"", first.offset + shift, 128}), "area not aligned");
  for (const uint32_t segment : {0U, 1U, 2U, 4U, 15U, wire::kFirstWindowNumber, wire::kFirstWindowNumber + 1,
                                 wire::kFirstWindowNumber + 7, 0x7fffffffU, 0xffffffffU}) {
    SCOPED_TRACE(segment);
    wire::Call call = checksum_in_window(first.offset, 64, VACCEL_FLOAT32);
    call.inputs[0].segment = static_cast<wire::Segment>(segment);
    expect_refused(call, "an input's segment");
    call = call_with_place({"", first.offset, 4096});
    call.window = static_cast<wire::Segment>(segment);
    expect_refused(call, "the segment of places");
  }
  expect_goes_on();
  expect_unharmed();
}

// Numbers whose memory is checked and then copied are held against the limits of what is copied: one lease that 256
// inputs refer to is 256 times its size in the worker.
TEST_F(Ranges, WhatHasToBeCopiedCountsAsPayload) {
  const wire::Leased large = ringing->lease(6, 16 * kMiB);
  const auto with_inputs = [&](size_t count, vaccel_dtype dtype, uint64_t shift) {
    wire::Call call = call_of("reference.delay", {integer("microseconds", 60'000'000)});
    call.inputs.assign(count, input_in_window(large.offset + shift, large.bytes - 64, dtype));
    return call;
  };
  const auto expect_exhausted = [&](const wire::Call& call) {
    const Answer answer = ringing->ask(++next_id, call);
    EXPECT_EQ(answer.code, VACCEL_RESOURCE_EXHAUSTED) << answer.text();
  };
  expect_exhausted(with_inputs(wire::kMaxTensors, VACCEL_UINT8, 0));
  expect_exhausted(with_inputs(3, VACCEL_INT64, 0));
  expect_exhausted(with_inputs(3, VACCEL_FLOAT32, 1));  // where no float may lie
  // Floating-point numbers where they may lie are not copied.
  wire::Call in_place = with_inputs(wire::kMaxTensors, VACCEL_FLOAT32, 0);
  in_place.operator_name = "reference.noop";
  in_place.attributes.clear();
  const Answer noop = ringing->ask(++next_id, in_place);
  EXPECT_TRUE(noop.is_result()) << noop.text();
  // Several calls that are each within the limit.
  ringing->send(1001, with_inputs(2, VACCEL_INT32, 0));
  ringing->send(1002, with_inputs(2, VACCEL_INT32, 0));
  expect_exhausted(with_inputs(1, VACCEL_INT32, 0));
  for (uint64_t id = 1001; id <= 1002; ++id) {
    ringing->send(0, wire::Cancel{id});
    EXPECT_EQ(ringing->await(id).value_or(Answer{}).code, VACCEL_CANCELLED);
  }
  expect_goes_on();
  expect_unharmed();
}

// ---- Rings that hold what cannot be

class BrokenRings : public HostileMemory, public testing::WithParamInterface<bool> {
 protected:
  [[nodiscard]] std::unique_ptr<WindowGuest> guest() const {
    return GetParam() ? guest_in_vm(Rings::kUnused) : guest_on_host(Rings::kUnused);
  }
  // A record as a producer would put it there, the first of the ring, with a size of one's own.
  static void put_record(WindowGuest& guest, std::span<const std::byte> bytes, uint64_t size, uint64_t tail) {
    std::ranges::copy(bytes, guest.rings() + kDataToAgent + 8);
    guest.store_in_rings(kDataToAgent, size);
    guest.store_in_rings(kTailToAgent, tail);
    guest.wake_agent();
    guest.use_rings();  // by which it may be told
  }
  static uint64_t record_end(size_t bytes) { return 8 + wire::align_up(bytes, 8); }
};

INSTANTIATE_TEST_SUITE_P(In, BrokenRings, testing::Bool(),
                         [](const auto& chosen) { return chosen.param ? "vm" : "host"; });

TEST_P(BrokenRings, IndicesThatJumpEndTheSession) {
  for (const uint64_t tail : {uint64_t{4}, uint64_t{1}, channel::kRingBytes + 8, uint64_t{1} << 32,
                              uint64_t{1} << 63, UINT64_MAX, UINT64_MAX - 7}) {
    SCOPED_TRACE(tail);
    const auto one = guest();
    one->store_in_rings(kTailToAgent, tail);
    one->wake_agent();
    expect_protocol_error(*one, "the other end set a ring's tail to " + std::to_string(tail));
  }
  // Back, after the agent has taken something.
  const auto one = GetParam() ? guest_in_vm() : guest_on_host();
  for (uint64_t id = 10; id < 20; ++id)
    ASSERT_TRUE(one->ask(id, call_of("vaccel.echo")).is_result());
  one->store_in_rings(kTailToAgent, 8);
  one->wake_agent();
  // The agent may have looked before it was woken, and closed: then its last words are lost with the wake-up.
  EXPECT_TRUE(one->is_closed_by_agent());
  EXPECT_TRUE(eventually([&] { return agent.log().find("set a ring's tail to 8;") != std::string::npos; }));
  expect_unharmed();
  expect_nothing_leased();
}

TEST_P(BrokenRings, RecordsOfImpossibleSizesEndTheSession) {
  const auto bytes = some_bytes(1000, 1);
  for (const uint64_t size : {uint64_t{0}, uint64_t{channel::kMaxRecord + 1}, uint64_t{1} << 32,
                              UINT64_MAX - 7, UINT64_MAX, uint64_t{1001}}) {
    SCOPED_TRACE(size);
    const auto one = guest();
    put_record(*one, bytes, size, record_end(bytes.size()));
    expect_protocol_error(*one, "a record in a ring has " + std::to_string(size) + " bytes");
  }
  expect_unharmed();
}

TEST_P(BrokenRings, RecordsThatAreNoFramesEndTheSession) {
  struct NoFrame {
    const char* name;
    std::vector<std::byte> bytes;
    const char* sentence;
  };
  const auto frame = [](wire::Header header, size_t bytes) {
    const auto encoded = wire::encode_header(header);
    std::vector<std::byte> record(encoded.begin(), encoded.end());
    record.resize(record.size() + bytes);
    return record;
  };
  using enum wire::Kind;
  std::vector<NoFrame> records = {
      {"short", some_bytes(wire::kHeaderBytes - 1, 1), "too short for a frame"},
      {"one byte", some_bytes(1, 1), "too short for a frame"},
      {"zeros", std::vector<std::byte>(64), "does not speak vAccel"},
      {"random", some_bytes(64, 1), "does not speak vAccel"},
      {"a body that is not there", frame({kCall, 1, 5, 64, 0}, 56), "64 bytes of body"},
      {"more than it says", frame({kCall, 1, 5, 64, 0}, 72), "64 bytes of body"},
      {"a payload that is not there", frame({kCall, 1, 5, 8, 8}, 8), "8 of payload"},
      {"a payload of 2^63", frame({kCall, 1, 5, 8, uint64_t{1} << 63}, 8), "9223372036854775808"},
      {"a body that is none", frame({kCall, 1, 5, 64, 0}, 64), "not what the schema says"},
      {"a release that is none", frame({kRelease, 1, 0, 64, 0}, 64), "not what the schema says"},
      {"another version", frame({kCall, 2, 5, 64, 0}, 64), "version 2; version 1 was agreed on"},
      {"a result", frame({kResult, 1, 5, 64, 0}, 64), "may not send a result frame"},
      {"a failure", frame({kFailure, 1, 5, 64, 0}, 64), "may not send a failure frame"},
      {"request 0", frame({kCall, 1, 0, 64, 0}, 64), "request id 0"},
  };
  for (const auto kind : {kHello, kWelcome, kOpenModel, kCloseModel, kDescribe, kCancel, kOpenWindow, kLease,
                          kLeased, kImportWindow, kDropWindow, kWake, kAttachVm, kDetachVm, kReadStatus,
                          kAllocateMemory, kFreeMemory, kMemoryAllocated}) {
    records.push_back({wire::kind_name(kind), frame({kind, 1, 5, 64, 0}, 64), wire::kind_name(kind)});
  }
  for (const NoFrame& record : records) {
    SCOPED_TRACE(record.name);
    const auto one = guest();
    put_record(*one, record.bytes, record.bytes.size(), record_end(record.bytes.size()));
    expect_protocol_error(*one, record.sentence);
  }
  expect_unharmed();
  expect_nothing_leased();
}

TEST_P(BrokenRings, AHeadThatJumpsEndsTheSession) {
  for (const uint64_t head : {uint64_t{4}, uint64_t{1} << 62, UINT64_MAX - 7}) {
    SCOPED_TRACE(head);
    const auto one = GetParam() ? guest_in_vm() : guest_on_host();
    // Results that nobody takes: the agent has to look where the client is when its ring is full.
    const auto payload = some_bytes(4000, 1);
    for (uint64_t id = 10; id < 60 && !one->is_closed(); ++id) {
      one->store_in_rings(kHeadFromAgent, head);
      one->send(id, call_with_bytes("vaccel.echo", payload.size()), payload);
    }
    pollfd closed{one->fd(), POLLRDHUP, 0};
    EXPECT_EQ(::poll(&closed, 1, 20'000), 1) << "the session goes on";
    const std::string why = "set a ring's head to " + std::to_string(head);
    EXPECT_TRUE(eventually([&] { return agent.log().find(why) != std::string::npos; })) << "not for its head";
  }
  expect_unharmed();
  expect_nothing_leased();
}

// ---- Clients that are a nuisance

class Nuisance : public HostileMemory {
 protected:
  Nuisance() : HostileMemory({.limits = "frame_timeout_ms = 500\n"}) {}
};

// A client has a descriptor of the wake-ups; whatever it does to that, the agent waits for nobody.
TEST_F(Nuisance, AWakeSocketThatBlocksBlocksNobody) {
  for (const bool closes : {false, true}) {
    const auto guest = guest_on_host();
    ASSERT_TRUE(guest->ask(10, call_of("vaccel.echo")).is_result());
    const int wake = guest->wake_socket();
    ASSERT_GE(wake, 0);
    ASSERT_EQ(::fcntl(wake, F_SETFL, ::fcntl(wake, F_GETFL) & ~O_NONBLOCK), 0);
    const int size = 1;
    ::setsockopt(wake, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    const std::vector<std::byte> much(2048);
    while (::send(wake, much.data(), much.size(), MSG_DONTWAIT | MSG_NOSIGNAL) > 0) {
    }
    if (closes) ::shutdown(wake, SHUT_RDWR);
    // It wants a wake-up for each result, and takes none.
    const int64_t deadline = now_ns() + 20'000'000'000;
    for (uint64_t id = 11; id < 1000 && !closes; ++id) {
      guest->store_in_rings(kSleepingFromAgent, 1);
      guest->send(id, call_of("vaccel.echo"));
      std::optional<Answer> answer;
      while (!(answer = guest->look()) && now_ns() < deadline)
        std::this_thread::yield();
      ASSERT_TRUE(answer && answer->is_result()) << "after " << id << " calls";
    }
    expect_serves(agent.endpoint());
    const int64_t before = cpu_ms(agent.pid());
    ::poll(nullptr, 0, 300);
    EXPECT_LT(cpu_ms(agent.pid()) - before, 150) << "the agent is busy with a wake-up that nobody takes";
  }
  expect_unharmed();
}

TEST_F(Nuisance, WhoTakesNoResultsIsEndedAndNobodyElseNotices) {
  for (const bool in_vm : {true, false}) {
    const auto guest = in_vm ? guest_in_vm() : guest_on_host();
    RawClient bystander(agent.endpoint());
    const int64_t memory_before = private_kib(agent.pid());
    const auto payload = some_bytes(4000, 1);
    bool ended = false;
    const int64_t deadline = now_ns() + 20'000'000'000;
    for (uint64_t id = 10; !ended && now_ns() < deadline; ++id) {
      // Its own side as far as it goes; what does not fit the ring would wait for the socket.
      const wire::Call call = call_with_bytes("vaccel.echo", payload.size());
      pollfd stream{guest->fd(), POLLOUT | POLLRDHUP, 0};
      ::poll(&stream, 1, 0);
      ended = (stream.revents & (POLLRDHUP | POLLHUP)) != 0;
      if ((stream.revents & POLLOUT) != 0 && !ended) {
        guest->send(id, call, payload);
      } else {
        ::poll(nullptr, 0, 5);
      }
      if (id % 64 == 0) {
        const Answer echo = bystander.ask(id, call_of("vaccel.echo"));
        ASSERT_TRUE(echo.is_result()) << echo.text();
      }
    }
    EXPECT_TRUE(ended) << "a client that takes nothing is served for ever";
    if (!is_sanitized()) {
      EXPECT_LT(private_kib(agent.pid()) - memory_before, 16 * 1024);
    }
  }
  expect_unharmed();
  expect_nothing_leased();
}

// The agent is asked to wake the client at every result.
TEST_F(Nuisance, WhoSaysThatItSleepsAllTheTimeIsServed) {
  const auto guest = guest_in_vm();
  std::jthread sleeper([&](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      guest->store_in_rings(kSleepingFromAgent, 1);
      std::this_thread::yield();
    }
  });
  for (uint64_t id = 10; id < 2010; ++id) {
    const Answer echo = guest->ask(id, call_of("vaccel.echo"));
    ASSERT_TRUE(echo.is_result()) << echo.text();
  }
  sleeper.request_stop();
  sleeper.join();
  expect_unharmed();
}

TEST_F(Nuisance, FloodsOfWindowFramesHarmNobody) {
  const auto guest = guest_in_vm();
  RawClient bystander(agent.endpoint());
  uint64_t id = 10;
  const auto expect_calm = [&] {
    const Answer echo = bystander.ask(++id, call_of("vaccel.echo"));
    ASSERT_TRUE(echo.is_result()) << echo.text();
    const Answer own = guest->ask(++id, call_of("vaccel.echo"));
    ASSERT_TRUE(own.is_result()) << own.text();
  };
  for (int count = 0; count < 20'000; ++count)
    ASSERT_TRUE(guest->send(0, wire::Wake{}));
  expect_calm();
  // Small ones are cleared at once, large ones in turns.
  for (const uint64_t bytes : {kPage, kMiB, 3 * kMiB}) {
    for (int count = 0; count < 300; ++count) {
      const Answer leased = guest->ask(++id, wire::Lease{bytes, kPage});
      if (leased.kind != wire::Kind::kLeased) {
        ASSERT_EQ(leased.code, VACCEL_RESOURCE_EXHAUSTED) << leased.text();
        continue;
      }
      std::fill_n(guest->at(leased.leased.offset), bytes, std::byte{1});
      ASSERT_TRUE(guest->send(0, wire::Release{{leased.leased.offset}}));
    }
    expect_calm();
  }
  // Leases that are no leases, alone and many at once.
  for (int count = 0; count < 2000; ++count) {
    const Answer answer = guest->ask(++id, wire::Release{{static_cast<uint64_t>(count) * 8}});
    ASSERT_EQ(answer.code, VACCEL_INVALID_ARGUMENT) << answer.text();
  }
  wire::Release many;
  for (uint64_t offset = 0; offset < wire::kMaxReleases; ++offset)
    many.offsets.push_back(offset);
  EXPECT_EQ(guest->ask(++id, many).code, VACCEL_INVALID_ARGUMENT);
  expect_calm();
  // More than it may have.
  uint64_t leases = 0;
  Answer answer;
  while ((answer = guest->ask(++id, wire::Lease{1, 1})).kind == wire::Kind::kLeased)
    ++leases;
  EXPECT_EQ(answer.code, VACCEL_RESOURCE_EXHAUSTED) << answer.text();
  EXPECT_EQ(leases, 1024u);
  for (const auto& [bytes, alignment] :
       {std::pair{uint64_t{0}, uint64_t{64}}, std::pair{uint64_t{1}, uint64_t{3}},
        std::pair{uint64_t{1}, uint64_t{0}}, std::pair{uint64_t{1}, uint64_t{1} << 63},
        std::pair{UINT64_MAX, uint64_t{64}}}) {
    const Answer wrong = guest->ask(++id, wire::Lease{bytes, alignment});
    EXPECT_EQ(wrong.kind, wire::Kind::kFailure) << bytes << " aligned to " << alignment;
  }
  expect_calm();
  guest->drop();
  expect_unharmed();
  expect_nothing_leased();
}

// Nobody reads the refusals.
TEST_F(Nuisance, AFloodOfWhatIsRefusedEndsWhenItIsNotRead) {
  const auto guest = guest_in_vm();
  const int64_t deadline = now_ns() + 30'000'000'000;
  bool ended = false;
  while (!ended && now_ns() < deadline) {
    pollfd stream{guest->fd(), POLLOUT | POLLRDHUP, 0};
    ::poll(&stream, 1, 0);
    ended = (stream.revents & (POLLRDHUP | POLLHUP)) != 0;
    if (!ended && (stream.revents & POLLOUT) != 0) guest->send(0, wire::Release{{8}});
  }
  EXPECT_TRUE(ended) << "refusals are kept for a client that reads none";
  expect_unharmed();
  expect_nothing_leased();
}

TEST_F(Nuisance, WindowsAreOpenedOnceAndBeforeCalls) {
  for (const bool in_vm : {true, false}) {
    const auto guest = in_vm ? guest_in_vm() : guest_on_host();
    guest->send(10, wire::OpenWindow{.takes_descriptors = !in_vm});
    expect_protocol_error(*guest, "twice");
    RawClient late(in_vm ? vm_endpoint() : agent.endpoint());
    late.send(2, call_of("reference.delay", {integer("microseconds", 60'000'000)}));
    late.send(3, wire::OpenWindow{.takes_descriptors = !in_vm});
    const auto answer = late.receive();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->code, VACCEL_PROTOCOL_ERROR) << answer->text();
    EXPECT_TRUE(late.is_closed_by_agent());
  }
  for (const bool with_rings : {true, false}) {
    SCOPED_TRACE(with_rings);
    RawClient plain(agent.endpoint());
    const auto guest = guest_in_vm(with_rings ? Rings::kUsed : Rings::kUnused);
    wire::Encoder encoder;
    const auto payload = some_bytes(64, 1);
    guest->send_body(wire::Kind::kWake, 0, encoder.encode(wire::Wake{}), payload);
    expect_protocol_error(*guest, "may not have a payload");
  }
  expect_unharmed();
  expect_nothing_leased();
}

// What the agent's own operators have used is nobody's once it is given back.
TEST_F(Nuisance, LeasesThatAreGivenBackAreFree) {
  const auto guest = guest_in_vm();
  const uint64_t rings = vm_status().leased_bytes;
  for (const char* name : {"vaccel.echo", "vaccel.discard", "reference.noop"}) {
    SCOPED_TRACE(name);
    const wire::Leased lease = guest->lease(10, kMiB);
    wire::Call call = checksum_in_window(lease.offset, 4096, VACCEL_FLOAT32);
    call.operator_name = name;
    ASSERT_TRUE(guest->ask(11, call).is_result());
    guest->send(0, wire::Release{{lease.offset}});
    ASSERT_TRUE(guest->ask(12, call_of("reference.noop")).is_result());
    EXPECT_EQ(vm_status().leased_bytes, rings);
  }
  expect_unharmed();
}

// ---- What is left behind

TEST_F(HostileMemory, WhatOneSessionLeavesNoOtherFinds) {
  for (int round = 0; round < 20; ++round) {
    SCOPED_TRACE(round);
    expect_nothing_leased();
    auto first = guest_in_vm();
    const std::vector<std::byte> secret(1000, std::byte{0xA5});
    const wire::Leased small = first->lease(10, 3 * kPage);
    // What the last round had may still be being cleared.
    Answer leased_later;
    ASSERT_TRUE(eventually([&] {
      leased_later = first->ask(11, wire::Lease{2 * kMiB + static_cast<uint64_t>(round) * kPage, kPage});
      return leased_later.kind == wire::Kind::kLeased;
    })) << leased_later.text();
    const wire::Leased large = leased_later.leased;
    for (const wire::Leased& lease : {small, large})
      std::fill_n(first->at(lease.offset), lease.bytes, std::byte{0xA5});
    for (uint64_t id = 12; id < 80; ++id)
      ASSERT_TRUE(first->ask(id, call_with_bytes("vaccel.echo", secret.size()), secret).is_result());
    const auto is_secret = [](std::byte byte) { return byte == std::byte{0xA5}; };
    const auto rings = std::span(first->rings(), first->window().ring_bytes);
    ASSERT_GT(std::ranges::count_if(rings, is_secret), 10'000) << "the secret did not go through the rings";
    if (round % 2 == 0) {
      first->send(0, wire::Release{{small.offset, large.offset}});
    }
    first->drop();  // its memory stays mapped: a guest may keep looking
    // All that can be had while the first one's memory may still be being cleared.
    const auto second = guest_in_vm();
    uint64_t id = 10;
    for (Answer leased; (leased = second->ask(++id, wire::Lease{kMiB, kPage})).kind == wire::Kind::kLeased;) {
      const auto memory = second->memory().subspan(leased.leased.offset, leased.leased.bytes);
      ASSERT_EQ(std::ranges::count(memory, std::byte{}), std::ssize(memory))
          << "a lease at " << leased.leased.offset << " holds what somebody left";
    }
    const auto second_rings = std::span(second->rings(), second->window().ring_bytes);
    EXPECT_LT(std::ranges::count_if(second_rings, is_secret), 1000) << "its rings hold the first one's calls";
  }
  expect_unharmed();
  expect_nothing_leased();
}

// ---- Ends without a farewell

TEST_F(HostileMemory, AWorkerKilledWhileItWritesAResultHarmsTheCallAlone) {
  constexpr uint64_t kBytes = 160 * kMiB;
  const auto guest = guest_on_host();
  const wire::Leased lease = guest->lease(10, kBytes);
  wire::Call call = call_of("reference.fill", {integer("bytes", kBytes), integer("value", 0x5A)});
  call.window = wire::Segment::kWindow;
  call.places.push_back({"", lease.offset, lease.bytes});
  // Memory that has to be taken anew takes a while to write; how long is found out first, and the worker is killed after
  // another part of that in each attempt, in case it was quicker.
  const auto begin = [&](uint64_t id) {
    ASSERT_EQ(::madvise(guest->at(lease.offset), lease.bytes, MADV_REMOVE), 0);
    ASSERT_TRUE(guest->send(id, call));
  };
  uint64_t id = 100;
  const Stopwatch watch;
  begin(++id);
  ASSERT_TRUE(guest->await(id).value_or(Answer{}).is_result());
  const auto whole_ns = static_cast<int64_t>(watch.elapsed_ns());
  bool was_cut_off = false;
  for (int attempt = 0; attempt < 20 && !was_cut_off; ++attempt) {
    const pid_t worker = agent.worker();
    begin(++id);
    const int64_t part_ns = whole_ns / 20 * (1 + attempt * 7 % 19);
    const timespec part{part_ns / 1'000'000'000, part_ns % 1'000'000'000};
    ::nanosleep(&part, nullptr);
    ASSERT_EQ(::kill(worker, SIGKILL), 0);
    const auto answer = guest->await(id);
    ASSERT_TRUE(answer);
    was_cut_off = !answer->is_result();
    if (was_cut_off) {
      EXPECT_EQ(answer->code, VACCEL_UNAVAILABLE) << answer->text();
    }
    ASSERT_TRUE(eventually([&] {
      const auto workers = agent.workers();
      return workers.size() == 1 && workers.front() != worker;
    }));
  }
  EXPECT_TRUE(was_cut_off) << "no worker was killed in the middle of a result";
  // The lease as before, at the next worker.
  const Answer again = guest->ask(++id, call);
  ASSERT_TRUE(again.is_result()) << again.text();
  EXPECT_EQ(again.result.outputs[0].offset, lease.offset);
  const auto memory = guest->memory().subspan(lease.offset, kBytes);
  EXPECT_EQ(std::ranges::count(memory, std::byte{0x5A}), std::ssize(memory));
  expect_serves(agent.endpoint());
}

TEST_F(HostileMemory, AClientKilledWhileItHoldsLeasesLeavesNone) {
  const std::string endpoint = vm_endpoint();
  const std::string window = vm_status().window;
  for (int round = 0; round < 5; ++round) {
    int ready[2];
    ASSERT_EQ(::pipe2(ready, O_CLOEXEC), 0);
    const pid_t pid = ::fork();
    ASSERT_GE(pid, 0);
    if (pid == 0) {
      WindowGuest guest(endpoint, window);
      for (uint64_t id = 10; id < 20; ++id) {
        const wire::Leased lease = guest.lease(id, kMiB);
        wire::Call call = call_of("reference.delay", {integer("microseconds", 60'000'000)});
        call.inputs.push_back(input_in_window(lease.offset, 4096, VACCEL_FLOAT32));
        call.window = wire::Segment::kWindow;
        call.places.push_back({"", lease.offset + 4096, 4096});
        guest.send(100 + id, call);
      }
      // All have arrived when this one, which comes after them, is answered.
      const char status = guest.ask(300, call_of("vaccel.echo")).is_result() ? 'y' : 'n';
      (void)!::write(ready[1], &status, 1);
      ::pause();
      ::_exit(0);
    }
    ::close(ready[1]);
    char status = 0;
    EXPECT_EQ(::read(ready[0], &status, 1), 1);
    EXPECT_EQ(status, 'y');
    ::close(ready[0]);
    EXPECT_GE(vm_status().leased_bytes, 10 * kMiB);
    ASSERT_EQ(::kill(pid, SIGKILL), 0);
    ASSERT_EQ(::waitpid(pid, nullptr, 0), pid);
    expect_nothing_leased();
  }
  expect_unharmed();
}

// ---- Memory that changes while the agent and the worker read it

enum class Rewrites {
  kTensors,  // what inputs in the window hold
  kNumbers,  // offsets of tensors in calls, between what is right and what is not: the framing stays as it is
  kBodies,   // any byte of calls and results
  kCounters,  // the rings' counters
  kEverything,
};
constexpr int kKindsOfRewrites = 5;

// Of a guest that makes calls: where its tensors lie.
struct Tensors {
  wire::Leased floats;
  wire::Leased integers;
  wire::Leased strings;
};

// Rewrites a guest's memory until it is destroyed.
class Rewriter {
 public:
  Rewriter(const WindowGuest& guest, const Tensors& tensors, Rewrites what, uint32_t seed)
      : guest_(guest), tensors_(tensors), random_(seed), thread_([this, what](const std::stop_token& stop) {
          while (!stop.stop_requested()) {
            for (int count = 0; count < 64; ++count)
              rewrite(what);
            std::this_thread::yield();
          }
        }) {}

 private:
  void rewrite(Rewrites what) {
    switch (what) {
      case Rewrites::kTensors:
        for (const wire::Leased& lease : {tensors_.floats, tensors_.integers, tensors_.strings})
          store(lease.offset + random_() % (lease.bytes / 8) * 8, some_number());
        return;
      case Rewrites::kNumbers: {
        const auto word = word_at(in_rings() + kDataToAgent + random_() % (channel::kRingBytes / 8) * 8);
        const uint64_t right = tensors_.floats.offset;
        const uint64_t wrong = tensors_.floats.offset + tensors_.floats.bytes - 8;
        const uint64_t now = word.load(std::memory_order_relaxed);
        if (now == right) word.store(wrong, std::memory_order_relaxed);
        if (now == wrong) word.store(right, std::memory_order_relaxed);
        return;
      }
      case Rewrites::kBodies:
        if (random_() % 64 == 0)  // most calls are to get through
          store(in_rings() + kDataToAgent + random_() % (2 * channel::kRingBytes / 8) * 8, some_number());
        return;
      case Rewrites::kCounters:
        if (random_() % 256 == 0) {
          constexpr uint64_t kCounters[] = {0, 128, 256, 512, 640, 768};
          const auto word = word_at(in_rings() + kCounters[random_() % std::size(kCounters)]);
          word.store(random_() % 2 == 0 ? word.load() + random_() % 4 * 8 : some_number());
        }
        return;
      case Rewrites::kEverything:
        rewrite(static_cast<Rewrites>(random_() % 4));
        if (random_() % 64 == 0)
          store(in_rings() + random_() % (channel::kRingPairBytes / 8) * 8, some_number());
        return;
    }
  }
  uint64_t some_number() {
    constexpr uint64_t kTelling[] = {0, 1, 7, 8, 4096, channel::kRingBytes, uint64_t{1} << 63, UINT64_MAX};
    const uint64_t number = random_();
    return number % 2 == 0 ? kTelling[number / 2 % std::size(kTelling)] : number;
  }
  [[nodiscard]] uint64_t in_rings() const { return guest_.window().ring_offset; }
  [[nodiscard]] std::atomic_ref<uint64_t> word_at(uint64_t offset) const {
    return channel::shared<uint64_t>(guest_.at(offset));
  }
  void store(uint64_t offset, uint64_t value) const {
    word_at(offset).store(value, std::memory_order_relaxed);
  }

  const WindowGuest& guest_;
  const Tensors tensors_;
  std::mt19937_64 random_;
  std::jthread thread_;  // last: it uses the others
};

struct Tally {
  std::atomic<uint64_t> calls = 0;  // that the agent answered
  std::atomic<uint64_t> sessions = 0;
};

// The calls of one session, until it ends or has made enough of them. @return how many had a result.
uint64_t make_calls(WindowGuest& guest, const Tensors& tensors, Tally& tally,
                    const std::function<bool()>& enough) {
  constexpr int kAtOnce = 16;
  constexpr int kRounds = 400;
  wire::Encoder encoder;
  std::vector<std::vector<std::byte>> bodies;
  const auto add = [&](const wire::Call& call) {
    const auto body = encoder.encode(call);
    bodies.emplace_back(body.begin(), body.end());
  };
  // Most are the agent's own, which are the quickest: the others show that it goes on to the worker and back.
  wire::Call echo = checksum_in_window(tensors.floats.offset, 256, VACCEL_FLOAT32);
  echo.operator_name = "vaccel.echo";
  wire::Call copied = call_of("reference.echo");
  copied.inputs = {input_in_window(tensors.floats.offset, 512, VACCEL_FLOAT32),
                   input_in_window(tensors.integers.offset, 512, VACCEL_INT64)};
  copied.window = wire::Segment::kWindow;
  copied.places = {{"", tensors.floats.offset + 1024, 1024}, {"", tensors.integers.offset + 1024, 1024}};
  add(echo);
  add(checksum_in_window(tensors.floats.offset, 1024, VACCEL_FLOAT32));
  add(checksum_in_window(tensors.integers.offset, 1024, VACCEL_INT64));
  wire::Call strings = checksum_in_window(tensors.strings.offset, 256, VACCEL_STRING);
  strings.inputs[0].shape[0] = 8;
  add(strings);
  add(copied);
  uint64_t id = 1000;
  uint64_t results = 0;
  for (int round = 0; round < kRounds && !guest.is_closed() && !enough(); ++round) {
    for (int count = 0; count < kAtOnce; ++count, ++id) {
      const auto& body = bodies[count % 4 == 3 ? static_cast<size_t>(id / 4 % bodies.size()) : 0];
      if (!guest.send_body(wire::Kind::kCall, id, body)) return results;
    }
    for (int count = 0; count < kAtOnce; ++count) {
      // What was rewritten may have no answer, or nobody wakes anybody for it.
      const auto answer = guest.receive(200);
      if (!answer) return results;
      tally.calls.fetch_add(1, std::memory_order_relaxed);
      if (answer->is_result()) ++results;
    }
  }
  return results;
}

class Rewriting : public HostileMemory {
 protected:
  static uint64_t number_from(const char* variable, uint64_t otherwise) {
    const char* text = std::getenv(variable);
    return text != nullptr && text[0] != '\0' ? std::strtoull(text, nullptr, 10) : otherwise;
  }
  // Of the windows of sessions on this host, which end with them.
  static size_t mapped_windows(pid_t pid) {
    std::ifstream maps("/proc/" + std::to_string(pid) + "/maps");
    size_t count = 0;
    for (std::string line; std::getline(maps, line);)
      count += line.find("vaccel-window (deleted)") != std::string::npos ? 1U : 0U;
    return count;
  }
};

TEST_F(Rewriting, HarmsNobodyElse) {
  const uint64_t wanted = number_from("VACCEL_HOSTILE_CALLS", 0);
  const uint64_t seconds = number_from("VACCEL_HOSTILE_SECONDS", 10);
  const int64_t deadline = now_ns() + static_cast<int64_t>(seconds) * 1'000'000'000;
  Tally tally;
  std::atomic<bool> failed = false;
  const auto enough = [&] {
    return failed.load() || (wanted > 0 ? tally.calls.load() >= wanted : now_ns() >= deadline);
  };
  expect_serves(agent.endpoint());
  const size_t agent_descriptors = descriptor_count(agent.pid());
  const size_t worker_descriptors = descriptor_count(worker_);
  const std::string vm_window = vm_status("vm1").window;

  std::array<std::atomic<uint64_t>, kKindsOfRewrites> by_kind{};
  const auto attack = [&](bool in_vm, uint32_t seed) {
    for (uint32_t session = seed; !enough(); ++session) {
      auto guest = in_vm ? std::make_unique<WindowGuest>(vm_endpoint("vm1"), vm_window)
                         : std::make_unique<WindowGuest>(agent.endpoint());
      Tensors tensors{guest->lease(10, kPage), guest->lease(11, kPage), guest->lease(12, kPage)};
      if (testing::Test::HasFailure()) failed = true;
      ++tally.sessions;
      const auto what = static_cast<Rewrites>(session % kKindsOfRewrites);
      {
        const Rewriter rewriter(*guest, tensors, what, session);
        by_kind[session % kKindsOfRewrites] += make_calls(*guest, tensors, tally, enough);
      }
      guest->drop();
    }
  };
  // Who must not notice: another session of the same VM with the same memory, and one of the host.
  uint64_t bystanders_calls = 0;
  const auto stand_by = [&] {
    const auto guest = guest_in_vm();
    const wire::Leased lease = guest->lease(10, 16 * kPage);
    RawClient plain(agent.endpoint());
    for (uint32_t round = 0; !enough(); ++round) {
      const auto bytes = some_bytes(lease.bytes, round);
      std::ranges::copy(bytes, guest->at(lease.offset));
      const uint64_t id = 100 + round;
      const Answer sum = guest->ask(id, checksum_in_window(lease.offset, lease.bytes, VACCEL_FLOAT32));
      const Answer echo = plain.ask(id, call_with_bytes("vaccel.echo", 64), std::span(bytes).first(64));
      const auto memory = guest->memory().subspan(lease.offset, lease.bytes);
      failed = failed || !sum.is_result() || sum.sum() != sum_of(bytes) || !echo.is_result() ||
               !std::ranges::equal(echo.output(0), std::span(bytes).first(64)) ||
               !std::ranges::equal(memory, bytes);
      ASSERT_FALSE(failed) << "round " << round << ": " << sum.text() << "; " << echo.text();
      ++bystanders_calls;
    }
    guest->drop();
  };
  {
    std::jthread on_host([&] { attack(false, 1); });
    std::jthread in_vm([&] { attack(true, 3); });
    stand_by();
  }
  using Number = unsigned long long;
  std::printf("%llu calls in %llu sessions; results by kind of rewriting:", static_cast<Number>(tally.calls),
              static_cast<Number>(tally.sessions));
  for (const auto& results : by_kind)
    std::printf(" %llu", static_cast<Number>(results));
  std::printf("; %llu rounds of the bystanders\n", static_cast<Number>(bystanders_calls));
  // Whatever the rewriting, calls did get through it: else it was no test of what becomes of them.
  EXPECT_GT(by_kind[static_cast<size_t>(Rewrites::kTensors)], 0u);
  EXPECT_GT(by_kind[static_cast<size_t>(Rewrites::kNumbers)], 0u);
  EXPECT_GT(tally.sessions, uint64_t{2} * kKindsOfRewrites);
  EXPECT_GT(bystanders_calls, 0u);
  expect_unharmed();
  expect_nothing_leased();
  EXPECT_TRUE(eventually([&] { return descriptor_count(agent.pid()) <= agent_descriptors; }))
      << descriptor_count(agent.pid()) << " descriptors, " << agent_descriptors << " before";
  EXPECT_TRUE(eventually([&] { return descriptor_count(worker_) <= worker_descriptors; }))
      << descriptor_count(worker_) << " descriptors of the worker, " << worker_descriptors << " before";
  EXPECT_TRUE(eventually([&] { return mapped_windows(agent.pid()) == 0; }));
  EXPECT_TRUE(eventually([&] { return mapped_windows(worker_) == 0; }));
}

}  // namespace
}  // namespace vaccel::integration
