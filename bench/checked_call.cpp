// SPDX-License-Identifier: Apache-2.0
#include "checked_call.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <numeric>
#include <span>
#include <vector>

namespace vaccel::bench {
namespace {

// Another number for each, without any order.
uint32_t mixed(uint32_t number) {
  number = (number ^ (number >> 16)) * 0x7feb352dU;
  number = (number ^ (number >> 15)) * 0x846ca68bU;
  return number ^ (number >> 16);
}

struct Free {
  void operator()(vaccel_outputs* outputs) const { vaccel_outputs_free(outputs); }
  void operator()(vaccel_buffer* buffer) const { vaccel_buffer_free(buffer); }
  void operator()(vaccel_request* request) const { vaccel_request_free(request); }
};
using Outputs = std::unique_ptr<vaccel_outputs, Free>;
using BufferPtr = std::unique_ptr<vaccel_buffer, Free>;

std::vector<std::byte> bytes_of(uint32_t seed, size_t size) {
  std::vector<std::byte> bytes(size);
  uint32_t state = seed * 2'654'435'761U + 1;
  for (std::byte& byte : bytes) {
    state = state * 1'664'525U + 1'013'904'223U;
    byte = static_cast<std::byte>(state >> 24);
  }
  return bytes;
}

uint64_t sum_of(std::span<const std::byte> bytes) {
  return std::accumulate(bytes.begin(), bytes.end(), uint64_t{0},
                         [](uint64_t sum, std::byte byte) { return sum + static_cast<uint64_t>(byte); });
}

// One session's way to call, with the deadline of the call that is under way.
class Caller {
 public:
  Caller(vaccel_session* session, int64_t deadline_ns) : session_(session) {
    options_.deadline_ns = deadline_ns;
  }

  [[nodiscard]] vaccel_session* session() const { return session_; }
  [[nodiscard]] const vaccel_call_options* options() const { return &options_; }

  vaccel_status call(const char* name, std::span<const std::byte> input, Outputs& outputs) const {
    const int64_t shape = static_cast<int64_t>(input.size());
    vaccel_tensor tensor{};
    tensor.name = "data";
    tensor.data = const_cast<std::byte*>(input.data());
    tensor.bytes = input.size();
    tensor.shape = &shape;
    tensor.rank = 1;
    tensor.dtype = VACCEL_UINT8;
    vaccel_outputs* made = nullptr;
    const vaccel_status status =
        vaccel_call(session_, name, nullptr, nullptr, 0, &tensor, 1, &options_, &made);
    outputs.reset(made);
    return status;
  }

