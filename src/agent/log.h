// SPDX-License-Identifier: Apache-2.0
//
// The agent's log: lines for people on standard error, made by main and handed down.
#pragma once

#include <memory>
#include <string>

namespace vaccel::agent {

class Log {
 public:
  /// @param level  "debug", "info", "warning" or "error".
  explicit Log(const std::string& level);
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  void set_level(const std::string& level);

  [[gnu::format(printf, 2, 3)]] void debug(const char* format, ...);
  [[gnu::format(printf, 2, 3)]] void info(const char* format, ...);
  [[gnu::format(printf, 2, 3)]] void warning(const char* format, ...);
  [[gnu::format(printf, 2, 3)]] void error(const char* format, ...);

 private:
  struct Logger;
  std::unique_ptr<Logger> logger_;
};

}  // namespace vaccel::agent
