// SPDX-License-Identifier: Apache-2.0
//
// Two RingChannels over rings whose memory the input rewrites between any two steps, as a hostile side does; the calls
// that come out on the server's side are decoded and resolved against a session's leases, as an agent does. Whatever is
// in the memory: nothing is read or written outside of it (the sanitizers see to that), frames are what their headers say,
// and what is resolved lies in the session's leases.
#include <sys/socket.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "agent/session_window.h"
#include "channel/fuzz/script.h"
#include "channel/ring_channel.h"
#include "wire/messages.h"

namespace {

using namespace vaccel;
using channel::fuzz::Step;

[[noreturn]] void broken(const char* what) {
  std::fprintf(stderr, "fuzz_ring_memory: %s\n", what);
  std::abort();
}

// What is left of the input.
class Input {
 public:
  explicit Input(std::span<const std::byte> bytes) : bytes_(bytes) {}
  [[nodiscard]] bool empty() const { return bytes_.empty(); }
  template <typename T>
  T number() {
    T value{};
    const auto from = bytes(sizeof value);
    std::memcpy(&value, from.data(), from.size());
    return value;
  }
  std::span<const std::byte> bytes(size_t count) {
    const auto taken = bytes_.first(std::min(count, bytes_.size()));
    bytes_ = bytes_.subspan(taken.size());
    return taken;
  }

 private:
  std::span<const std::byte> bytes_;
};

// A session's leases in a window of its own.
class Leases {
 public:
  Leases() {
    for (const uint64_t bytes : channel::fuzz::kLeaseBytes)
      leases_.push_back(session_.lease({bytes, 64}).value());
    const auto freed = leases_.begin() + channel::fuzz::kFreedLease;
    if (!session_.release(freed->offset).ok()) broken("a lease cannot be given back");
    leases_.erase(freed);
  }

  void check(wire::Call call) const {
    const wire::Call asked = call;
    agent::HeldLeases held;
    const auto bytes = session_.resolve(call, held);
    if (!bytes) {
      if (bytes.error().code() != VACCEL_INVALID_ARGUMENT) broken("a call is refused with another code");
      return;
    }
    for (size_t index = 0; index < call.inputs.size(); ++index) {
      if (asked.inputs[index].segment != wire::Segment::kWindow) continue;
      expect_leased(call.inputs[index].offset, call.inputs[index].bytes, held);
      expect_number(call.inputs[index].segment);
    }
    if (asked.window != wire::Segment::kWindow) return;
    expect_number(call.window);
    for (size_t index = 0; index < call.places.size(); ++index) {
      const wire::Place& place = call.places[index];
      if (place.bytes == 0) continue;
      expect_leased(place.offset, place.bytes, held);
      for (size_t other = 0; other < index; ++other)
        expect_apart(place.offset, place.bytes, call.places[other].offset, call.places[other].bytes);
      expect_apart(place.offset, place.bytes, call.area_offset, call.area_bytes);
    }
    if (call.area_bytes > 0) expect_leased(call.area_offset, call.area_bytes, held);
  }

 private:
  using Wide = unsigned __int128;  // nothing wraps

  void expect_leased(uint64_t offset, uint64_t bytes, const agent::HeldLeases& held) const {
    const auto within = [&](uint64_t begin, uint64_t size) {
      return offset >= begin && Wide{offset} + bytes <= Wide{begin} + size;
    };
    const auto of_session = [&](const wire::Leased& lease) { return within(lease.offset, lease.bytes); };
    if (std::ranges::none_of(leases_, of_session)) broken("what is not leased was resolved");
    const auto is_held = [&](const auto& lease) { return within(lease->offset(), lease->bytes()); };
    if (std::ranges::none_of(held, is_held)) broken("what a call uses is not held");
  }
  static void expect_apart(uint64_t a, uint64_t a_bytes, uint64_t b, uint64_t b_bytes) {
    if (a_bytes > 0 && b_bytes > 0 && Wide{a} < Wide{b} + b_bytes && Wide{b} < Wide{a} + a_bytes)
      broken("places that overlap were resolved");
  }
  void expect_number(wire::Segment segment) const {
    if (static_cast<uint32_t>(segment) != window_->number()) broken("another window's number");
  }

  agent::Limits limits_;
  std::shared_ptr<agent::Window> window_ = agent::Window::for_session(channel::fuzz::kWindowBytes).value();
  agent::SessionWindow session_{window_, limits_,
                                std::make_shared<agent::Tenant>("fuzz", agent::TenantSettings{})};
  std::vector<wire::Leased> leases_;
};

struct Free {
  void operator()(std::byte* memory) const { std::free(memory); }
};

// One play of an input.
class Play {
 public:
  explicit Play(const Leases& leases)
      : leases_(leases),
        memory_(static_cast<std::byte*>(
            std::aligned_alloc(4096, wire::align_up(channel::kRingPairBytes, 4096)))) {
    std::memset(memory_.get(), 0, channel::kRingPairBytes);
    channel::initialise_rings(memory_.get());
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) broken("no socket pair");
    client_.emplace(channel::StreamChannel{UniqueFd{ends[0]}});
    server_.emplace(channel::StreamChannel{UniqueFd{ends[1]}});
    using Side = channel::RingChannel::Side;
    client_->attach(memory_.get(), nullptr, Side::kClient, UniqueFd{}, 0);
    server_->attach(memory_.get(), nullptr, Side::kServer, UniqueFd{}, 0);
  }