 private:
  vaccel_session* session_;
  vaccel_call_options options_ = VACCEL_INIT(vaccel_call_options);
};

Outcome refused(vaccel_status status, bool by_worker = true) {
  return {status, "", by_worker};
}

Outcome answered(bool right, const char* wrong, bool by_worker = true) {
  return {VACCEL_OK, right ? "" : wrong, by_worker};
}

std::span<const std::byte> only_output(const Outputs& outputs) {
  if (outputs->count != 1) return {};
  return {static_cast<const std::byte*>(outputs->tensors[0].data), outputs->tensors[0].bytes};
}

Outcome sum_of_input(const Caller& caller, std::span<const std::byte> input, uint64_t expected) {
  Outputs outputs;
  const vaccel_status status = caller.call("reference.checksum", input, outputs);
  if (status != VACCEL_OK) return refused(status);
  uint64_t sum = 0;
  const auto output = only_output(outputs);
  if (output.size() != sizeof sum) return answered(false, "a sum has another size");
  std::memcpy(&sum, output.data(), sizeof sum);
  return answered(sum == expected, "a sum is another one");
}

Outcome sum(const Caller& caller, uint32_t seed, size_t size) {
  const auto input = bytes_of(seed, size);
  return sum_of_input(caller, input, sum_of(input));
}

Outcome echo(const Caller& caller, const char* name, uint32_t seed, size_t size, bool by_worker) {
  const auto input = bytes_of(seed, size);
  Outputs outputs;
  const vaccel_status status = caller.call(name, input, outputs);
  if (status != VACCEL_OK) return refused(status, by_worker);
  return answered(std::ranges::equal(only_output(outputs), input), "an echo has other bytes", by_worker);
}

vaccel_attribute integer(const char* name, int64_t value) {
  vaccel_attribute attribute{};
  attribute.name = name;
  attribute.type = VACCEL_ATTRIBUTE_INT;
  attribute.value.integer = value;
  return attribute;
}

Outcome fill(const Caller& caller, uint32_t seed) {
  const size_t size = 1 + seed % 300'000;
  const auto value = static_cast<uint8_t>(seed >> 8);
  const vaccel_attribute attributes[] = {integer("bytes", static_cast<int64_t>(size)),
                                         integer("value", value)};
  vaccel_outputs* made = nullptr;
  const vaccel_status status = vaccel_call(caller.session(), "reference.fill", nullptr, attributes, 2,
                                           nullptr, 0, caller.options(), &made);
  const Outputs outputs(made);
  if (status != VACCEL_OK) return refused(status);
  const auto output = only_output(outputs);
  const bool all = std::ranges::all_of(output, [&](std::byte one) { return one == std::byte{value}; });
  return answered(output.size() == size && all, "what was filled has other bytes");
}

vaccel_status allocate(const Caller& caller, size_t size, uint32_t flags, BufferPtr& buffer) {
  auto options = VACCEL_INIT(vaccel_buffer_options);
  options.flags = flags;
  vaccel_buffer* made = nullptr;
  const vaccel_status status = vaccel_buffer_alloc(caller.session(), size, &options, &made);
  buffer.reset(made);
  return status;
}

Outcome sum_in_window(const Caller& caller, uint32_t seed) {
  const auto input = bytes_of(seed, 1 + seed % 200'000);
  BufferPtr buffer;
  if (const auto status = allocate(caller, input.size(), 0, buffer); status != VACCEL_OK)
    return refused(status);
  void* data = nullptr;
  if (const auto status = vaccel_buffer_map(buffer.get(), &data); status != VACCEL_OK) return refused(status);
  std::memcpy(data, input.data(), input.size());
  return sum_of_input(caller, {static_cast<const std::byte*>(data), input.size()}, sum_of(input));
}

Outcome there_and_back(const Caller& caller, uint32_t seed) {
  const auto input = bytes_of(seed, 1 + seed % 50'000);
  BufferPtr buffer;
  vaccel_status status = allocate(caller, input.size(), VACCEL_BUFFER_DEVICE, buffer);
  if (status == VACCEL_OK)
    status =
        vaccel_buffer_upload(caller.session(), buffer.get(), 0, input.data(), input.size(), caller.options());
  if (status != VACCEL_OK) return refused(status);
  std::vector<std::byte> output(input.size());
  status = vaccel_buffer_download(caller.session(), buffer.get(), 0, output.data(), output.size(),
                                  caller.options());
  if (status != VACCEL_OK) return refused(status);
  return answered(output == input, "a device buffer has other bytes");
}

Outcome unknown_operator(const Caller& caller) {
  Outputs outputs;
  const vaccel_status status = caller.call("none.such", bytes_of(1, 100), outputs);
  if (status == VACCEL_NOT_FOUND) return answered(true, "", false);
  if (status == VACCEL_OK) return answered(false, "an operator that does not exist has an answer", false);
  return refused(status, false);
}

// A call that would take long, and that nobody waits for.
Outcome given_up(const Caller& caller) {
  const vaccel_attribute microseconds = integer("microseconds", 5'000'000);
  vaccel_request* made = nullptr;
  const vaccel_status status = vaccel_submit_call(caller.session(), "reference.delay", nullptr, &microseconds,
                                                  1, nullptr, 0, caller.options(), &made);
  const std::unique_ptr<vaccel_request, Free> request(made);
  return status == VACCEL_OK ? answered(true, "", false) : refused(status, false);
}

}  // namespace

Outcome checked_call(vaccel_session* session, uint32_t number, int64_t deadline_ns) {
  const Caller caller(session, deadline_ns);
  // Numbers that follow each other must not be calls of sizes that do.
  const uint32_t seed = mixed(number);
  // Most calls are small; now and then one fills every buffer on its way.
  const size_t few = seed % 4'000;
  switch (mixed(seed) >> 28) {
    case 0:
    case 1:
      return echo(caller, "vaccel.echo", seed, few, false);
    case 2:
    case 3:
    case 4:
      return echo(caller, "reference.echo", seed, few, true);
    case 5:
      return echo(caller, "reference.echo", seed, seed % 1'000'000, true);
    case 6:
    case 7:
      return fill(caller, seed);
    case 8:
    case 9:
      return sum_in_window(caller, seed);
    case 10:
      return there_and_back(caller, seed);
    case 11:
      return unknown_operator(caller);
    case 12:
      return given_up(caller);
    default:
      return sum(caller, seed, seed % 100'000);
  }
}

Outcome checked_sum(vaccel_session* session, uint32_t seed, int64_t deadline_ns) {
  return sum(Caller(session, deadline_ns), seed, 1'000 + seed % 1'000);
}

}  // namespace vaccel::bench
