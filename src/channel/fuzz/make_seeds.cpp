// SPDX-License-Identifier: Apache-2.0
//
// Inputs for fuzz_ring_memory to begin with: calls as a client puts them into its ring, with tensors in the window, taken in,
// answered, and rewritten between. Made by the encoders, so they never go stale. Usage: FOLDER
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "channel/fuzz/script.h"
#include "channel/ring.h"
#include "wire/messages.h"

namespace {

using namespace vaccel;
using channel::fuzz::Step;

class Script {
 public:
  Script& step(Step step) { return number(static_cast<uint8_t>(step)); }
  template <typename T>
  Script& number(T value) {
    char bytes[sizeof value];
    std::memcpy(bytes, &value, sizeof value);
    text_.append(bytes, sizeof bytes);
    return *this;
  }
  Script& call(uint8_t id, const wire::Call& call, size_t payload_bytes = 0) {
    const auto body = encoder_.encode(call);
    step(Step::kCall).number(id).number(static_cast<uint16_t>(body.size()));
    number(static_cast<uint16_t>(payload_bytes));
    text_.append(reinterpret_cast<const char*>(body.data()), body.size()).append(payload_bytes, 'p');
    return *this;
  }
  Script& store(uint64_t offset, uint64_t value) {
    return step(Step::kStoreWord).number(static_cast<uint16_t>(offset / 8)).number(value);
  }
  Script& server_reads(uint8_t events) { return step(Step::kServerReads).number(events); }
  Script& client_reads(uint8_t events) { return step(Step::kClientReads).number(events); }
  Script& answer(uint8_t id, uint16_t bytes) { return step(Step::kServerSends).number(id).number(bytes); }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  wire::Encoder encoder_;
  std::string text_;
};

// The first lease comes after the header's page.
constexpr uint64_t kFirstLease = 4096;

wire::Call call_in_window() {
  wire::Call call;
  call.operator_name = "infer";
  wire::Tensor tensor{.name = "x", .dtype = VACCEL_FLOAT32, .rank = 1};
  tensor.shape[0] = 256;
  tensor.segment = wire::Segment::kWindow;
  tensor.offset = kFirstLease;
  tensor.bytes = 1024;
  call.inputs = {tensor, tensor};
  call.window = wire::Segment::kWindow;
  call.places = {{"y", kFirstLease + 1024, 1024}, {"", kFirstLease + 2048, 64}};
  call.area_offset = kFirstLease + 4096;
  call.area_bytes = 8192;
  return call;
}

wire::Call call_with_payload(int64_t bytes) {
  wire::Call call;
  call.operator_name = "vaccel.echo";
  wire::Tensor tensor{.name = "x", .dtype = VACCEL_UINT8, .rank = 1};
  tensor.shape[0] = bytes;
  tensor.bytes = static_cast<uint64_t>(bytes);
  call.inputs = {tensor};
  return call;
}

std::vector<Script> scripts() {
  std::vector<Script> all(6);
  all[0].call(1, call_in_window()).server_reads(4).answer(1, 100).client_reads(4);
  all[1].call(1, call_with_payload(500), 500).server_reads(4).answer(1, 600).client_reads(4);
  all[2]
      .call(4, call_with_payload(9000), 9000)
      .step(Step::kWakes)
      .server_reads(200)
      .answer(4, 9000)
      .client_reads(200);
  all[3].call(1, call_in_window()).store(0, UINT64_MAX).server_reads(4);
  all[4].call(1, call_in_window()).store(channel::kRingControlBytes, 8200).server_reads(4);
  for (uint8_t id = 1; id < 60; ++id) {
    all[5].call(id, call_with_payload(700), 700);
    if (id % 8 == 0) all[5].server_reads(40).answer(id, 3000).client_reads(2);
  }
  return all;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  int number = 0;
  for (const Script& script : scripts()) {
    std::ofstream file(std::string(argv[1]) + "/script-" + std::to_string(number++), std::ios::binary);
    if (!(file << script.text())) {
      std::fprintf(stderr, "make_seeds: cannot write to %s\n", argv[1]);
      return 1;
    }
  }
  return 0;
}
