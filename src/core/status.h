// SPDX-License-Identifier: Apache-2.0
//
// Status and Result<T>: how every room reports failure. A failure carries a code (the public vaccel_status,
// so that it crosses the ABI and the wire unchanged) and one sentence for people, with the values seen.
// Nothing here throws; this room is compiled into the guest library, which is built without exceptions.
#pragma once

#include <cstdarg>
#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "vaccel/types.h"

namespace vaccel {

/// What became of something: VACCEL_OK without a sentence, or another code with one. An OK status allocates
/// nothing and is one pointer wide, for it is returned on paths where tens of nanoseconds count.
class [[nodiscard]] Status {
 public:
  Status() = default;
  /// `code` must not be VACCEL_OK.
  Status(vaccel_status code, std::string sentence)
      : failure_(std::make_unique<Failure>(Failure{code, 0, std::move(sentence)})) {}
  Status(Status&&) noexcept = default;
  Status& operator=(Status&&) noexcept = default;
  Status(const Status& other)
      : failure_(other.failure_ ? std::make_unique<Failure>(*other.failure_) : nullptr) {}
  Status& operator=(const Status& other) {
    if (this != &other) failure_ = other.failure_ ? std::make_unique<Failure>(*other.failure_) : nullptr;
    return *this;
  }
  ~Status() = default;

  [[nodiscard]] bool ok() const { return failure_ == nullptr; }
  [[nodiscard]] vaccel_status code() const { return failure_ ? failure_->code : VACCEL_OK; }
  [[nodiscard]] const std::string& message() const { return failure_ ? failure_->message : kNoMessage; }

  /// The same failure, told from further out: "while opening model 'x': ...".
  [[nodiscard]] Status within(std::string_view context) const;

  /// When trying again may help, in microseconds from now; 0: not known. More than 35 minutes are told as 35.
  [[nodiscard]] uint32_t retry_after_us() const { return failure_ ? failure_->retry_after_us : 0; }
  /// The same failure, with that. Not for an OK status.
  Status with_retry_after(uint64_t microseconds) &&;

 private:
  struct Failure {
    vaccel_status code;
    uint32_t retry_after_us;
    std::string message;
  };
  static const std::string kNoMessage;
  std::unique_ptr<Failure> failure_;
};

template <typename T>
using Result = std::expected<T, Status>;

using Unexpected = std::unexpected<Status>;

/// A failed Status with a printf-formatted sentence.
[[gnu::cold, gnu::format(printf, 2, 3)]] Status failure(vaccel_status code, const char* format, ...);

/// The same as a Result's error: `return fail(VACCEL_NOT_FOUND, "no model '%s'", name);`
[[gnu::cold, gnu::format(printf, 2, 3)]] Unexpected fail(vaccel_status code, const char* format, ...);

/// The sentence that belongs to an errno value, thread-safe: "No such file or directory".
std::string errno_text(int error_number);

/// "NOT_FOUND"; "UNKNOWN" for a number that is no status.
const char* status_name(int code);

/// Whether `code` is one of the public codes, VACCEL_OK included: what came over a wire must be asked.
bool is_known_status(int code);

/// Untrusted text made fit for a sentence, a log or a terminal: control characters and bytes that are not
/// ASCII become
/// '?', and more than `limit` bytes are cut, with "..." at the end.
std::string printable(std::string_view text, size_t limit = 80);

}  // namespace vaccel
