// SPDX-License-Identifier: Apache-2.0
#include "agent/worker_output.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "core/clock.h"

namespace vaccel::agent {
namespace {

constexpr size_t kPieceBytes = size_t{16} << 10;
constexpr size_t kMostAtOnce = 4 * kPieceBytes;
constexpr int64_t kLeastPauseMs = 10;
constexpr int64_t kTryAgainMs = 200;
// More than a socket holds.
constexpr size_t kMostAtTheEnd = size_t{1} << 20;

// "<4>" and the like, as systemd's services say it, too.
std::optional<LogLevel> level_of(std::string_view line) {
  if (line.size() < 3 || line[0] != '<' || line[2] != '>') return std::nullopt;
  if (line[1] >= '0' && line[1] <= '3') return LogLevel::kError;
  if (line[1] == '4') return LogLevel::kWarning;
  if (line[1] == '5' || line[1] == '6') return LogLevel::kInfo;
  if (line[1] == '7') return LogLevel::kDebug;
  return std::nullopt;
}

}  // namespace

Status WorkerOutput::begin(UniqueFd socket) {
  forget();
  socket_ = std::move(socket);
  if (::fcntl(socket_.get(), F_SETFL, O_NONBLOCK) != 0 || ::shutdown(socket_.get(), SHUT_WR) != 0)
    return failure(VACCEL_RESOURCE_EXHAUSTED, "a worker's output: %s", errno_text(errno).c_str());
  Status status = reactor_.add(socket_.get(), EPOLLIN, [this](uint32_t) { on_readable(); });
  watched_ = status.ok();
  return status;
}

void WorkerOutput::drain() {
  for (size_t all = 0; all < kMostAtTheEnd;) {
    const size_t got = read_once();
    if (got == 0) return;
    all += got;
  }
}

void WorkerOutput::end() {
  drain();
  tell_line();
  tell_left_out();
  forget();
}

void WorkerOutput::forget() {
  unwatch();
  reactor_.cancel(pause_);
  socket_.reset();
  line_.clear();
  level_.reset();
}

void WorkerOutput::unwatch() {
  if (watched_) reactor_.remove(socket_.get());
  watched_ = false;
}

void WorkerOutput::watch() {
  pause_ = {};
  watched_ = reactor_.add(socket_.get(), EPOLLIN, [this](uint32_t) { on_readable(); }).ok();
  if (!watched_) pause_ = reactor_.after_ms(kTryAgainMs, [this] { watch(); });
}

void WorkerOutput::on_readable() {
  size_t all = 0;
  for (size_t got = 1; got > 0 && all < kMostAtOnce; all += got)
    got = read_once();
  if (!socket_.valid()) return;
  unwatch();
  pause_ = reactor_.after_ms(std::max(kLeastPauseMs, static_cast<int64_t>(all) / kBytesPerMs),
                             [this] { watch(); });
}

size_t WorkerOutput::read_once() {
  if (!socket_.valid()) return 0;
  char piece[kPieceBytes];
  const ssize_t got = ::read(socket_.get(), piece, sizeof piece);
  if (got > 0) {
    take({piece, static_cast<size_t>(got)});
    return static_cast<size_t>(got);
  }
  if (got == 0 || (errno != EAGAIN && errno != EINTR)) {  // it has closed its end
    unwatch();
    socket_.reset();
  }
  return 0;
}

void WorkerOutput::take(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto end = static_cast<size_t>(std::ranges::find(bytes, '\n') - bytes.begin());
    const size_t fits = std::min(end, kMaxLineBytes - line_.size());
    line_.append(bytes.substr(0, fits));
    const bool ended = fits == end && end < bytes.size();
    bytes.remove_prefix(ended ? end + 1 : fits);
    if (!ended && line_.size() < kMaxLineBytes) return;  // the rest of it is still to come
    tell_line();
    if (ended) level_.reset();
  }
}

// What there is of it; the pieces that follow are of its level.
void WorkerOutput::tell_line() {
  const std::string whole = std::exchange(line_, {});
  if (whole.empty()) return;
  std::string_view line = whole;
  if (!level_) {
    const auto said = level_of(line);
    if (said) line.remove_prefix(3);
    level_ = said.value_or(LogLevel::kInfo);
  }
  if (!log_.writes(*level_)) return;
  if (!meter_.admits(now_ns())) return;
  tell_left_out();
  std::string text(line);
  std::ranges::replace(text, '\0', '?');
  log_.line(*level_, {}, "%s says: %s", name_.c_str(), text.c_str());
}

void WorkerOutput::tell_left_out() {
  const uint64_t count = meter_.take_left_out();
  if (count == 0) return;
  const LogNumber number{"left_out", count};
  log_.line(LogLevel::kInfo, {.numbers = {&number, 1}}, "%s wrote %llu more lines, which were left out",
            name_.c_str(), static_cast<unsigned long long>(count));
}

}  // namespace vaccel::agent
