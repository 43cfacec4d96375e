// SPDX-License-Identifier: Apache-2.0
//
// What section_vm.cpp runs in the guest that it boots: the same payloads to the agent on the host over every path there
// is, taking turns. It prints a line a path, size and kind of number, which the section reads:
//
//   PATH BYTES rounds|samples NANOSECONDS...
//
// Usage: vaccel-bench-guest SECONDS, for each size.
#include "guest_bench.h"

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <vector>

#include "measure.h"
#include "session.h"

namespace vaccel::bench {
namespace {

constexpr const char* kHost = "vsock:2:4411";
constexpr size_t kBurst = 4;

class GuestPaths {
 public:
  void measure_size(size_t bytes, double seconds) const;

 private:
  static void discard(const Session& session, const Tensor& tensor) {
    session.call_for_nothing("vaccel.discard", tensor.view());
  }

  Session with_window_{kHost};
  Session without_{kHost, VACCEL_OPEN_NO_WINDOW};
  Tensor small_{with_window_, "x", VACCEL_UINT8, {kGuestSmall}, some_bytes(kGuestSmall)};
};

void print(const char* path, size_t bytes, const char* kind, const std::vector<double>& values) {
  std::printf("%s %zu %s", path, bytes, kind);
  for (const double value : values)
    std::printf(" %.0f", value);
  std::printf("\n");
}

void GuestPaths::measure_size(size_t bytes, double seconds) const {
  const std::vector<int64_t> shape{static_cast<int64_t>(bytes)};
  const Tensor in_window(with_window_, "x", VACCEL_UINT8, shape, some_bytes(bytes));
  const Tensor in_memory("x", VACCEL_UINT8, shape, some_bytes(bytes));
  // In the order of kGuestPaths.
  const std::vector<Side> sides{{[&] { discard(with_window_, in_window); }},
                                {[&] { discard(with_window_, in_memory); }},
                                {[&] { discard(without_, in_memory); }},
                                {[&] { discard(with_window_, small_); }}};
  const auto series = measure(sides, {.seconds = seconds, .burst = kBurst});
  for (size_t side = 0; side < series.size(); ++side) {
    print(kGuestPaths[side], bytes, "rounds", series[side].rounds);
    print(kGuestPaths[side], bytes, "samples", series[side].samples);
  }
  std::fflush(stdout);
}

}  // namespace
}  // namespace vaccel::bench

int main(int argc, char** argv) {
  using namespace vaccel::bench;
  const double seconds = argc == 2 ? std::strtod(argv[1], nullptr) : 0;
  if (seconds <= 0) {
    std::fprintf(stderr, "usage: vaccel-bench-guest SECONDS\n");
    return 2;
  }
  try {
    const GuestPaths paths;
    for (const size_t bytes : kGuestPayloads)
      paths.measure_size(bytes, seconds);
    return EXIT_SUCCESS;
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "vaccel-bench-guest: %s\n", failure.what());
    return EXIT_FAILURE;
  }
}
