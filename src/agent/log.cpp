// SPDX-License-Identifier: Apache-2.0
#include "agent/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <cstdarg>

namespace vaccel::agent {

struct Log::Logger {
  spdlog::logger logger{"vacceld", std::make_shared<spdlog::sinks::stderr_sink_mt>()};

  void write(spdlog::level::level_enum level, const char* format, va_list arguments) {
    if (!logger.should_log(level)) return;
    char line[1024];
    std::vsnprintf(line, sizeof line, format, arguments);
    logger.log(level, spdlog::string_view_t(line));
  }
};

Log::Log(const std::string& level) : logger_(std::make_unique<Logger>()) {
  logger_->logger.set_level(spdlog::level::from_str(level));
  logger_->logger.set_pattern("%Y-%m-%dT%H:%M:%S.%e vacceld %l: %v");
}

void Log::set_level(const std::string& level) {
  logger_->logger.set_level(spdlog::level::from_str(level));
}

Log::~Log() = default;

#define VACCEL_LOG_LEVEL(name, level)         \
  void Log::name(const char* format, ...) {   \
    va_list arguments;                        \
    va_start(arguments, format);              \
    logger_->write(level, format, arguments); \
    va_end(arguments);                        \
  }

VACCEL_LOG_LEVEL(debug, spdlog::level::debug)
VACCEL_LOG_LEVEL(info, spdlog::level::info)
VACCEL_LOG_LEVEL(warning, spdlog::level::warn)
VACCEL_LOG_LEVEL(error, spdlog::level::err)

}  // namespace vaccel::agent
