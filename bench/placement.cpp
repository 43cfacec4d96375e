// SPDX-License-Identifier: Apache-2.0
#include "placement.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "failure.h"

namespace vaccel::bench {
namespace {

// What the process was given: asked for once, before any of its threads is put on a CPU.
const cpu_set_t& all_cpus() {
  static const cpu_set_t all = [] {
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    if (::sched_getaffinity(0, sizeof cpus, &cpus) != 0)
      give_up("cannot tell this process's CPUs: %s", std::strerror(errno));
    return cpus;
  }();
  return all;
}

// "0-1": the hardware threads of one core. Empty where the kernel does not tell.
std::string core_of(int cpu) {
  std::ifstream file("/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/thread_siblings_list");
  std::string siblings;
  std::getline(file, siblings);
  return siblings;
}

}  // namespace

Placement choose_placement() {
  std::vector<int> cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &all_cpus())) cpus.push_back(cpu);
  }
  // One hardware thread a core first, then the others.
  std::vector<int> in_order;
  std::vector<int> siblings;
  std::vector<std::string> cores;
  for (const int cpu : cpus) {
    const std::string core = core_of(cpu);
    const bool seen = !core.empty() && std::find(cores.begin(), cores.end(), core) != cores.end();
    (seen ? siblings : in_order).push_back(cpu);
    cores.push_back(core);
  }
  in_order.insert(in_order.end(), siblings.begin(), siblings.end());
  const int client = in_order.front();
  return {.client = client,
          .server = in_order.size() > 1 ? in_order[1] : client,
          .second_client = in_order.size() > 2 ? in_order[2] : client};
}

cpu_set_t cpus_of(int cpu) {
  const cpu_set_t& all = all_cpus();
  if (cpu < 0) return all;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(static_cast<size_t>(cpu), &one);
  return one;
}

OnCpu::OnCpu(int cpu) {
  const cpu_set_t one = cpus_of(cpu);
  if (::sched_getaffinity(0, sizeof before_, &before_) != 0 ||
      ::sched_setaffinity(0, sizeof one, &one) != 0) {
    give_up("cannot stay on CPU %d: %s", cpu, std::strerror(errno));
  }
}

OnCpu::~OnCpu() {
  ::sched_setaffinity(0, sizeof before_, &before_);
}

}  // namespace vaccel::bench
