// SPDX-License-Identifier: Apache-2.0
//
// vaccel-bench: measures vAccel beside the floors and peers that it has to measure up to, in the same run. README.md
// says what each section measures. The exit status says only whether it ran: a goal that is not reached is told.
#include <sched.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <iterator>
#include <string>
#include <vector>

#include "report.h"
#include "section.h"

namespace {

using namespace vaccel::bench;

constexpr double kQuickSeconds = 0.2;
constexpr size_t kQuickKills = 10;
constexpr double kQuickSoakSeconds = 2;

struct Section {
  const char* name;
  void (*measure)(const Setting&, Report&);
  const char* group = "";  // It is measured, too, when the section of this name is chosen.
};
// clang-format off
constexpr Section kSections[] = {
    {"local", measure_local},
    {"call", measure_call},
    {"classify", measure_classify},
    {"operators", measure_operators},
    {"tenants", measure_tenants},
    {"fairness", measure_fairness, "tenants"},
    {"sessions", measure_sessions, "tenants"},
    {"kills", measure_kills, "tenants"},
    {"hostile", measure_hostile, "tenants"},
    {"soak", measure_soak, "tenants"},
    {"channel", measure_channel},
    {"vm", measure_vm},
};
// clang-format on

std::vector<std::string> choices() {
  std::vector<std::string> names;
  for (const Section& section : kSections)
    names.emplace_back(section.name);
  names.emplace_back("all");
  return names;
}

// What is built with this program lies around it.
Setting default_setting() {
  std::error_code error;
  const auto programs = std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
  const auto libraries = programs.parent_path() / "lib" / "vaccel";
  return {.programs = programs,
          .backends = libraries / "backends",
          .peers = libraries / "bench",
          .catalogue = VACCEL_BENCH_CATALOGUE,
          .photo = VACCEL_BENCH_PHOTO};
}

// This process and all that it will start.
bool stay_on_one_cpu() {
  cpu_set_t all;
  if (::sched_getaffinity(0, sizeof all, &all) != 0) return false;
  cpu_set_t one;
  CPU_ZERO(&one);
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &all)) continue;
    CPU_SET(cpu, &one);
    break;
  }
  return ::sched_setaffinity(0, sizeof one, &one) == 0;
}

// Measures one section. False: it did not get through; the rows it had come so far are in the report.
bool run(const Section& section, const Setting& setting, Report& report) {
  try {
    section.measure(setting, report);
    return true;
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "vaccel-bench: %s: %s\n", section.name, failure.what());
    return false;
  }
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"vaccel-bench measures vAccel beside the floors it has to measure up to, in the same run."};
  Setting setting = default_setting();
  std::string chosen = "all";
  bool json = false;
  bool quick = false;
  bool one_cpu = false;
  app.add_option("section", chosen, "What to measure: a section, or all (the default)")
      ->check(CLI::IsMember(choices()));
  app.add_flag("--json", json, "Print JSON, with percentiles");
  app.add_option("--seconds", setting.seconds_per_case, "How long each case is measured (2)")
      ->check(CLI::Range(0.01, 3600.0));
  app.add_option("--kills", setting.kills, "How many processes are killed in section kills (1000)")
      ->check(CLI::Range(1, 100'000));
  double soak_minutes = 0;
  app.add_option("--soak-minutes", soak_minutes,
                 "How long section soak takes; 0 (the default): it is left out")
      ->check(CLI::Range(0.0, 10'000.0));
  app.add_flag("--quick", quick, "Only a moment a case: to see that it runs, not what it measures");
  app.add_flag("--one-cpu", one_cpu, "Keep all processes on one CPU, whatever the scheduler would choose");
  app.add_option("--catalogue", setting.catalogue, "The folder of models, with 'mobilenet'");
  app.add_option("--peers", setting.peers,
                 "The folder of libvaccel-bench-*.so, the frameworks called directly");
  app.add_option("--photo", setting.photo, "The photo that is classified");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? EXIT_SUCCESS : 2;
  }
  setting.soak_seconds = 60 * soak_minutes;
  if (quick) {
    setting.soak_seconds = kQuickSoakSeconds;
    setting.seconds_per_case = kQuickSeconds;
    setting.kills = std::min(setting.kills, kQuickKills);
  }
  if (one_cpu && !stay_on_one_cpu()) {
    std::fprintf(stderr, "vaccel-bench: cannot stay on one CPU: %s\n", std::strerror(errno));
    return EXIT_FAILURE;
  }
  Report report;
  bool complete = true;
  for (const Section& section : kSections) {
    if (chosen != "all" && chosen != section.name && chosen != section.group) continue;
    complete = run(section, setting, report) && complete;
  }
  std::fputs((json ? report.json(chosen) : report.table()).c_str(), stdout);
  return complete ? EXIT_SUCCESS : EXIT_FAILURE;
}
