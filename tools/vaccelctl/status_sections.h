// SPDX-License-Identifier: Apache-2.0
//
// An agent's status as tables for people: its tenants, models, workers and devices, each a section, with rates where there
// are two readings. Pure functions; who reads and who prints is status.cpp's and top.cpp's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tools/vaccel/output.h"
#include "wire/messages.h"

namespace vaccel::ctl {

/// The agent's status at one moment.
struct Reading {
  wire::StatusReport report;
  int64_t at_ns = 0;
};

/// How much a number that only grows has grown a second; nothing where it is not known, since there is no earlier reading or
/// the number began anew.
std::optional<double> rate_of(std::optional<uint64_t> before, uint64_t now, int64_t elapsed_ns);

/// "0", "0.4", "12.5", "1234"; "-" where it is not known.
std::string rate_text(std::optional<double> rate);
/// "1.5 MiB/s".
std::string byte_rate_text(std::optional<double> rate);

struct Section {
  std::string things;  ///< What its rows are: "tenants".
  std::vector<tool::Table::Column> columns;
  std::vector<std::vector<std::string>> rows;
};

/// Tenants, models, workers, devices; those without a row are left out. With rates, tenants and models are in the order of
/// their calls a second; otherwise in the agent's, with totals alone.
/// @param before  An earlier reading of the same agent; null: there is none.
std::vector<Section> sections_of(const Reading* before, const Reading& now, bool with_rates);

}  // namespace vaccel::ctl
