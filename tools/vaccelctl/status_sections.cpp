// SPDX-License-Identifier: Apache-2.0
#include "tools/vaccelctl/status_sections.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <tuple>

#include "tools/vaccel/text.h"

namespace vaccel::ctl {
namespace {

using tool::Align;

std::string text_of(uint64_t number) {
  return std::to_string(number);
}

std::string or_dash(const std::string& text) {
  return text.empty() ? "-" : text;
}

// Entries of the earlier reading by name.
template <typename Entry>
std::map<std::string_view, const Entry*> by_name(const std::vector<Entry>* entries) {
  std::map<std::string_view, const Entry*> named;
  if (entries == nullptr) return named;
  for (const Entry& entry : *entries)
    named.emplace(entry.name, &entry);
  return named;
}

// The rates of one tenant's or model's numbers.
template <typename Entry>
class Rates {
 public:
  Rates(const Reading* before, const Reading& now, std::vector<Entry> wire::StatusReport::*list)
      : named_(by_name(before != nullptr ? &(before->report.*list) : nullptr)),
        elapsed_ns_(before != nullptr ? now.at_ns - before->at_ns : 0) {}

  [[nodiscard]] std::optional<double> of(const Entry& entry, uint64_t Entry::*number) const {
    const auto before = named_.find(entry.name);
    if (before == named_.end()) return {};
    return rate_of(before->second->*number, entry.*number, elapsed_ns_);
  }

