// SPDX-License-Identifier: Apache-2.0
#include "agent/quarantine.h"

#include <algorithm>
#include <cmath>

namespace vaccel::agent {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr double kMostStrikes = 3;
/// From here on somebody is run apart from other suspects.
constexpr double kSuspicious = 0.1;
/// What is held against somebody is halved in this time.
constexpr int64_t kHalfLife = 300 * kSecond;
constexpr int64_t kFirstTerm = 60 * kSecond;
constexpr int64_t kLastTerm = 3600 * kSecond;
/// Suspects remembered at a time; the one with the least against it makes way.
constexpr size_t kMaxRecords = 4096;
/// So many tenants that may not use a subject: it is the subject's fault.
constexpr int kTenantsForAll = 2;
constexpr const char* kEverybody = "";

std::string text_of(const Quarantine::Suspect& suspect) {
  return "'" + printable(suspect.subject) + "'" +
         (suspect.tenant.empty() ? " for all tenants" : " for tenant '" + suspect.tenant + "'");
}

}  // namespace

double Quarantine::strikes_of(const Record& record, int64_t now_ns) {
  const auto age = static_cast<double>(now_ns - record.last_ns) / static_cast<double>(kHalfLife);
  return record.last_ns == 0 ? 0 : record.strikes * std::exp2(-age);
}

bool Quarantine::suspects(const Suspect& suspect, int64_t now_ns) const {
  if (records_.empty()) return false;
  const auto record = records_.find(suspect);
  return record != records_.end() && strikes_of(record->second, now_ns) >= kSuspicious;
}

void Quarantine::strike(Record& record, double weight, int64_t now_ns) {
  record.strikes = strikes_of(record, now_ns) + weight;
  record.last_ns = now_ns;
  // A little less: three in a row have aged a little.
  if (record.strikes < kMostStrikes - 0.5) return;
  record.until_ns = now_ns + std::min(kLastTerm, kFirstTerm << std::min(record.terms, 10u));
  ++record.terms;
  record.strikes = kMostStrikes - 1;  // after its term, once more is enough
}

void Quarantine::worker_ended(const std::vector<Suspect>& suspects, int64_t now_ns) {
  if (suspects.empty()) return;
  const double weight = 1.0 / static_cast<double>(suspects.size());
  for (const Suspect& suspect : suspects) {
    if (!records_.contains(suspect) && records_.size() >= kMaxRecords) {
      records_.erase(std::ranges::min_element(records_, {}, [now_ns](const auto& entry) {
        return std::pair(holds(entry.second, now_ns), entry.second.last_ns);
      }));
    }
    strike(records_[suspect], weight, now_ns);
    int tenants = 0;
    for (auto entry = records_.lower_bound({kEverybody, suspect.subject}); entry != records_.end(); ++entry) {
      if (entry->first.subject == suspect.subject && entry->first.tenant != kEverybody &&
          holds(entry->second, now_ns))
        ++tenants;
    }
    if (tenants < kTenantsForAll) continue;
    Record& all = records_[{kEverybody, suspect.subject}];
    if (!holds(all, now_ns)) strike(all, kMostStrikes, now_ns);
  }
}

Status Quarantine::check(const std::string& tenant, const std::string& subject, int64_t now_ns) const {
  if (records_.empty()) return {};
  for (const std::string& who : {std::string(kEverybody), tenant}) {
    const auto record = records_.find({who, subject});
    if (record == records_.end() || !holds(record->second, now_ns)) continue;
    const int64_t left = record->second.until_ns - now_ns;
    return failure(VACCEL_UNAVAILABLE,
                   "%s is in quarantine: its calls have ended workers again and again; it is tried again in "
                   "%lld s, or after "
                   "'vaccelctl release %s'",
                   text_of(record->first).c_str(), static_cast<long long>((left + kSecond - 1) / kSecond),
                   printable(subject).c_str())
        .with_retry_after(static_cast<uint64_t>(left / 1000));
  }
  return {};
}

bool Quarantine::release(const std::string& subject) {
  return std::erase_if(records_, [&](const auto& entry) { return entry.first.subject == subject; }) > 0;
}

}  // namespace vaccel::agent
