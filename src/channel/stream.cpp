// SPDX-License-Identifier: Apache-2.0
#include "channel/stream.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <cstring>

#include "channel/socket.h"
#include "wire/limits.h"

namespace vaccel::channel {
namespace {

constexpr size_t kMaxPieces = 64;            // iovec entries for one system call
constexpr size_t kDiscardBytes = 64 * 1024;  // what goes nowhere is read so much at a time
constexpr size_t kMaxDescriptors = 4;        // with one frame
constexpr size_t kMaxDescriptorsHeld = 64;
using DescriptorSpace = std::array<char, CMSG_SPACE(sizeof(int) * kMaxDescriptors)>;

void keep_descriptors(msghdr& message, std::deque<UniqueFd>& kept) {
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t index = 0; index < count; ++index) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part) + index * sizeof fd, sizeof fd);
      kept.emplace_back(fd);
    }
  }
}

Unexpected broken(int error) {
  return fail(VACCEL_UNAVAILABLE, "the connection broke: %s", errno_text(error).c_str());
}

}  // namespace

StreamChannel::StreamChannel(UniqueFd socket, uint16_t version)
    : socket_(std::move(socket)),
      version_(version),
      max_write_(max_write_of(socket_.get())),
      buffer_(std::make_unique_for_overwrite<std::byte[]>(kBufferBytes)) {}

// ---- Receiving

// Reads what is there; 0: nothing now (wait not set). UNAVAILABLE with an empty sentence: the end of the
// stream.
Result<size_t> StreamChannel::read_into(std::span<std::byte> memory, bool wait) {
  for (;;) {
    ssize_t count = 0;
    if (accepts_descriptors_ && descriptors_.size() < kMaxDescriptorsHeld) {
      alignas(cmsghdr) DescriptorSpace space;
      iovec piece{memory.data(), memory.size()};
      msghdr message{};
      message.msg_iov = &piece;
      message.msg_iovlen = 1;
      message.msg_control = space.data();
      message.msg_controllen = space.size();
      count = ::recvmsg(socket_.get(), &message, (wait ? 0 : MSG_DONTWAIT) | MSG_CMSG_CLOEXEC);
      if (count > 0) keep_descriptors(message, descriptors_);
    } else {
      count = ::recv(socket_.get(), memory.data(), memory.size(), wait ? 0 : MSG_DONTWAIT);
    }
    if (count > 0) return static_cast<size_t>(count);
    if (count == 0) return Unexpected{Status{VACCEL_UNAVAILABLE, ""}};
    if (errno == EINTR) continue;
    if (errno == EAGAIN) return size_t{0};
    return broken(errno);
  }
}

