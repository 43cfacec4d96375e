// SPDX-License-Identifier: Apache-2.0
//
// The codec of calls and models. Descriptions are in description_messages.cpp, windows and control in window_messages.cpp.
#include "wire/messages.h"

#include <algorithm>
#include <cstring>

#include "wire/codec.h"

namespace vaccel::wire {

// ---- Encoder

Encoder::Encoder() : builder_(std::make_unique<Builder>()) {}
Encoder::~Encoder() = default;
Encoder::Encoder(Encoder&&) noexcept = default;
Encoder& Encoder::operator=(Encoder&&) noexcept = default;

std::span<const std::byte> Encoder::encode(const Hello& hello) {
  auto& flat = builder_->flat;
  flat.Clear();
  const auto client = put_text(flat, hello.client, kMaxNameBytes);
  return finish(flat, schema::CreateHello(flat, hello.version_min, hello.version_max, client));
}

std::span<const std::byte> Encoder::encode(const Welcome& welcome) {
  auto& flat = builder_->flat;
  flat.Clear();
  const auto server = put_text(flat, welcome.server, kMaxNameBytes);
  return finish(flat, schema::CreateWelcome(flat, welcome.version, server, welcome.max_payload_bytes,
                                            welcome.max_calls_in_flight));
}

std::span<const std::byte> Encoder::encode(const OpenModel& open) {
  auto& flat = builder_->flat;
  flat.Clear();
  const auto name = put_text(flat, open.name, kMaxNameBytes);
  return finish(flat, schema::CreateOpenModel(flat, name, open.warm_up));
}

std::span<const std::byte> Encoder::encode(const ModelOpened& opened) {
  auto& flat = builder_->flat;
  flat.Clear();
  const auto backend = put_text(flat, opened.backend, kMaxNameBytes);
  return finish(flat,
                schema::CreateModelOpened(flat, opened.model, backend, opened.bytes, opened.calls_wanted));
}

std::span<const std::byte> Encoder::encode(const CloseModel& close) {
  auto& flat = builder_->flat;
  flat.Clear();
  return finish(flat, schema::CreateCloseModel(flat, close.model));
}

std::span<const std::byte> Encoder::encode(const Done&) {
  auto& flat = builder_->flat;
  flat.Clear();
  return finish(flat, schema::CreateDone(flat));
}

std::span<const std::byte> Encoder::encode(const Call& call) {
  if (const auto body = builder_->last_call.find(call); !body.empty()) return body;
  auto& flat = builder_->flat;
  flat.Clear();
  const auto name = put_text(flat, call.operator_name, kMaxNameBytes);
  const auto backend = put_text(flat, call.backend, kMaxNameBytes);
  const auto attributes = put_all(flat, call.attributes, put_attribute);
  const auto inputs = put_all(flat, call.inputs, put_tensor);
  fb::Offset<fb::Vector<fb::Offset<schema::Place>>> places;
  if (!call.places.empty()) places = put_all(flat, call.places, put_place);
  const auto body =
      finish(flat, schema::CreateCall(flat, name, call.model, backend, attributes, inputs, call.timeout_us,
                                      call.timings, static_cast<uint32_t>(call.window), places,
                                      call.area_offset, call.area_bytes, call.priority));
  builder_->last_call.remember(call, body);
  return body;
}

std::span<const std::byte> Encoder::encode(const CallResult& result) {
  if (const auto body = builder_->last_result.find(result); !body.empty()) return body;
  auto& flat = builder_->flat;
  flat.Clear();
  const auto outputs = put_all(flat, result.outputs, put_tensor);
  const auto& times = result.timings;
  const schema::Timings timings(times.agent_ns, times.queue_ns, times.worker_ns, times.decode_ns,
                                times.prepare_ns, times.infer_ns, times.postprocess_ns);
  const auto body = finish(flat, schema::CreateResult(flat, outputs, &timings, result.copied_bytes,
                                                      result.batch, result.calls_wanted));
  builder_->last_result.remember(result, body);
  return body;
}

std::span<const std::byte> Encoder::encode(const Failure& failure) {
  auto& flat = builder_->flat;
  flat.Clear();
  const auto message = put_text(flat, failure.message);
  return finish(flat, schema::CreateFailure(flat, static_cast<uint16_t>(failure.code), message,
                                            failure.retry_after_us));
}

std::span<const std::byte> Encoder::encode(const Cancel& cancel) {
  auto& flat = builder_->flat;
  flat.Clear();
  return finish(flat, schema::CreateCancel(flat, cancel.request));
}

std::span<const std::byte> Encoder::encode(const Release& release) {
  auto& flat = builder_->flat;
  flat.Clear();
  const auto offsets = flat.CreateVector(release.offsets);
  return finish(flat, schema::CreateRelease(flat, offsets));
}

// ---- Decoders

Result<Hello> decode_hello(std::span<const std::byte> body) {
  return with_body<schema::Hello>(body, "hello", [](const schema::Hello& source) {
    Checker check;
    Hello hello;
    hello.version_min = source.version_min();
    hello.version_max = source.version_max();
    hello.client = check.text(source.client(), "the client's name", kMaxNameBytes);
    return check.done(std::move(hello));
  });
}

Result<Welcome> decode_welcome(std::span<const std::byte> body) {
  return with_body<schema::Welcome>(body, "welcome", [](const schema::Welcome& source) {
    Checker check;
    Welcome welcome;
    welcome.version = source.version();
    welcome.server = check.text(source.server(), "the server's name", kMaxNameBytes);
    welcome.max_payload_bytes = source.max_payload_bytes();
    welcome.max_calls_in_flight = source.max_calls_in_flight();
    return check.done(std::move(welcome));
  });
}

Result<OpenModel> decode_open_model(std::span<const std::byte> body) {
  return with_body<schema::OpenModel>(body, "open-model", [](const schema::OpenModel& source) {
    Checker check;
    OpenModel open;
    open.name = check.text(source.name(), "the model's name", kMaxNameBytes);
    open.warm_up = source.warm_up();
    return check.done(std::move(open));
  });
}

Result<ModelOpened> decode_model_opened(std::span<const std::byte> body) {
  return with_body<schema::ModelOpened>(
      body, "model-opened", [](const schema::ModelOpened& source) -> Result<ModelOpened> {
        if (source.model() == 0) return fail(VACCEL_PROTOCOL_ERROR, "a model was opened under handle 0");
        Checker check;
        ModelOpened opened;
        opened.model = source.model();
        opened.backend = check.text(source.backend(), "the backend's name", kMaxNameBytes);
        opened.bytes = source.bytes();
        opened.calls_wanted = source.calls_wanted();
        return check.done(std::move(opened));
      });
}

Result<CloseModel> decode_close_model(std::span<const std::byte> body) {
  return with_body<schema::CloseModel>(
      body, "close-model",
      [](const schema::CloseModel& source) -> Result<CloseModel> { return CloseModel{source.model()}; });
}

Result<Done> decode_done(std::span<const std::byte> body) {
  return with_body<schema::Done>(body, "done", [](const schema::Done&) -> Result<Done> { return Done{}; });
}

Result<Call> decode_call(std::span<const std::byte> body, const TensorRules& rules) {
  return with_body<schema::Call>(body, "call", [&](const schema::Call& source) {
    Checker check;
    Call call;
    call.operator_name = check.text(source.operator_(), "the operator's name", kMaxNameBytes);
    call.model = source.model();
    call.backend = check.text(source.backend(), "the backend's name", kMaxNameBytes);
    call.timeout_us = source.timeout_us();
    call.timings = source.timings();
    const size_t attribute_count = check.count(source.attributes(), "attributes", kMaxAttributes);
    call.attributes.reserve(attribute_count);
    for (size_t index = 0; index < attribute_count; ++index) {
      call.attributes.push_back(check.attribute(*source.attributes()->Get(static_cast<uint32_t>(index))));
    }
    const size_t input_count = check.count(source.inputs(), "inputs", kMaxTensors);
    call.inputs.reserve(input_count);
    for (size_t index = 0; index < input_count; ++index) {
      call.inputs.push_back(check.tensor(*source.inputs()->Get(static_cast<uint32_t>(index)), rules));
    }
    call.window = check.window(source.window(), rules);
    const size_t place_count = check.count(source.places(), "places for results", kMaxTensors);
    call.places.reserve(place_count);
    for (size_t index = 0; index < place_count; ++index) {
      call.places.push_back(check.place(*source.places()->Get(static_cast<uint32_t>(index)), rules));
    }
    call.area_offset = source.area_offset();
    call.area_bytes = source.area_bytes();
    call.priority = source.priority();
    if (call.priority < -kMaxPriority || call.priority > kMaxPriority) {
      check.note(failure(VACCEL_INVALID_ARGUMENT, "the call has priority %d; it is between -%d and %d",
                         call.priority, kMaxPriority, kMaxPriority));
    }
    const bool uses_window = call.area_bytes > 0 || std::ranges::any_of(call.places, [](const Place& place) {
                               return place.bytes > 0 && place.segment == Segment::kPayload;
                             });
    if (call.window == Segment::kPayload && uses_window) {
      check.note({VACCEL_INVALID_ARGUMENT, "the call has places for results and names no window"});
    }
    if (call.area_offset % kTensorAlignment != 0 || call.area_bytes > kMaxPayloadBytes ||
        call.area_offset > UINT64_MAX - kMaxPayloadBytes) {
      check.note(failure(VACCEL_INVALID_ARGUMENT,
                         "the area for results, %llu bytes at offset %llu, cannot be",
                         static_cast<unsigned long long>(call.area_bytes),
                         static_cast<unsigned long long>(call.area_offset)));
    }
    return check.done(std::move(call));
  });
}

Result<CallResult> decode_result(std::span<const std::byte> body, const TensorRules& rules) {
  return with_body<schema::Result>(body, "result", [&](const schema::Result& source) {
    Checker check;
    CallResult result;
    const size_t count = check.count(source.outputs(), "outputs", kMaxTensors);
    result.outputs.reserve(count);
    for (size_t index = 0; index < count; ++index) {
      result.outputs.push_back(check.tensor(*source.outputs()->Get(static_cast<uint32_t>(index)), rules));
    }
    if (const auto* times = source.timings()) {
      result.timings = {.total_ns = 0,
                        .agent_ns = times->agent_ns(),
                        .queue_ns = times->queue_ns(),
                        .worker_ns = times->worker_ns(),
                        .decode_ns = times->decode_ns(),
                        .prepare_ns = times->prepare_ns(),
                        .infer_ns = times->infer_ns(),
                        .postprocess_ns = times->postprocess_ns()};
    }
    result.copied_bytes = source.copied_bytes();
    result.batch = source.batch();
    result.calls_wanted = source.calls_wanted();
    return check.done(std::move(result));
  });
}

Result<Failure> decode_failure(std::span<const std::byte> body) {
  return with_body<schema::Failure>(body, "failure", [](const schema::Failure& source) -> Result<Failure> {
    if (source.code() == VACCEL_OK || !is_known_status(source.code())) {
      return fail(VACCEL_PROTOCOL_ERROR, "a failure has code %u, which is none", source.code());
    }
    Checker check;
    Failure failure;
    failure.code = static_cast<vaccel_status>(source.code());
    failure.message = check.text(source.message(), "a failure's message", kMaxTextBytes);
    failure.retry_after_us = source.retry_after_us();
    return check.done(std::move(failure));
  });
}

Result<Cancel> decode_cancel(std::span<const std::byte> body) {
  return with_body<schema::Cancel>(body, "cancel", [](const schema::Cancel& source) -> Result<Cancel> {
    return Cancel{source.request()};
  });
}

Result<Release> decode_release(std::span<const std::byte> body) {
  return with_body<schema::Release>(body, "release", [](const schema::Release& source) {
    Checker check;
    Release release;
    const size_t count = check.count(source.offsets(), "released offsets", kMaxReleases);
    for (size_t index = 0; index < count; ++index) {
      release.offsets.push_back(element(*source.offsets(), index));
    }
    return check.done(std::move(release));
  });
}

Result<uint16_t> negotiate_version(const Hello& hello) {
  const uint16_t oldest = std::max(hello.version_min, kOldestVersion);
  const uint16_t newest = std::min(hello.version_max, kNewestVersion);
  if (oldest > newest) {
    return fail(VACCEL_UNIMPLEMENTED, "protocol versions %u to %u are asked for; this agent speaks %u to %u",
                hello.version_min, hello.version_max, kOldestVersion, kNewestVersion);
  }
  return newest;
}

}  // namespace vaccel::wire
