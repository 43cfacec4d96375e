// SPDX-License-Identifier: Apache-2.0
#include "client/exchange.h"

#include "core/clock.h"

namespace vaccel::client {
namespace {

// Whatever is wrong with an answer, it is the other end that broke the protocol.
Status unusable(const char* what, const Status& why) {
  return failure(VACCEL_PROTOCOL_ERROR, "the agent's %s cannot be used: %s", what, why.message().c_str());
}

}  // namespace

Status CallExchange::take_body(std::span<const std::byte> body, uint64_t payload_bytes,
                               std::vector<channel::Destination>& destinations) {
  const auto result = memory_.decoder->decode(
      body, {.payload_bytes = payload_bytes, .window = memory_.window != nullptr, .device_memory = true});
  if (!result) return unusable("result", result.error());
  memory_.finished = true;
  if (!wants_outputs_ && places_.empty()) return {};
  copied_elsewhere_ = result->copied_bytes;
  area_wanted_ = area_bytes(*result, places_);
  auto outputs = lay_out(*result, payload_bytes, places_, memory_, destinations);
  if (!outputs) return outputs.error();
  outputs_ = std::move(*outputs);
  memory_.inputs.reset();  // for the next call, though the caller may keep this one
  memory_.buffers.clear();
  return {};
}

Status CallExchange::finish() {
  if (!outputs_) return {};
  if (Status status = check_contents(*outputs_); !status.ok()) return unusable("result", status);
  outputs_->timings.total_ns = static_cast<uint64_t>(now_ns() - started_ns_);
  outputs_->copied_bytes = memory_.copied_bytes + copied_elsewhere_;
  return {};
}

Status OpenModelExchange::take_body(std::span<const std::byte> body, uint64_t,
                                    std::vector<channel::Destination>&) {
  const auto opened = wire::decode_model_opened(body);
  if (!opened) return unusable("answer", opened.error());
  handle_ = opened->model;
  return {};
}

Status LeaseExchange::take_body(std::span<const std::byte> body, uint64_t,
                                std::vector<channel::Destination>&) {
  const auto leased = wire::decode_leased(body);
  if (!leased) return unusable("lease", leased.error());
  leased_ = *leased;
  return {};
}

Status AllocateExchange::take_body(std::span<const std::byte> body, uint64_t,
                                   std::vector<channel::Destination>&) {
  auto allocated = wire::decode_memory_allocated(body);
  if (!allocated) return unusable("answer", allocated.error());
  allocated_ = std::move(*allocated);
  return {};
}

Status DescribeExchange::take_body(std::span<const std::byte> body, uint64_t,
                                   std::vector<channel::Destination>&) {
  auto description = wire::decode_description(body);
  if (!description) return unusable("description", description.error());
  description_ = std::move(*description);
  return {};
}

}  // namespace vaccel::client
