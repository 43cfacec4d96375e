// SPDX-License-Identifier: Apache-2.0
//
// The agent's log: lines on standard error, for people or as JSON objects, made by main and handed down. A line that a client
// can cause is written by client_line(), which measures each kind of them, so that no flood of mistakes fills the host's disk;
// what is the operator's own business is written always. Whatever a line quotes, it stays one line, and harmless to a
// terminal.
#pragma once

#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "core/clock.h"

namespace vaccel::agent {

enum class LogFormat : uint8_t { kHuman, kJson };

/// "human" and "json".
inline constexpr const char* kLogFormatNames[] = {"human", "json"};
LogFormat log_format_of(std::string_view name);

enum class LogLevel : uint8_t { kDebug, kInfo, kWarning, kError };

/// Kinds of lines that clients cause as often as they like; each has a measure of its own.
enum class ClientLine : uint8_t {
  kConnection,      ///< Connections that could not be taken.
  kRefusedSession,  ///< Sessions that were refused.
  kSession,         ///< Sessions that began or ended.
  kBrokenProtocol,  ///< Sessions that broke the protocol.
  kRefusedRequest,
  kFailedCall,
  kSlowCall,
  kModel  ///< Models that were loaded, unloaded, or could not be.
};
inline constexpr size_t kClientLines = 8;

/// A number of a line's, for programs; people read it in the sentence.
struct LogNumber {
  std::string_view name;
  uint64_t value = 0;
};

/// What a line is about. For people it stands before the sentence, where there is a session; in JSON each part is a field of
/// its own.
struct LogSubject {
  uint64_t session = 0;        ///< 0: none.
  uint64_t request = 0;        ///< The client's number; 0: none.
  std::string_view peer = {};  ///< Where the session connected.
  std::string_view tenant = {};
  std::string_view vm = {};
  std::string_view operator_name = {};
  std::string_view model = {};
  const uint32_t* worker = nullptr;  ///< Its index; null: none.
  std::span<const LogNumber> numbers = {};
};

class Log {
 public:
  struct Options {
    std::string level = "info";  ///< "debug", "info", "warning" or "error".
    LogFormat format = LogFormat::kHuman;
    std::FILE* file = stderr;  ///< Not owned.
    std::function<int64_t()> clock = now_ns;
  };

  explicit Log(Options options);
  /// The log of one worker's slot, whose lines say which one it is unless they name another. `all` must outlive it.
  Log(Log& all, uint32_t worker);
  /// Says how many lines have been left out at the end.
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  void set_level(const std::string& level);
  void set_format(LogFormat format);
  /// Whether lines of a level are written, for those that are costly to make.
  [[nodiscard]] bool writes(LogLevel level) const;

  // ---- The operator's business: written always

  [[gnu::format(printf, 2, 3)]] void debug(const char* format, ...);
  [[gnu::format(printf, 2, 3)]] void info(const char* format, ...);
  [[gnu::format(printf, 2, 3)]] void warning(const char* format, ...);
  [[gnu::format(printf, 2, 3)]] void error(const char* format, ...);
  [[gnu::format(printf, 4, 5)]] void line(LogLevel level, const LogSubject& subject, const char* format, ...);

  // ---- What clients cause: measured

  [[gnu::format(printf, 5, 6)]] void client_line(ClientLine kind, LogLevel level, const LogSubject& subject,
                                                 const char* format, ...);

 private:
  class Writer;

  [[nodiscard]] LogSubject here(LogSubject subject) const;

  const std::unique_ptr<Writer> own_;
  Writer& writer_;
  const uint32_t worker_ = 0;
  const uint32_t* const worker_of_lines_ = nullptr;  // of every line; null: the agent's log
};

}  // namespace vaccel::agent
