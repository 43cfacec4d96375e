// SPDX-License-Identifier: Apache-2.0
#include "agent/log.h"

#include <array>
#include <cstdarg>
#include <ctime>
#include <nlohmann/json.hpp>

#include "agent/line_meter.h"

namespace vaccel::agent {
namespace {

constexpr const char* kLevelNames[] = {"debug", "info", "warning", "error"};

/// What a line of the kind is about, for the line that tells how many were left out.
constexpr const char* kKindNames[kClientLines] = {"connections that could not be taken",
                                                  "sessions that were refused",
                                                  "sessions that began or ended",
                                                  "sessions that broke the protocol",
                                                  "requests that were refused",
                                                  "calls that failed",
                                                  "calls that were slow",
                                                  "loads of models"};

/// A sentence that is longer is cut.
constexpr size_t kMaxSentenceBytes = 2048;

LogLevel level_of(const std::string& name) {
  for (size_t level = 0; level < std::size(kLevelNames); ++level) {
    if (name == kLevelNames[level]) return static_cast<LogLevel>(level);
  }
  return LogLevel::kInfo;
}

// Whom a session belongs to, and which request it is, before the sentence: "session 7 (unix:/run/a.sock, tenant acme,
// VM vm1), request 12: ". Sentences about VMs and workers alone name them anyway.
std::string prefix_of(const LogSubject& subject) {
  if (subject.session == 0) return {};
  std::string prefix = "session " + std::to_string(subject.session) + " (" + std::string(subject.peer);
  if (!subject.tenant.empty()) prefix.append(", tenant ").append(subject.tenant);
  if (!subject.vm.empty()) prefix.append(", VM ").append(subject.vm);
  prefix += ')';
  if (subject.request != 0) prefix += ", request " + std::to_string(subject.request);
  return prefix + ": ";
}

// Control characters, those from U+0080 to U+009F too, would end the line or be a command to a terminal.
void make_harmless(std::string& line) {
  for (size_t at = 0; at < line.size(); ++at) {
    const auto byte = static_cast<unsigned char>(line[at]);
    const bool begins_control = byte == 0xc2 && at + 1 < line.size() &&
                                static_cast<unsigned char>(line[at + 1]) >= 0x80 &&
                                static_cast<unsigned char>(line[at + 1]) < 0xa0;
    if (begins_control) line[at + 1] = '?';
    if (byte < 0x20 || byte == 0x7f || begins_control) line[at] = '?';
  }
}

std::string human_line(LogLevel level, const LogSubject& subject, std::string_view sentence) {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  tm local{};
  ::localtime_r(&now.tv_sec, &local);
  char time[32];
  const size_t length = std::strftime(time, sizeof time, "%Y-%m-%dT%H:%M:%S", &local);
  std::snprintf(time + length, sizeof time - length, ".%03d", static_cast<int>(now.tv_nsec / 1'000'000));
  std::string line = std::string(time) + " vacceld " + kLevelNames[static_cast<size_t>(level)] + ": ";
  line.append(prefix_of(subject)).append(sentence);
  make_harmless(line);
  return line;
}

std::string utc_text() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  tm utc{};
  ::gmtime_r(&now.tv_sec, &utc);
  char time[40];
  const size_t length = std::strftime(time, sizeof time, "%Y-%m-%dT%H:%M:%S", &utc);
  std::snprintf(time + length, sizeof time - length, ".%03dZ", static_cast<int>(now.tv_nsec / 1'000'000));
  return time;
}

std::string json_line(LogLevel level, const LogSubject& subject, std::string_view sentence) {
  nlohmann::ordered_json json{
      {"time", utc_text()}, {"level", kLevelNames[static_cast<size_t>(level)]}, {"message", sentence}};
  if (subject.session != 0) json["session"] = subject.session;
  if (subject.request != 0) json["request"] = subject.request;
  const auto put = [&json](const char* name, std::string_view text) {
    if (!text.empty()) json[name] = text;
  };
  put("peer", subject.peer);
  put("tenant", subject.tenant);
  put("vm", subject.vm);
  if (subject.worker != nullptr) json["worker"] = *subject.worker;
  put("operator", subject.operator_name);
  put("model", subject.model);
  for (const LogNumber& number : subject.numbers)
    json[std::string(number.name)] = number.value;
  // ASCII only, and what is no UTF-8 becomes U+FFFD.
  return json.dump(-1, ' ', true, nlohmann::ordered_json::error_handler_t::replace);
}

std::string sentence_of(const char* format, va_list arguments) {
  char sentence[kMaxSentenceBytes];
  std::vsnprintf(sentence, sizeof sentence, format, arguments);
  return sentence;
}

}  // namespace

