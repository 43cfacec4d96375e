// SPDX-License-Identifier: Apache-2.0
//
// The sections of the benchmark, one file each: section_NAME.cpp. A section starts what it needs, measures, adds its
// rows, and leaves nothing behind.
#pragma once

#include <filesystem>

#include "report.h"

namespace vaccel::bench {

/// What sections are given.
struct Setting {
  std::filesystem::path programs;   ///< The folder of vaccel, vacceld and vaccel-worker.
  std::filesystem::path backends;   ///< The folder of the backends, which ONNX Runtime lies in too.
  std::filesystem::path peers;      ///< The folder of the peers' libraries (peers/peer.h).
  std::filesystem::path catalogue;  ///< With the model "mobilenet".
  std::filesystem::path photo;
  double seconds_per_case = 2;
  size_t kills = 1000;
  double soak_seconds = 0;  ///< 0: no soak.
};

/// A call in the caller's own process, beside what it stands for.
void measure_local(const Setting& setting, Report& report);
/// A call over a unix socket, beside the same bytes over a bare one.
void measure_call(const Setting& setting, Report& report);
/// A real model through agent and worker, beside the framework called directly.
void measure_classify(const Setting& setting, Report& report);
/// Each model of the catalogue, and products of matrices, beside their frameworks called directly.
void measure_operators(const Setting& setting, Report& report);
/// Many clients of one model at a time, beside the framework's own best.
void measure_tenants(const Setting& setting, Report& report);
/// One worker shared among tenants, by weight and whatever one of them asks for.
void measure_fairness(const Setting& setting, Report& report);
/// What many sessions, and connections for one call each, take and leave.
void measure_sessions(const Setting& setting, Report& report);
/// Workers, clients and the agent are killed while others call.
void measure_kills(const Setting& setting, Report& report);
/// What tenants feel of one that brings hostile models.
void measure_hostile(const Setting& setting, Report& report);
/// Mixed load for a long time, and whether anything grows.
void measure_soak(const Setting& setting, Report& report);
/// Payloads over each path from a process to an agent, beside the path's floor and gRPC.
void measure_channel(const Setting& setting, Report& report);
/// Payloads from inside a guest, in its window and without.
void measure_vm(const Setting& setting, Report& report);

}  // namespace vaccel::bench