 private:
  std::map<std::string_view, const Entry*> named_;
  int64_t elapsed_ns_;
};

// The busiest first; what is as busy, by what it has done, then by name.
template <typename Entry>
std::vector<const Entry*> in_order(const std::vector<Entry>& entries, const Rates<Entry>& rates,
                                   bool with_rates) {
  std::vector<const Entry*> order;
  for (const Entry& entry : entries)
    order.push_back(&entry);
  if (!with_rates) return order;
  const auto key_of = [&](const Entry* entry) {
    return std::tuple(-rates.of(*entry, &Entry::calls).value_or(0), UINT64_MAX - entry->calls,
                      std::string_view(entry->name));
  };
  std::ranges::sort(order, {}, key_of);
  return order;
}

Section tenants_of(const Reading* before, const Reading& now, bool with_rates) {
  Section section{.things = "tenants",
                  .columns = {{"tenant"},
                              {"weight", Align::kRight},
                              {"sessions", Align::kRight},
                              {"queued", Align::kRight},
                              {"running", Align::kRight}},
                  .rows = {}};
  const std::vector<const char*> titles = with_rates
                                              ? std::vector{"calls/s", "failed/s", "refused/s", "bytes/s"}
                                              : std::vector{"calls", "failed", "refused", "bytes"};
  for (const char* title : titles)
    section.columns.push_back({title, Align::kRight});
  for (const char* title : {"in flight", "models", "in devices"})
    section.columns.push_back({title, Align::kRight});
  using Tenant = wire::TenantStatus;
  const Rates<Tenant> rates(before, now, &wire::StatusReport::tenants);
  const auto byte_rate = [&](const Tenant& tenant) -> std::optional<double> {
    const auto copied = rates.of(tenant, &Tenant::copied_bytes);
    const auto in_windows = rates.of(tenant, &Tenant::window_bytes);
    if (!copied || !in_windows) return {};
    return *copied + *in_windows;
  };
  for (const Tenant* tenant : in_order(now.report.tenants, rates, with_rates)) {
    std::vector<std::string> row{tenant->name, text_of(tenant->weight), text_of(tenant->sessions),
                                 text_of(tenant->calls_queued), text_of(tenant->calls_running)};
    if (with_rates) {
      row.push_back(rate_text(rates.of(*tenant, &Tenant::calls)));
      row.push_back(rate_text(rates.of(*tenant, &Tenant::failed_calls)));
      row.push_back(rate_text(rates.of(*tenant, &Tenant::refused)));
      row.push_back(byte_rate_text(byte_rate(*tenant)));
    } else {
      row.push_back(text_of(tenant->calls));
      row.push_back(text_of(tenant->failed_calls));
      row.push_back(text_of(tenant->refused));
      row.push_back(tool::size_text(tenant->copied_bytes + tenant->window_bytes));
    }
    row.push_back(tool::size_text(tenant->bytes_in_flight));
    row.push_back(text_of(tenant->models_open));
    row.push_back(tool::size_text(tenant->device_bytes));
    section.rows.push_back(std::move(row));
  }
  return section;
}

const char* name_of(wire::LoadState state) {
  switch (state) {
    case wire::LoadState::kLoading:
      return "loading";
    case wire::LoadState::kLoaded:
      return "loaded";
    case wire::LoadState::kUnusable:
      return "unusable";
    case wire::LoadState::kNotLoaded:
      break;
  }
  return "not loaded";
}

// "0-2,5"
std::string list_text(const std::vector<uint16_t>& numbers) {
  std::string text;
  for (size_t first = 0; first < numbers.size();) {
    size_t last = first;
    while (last + 1 < numbers.size() && numbers[last + 1] == numbers[last] + 1)
      ++last;
    if (!text.empty()) text += ',';
    text += std::to_string(numbers[first]);
    if (last > first) text += (last > first + 1 ? "-" : ",") + std::to_string(numbers[last]);
    first = last + 1;
  }
  return text;
}

Section models_of(const Reading* before, const Reading& now, bool with_rates) {
  Section section{.things = "models",
                  .columns = {{"model"},
                              {"state"},
                              {"workers"},
                              {"queued", Align::kRight},
                              {"running", Align::kRight},
                              {with_rates ? "calls/s" : "calls", Align::kRight},
                              {with_rates ? "failed/s" : "failed", Align::kRight},
                              {"backend"},
                              {"problem"}},
                  .rows = {}};
  using Model = wire::ModelStatus;
  const Rates<Model> rates(before, now, &wire::StatusReport::models);
  for (const Model* model : in_order(now.report.models, rates, with_rates)) {
    section.rows.push_back(
        {model->name, name_of(model->state), or_dash(list_text(model->workers)), text_of(model->calls_queued),
         text_of(model->calls_running),
         with_rates ? rate_text(rates.of(*model, &Model::calls)) : text_of(model->calls),
         with_rates ? rate_text(rates.of(*model, &Model::failed_calls)) : text_of(model->failed_calls),
         or_dash(model->backend), model->problem});
  }
  return section;
}

Section workers_of(const Reading& now) {
  Section section{.things = "workers",
                  .columns = {{"worker", Align::kRight},
                              {"pid", Align::kRight},
                              {"state"},
                              {"threads", Align::kRight},
                              {"models", Align::kRight},
                              {"queued", Align::kRight},
                              {"running", Align::kRight},
                              {"starts", Align::kRight},
                              {"CPUs"},
                              {"GPUs"},
                              {"problem"}},
                  .rows = {}};
  for (const wire::WorkerStatus& worker : now.report.worker_list) {
    section.rows.push_back({text_of(worker.index), worker.pid != 0 ? text_of(worker.pid) : "-",
                            worker.ready ? "ready" : "not ready", text_of(worker.threads),
                            text_of(worker.models), text_of(worker.calls_queued),
                            text_of(worker.calls_running), text_of(worker.starts),
                            worker.cpus.empty() ? "all" : worker.cpus,
                            worker.device.empty() ? "all" : worker.device, worker.problem});
  }
  return section;
}

Section devices_of(const Reading& now) {
  Section section{
      .things = "backends", .columns = {{"backend"}, {"version"}, {"devices"}, {"problem"}}, .rows = {}};
  for (const wire::BackendInfo& backend : now.report.backends)
    section.rows.push_back(
        {backend.name, or_dash(backend.version), or_dash(backend.devices), backend.problem});
  return section;
}

}  // namespace

std::optional<double> rate_of(std::optional<uint64_t> before, uint64_t now, int64_t elapsed_ns) {
  if (!before || now < *before || elapsed_ns <= 0) return {};
  return static_cast<double>(now - *before) * 1e9 / static_cast<double>(elapsed_ns);
}

std::string rate_text(std::optional<double> rate) {
  if (!rate) return "-";
  if (*rate == 0) return "0";
  char text[32];
  // Seldom is not never.
  std::snprintf(text, sizeof text, *rate < 99.95 ? "%.1f" : "%.0f", std::max(*rate, 0.1));
  return text;
}

std::string byte_rate_text(std::optional<double> rate) {
  return rate ? tool::size_text(static_cast<unsigned long long>(std::llround(*rate))) + "/s" : "-";
}

std::vector<Section> sections_of(const Reading* before, const Reading& now, bool with_rates) {
  std::vector<Section> sections;
  sections.push_back(tenants_of(before, now, with_rates));
  sections.push_back(models_of(before, now, with_rates));
  sections.push_back(workers_of(now));
  sections.push_back(devices_of(now));
  std::erase_if(sections, [](const Section& section) { return section.rows.empty(); });
  return sections;
}

}  // namespace vaccel::ctl
