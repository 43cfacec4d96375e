// SPDX-License-Identifier: Apache-2.0
//
// vaccel-worker: the runtime behind a channel, in a process of its own. Started by vacceld, never by hand: it
// finds its channel and segments at fixed descriptors.
#include <malloc.h>
#include <sched.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "channel/ring_channel.h"
#include "channel/window_mapping.h"
#include "jail/system_calls.h"
#include "runtime/backend_library.h"
#include "runtime/runtime.h"
#include "worker/descriptors.h"
#include "worker/say.h"
#include "worker/server.h"

namespace {

using namespace vaccel;

struct Arguments {
  std::string config;
  std::string catalogue;
  std::string log = "info";
  int threads = 8;
  int parent = 0;
  int64_t spin_ns = channel::default_spin_ns();
  std::string cpus;
  std::string device;
  bool limit_calls = false;  // system calls
  std::vector<std::string> more_calls;
  std::vector<std::string> backends;  // instead of the configuration's
  std::string prefix;                 // of its models' names
};

bool parse(int argc, char** argv, Arguments& arguments) {
  for (int index = 1; index + 1 < argc; index += 2) {
    const std::string flag = argv[index];
    if (flag == "--config") {
      arguments.config = argv[index + 1];
    } else if (flag == "--catalogue") {
      arguments.catalogue = argv[index + 1];
    } else if (flag == "--log") {
      arguments.log = argv[index + 1];
    } else if (flag == "--threads") {
      arguments.threads = std::atoi(argv[index + 1]);
    } else if (flag == "--cpus") {
      arguments.cpus = argv[index + 1];
    } else if (flag == "--limit-system-calls") {
      arguments.limit_calls = std::string(argv[index + 1]) == "yes";
    } else if (flag == "--system-call") {
      arguments.more_calls.emplace_back(argv[index + 1]);
    } else if (flag == "--backend") {
      arguments.backends.emplace_back(argv[index + 1]);
    } else if (flag == "--prefix") {
      arguments.prefix = argv[index + 1];
    } else if (flag == "--device") {
      arguments.device = argv[index + 1];
    } else if (flag == "--parent") {
      arguments.parent = std::atoi(argv[index + 1]);
    } else if (flag == "--spin-us") {
      arguments.spin_ns = std::min<int64_t>(arguments.spin_ns, std::atoll(argv[index + 1]) * 1000);
    } else {
      return false;
    }
  }
  return argc % 2 == 1 && arguments.parent > 0 && arguments.threads > 0;
}

// The first process of a namespace is not ended by signals that it has no handler for, its own abort()'s included. The agent
// knows the status (worker_process.cpp).
void exit_when_aborted(int signal) {
  ::_exit(128 + signal);
}

Result<std::unique_ptr<runtime::Runtime>> make_runtime(const Arguments& arguments) {
  runtime::RuntimeConfig config;
  if (!arguments.config.empty()) {
    // Its path is not for jailed processes: the file says more than they need.
    const UniqueFd file{worker::kConfigFd};
    auto read = runtime::read_runtime_config(file.get(), arguments.config);
    if (!read) return Unexpected{read.error()};
    config = std::move(*read);
  }
  if (!arguments.backends.empty()) config.backends = arguments.backends;
  config.model_prefix = arguments.prefix;
  if (arguments.limit_calls) {
    // Before any backend is loaded, and any thread begun.
    if (Status status = jail::limit_system_calls(runtime::backend_names(config), arguments.more_calls);
        !status.ok())
      return Unexpected{std::move(status)};
  }
  if (!arguments.catalogue.empty()) config.catalogue = arguments.catalogue;
  static constexpr const char* kLevels[] = {"debug", "info", "warning", "error"};
  const auto least = std::find(std::begin(kLevels), std::end(kLevels), arguments.log) - std::begin(kLevels);
  config.log = [least](int level, const std::string& line) {
    if (level >= least) worker::say(level, line);
  };
  return runtime::Runtime::create(std::move(config));
}

// Runs on these CPUs from now on: "0-3,8". The agent has checked what the list looks like, and not which CPUs there are.
Status stay_on(const std::string& cpus) {
  cpu_set_t set;
  CPU_ZERO(&set);
  const char* at = cpus.c_str();
  while (*at != '\0') {
    char* end = nullptr;
    const unsigned long first = std::strtoul(at, &end, 10);
    const unsigned long last = *end == '-' ? std::strtoul(end + 1, &end, 10) : first;
    for (unsigned long cpu = first; cpu <= last && cpu < CPU_SETSIZE; ++cpu)
      CPU_SET(cpu, &set);
    at = *end == ',' ? end + 1 : end;
  }
  if (::sched_setaffinity(0, sizeof set, &set) == 0) return {};
  return failure(VACCEL_INVALID_ARGUMENT, "cannot run on CPUs %s: %s", cpus.c_str(),
                 errno_text(errno).c_str());
}

// The agent waits for a greeting's answer; this is what it gets from a worker that cannot start.
int refuse(channel::StreamChannel& channel, const Status& status) {
  uint64_t request = 1;
  for (auto event = channel.receive(true); event && *event != channel::Event::kClosed;
       event = channel.receive(true)) {
    if (*event != channel::Event::kFrame) continue;
    request = channel.header().request_id;
    break;
  }
  wire::Encoder encoder;
  (void)channel.send(wire::Kind::kFailure, request, encoder.encode(wire::Failure::from(status)), {}, nullptr);
  return EXIT_FAILURE;
}

// A worker has many more threads than run at a time, and glibc would give each eight a heap of their own, which keep what the largest
// calls of each needed. As many as CPUs do as well: see docs/performance.md, "Soak". Who runs the agent may say otherwise.
void limit_heaps() {
  if (std::getenv("MALLOC_ARENA_MAX") != nullptr || std::getenv("GLIBC_TUNABLES") != nullptr) return;
  ::mallopt(M_ARENA_MAX, std::max(2, static_cast<int>(std::thread::hardware_concurrency())));
}

}  // namespace

