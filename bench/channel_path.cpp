// SPDX-License-Identifier: Apache-2.0
#include "channel_path.h"

#include "failure.h"

namespace vaccel::bench {
namespace {

// Smaller tensors may travel in the call itself.
constexpr size_t kSurelyInWindow = 4096;

}  // namespace

ChannelAgents::ChannelAgents(const Setting& setting)
    : folder_(setting),
      agent_(setting, folder_),
      sleeping_folder_(setting, {.keys = "spin_us = 0\n"}),
      sleeping_agent_(setting, sleeping_folder_) {}

void ChannelAgents::stay_on(int cpu) {
  agent_.stay_on(cpu);
  sleeping_agent_.stay_on(cpu);
}

std::string ChannelAgents::endpoint_for(const ChannelPath& path) const {
  const bool sleeps = (path.open_flags & VACCEL_OPEN_NO_SPIN) != 0;
  return (sleeps ? sleeping_folder_ : folder_).agent_endpoint();
}

ChannelClient::ChannelClient(const ChannelAgents& agents, const ChannelPath& path)
    : path_(path), session_(agents.endpoint_for(path), path.open_flags) {}

const vaccel_tensor* ChannelClient::payload(size_t bytes) {
  const std::vector<int64_t> shape{static_cast<int64_t>(bytes)};
  if (path_.tensors != ChannelPath::Tensors::kInWindow)
    return payloads_.emplace_back("x", VACCEL_UINT8, shape, some_bytes(bytes)).view();
  const vaccel_tensor* tensor =
      payloads_.emplace_back(session_, "x", VACCEL_UINT8, shape, some_bytes(bytes)).view();
  if (bytes >= kSurelyInWindow) expect_nothing_copied(tensor);
  return tensor;
}

// What is measured as the window must not be anything else.
void ChannelClient::expect_nothing_copied(const vaccel_tensor* tensor) const {
  const uint64_t copied = session_.copied_by_call("vaccel.discard", tensor);
  if (copied == 0) return;
  give_up("%s: %zu bytes in a buffer, and %llu were copied; the window is: %s", path_.name, tensor->bytes,
          static_cast<unsigned long long>(copied), session_.window().c_str());
}

}  // namespace vaccel::bench
