// SPDX-License-Identifier: Apache-2.0
#include "failure.h"

namespace vaccel::torch_backend {
namespace {

constexpr const char* kBlank = " \t\r\n";

std::string first_line(const std::string& text) {
  const size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find('\n', begin) - begin);
}

std::string last_line(const std::string& text) {
  const size_t end = text.find_last_not_of(kBlank);
  if (end == std::string::npos) return "";
  const size_t newline = text.rfind('\n', end);
  return text.substr(newline == std::string::npos ? 0 : newline + 1, end - newline);
}

bool begins_with(const std::string& text, const char* prefix) {
  return text.rfind(prefix, 0) == 0;
}

}  // namespace

std::string line_of(const std::string& text) {
  // The stack of C++ functions comes after this line; it has no place in a sentence.
  const std::string words = text.substr(0, text.find("\nException raised from "));
  // An error within a script is told by its last line, after a listing of the script.
  const std::string first = first_line(words);
  if (begins_with(first, "The following operation failed in the TorchScript interpreter")) {
    const std::string last = last_line(words);
    constexpr const char* kCommon = "RuntimeError: ";
    return begins_with(last, kCommon) ? last.substr(std::char_traits<char>::length(kCommon)) : last;
  }
  return first.empty() ? "it does not say why" : first;
}

bool tells_of_memory(const std::string& text) {
  for (const char* words :
       {"can't allocate memory", "not enough memory", "out of memory", "std::bad_alloc"}) {
    if (text.find(words) != std::string::npos) return true;
  }
  return false;
}

}  // namespace vaccel::torch_backend
