// SPDX-License-Identifier: Apache-2.0
//
// Who may not use a model for a while, because its calls have ended workers again and again: a tenant, or, when several
// tenants had the same happen to them or the model cannot even be loaded, everybody. The others are served.
//
// A worker that dies runs calls of several tenants as a rule. Each of them is suspected by its part, and is run apart from other
// suspects for a while: the next end tells whose fault it was.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/status.h"

namespace vaccel::agent {

class Quarantine {
 public:
  /// What ran: a model of the catalogue by name, or an operator that needs none. "" for a tenant: nobody's call, the model
  /// was being loaded.
  struct Suspect {
    std::string tenant;
    std::string subject;
    auto operator<=>(const Suspect&) const = default;
  };

  /// A worker has ended while these ran, each named once.
  void worker_ended(const std::vector<Suspect>& suspects, int64_t now_ns);
  /// Whether something is held against it: then a worker runs it for one tenant at a time, so that its next end tells whose
  /// fault it was.
  [[nodiscard]] bool suspects_anybody() const { return !records_.empty(); }
  [[nodiscard]] bool suspects(const Suspect& suspect, int64_t now_ns) const;
  /// UNAVAILABLE, with the time to wait: not at present.
  [[nodiscard]] Status check(const std::string& tenant, const std::string& subject, int64_t now_ns) const;
  /// Forgets what was held against a subject. @return whether there was anything.
  bool release(const std::string& subject);

 private:
  struct Record {
    double strikes = 0;
    int64_t last_ns = 0;
    int64_t until_ns = 0;  // 0: it never came to that
    uint32_t terms = 0;    // how often it has
  };
  [[nodiscard]] static double strikes_of(const Record& record, int64_t now_ns);
  void strike(Record& record, double weight, int64_t now_ns);
  static bool holds(const Record& record, int64_t now_ns) { return record.until_ns > now_ns; }

  std::map<Suspect, Record> records_;
};

}  // namespace vaccel::agent