Result<Event> StreamChannel::fill(bool wait) {
  if (begin_ > 0) {
    std::memmove(buffer_.get(), buffer_.get() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  const auto count = read_into({buffer_.get() + end_, kBufferBytes - end_}, wait);
  if (!count) {
    if (!count.error().message().empty()) return Unexpected{count.error()};
    if (!within_frame()) return Event::kClosed;
    return fail(VACCEL_UNAVAILABLE, "the other end closed the connection within a frame");
  }
  end_ += *count;
  return *count == 0 ? Event::kBlocked : Event::kPartial;
}

Result<Event> StreamChannel::receive(bool wait) {
  if (state_ == State::kPayload) return receive_payload(wait);
  if (state_ == State::kAwaitingDestination) discard_payload();  // its owner did not want it
  if (state_ == State::kPayload) return receive_payload(wait);
  if (state_ == State::kBody) return receive_body(wait);
  if (large_body_.capacity() > 0) std::vector<std::byte>().swap(large_body_);  // an idle session stays small
  while (buffered().size() < wire::kHeaderBytes) {
    const auto event = fill(wait);
    if (!event || *event != Event::kPartial) return event;
  }
  const auto header = wire::decode_header(buffered().first<wire::kHeaderBytes>());
  if (!header) return Unexpected{header.error()};
  // A greeting comes before any version has been agreed on; its header's layout never changes.
  if (header->version != version_ && header->kind != wire::Kind::kHello) {
    return fail(VACCEL_PROTOCOL_ERROR, "a %s frame has version %u; version %u was agreed on",
                wire::kind_name(header->kind), header->version, version_);
  }
  header_ = *header;
  begin_ += wire::kHeaderBytes;
  large_body_filled_ = 0;
  state_ = State::kBody;
  return receive_body(wait);
}

Result<Event> StreamChannel::receive_body(bool wait) {
  const size_t size = header_.body_bytes;
  if (size <= kBufferBytes - wire::kHeaderBytes) {
    while (buffered().size() < size) {
      const auto event = fill(wait);
      if (!event || *event != Event::kPartial) return event;
    }
    body_ = buffered().first(size);
    begin_ += size;
    return frame_arrived();
  }
  large_body_.resize(size);
  if (large_body_filled_ == 0) {
    const size_t there = std::min(buffered().size(), size);
    std::memcpy(large_body_.data(), buffered().data(), there);
    begin_ += there;
    large_body_filled_ = there;
  }
  while (large_body_filled_ < size) {
    const auto count = read_into(std::span(large_body_).subspan(large_body_filled_), wait);
    if (!count) {
      if (!count.error().message().empty()) return Unexpected{count.error()};
      return fail(VACCEL_UNAVAILABLE, "the other end closed the connection within a frame");
    }
    if (*count == 0) return Event::kBlocked;
    large_body_filled_ += *count;
  }
  body_ = large_body_;
  return frame_arrived();
}

Result<Event> StreamChannel::frame_arrived() {
  payload_left_ = header_.payload_bytes;
  state_ = payload_left_ > 0 ? State::kAwaitingDestination : State::kHeader;
  return Event::kFrame;
}

void StreamChannel::accept_payload(std::span<const Destination> destinations) {
  destinations_.assign(destinations.begin(), destinations.end());
  next_destination_ = 0;
  state_ = State::kPayload;
  take_buffered_payload();
}

void StreamChannel::discard_payload() {
  if (state_ != State::kPayload && state_ != State::kAwaitingDestination) return;
  const Destination nowhere{nullptr, static_cast<size_t>(payload_left_)};
  accept_payload({&nowhere, 1});
}

void StreamChannel::take_buffered_payload() {
  while (payload_left_ > 0 && begin_ < end_ && next_destination_ < destinations_.size()) {
    const Destination& destination = destinations_[next_destination_];
    const size_t count = std::min(destination.size, end_ - begin_);
    if (destination.data != nullptr && count > 0)
      std::memcpy(destination.data, buffer_.get() + begin_, count);
    begin_ += count;
    advance_payload(count);
  }
}

void StreamChannel::advance_payload(size_t bytes) {
  payload_left_ -= bytes;
  while (next_destination_ < destinations_.size()) {
    Destination& destination = destinations_[next_destination_];
    const size_t step = std::min(bytes, destination.size);
    if (destination.data != nullptr) destination.data += step;
    destination.size -= step;
    bytes -= step;
    if (destination.size > 0) return;
    ++next_destination_;
  }
}

Result<Event> StreamChannel::receive_payload(bool wait) {
  if (payload_left_ > 0) {
    std::array<iovec, kMaxPieces> pieces{};
    size_t count = 0;
    for (size_t index = next_destination_; index < destinations_.size() && count < kMaxPieces; ++index) {
      const Destination& destination = destinations_[index];
      const bool nowhere = destination.data == nullptr;
      if (nowhere && !discarded_) discarded_ = std::make_unique_for_overwrite<std::byte[]>(kDiscardBytes);
      pieces[count].iov_base = nowhere ? discarded_.get() : destination.data;
      pieces[count].iov_len = nowhere ? std::min(destination.size, kDiscardBytes) : destination.size;
      ++count;
      if (nowhere && destination.size > kDiscardBytes) break;  // the rest of it before what comes after
    }
    msghdr message{};
    message.msg_iov = pieces.data();
    message.msg_iovlen = count;
    const ssize_t received = ::recvmsg(socket_.get(), &message, wait ? 0 : MSG_DONTWAIT);
    if (received < 0) {
      if (errno == EINTR) return Event::kPartial;
      if (errno == EAGAIN) return Event::kBlocked;
      return broken(errno);
    }
    if (received == 0) {
      return fail(VACCEL_UNAVAILABLE,
                  "the other end closed the connection with %llu bytes of a payload missing",
                  static_cast<unsigned long long>(payload_left_));
    }
    advance_payload(static_cast<size_t>(received));
    if (payload_left_ > 0) return Event::kPartial;
  }
  destinations_.clear();
  discarded_.reset();
  state_ = State::kHeader;
  return Event::kPayload;
}

bool StreamChannel::within_frame() const {
  return state_ != State::kHeader || begin_ != end_;
}

// ---- Sending

// Writes as many of the pieces as go now; 0: none.
Result<size_t> StreamChannel::write_pieces(std::span<const std::span<const std::byte>> pieces,
                                           std::span<const UniqueFd> descriptors) {
  std::array<iovec, kMaxPieces> vector{};
  size_t count = 0;
  size_t total = 0;
  for (const auto& piece : pieces) {
    if (count == kMaxPieces || total == max_write_) break;
    if (piece.empty()) continue;
    const size_t size = std::min(piece.size(), max_write_ - total);
    vector[count++] = {const_cast<std::byte*>(piece.data()), size};
    total += size;
  }
  if (count == 0) return size_t{0};
  msghdr message{};
  message.msg_iov = vector.data();
  message.msg_iovlen = count;
  alignas(cmsghdr) DescriptorSpace space{};
  if (!descriptors.empty()) {
    message.msg_control = space.data();
    message.msg_controllen = CMSG_SPACE(sizeof(int) * descriptors.size());
    cmsghdr* part = CMSG_FIRSTHDR(&message);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(sizeof(int) * descriptors.size());
    for (size_t index = 0; index < descriptors.size(); ++index) {
      const int fd = descriptors[index].get();
      std::memcpy(CMSG_DATA(part) + index * sizeof fd, &fd, sizeof fd);
    }
  }
  for (;;) {
    const ssize_t sent = ::sendmsg(socket_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) return static_cast<size_t>(sent);
    if (errno == EINTR) continue;
    if (errno == EAGAIN) return size_t{0};
    return broken(errno);
  }
}

Status StreamChannel::send(wire::Kind kind, uint64_t request_id, std::span<const std::byte> body,
                           std::span<const std::span<const std::byte>> payload,
                           std::unique_ptr<Retained> retained) {
  uint64_t payload_bytes = 0;
  for (const auto& piece : payload)
    payload_bytes += piece.size();
  const wire::HeaderBytes header =
      wire::encode_header({kind, version_, request_id, static_cast<uint32_t>(body.size()), payload_bytes});
  nothing_sent_ = true;
  size_t sent = 0;
  if (outgoing_.empty()) {
    std::vector<std::span<const std::byte>> many;
    std::array<std::span<const std::byte>, 8> few;
    std::span<const std::span<const std::byte>> pieces;
    if (payload.size() + 2 <= few.size()) {
      few[0] = header;
      few[1] = body;
      std::copy(payload.begin(), payload.end(), few.begin() + 2);
      pieces = std::span(few).first(payload.size() + 2);
    } else {
      many.reserve(payload.size() + 2);
      many.push_back(header);
      many.push_back(body);
      many.insert(many.end(), payload.begin(), payload.end());
      pieces = many;
    }
    const auto written = write_pieces(pieces);
    if (!written) return written.error();
    sent = *written;
    nothing_sent_ = sent == 0;
    if (sent == header.size() + body.size() + payload_bytes) return {};
  }
  Outgoing rest;
  if (sent < header.size())
    rest.head.insert(rest.head.end(), header.begin() + static_cast<std::ptrdiff_t>(sent), header.end());
  size_t skip = sent < header.size() ? 0 : sent - header.size();
  if (skip < body.size())
    rest.head.insert(rest.head.end(), body.begin() + static_cast<std::ptrdiff_t>(skip), body.end());
  skip -= std::min(skip, body.size());
  for (const auto& piece : payload) {
    const size_t step = std::min(skip, piece.size());
    skip -= step;
    if (step < piece.size()) rest.payload.push_back(piece.subspan(step));
  }
  rest.retained = std::move(retained);
  unsent_bytes_ += header.size() + body.size() + payload_bytes - sent;
  outgoing_.push_back(std::move(rest));
  // A limit on writes, rather than a full socket, may be why there is a rest.
  return sent > 0 || outgoing_.size() > 1 ? flush() : Status{};
}

Status StreamChannel::send_with_descriptors(wire::Kind kind, uint64_t request_id,
                                            std::span<const std::byte> body,
                                            std::span<const int> descriptors) {
  assert(descriptors.size() <= kMaxDescriptors);
  Outgoing frame;
  for (const int fd : descriptors) {
    frame.descriptors.emplace_back(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
    if (!frame.descriptors.back().valid()) {
      return failure(VACCEL_RESOURCE_EXHAUSTED, "cannot copy a descriptor: %s", errno_text(errno).c_str());
    }
  }
  const wire::HeaderBytes header =
      wire::encode_header({kind, version_, request_id, static_cast<uint32_t>(body.size()), 0});
  frame.head.assign(header.begin(), header.end());
  frame.head.insert(frame.head.end(), body.begin(), body.end());
  nothing_sent_ = true;
  unsent_bytes_ += frame.head.size();
  outgoing_.push_back(std::move(frame));
  return flush();
}

std::vector<UniqueFd> StreamChannel::take_descriptors(size_t count) {
  std::vector<UniqueFd> taken;
  while (taken.size() < count && !descriptors_.empty()) {
    taken.push_back(std::move(descriptors_.front()));
    descriptors_.pop_front();
  }
  return taken;
}

Status StreamChannel::flush() {
  while (!outgoing_.empty()) {
    Outgoing& first = outgoing_.front();
    std::vector<std::span<const std::byte>> pieces;
    pieces.reserve(first.payload.size() + 1);
    if (!first.head.empty()) pieces.emplace_back(first.head);
    pieces.insert(pieces.end(), first.payload.begin(), first.payload.end());
    const auto written = write_pieces(pieces, first.descriptors);
    if (!written) return written.error();
    if (*written == 0 && !pieces.empty()) return {};
    nothing_sent_ = false;
    first.descriptors.clear();
    unsent_bytes_ -= *written;
    size_t left = *written;
    const size_t of_head = std::min(left, first.head.size());
    first.head.erase(first.head.begin(), first.head.begin() + static_cast<std::ptrdiff_t>(of_head));
    left -= of_head;
    size_t gone = 0;
    while (gone < first.payload.size() && left >= first.payload[gone].size())
      left -= first.payload[gone++].size();
    first.payload.erase(first.payload.begin(), first.payload.begin() + static_cast<std::ptrdiff_t>(gone));
    if (left > 0) first.payload.front() = first.payload.front().subspan(left);
    if (first.head.empty() && first.payload.empty()) outgoing_.pop_front();
  }
  return {};
}

Status StreamChannel::keep_unsent() {
  for (Outgoing& frame : outgoing_) {
    size_t size = 0;
    for (const auto& piece : frame.payload)
      size += piece.size();
    if (size > 0) {
      std::unique_ptr<std::byte, FreeMemory> copy{static_cast<std::byte*>(std::malloc(size))};
      if (!copy) return failure(VACCEL_RESOURCE_EXHAUSTED, "there is no memory for %zu unsent bytes", size);
      std::byte* end = copy.get();
      for (const auto& piece : frame.payload)
        end = std::copy(piece.begin(), piece.end(), end);
      frame.payload.assign(1, {copy.get(), size});
      frame.kept = std::move(copy);
    }
    frame.retained.reset();
  }
  return {};
}

}  // namespace vaccel::channel
