// SPDX-License-Identifier: Apache-2.0
#include "core/status.h"

#include <cstdio>
#include <cstring>

namespace vaccel {
namespace {

std::string format_text(const char* format, va_list arguments) {
  char buffer[512];
  va_list again;
  va_copy(again, arguments);
  const int length = std::vsnprintf(buffer, sizeof buffer, format, arguments);
  std::string text;
  if (length > 0 && static_cast<size_t>(length) < sizeof buffer) {
    text.assign(buffer, static_cast<size_t>(length));
  } else if (length > 0) {
    text.resize(static_cast<size_t>(length));
    std::vsnprintf(text.data(), text.size() + 1, format, again);
  }
  va_end(again);
  return text;
}

}  // namespace

const std::string Status::kNoMessage;

Status Status::within(std::string_view context) const {
  if (ok()) return {};
  std::string message{context};
  message += ": ";
  message += failure_->message;
  Status further{failure_->code, std::move(message)};
  further.failure_->retry_after_us = failure_->retry_after_us;
  return further;
}

Status Status::with_retry_after(uint64_t microseconds) && {
  constexpr uint64_t kMost = uint64_t{1} << 31;
  failure_->retry_after_us = static_cast<uint32_t>(microseconds < kMost ? microseconds : kMost);
  return std::move(*this);
}

Status failure(vaccel_status code, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  Status status{code, format_text(format, arguments)};
  va_end(arguments);
  return status;
}

Unexpected fail(vaccel_status code, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  Unexpected error{Status{code, format_text(format, arguments)}};
  va_end(arguments);
  return error;
}

std::string errno_text(int error_number) {
  char buffer[128];
  return strerror_r(error_number, buffer, sizeof buffer);
}

const char* status_name(int code) {
  switch (code) {
    case VACCEL_OK:
      return "OK";
    case VACCEL_INVALID_ARGUMENT:
      return "INVALID_ARGUMENT";
    case VACCEL_NOT_FOUND:
      return "NOT_FOUND";
    case VACCEL_PERMISSION_DENIED:
      return "PERMISSION_DENIED";
    case VACCEL_RESOURCE_EXHAUSTED:
      return "RESOURCE_EXHAUSTED";
    case VACCEL_DEADLINE_EXCEEDED:
      return "DEADLINE_EXCEEDED";
    case VACCEL_CANCELLED:
      return "CANCELLED";
    case VACCEL_UNAVAILABLE:
      return "UNAVAILABLE";
    case VACCEL_UNIMPLEMENTED:
      return "UNIMPLEMENTED";
    case VACCEL_PROTOCOL_ERROR:
      return "PROTOCOL_ERROR";
    case VACCEL_INTERNAL:
      return "INTERNAL";
    default:
      return "UNKNOWN";
  }
}

bool is_known_status(int code) {
  return code >= VACCEL_OK && code <= VACCEL_INTERNAL;
}

std::string printable(std::string_view text, size_t limit) {
  const bool cut = text.size() > limit;
  std::string clean{text.substr(0, limit)};
  for (char& character : clean) {
    const auto byte = static_cast<unsigned char>(character);  // char has no sign on aarch64
    if (byte < 0x20 || byte >= 0x7f) character = '?';
  }
  if (cut) clean += "...";
  return clean;
}

}  // namespace vaccel
