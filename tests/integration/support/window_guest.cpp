// SPDX-License-Identifier: Apache-2.0
#include "support/window_guest.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "channel/socket.h"
#include "channel/window_format.h"
#include "core/clock.h"
#include "core/tensor.h"

namespace vaccel::integration {
namespace {

constexpr int64_t kWithinNs = 20'000'000'000;

int left_ms(int64_t deadline_ns) {
  const int64_t left = (deadline_ns - now_ns() + 999'999) / 1'000'000;
  return left < 0 ? 0 : static_cast<int>(left);
}

Mapping map(int fd, uint64_t start) {
  struct stat file {};
  if (::fstat(fd, &file) != 0 || static_cast<uint64_t>(file.st_size) <= start) {
    ADD_FAILURE() << "the window has no size";
    return {};
  }
  const size_t size = static_cast<size_t>(file.st_size) - start;
  void* address = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd,
                         static_cast<off_t>(start));
  if (address != MAP_FAILED) return {address, size};
  ADD_FAILURE() << "the window cannot be mapped: " << errno_text(errno);
  return {};
}

}  // namespace

WindowGuest::WindowGuest(const std::string& endpoint, Rings rings) {
  open(endpoint, rings);
}

WindowGuest::WindowGuest(const std::string& endpoint, const std::string& window_file, Rings rings) {
  open_in_vm(endpoint, window_file, rings);
}

void WindowGuest::open(const std::string& endpoint, Rings rings) {
  greet(endpoint, /*takes_descriptors=*/true);
  auto descriptors = channel_->stream().take_descriptors(2);
  ASSERT_EQ(descriptors.size(), 2u);
  mapping_ = map(descriptors[0].get(), 0);
  wake_ = std::move(descriptors[1]);
  begin(rings);
}

void WindowGuest::open_in_vm(const std::string& endpoint, const std::string& window_file, Rings rings) {
  const UniqueFd file{::open(window_file.c_str(), O_RDWR | O_CLOEXEC)};
  ASSERT_TRUE(file.valid()) << window_file << ": " << errno_text(errno);
  mapping_ = map(file.get(), channel::kWindowDataOffset);
  greet(endpoint, /*takes_descriptors=*/false);
  begin(rings);
}

void WindowGuest::greet(const std::string& text, bool takes_descriptors) {
  const auto endpoint = channel::parse_endpoint(text);
  ASSERT_TRUE(endpoint.has_value()) << endpoint.error().message();
  auto socket = channel::connect_to(*endpoint, now_ns() + kWithinNs);
  channel_ = std::make_unique<channel::RingChannel>(
      channel::StreamChannel{socket ? std::move(*socket) : UniqueFd{}});
  ASSERT_TRUE(socket.has_value()) << socket.error().message();
  if (takes_descriptors) channel_->stream().accept_descriptors();
  const Answer welcome = ask(1, wire::Hello{.client = "guest"});
  ASSERT_EQ(welcome.kind, wire::Kind::kWelcome) << welcome.text();
  const Answer opened = ask(2, wire::OpenWindow{.takes_descriptors = takes_descriptors});
  ASSERT_EQ(opened.kind, wire::Kind::kWindowOpened) << opened.text();
  opened_ = opened.window;
}

void WindowGuest::use_rings() {
  rings_ = Rings::kUsed;
  channel_->attach(rings(), nullptr, channel::RingChannel::Side::kClient, std::move(wake_), 0);
}

void WindowGuest::begin(Rings rings) {
  base_ = mapping_.bytes().data();
  size_ = mapping_.bytes().size();
  ASSERT_LE(opened_.ring_offset + opened_.ring_bytes, size_);
  if (rings == Rings::kUsed) use_rings();
}

void WindowGuest::store_in_rings(uint64_t offset, uint64_t value) const {
  channel::shared<uint64_t>(rings() + offset).store(value, std::memory_order_seq_cst);
}

void WindowGuest::wake_agent() {
  if (const int wake = wake_socket(); wake >= 0) {
    (void)::send(wake, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
  } else {
    send(0, wire::Wake{});
  }
}

bool WindowGuest::send_body(wire::Kind kind, uint64_t id, std::span<const std::byte> body,
                            std::span<const std::byte> payload) {
  if (closed_) return false;
  Status status = channel_->send(kind, id, body, {&payload, payload.empty() ? 0U : 1U}, nullptr);
  const int64_t deadline = now_ns() + kWithinNs;
  while (status.ok() && channel_->sending()) {
    pollfd waiting{channel_->fd(), POLLOUT, 0};
    if (::poll(&waiting, 1, left_ms(deadline)) == 0) return false;
    status = channel_->flush();
  }
  return status.ok();
}

std::optional<Answer> WindowGuest::receive(int64_t within_ms) {
  if (!kept_.empty()) {
    Answer first = std::move(kept_.front());
    kept_.pop_front();
    return first;
  }
  const int64_t deadline = now_ns() + within_ms * 1'000'000;
  std::optional<Answer> answer;
  while (!closed_) {
    if (take_event(answer)) {
      if (answer) return answer;
      continue;
    }
    if (closed_ || !channel_->arm()) continue;
    pollfd waiting[] = {{channel_->fd(), POLLIN, 0}, {channel_->wake_fd(), POLLIN, 0}};
    const bool came = ::poll(waiting, channel_->wake_fd() >= 0 ? 2 : 1, left_ms(deadline)) > 0;
    channel_->woken();
    if (!came) break;
  }
  return std::nullopt;
}

std::optional<Answer> WindowGuest::look() {
  std::optional<Answer> answer;
  while (!closed_ && !answer && take_event(answer)) {
  }
  return answer;
}

// @return false: there is nothing now, or nothing any more.
bool WindowGuest::take_event(std::optional<Answer>& answer) {
  const auto event = channel_->receive(false);
  closed_ = !event || *event == channel::Event::kClosed;
  if (closed_ || *event == channel::Event::kBlocked) return false;
  if (*event == channel::Event::kPayload) answer = std::move(arriving_);
  if (*event != channel::Event::kFrame) return true;
  // What a test has written over cannot be read.
  closed_ = !read_answer(channel_->header(), channel_->body(), arriving_).ok();
  if (closed_) return false;
  arriving_.payload.resize(channel_->header().payload_bytes);
  if (arriving_.payload.empty()) {
    answer = std::move(arriving_);
  } else {
    const channel::Destination destination{arriving_.payload.data(), arriving_.payload.size()};
    channel_->accept_payload({&destination, 1});
  }
  return true;
}

std::optional<Answer> WindowGuest::await(uint64_t id, int64_t within_ms) {
  for (auto kept = kept_.begin(); kept != kept_.end(); ++kept) {
    if (kept->id != id) continue;
    Answer answer = std::move(*kept);
    kept_.erase(kept);
    return answer;
  }
  std::deque<Answer> others = std::exchange(kept_, {});
  const int64_t deadline = now_ns() + within_ms * 1'000'000;
  std::optional<Answer> found;
  while (auto answer = receive(left_ms(deadline))) {
    if (answer->id == id) {
      found = std::move(answer);
      break;
    }
    if (answer->kind != wire::Kind::kWake) others.push_back(std::move(*answer));
  }
  kept_ = std::move(others);
  return found;
}

bool WindowGuest::is_closed_by_agent(int64_t within_ms) {
  const int64_t deadline = now_ns() + within_ms * 1'000'000;
  while (receive(left_ms(deadline))) {
  }
  return closed_;
}

wire::Leased WindowGuest::lease(uint64_t id, uint64_t bytes, uint64_t alignment) {
  const Answer answer = ask(id, wire::Lease{bytes, alignment});
  EXPECT_EQ(answer.kind, wire::Kind::kLeased) << answer.text();
  return answer.leased;
}

void WindowGuest::drop() {
  channel_ = std::make_unique<channel::RingChannel>(channel::StreamChannel{UniqueFd{}});
  wake_.reset();
  closed_ = true;
}

wire::Tensor input_in_window(uint64_t offset, uint64_t bytes, vaccel_dtype dtype) {
  wire::Tensor tensor{.name = "data", .dtype = dtype, .rank = 1};
  tensor.shape[0] = static_cast<int64_t>(bytes / std::max<size_t>(element_size(dtype), 1));
  tensor.segment = wire::Segment::kWindow;
  tensor.offset = offset;
  tensor.bytes = bytes;
  return tensor;
}

wire::Call checksum_in_window(uint64_t offset, uint64_t bytes, vaccel_dtype dtype) {
  wire::Call call = call_of("reference.checksum");
  call.inputs.push_back(input_in_window(offset, bytes, dtype));
  return call;
}

}  // namespace vaccel::integration
