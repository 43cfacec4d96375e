// SPDX-License-Identifier: Apache-2.0
#include "wire/status_page.h"

#include <gtest/gtest.h>

#include <functional>

namespace vaccel::wire {
namespace {

std::string long_text(size_t size) {
  return std::string(size, 'x');
}

// Sends a list page by page, as an agent does, and reads it as vaccelctl does. @return how many pages there were.
template <typename Entry>
size_t expect_paged(const std::vector<Entry>& all, std::vector<Entry> StatusReport::*list,
                    const std::function<bool(const Entry&, const Entry&)>& alike) {
  Encoder encoder;
  std::vector<Entry> got;
  for (size_t pages = 1;; ++pages) {
    StatusReport report{.server = "vacceld"};
    StatusPage page(report, static_cast<uint32_t>(got.size()));
    for (const Entry& entry : all) {
      if (page.takes_next()) page.add(report.*list, entry);
    }
    const auto body = encoder.encode(report);
    EXPECT_LE(body.size(), kMaxBodyBytes);
    const auto decoded = decode_status_report(body);
    if (!decoded) {
      ADD_FAILURE() << decoded.error().message();
      return pages;
    }
    const std::vector<Entry>& part = *decoded.*list;
    EXPECT_FALSE(part.empty());
    got.insert(got.end(), part.begin(), part.end());
    if (part.empty() || !decoded->more) {
      EXPECT_EQ(got.size(), all.size());
      for (size_t index = 0; index < std::min(got.size(), all.size()); ++index)
        EXPECT_TRUE(alike(got[index], all[index])) << index;
      return pages;
    }
  }
}

TEST(StatusPage, AThousandTenantsTakeAFewBodies) {
  std::vector<TenantStatus> tenants;
  for (uint64_t number = 0; number < 1000; ++number) {
    tenants.push_back({.name = "tenant-" + std::to_string(number) + long_text(52),
                       .weight = 10'000,
                       .sessions = UINT32_MAX,
                       .calls_queued = UINT64_MAX,
                       .calls_running = UINT64_MAX - 1,
                       .calls = UINT64_MAX - 2,
                       .failed_calls = UINT64_MAX - 3,
                       .refused = UINT64_MAX - 4,
                       .copied_bytes = UINT64_MAX - 5,
                       .window_bytes = UINT64_MAX - 6,
                       .bytes_in_flight = UINT64_MAX - 7,
                       .models_open = UINT64_MAX - 8,
                       .leases = UINT64_MAX - 9,
                       .leased_bytes = UINT64_MAX - 10,
                       .device_buffers = UINT64_MAX - 11,
                       .device_bytes = number + 1});
  }
  const size_t pages = expect_paged<TenantStatus>(
      tenants, &StatusReport::tenants, [](const TenantStatus& one, const TenantStatus& other) {
        return one.name == other.name && one.weight == other.weight && one.sessions == other.sessions &&
               one.calls_queued == other.calls_queued && one.calls_running == other.calls_running &&
               one.calls == other.calls && one.failed_calls == other.failed_calls &&
               one.refused == other.refused && one.copied_bytes == other.copied_bytes &&
               one.window_bytes == other.window_bytes && one.bytes_in_flight == other.bytes_in_flight &&
               one.models_open == other.models_open && one.leases == other.leases &&
               one.leased_bytes == other.leased_bytes && one.device_buffers == other.device_buffers &&
               one.device_bytes == other.device_bytes;
      });
  EXPECT_LE(pages, 8u);
}

TEST(StatusPage, ModelsInAllWorkersAndWorkersWithProblemsPage) {
  std::vector<ModelStatus> models;
  std::vector<uint16_t> all_workers;
  for (uint16_t worker = 0; worker < kMaxWorkers; ++worker)
    all_workers.push_back(worker);
  for (int number = 0; number < 300; ++number) {
    models.push_back({.name = std::to_string(number) + long_text(250),
                      .state = LoadState::kLoaded,
                      .backend = long_text(255),
                      .problem = long_text(512),
                      .workers = all_workers,
                      .calls_queued = 1,
                      .calls_running = 2,
                      .calls = 3,
                      .failed_calls = 4});
  }
  expect_paged<ModelStatus>(
      models, &StatusReport::models, [](const ModelStatus& one, const ModelStatus& other) {
        return one.name == other.name && one.state == other.state && one.backend == other.backend &&
               one.problem == other.problem && one.workers == other.workers &&
               one.calls_queued == other.calls_queued && one.calls_running == other.calls_running &&
               one.calls == other.calls && one.failed_calls == other.failed_calls;
      });
  std::vector<WorkerStatus> workers;
  for (uint32_t index = 0; index < kMaxWorkers; ++index) {
    workers.push_back({.index = index,
                       .pid = index + 1,
                       .ready = index % 2 == 0,
                       .problem = long_text(512),
                       .threads = 8,
                       .models = 3,
                       .calls_queued = 4,
                       .calls_running = 5,
                       .starts = 6,
                       .cpus = long_text(255),
                       .device = long_text(255)});
  }
  expect_paged<WorkerStatus>(
      workers, &StatusReport::worker_list, [](const WorkerStatus& one, const WorkerStatus& other) {
        return one.index == other.index && one.pid == other.pid && one.ready == other.ready &&
               one.problem == other.problem && one.threads == other.threads && one.models == other.models &&
               one.calls_queued == other.calls_queued && one.calls_running == other.calls_running &&
               one.starts == other.starts && one.cpus == other.cpus && one.device == other.device;
      });
}

TEST(StatusPage, VmsAndBackendsPage) {
  std::vector<VmStatus> vms;
  for (uint32_t number = 0; number < 150; ++number) {
    vms.push_back({.name = std::to_string(number) + long_text(250),
                   .tenant = long_text(255),
                   .listen = long_text(512),
                   .cid = number,
                   .window = long_text(512),
                   .window_bytes = 1,
                   .leased_bytes = 2,
                   .leases = 3,
                   .sessions = 4,
                   .problem = long_text(512)});
  }
  expect_paged<VmStatus>(vms, &StatusReport::vms, [](const VmStatus& one, const VmStatus& other) {
    return one.name == other.name && one.cid == other.cid && one.problem == other.problem;
  });
  const std::vector<BackendInfo> backends(64,
                                          {long_text(255), long_text(255), long_text(255), long_text(512)});
  expect_paged<BackendInfo>(backends, &StatusReport::backends,
                            [](const BackendInfo& one, const BackendInfo& other) {
                              return one.name == other.name && one.version == other.version &&
                                     one.devices == other.devices && one.problem == other.problem;
                            });
}

TEST(StatusPage, WhatCannotBeIsRefused) {
  Encoder encoder;
  const auto read = decode_read_status(encoder.encode(ReadStatus{7, StatusList::kBackends}));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->start, 7u);
  EXPECT_EQ(read->list, StatusList::kBackends);
  const auto no_list = decode_read_status(encoder.encode(ReadStatus{0, static_cast<StatusList>(5)}));
  ASSERT_FALSE(no_list);
  EXPECT_EQ(no_list.error().code(), VACCEL_INVALID_ARGUMENT);
  StatusReport report;
  report.models = {
      {.name = "x", .state = static_cast<LoadState>(4), .backend = "", .problem = "", .workers = {}}};
  EXPECT_FALSE(decode_status_report(encoder.encode(report)));
  report.models = {
      {.name = "x", .backend = "", .problem = "", .workers = std::vector<uint16_t>(kMaxWorkers + 1)}};
  EXPECT_FALSE(decode_status_report(encoder.encode(report)));
  report.models.clear();
  report.tenants.resize(kMaxStatusEntries + 1);
  EXPECT_FALSE(decode_status_report(encoder.encode(report)));
}

}  // namespace
}  // namespace vaccel::wire
