// SPDX-License-Identifier: Apache-2.0
//
// The lists of a status go in several bodies. How many entries surely fit one is decided here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "wire/messages.h"

namespace vaccel::wire {

/// What an entry takes in a body at most.
size_t most_bytes_of(const VmStatus& vm);
size_t most_bytes_of(const TenantStatus& tenant);
size_t most_bytes_of(const ModelStatus& model);
size_t most_bytes_of(const WorkerStatus& worker);
size_t most_bytes_of(const BackendInfo& backend);

/// Of entries in one body; the rest is for the numbers of the whole agent.
inline constexpr size_t kMaxStatusPageBytes = kMaxBodyBytes - 4096;

/// Fills one list of a report with the entries from number `start` on that fit one body, and sets whether there are more.
class StatusPage {
 public:
  StatusPage(StatusReport& report, uint32_t start) : report_(report), start_(start) {}

  /// Goes on to the next entry. @return whether it may be on this page, so that others need not be made.
  bool takes_next() { return index_++ >= start_ && !report_.more; }

  /// @param list  Of this report.
  template <typename Entry>
  void add(std::vector<Entry>& list, Entry entry) {
    bytes_ += most_bytes_of(entry);
    report_.more = list.size() == most_entries(list) || bytes_ > kMaxStatusPageBytes;
    if (!report_.more) list.push_back(std::move(entry));
  }

 private:
  static constexpr size_t most_entries(const std::vector<VmStatus>& /*vms*/) { return kMaxVmsInBody; }
  static constexpr size_t most_entries(const std::vector<BackendInfo>& /*backends*/) { return kMaxBackends; }
  template <typename Entry>
  static constexpr size_t most_entries(const std::vector<Entry>& /*others*/) {
    return kMaxStatusEntries;
  }

  StatusReport& report_;
  const uint32_t start_;
  uint32_t index_ = 0;
  size_t bytes_ = 0;
};

}  // namespace vaccel::wire
