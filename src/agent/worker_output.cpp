// SPDX-License-Identifier: Apache-2.0
#include "agent/worker_output.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>

#include "core/clock.h"

namespace vaccel::agent {
namespace {

constexpr size_t kPieceBytes = size_t{16} << 10;
constexpr int64_t kPauseMs = 200;
// What a pipe holds.
constexpr size_t kMostAtTheEnd = size_t{128} << 10;

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

Status WorkerOutput::begin(UniqueFd pipe) {
  forget();
  pipe_ = std::move(pipe);
  if (::fcntl(pipe_.get(), F_SETFL, O_NONBLOCK) != 0)
    return failure(VACCEL_RESOURCE_EXHAUSTED, "a worker's output: %s", errno_text(errno).c_str());
  Status status = reactor_.add(pipe_.get(), EPOLLIN, [this](uint32_t) { on_readable(); });
  watched_ = status.ok();
  return status;
}

void WorkerOutput::end() {
  for (size_t read = 0; read < kMostAtTheEnd && pipe_.valid() && read_once(); read += kPieceBytes) {
  }
  if (!line_.empty()) tell(line_);
  line_.clear();
  tell_left_out();
  forget();
}

void WorkerOutput::forget() {
  if (watched_) reactor_.remove(pipe_.get());
  watched_ = false;
  reactor_.cancel(pause_);
  pipe_.reset();
  line_.clear();
}

void WorkerOutput::on_readable() {
  const uint64_t before = left_out_;
  if (!read_once() && !pipe_.valid()) return;
  if (left_out_ != before) pause();
}

bool WorkerOutput::read_once() {
  char piece[kPieceBytes];
  const ssize_t got = ::read(pipe_.get(), piece, sizeof piece);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  if (got <= 0) {  // it has closed its end
    if (watched_) reactor_.remove(pipe_.get());
    watched_ = false;
    pipe_.reset();
    return false;
  }
  take({piece, static_cast<size_t>(got)});
  return true;
}

void WorkerOutput::take(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto end = static_cast<size_t>(std::ranges::find(bytes, '\n') - bytes.begin());
    const size_t fits = std::min(end, kMaxLineBytes - line_.size());
    line_.append(bytes.substr(0, fits));
    const bool ended = fits == end && end < bytes.size();
    bytes.remove_prefix(ended ? end + 1 : fits);
    if (!ended && line_.size() < kMaxLineBytes) return;  // the rest of it is still to come
    if (!line_.empty()) tell(line_);
    line_.clear();
  }
}

void WorkerOutput::tell(std::string_view line) {
  const auto said = level_of(line);
  const LogLevel level = said.value_or(LogLevel::kInfo);
  if (!log_.writes(level)) return;
  if (!meter_.admits(now_ns())) {
    ++left_out_;
    return;
  }
  tell_left_out();
  if (said) line.remove_prefix(3);
  log_.line(level, {}, "%s: %.*s", name_.c_str(), static_cast<int>(line.size()), line.data());
}

void WorkerOutput::tell_left_out() {
  const uint64_t count = meter_.take_left_out();
  if (count == 0) return;
  const LogNumber number{"left_out", count};
  log_.line(LogLevel::kInfo, {.numbers = {&number, 1}}, "%s: %llu more lines were left out", name_.c_str(),
            static_cast<unsigned long long>(count));
}

// It fills its pipe meanwhile, and then waits.
void WorkerOutput::pause() {
  if (!watched_) return;
  reactor_.remove(pipe_.get());
  watched_ = false;
  pause_ = reactor_.after_ms(kPauseMs, [this] {
    pause_ = {};
    watched_ = reactor_.add(pipe_.get(), EPOLLIN, [this](uint32_t) { on_readable(); }).ok();
  });
}

}  // namespace vaccel::agent