  void step(Input& input) {
    switch (static_cast<Step>(input.number<uint8_t>() % static_cast<uint8_t>(Step::kCount))) {
      case Step::kStoreWord: {
        const size_t word = input.number<uint16_t>() % (channel::kRingPairBytes / 8);
        channel::shared<uint64_t>(memory_.get() + word * 8).store(input.number<uint64_t>());
        return;
      }
      case Step::kStoreBytes: {
        const size_t at = input.number<uint16_t>() % (channel::kRingPairBytes / 8) * 8;
        const auto bytes = input.bytes(input.number<uint8_t>());
        std::memcpy(memory_.get() + at, bytes.data(), std::min(bytes.size(), channel::kRingPairBytes - at));
        return;
      }
      case Step::kCall: {
        const uint64_t id = input.number<uint8_t>();
        const size_t body_bytes = input.number<uint16_t>();
        const size_t payload_bytes = input.number<uint16_t>();
        const auto body = input.bytes(std::min<size_t>(body_bytes, wire::kMaxBodyBytes));
        const auto payload = input.bytes(payload_bytes);
        send(*client_, client_ended_, wire::Kind::kCall, id, body, payload);
        return;
      }
      case Step::kRecord:
        return put(input.bytes(input.number<uint16_t>()));
      case Step::kStream: {
        const auto bytes = input.bytes(input.number<uint16_t>());
        (void)::send(client_->fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        return;
      }
      case Step::kServerReads:
        return read(*server_, server_ended_, input.number<uint8_t>());
      case Step::kServerSends: {
        const uint64_t id = input.number<uint8_t>();
        const std::vector<std::byte> body(input.number<uint16_t>() % 16'384);
        return send(*server_, server_ended_, wire::Kind::kResult, id, body, {});
      }
      case Step::kClientReads:
        return read(*client_, client_ended_, input.number<uint8_t>());
      case Step::kWakes:
        for (channel::RingChannel* side : {&*client_, &*server_}) {
          (void)side->arm();
          side->woken();
        }
        return;
      case Step::kCount:
        return;
    }
  }

 private:
  static void send(channel::RingChannel& side, bool& ended, wire::Kind kind, uint64_t id,
                   std::span<const std::byte> body, std::span<const std::byte> payload) {
    // A socket that is full would keep the payload's place, which does not last.
    if (ended || side.sending()) return;
    const Status status = side.send(kind, id, body, {&payload, payload.empty() ? 0U : 1U}, nullptr);
    ended = !status.ok() || (side.sending() && !side.keep_unsent().ok());
  }

  void put(std::span<const std::byte> bytes) {
    if (bytes.empty() || bytes.size() > channel::kMaxRecord) return;
    (void)hostile_.push({&bytes, 1}, bytes.size());
  }

  void read(channel::RingChannel& side, bool& ended, int events) {
    for (; events > 0 && !ended; --events) {
      const auto event = side.receive(false);
      if (!event || *event == channel::Event::kClosed) {
        ended = true;
      } else if (*event == channel::Event::kBlocked) {
        return;
      } else if (*event == channel::Event::kFrame) {
        take(side);
      }
    }
  }

  void take(channel::RingChannel& side) {
    const wire::Header header = side.header();
    if (side.body().size() != header.body_bytes) broken("a body is not as long as its header says");
    if (header.kind == wire::Kind::kCall) {
      auto call = wire::decode_call(side.body(), {.payload_bytes = header.payload_bytes, .window = true});
      if (call) leases_.check(std::move(*call));
    }
    if (header.kind == wire::Kind::kRelease) (void)wire::decode_release(side.body());
    if (header.kind == wire::Kind::kResult)
      (void)wire::decode_result(side.body(), {.payload_bytes = header.payload_bytes, .window = true});
    if (header.payload_bytes == 0) return;
    if (header.payload_bytes > kMostPayload || header.request_id % 4 == 0) return side.discard_payload();
    payload_.resize(header.payload_bytes);
    payload_.shrink_to_fit();  // so that one byte too many shows
    const channel::Destination destination{payload_.data(), payload_.size()};
    side.accept_payload({&destination, 1});
  }

  static constexpr uint64_t kMostPayload = uint64_t{1} << 20;
  const Leases& leases_;
  std::unique_ptr<std::byte, Free> memory_;
  std::optional<channel::RingChannel> client_;
  std::optional<channel::RingChannel> server_;
  channel::RingProducer hostile_{memory_.get(), channel::Direction::kToServer};
  bool client_ended_ = false;
  bool server_ended_ = false;
  std::vector<std::byte> payload_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Leases leases;
  Input input(std::as_bytes(std::span(data, size)));
  Play play(leases);
  while (!input.empty())
    play.step(input);
  return 0;
}