int main(int argc, char** argv) {
  limit_heaps();
  Arguments arguments;
  if (!parse(argc, argv, arguments)) {
    std::fprintf(stderr, "vaccel-worker is started by vacceld; see vacceld --help\n");
    return 2;
  }
  // No worker outlives its agent, also one that died before this line.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const bool is_first_of_namespace = ::getpid() == 1;
  if (!is_first_of_namespace && ::getppid() != arguments.parent) return EXIT_FAILURE;
  if (is_first_of_namespace) std::signal(SIGABRT, exit_when_aborted);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGINT, SIG_IGN);  // Ctrl-C at a terminal is the agent's to hear; it ends its workers in order.

  channel::StreamChannel stream{UniqueFd{worker::kChannelFd}};
  auto calls = channel::Segment::map(UniqueFd{worker::kCallsFd}, false);
  auto results = channel::Segment::map(UniqueFd{worker::kResultsFd}, true);
  auto rings = channel::Segment::map(UniqueFd{worker::kRingsFd}, true);
  for (const auto* segment : {&calls, &results, &rings}) {
    if (!*segment) return refuse(stream, segment->error());
  }
  const auto pair = rings->at(0, channel::kRingPairBytes);
  if (!pair) return refuse(stream, failure(VACCEL_INVALID_ARGUMENT, "the rings' memory is too small"));
  if (!arguments.device.empty()) ::setenv("CUDA_VISIBLE_DEVICES", arguments.device.c_str(), 1);
  if (Status status = arguments.cpus.empty() ? Status() : stay_on(arguments.cpus); !status.ok())
    return refuse(stream, status);
  auto runtime = make_runtime(arguments);
  if (!runtime) return refuse(stream, runtime.error());
  stream.accept_descriptors();
  channel::RingChannel channel(std::move(stream));
  channel.attach(pair->data(), std::make_shared<channel::Segment>(std::move(*rings)),
                 channel::RingChannel::Side::kServer, UniqueFd{worker::kWakeFd}, arguments.spin_ns);
  channel::install_window_guard();
  worker::Server server(**runtime, channel, std::move(*calls), std::move(*results));
  const Status status = server.serve(static_cast<uint32_t>(arguments.threads));
  if (status.ok()) return EXIT_SUCCESS;
  worker::say(3, status.message());
  return EXIT_FAILURE;
}
