// SPDX-License-Identifier: Apache-2.0
#include "worker/say.h"

#include <algorithm>
#include <cstdio>

namespace vaccel::worker {

void say(int level, const std::string& sentence) {
  // As syslog numbers them; the agent reads that (agent/worker_output.h).
  static constexpr int kOfSyslog[] = {7, 6, 4, 3};
  std::string line = sentence;
  std::ranges::replace(line, '\n', ' ');  // one line, whatever it quotes
  std::fprintf(stderr, "<%d>%s\n", kOfSyslog[std::clamp(level, 0, 3)], line.c_str());
}

}  // namespace vaccel::worker