// Puts lines into the file, each with one write.
class Log::Writer {
 public:
  explicit Writer(Options options) : options_(std::move(options)), level_(level_of(options_.level)) {}
  ~Writer() {
    for (size_t kind = 0; kind < kClientLines; ++kind)
      tell_left_out(static_cast<ClientLine>(kind), LogLevel::kInfo);
  }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  void set_level(const std::string& level) { level_ = level_of(level); }
  void set_format(LogFormat format) { options_.format = format; }
  [[nodiscard]] bool writes(LogLevel level) const { return level >= level_; }

  bool admits(ClientLine kind, LogLevel level) {
    if (!writes(level) || !meters_[static_cast<size_t>(kind)].admits(options_.clock())) return false;
    tell_left_out(kind, level);
    return true;
  }

  void write(LogLevel level, const LogSubject& subject, std::string_view sentence) {
    if (!writes(level)) return;
    std::string line = options_.format == LogFormat::kJson ? json_line(level, subject, sentence)
                                                           : human_line(level, subject, sentence);
    line += '\n';
    (void)std::fwrite(line.data(), 1, line.size(), options_.file);
    (void)std::fflush(options_.file);
  }

 private:
  void tell_left_out(ClientLine kind, LogLevel level) {
    const uint64_t count = meters_[static_cast<size_t>(kind)].take_left_out();
    if (count == 0) return;
    const LogNumber number{"left_out", count};
    write(level, {.numbers = {&number, 1}},
          std::to_string(count) +
              " more lines like this were left out: " + kKindNames[static_cast<size_t>(kind)]);
  }

  Options options_;
  LogLevel level_;
  std::array<LineMeter, kClientLines> meters_;
};

LogFormat log_format_of(std::string_view name) {
  return name == kLogFormatNames[1] ? LogFormat::kJson : LogFormat::kHuman;
}

Log::Log(Options options) : own_(std::make_unique<Writer>(std::move(options))), writer_(*own_) {}

Log::Log(Log& all, uint32_t worker) : writer_(all.writer_), worker_(worker), worker_of_lines_(&worker_) {}

Log::~Log() = default;

void Log::set_level(const std::string& level) {
  writer_.set_level(level);
}

void Log::set_format(LogFormat format) {
  writer_.set_format(format);
}

bool Log::writes(LogLevel level) const {
  return writer_.writes(level);
}

#define VACCEL_LOG_LEVEL(name, level)                                                   \
  void Log::name(const char* format, ...) {                                             \
    if (!writer_.writes(level)) return;                                                 \
    va_list arguments;                                                                  \
    va_start(arguments, format);                                                        \
    writer_.write(level, {.worker = worker_of_lines_}, sentence_of(format, arguments)); \
    va_end(arguments);                                                                  \
  }

VACCEL_LOG_LEVEL(debug, LogLevel::kDebug)
VACCEL_LOG_LEVEL(info, LogLevel::kInfo)
VACCEL_LOG_LEVEL(warning, LogLevel::kWarning)
VACCEL_LOG_LEVEL(error, LogLevel::kError)

LogSubject Log::here(LogSubject subject) const {
  if (subject.worker == nullptr) subject.worker = worker_of_lines_;
  return subject;
}

void Log::line(LogLevel level, const LogSubject& subject, const char* format, ...) {
  if (!writer_.writes(level)) return;
  va_list arguments;
  va_start(arguments, format);
  writer_.write(level, here(subject), sentence_of(format, arguments));
  va_end(arguments);
}

void Log::client_line(ClientLine kind, LogLevel level, const LogSubject& subject, const char* format, ...) {
  if (!writer_.admits(kind, level)) return;
  va_list arguments;
  va_start(arguments, format);
  writer_.write(level, here(subject), sentence_of(format, arguments));
  va_end(arguments);
}

}  // namespace vaccel::agent
