// SPDX-License-Identifier: Apache-2.0
#include "wire/messages.h"

#include <algorithm>
#include <cstring>

#include "core/tensor.h"
#include "wire/limits.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wshadow"
#include "wire/schema_generated.h"
#pragma GCC diagnostic pop

namespace vaccel::wire {

namespace fb = flatbuffers;

struct Encoder::Builder {
  fb::FlatBufferBuilder flat{1024};
};

namespace {

// ---- Encoding

std::string_view cut(std::string_view text, size_t limit) {
  return text.substr(0, limit);
}

fb::Offset<fb::String> put_text(fb::FlatBufferBuilder& flat, std::string_view text,
                                size_t limit = kMaxTextBytes) {
  if (text.empty()) return {};
  const std::string_view kept = cut(text, limit);
  return flat.CreateString(kept.data(), kept.size());
}

fb::Offset<schema::Tensor> put_tensor(fb::FlatBufferBuilder& flat, const Tensor& tensor) {
  const auto name = put_text(flat, tensor.name, kMaxNameBytes);
  const auto shape = flat.CreateVector(tensor.shape.data(), static_cast<size_t>(tensor.rank));
  return schema::CreateTensor(flat, name, static_cast<uint8_t>(tensor.dtype), shape,
                              static_cast<uint32_t>(tensor.segment), tensor.offset, tensor.bytes);
}

template <typename T, typename Put>
auto put_all(fb::FlatBufferBuilder& flat, const std::vector<T>& items, Put put) {
  using Offset = decltype(put(flat, items.front()));
  std::vector<Offset> offsets;
  offsets.reserve(items.size());
  for (const T& item : items)
    offsets.push_back(put(flat, item));
  return flat.CreateVector(offsets.data(), offsets.size());
}

fb::Offset<schema::Attribute> put_attribute(fb::FlatBufferBuilder& flat, const Attribute& attribute) {
  const auto name = put_text(flat, attribute.name, kMaxNameBytes);
  if (const auto* integer = std::get_if<int64_t>(&attribute.value)) {
    return schema::CreateAttribute(flat, name, schema::Value_Integer,
                                   schema::CreateInteger(flat, *integer).Union());
  }
  if (const auto* real = std::get_if<double>(&attribute.value)) {
    return schema::CreateAttribute(flat, name, schema::Value_Real, schema::CreateReal(flat, *real).Union());
  }
  const auto text = put_text(flat, *std::get_if<std::string>(&attribute.value));
  return schema::CreateAttribute(flat, name, schema::Value_Text, schema::CreateText(flat, text).Union());
}

fb::Offset<schema::TensorInfo> put_tensor_info(fb::FlatBufferBuilder& flat, const TensorInfo& info) {
  const auto name = put_text(flat, info.name, kMaxNameBytes);
  const auto rank = info.rank < 0 ? size_t{0} : static_cast<size_t>(info.rank);
  const auto shape = flat.CreateVector(info.shape.data(), rank);
  return schema::CreateTensorInfo(flat, name, static_cast<uint8_t>(info.dtype), shape, info.rank < 0);
}

fb::Offset<schema::ModelInfo> put_model(fb::FlatBufferBuilder& flat, const ModelInfo& model) {
  const auto name = put_text(flat, model.name, kMaxNameBytes);
  const auto task = put_text(flat, model.task, kMaxNameBytes);
  const auto description = put_text(flat, model.description, 512);
  const auto version = put_text(flat, model.version, kMaxNameBytes);
  const auto license = put_text(flat, model.license, kMaxNameBytes);
  const auto backend = put_text(flat, model.backend, kMaxNameBytes);
  const auto problem = put_text(flat, model.problem, 512);
  const auto inputs = put_all(flat, model.inputs, put_tensor_info);
  const auto outputs = put_all(flat, model.outputs, put_tensor_info);
  return schema::CreateModelInfo(flat, name, task, description, version, license, backend, problem, inputs,
                                 outputs);
}

fb::Offset<schema::BackendInfo> put_backend(fb::FlatBufferBuilder& flat, const BackendInfo& backend) {
  const auto name = put_text(flat, backend.name, kMaxNameBytes);
  const auto version = put_text(flat, backend.version, kMaxNameBytes);
  const auto devices = put_text(flat, backend.devices, kMaxNameBytes);
  const auto problem = put_text(flat, backend.problem, 512);
  return schema::CreateBackendInfo(flat, name, version, devices, problem);
}

template <typename T>
std::span<const std::byte> finish(fb::FlatBufferBuilder& flat, fb::Offset<T> root) {
  flat.Finish(root);
  return {reinterpret_cast<const std::byte*>(flat.GetBufferPointer()), flat.GetSize()};
}

// ---- Decoding

// Runs read(const Table&) on a verified body. FlatBuffers wants 8-byte alignment, so a body that has another
// moves.
template <typename Table, typename Read>
auto with_body(std::span<const std::byte> body, const char* what, Read read)
    -> decltype(read(*static_cast<const Table*>(nullptr))) {
  if (body.size() > kMaxBodyBytes) {
    return fail(VACCEL_PROTOCOL_ERROR, "a %s body of %zu bytes is over the limit of %u", what, body.size(),
                kMaxBodyBytes);
  }
  std::unique_ptr<uint64_t[]> aligned;
  const auto* bytes = reinterpret_cast<const uint8_t*>(body.data());
  if (reinterpret_cast<uintptr_t>(bytes) % alignof(uint64_t) != 0) {
    aligned = std::make_unique<uint64_t[]>(body.size() / sizeof(uint64_t) + 1);
    std::memcpy(aligned.get(), body.data(), body.size());
    bytes = reinterpret_cast<const uint8_t*>(aligned.get());
  }
  // No table of ours nests deeper than 4, and 64 tensors with 64 attributes and their values stay under 512
  // tables.
  fb::Verifier verifier(bytes, body.size(), /*max_depth=*/8, /*max_tables=*/2048);
  if (!verifier.VerifyBuffer<Table>(nullptr)) {
    return fail(VACCEL_PROTOCOL_ERROR, "the %zu bytes of a %s body are not what the schema says", body.size(),
                what);
  }
  return read(*fb::GetRoot<Table>(bytes));
}

// An element of a vector of numbers. FlatBuffers' verifier lets vectors of 8-byte elements lie at 4-byte alignment, which a
// plain load may not.
template <typename T>
T element(const fb::Vector<T>& vector, size_t index) {
  T value;
  std::memcpy(&value, vector.Data() + index * sizeof(T), sizeof(T));
  return value;
}

// Collects the first thing that is wrong, so that readers of many fields need one check at the end.
class Checker {
 public:
  std::string text(const fb::String* text, const char* what, size_t limit) {
    if (text == nullptr) return {};
    if (text->size() > limit) {
      note(failure(VACCEL_INVALID_ARGUMENT, "%s has %u bytes; at most %zu are allowed", what, text->size(),
                   limit));
      return {};
    }
    if (std::memchr(text->data(), 0, text->size()) != nullptr) {
      note(failure(VACCEL_INVALID_ARGUMENT, "%s has a NUL in it", what));
      return {};
    }
    return text->str();
  }

  template <typename T>
  size_t count(const fb::Vector<T>* vector, const char* what, size_t limit) {
    if (vector == nullptr) return 0;
    if (vector->size() > limit) {
      note(failure(VACCEL_INVALID_ARGUMENT, "%u %s are more than the %zu allowed", vector->size(), what,
                   limit));
      return 0;
    }
    return vector->size();
  }

  Tensor tensor(const schema::Tensor& source, const TensorRules& rules) {
    Tensor tensor;
    tensor.name = text(source.name(), "a tensor's name", kMaxNameBytes);
    const std::string named = "tensor '" + printable(tensor.name) + "'";
    tensor.dtype = source.dtype();
    if (!is_known_dtype(tensor.dtype)) {
      note(failure(VACCEL_INVALID_ARGUMENT, "%s has dtype %d, which is none", named.c_str(), tensor.dtype));
      return tensor;
    }
    tensor.rank = static_cast<int32_t>(count(source.shape(), "dimensions of a tensor", VACCEL_MAX_RANK));
    for (int32_t axis = 0; axis < tensor.rank; ++axis) {
      tensor.shape[static_cast<size_t>(axis)] = element(*source.shape(), static_cast<size_t>(axis));
    }
    tensor.offset = source.offset();
    tensor.bytes = source.bytes();
    place(tensor, source.segment(), rules, named);
    size(tensor, named);
    return tensor;
  }

  TensorInfo tensor_info(const schema::TensorInfo& source) {
    TensorInfo info;
    info.name = text(source.name(), "a tensor's name", kMaxNameBytes);
    info.dtype = source.dtype();
    if (!is_known_dtype(info.dtype)) {
      note(failure(VACCEL_INVALID_ARGUMENT, "a described tensor has dtype %d, which is none", info.dtype));
    }
    info.rank = static_cast<int32_t>(count(source.shape(), "dimensions of a tensor", VACCEL_MAX_RANK));
    for (int32_t axis = 0; axis < info.rank; ++axis) {
      info.shape[static_cast<size_t>(axis)] = element(*source.shape(), static_cast<size_t>(axis));
    }
    if (source.any_rank()) info.rank = -1;
    return info;
  }

  Attribute attribute(const schema::Attribute& source) {
    Attribute attribute;
    attribute.name = text(source.name(), "an attribute's name", kMaxNameBytes);
    if (const auto* integer = source.value_as_Integer()) {
      attribute.value = integer->value();
    } else if (const auto* real = source.value_as_Real()) {
      attribute.value = real->value();
    } else if (const auto* words = source.value_as_Text()) {
      attribute.value = text(words->value(), "an attribute's text", kMaxTextBytes);
    } else {
      note(
          failure(VACCEL_INVALID_ARGUMENT, "attribute '%s' has no value", printable(attribute.name).c_str()));
    }
    return attribute;
  }

  void note(Status status) {
    if (first_.ok()) first_ = std::move(status);
  }

  template <typename T>
  Result<T> done(T value) {
    if (!first_.ok()) return Unexpected{std::move(first_)};
    return value;
  }

 private:
  void place(Tensor& tensor, uint32_t segment, const TensorRules& rules, const std::string& named) {
    if (segment > static_cast<uint32_t>(Segment::kResults) || (segment != 0 && !rules.other_segments)) {
      note(failure(VACCEL_INVALID_ARGUMENT, "%s lies in segment %u, which is not this sender's to use",
                   named.c_str(), segment));
      return;
    }
    tensor.segment = static_cast<Segment>(segment);
    if (tensor.offset % kTensorAlignment != 0) {
      note(failure(VACCEL_INVALID_ARGUMENT, "%s lies at offset %llu, not a multiple of %llu", named.c_str(),
                   static_cast<unsigned long long>(tensor.offset),
                   static_cast<unsigned long long>(kTensorAlignment)));
    }
    if (tensor.segment == Segment::kPayload &&
        (tensor.offset > rules.payload_bytes || tensor.bytes > rules.payload_bytes - tensor.offset)) {
      note(failure(VACCEL_INVALID_ARGUMENT,
                   "%s, %llu bytes at offset %llu, reaches beyond the payload's %llu bytes", named.c_str(),
                   static_cast<unsigned long long>(tensor.bytes),
                   static_cast<unsigned long long>(tensor.offset),
                   static_cast<unsigned long long>(rules.payload_bytes)));
    }
  }

  void size(const Tensor& tensor, const std::string& named) {
    if (tensor.dtype ==
        VACCEL_STRING) {  // Whoever reads the strings checks their offsets, on memory of its own.
      if (auto elements = element_count(tensor.dimensions()); !elements) note(elements.error().within(named));
      return;
    }
    const auto needed = dense_bytes(tensor.dtype, tensor.dimensions());
    if (!needed) {
      note(needed.error().within(named));
    } else if (*needed != tensor.bytes) {
      note(failure(VACCEL_INVALID_ARGUMENT, "%s, %s %s, takes %llu bytes, not %llu", named.c_str(),
                   dtype_name(tensor.dtype), shape_text(tensor.dimensions()).c_str(),
                   static_cast<unsigned long long>(*needed), static_cast<unsigned long long>(tensor.bytes)));
    }
  }

  Status first_;
};

}  // namespace

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
  return finish(flat, schema::CreateOpenModel(flat, name));
}

std::span<const std::byte> Encoder::encode(const ModelOpened& opened) {
  auto& flat = builder_->flat;
  flat.Clear();
  const auto backend = put_text(flat, opened.backend, kMaxNameBytes);
  return finish(flat, schema::CreateModelOpened(flat, opened.model, backend));
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

std::span<const std::byte> Encoder::encode(const Describe& describe) {
  auto& flat = builder_->flat;
  flat.Clear();
  const auto model = put_text(flat, describe.model, kMaxNameBytes);
  return finish(flat, schema::CreateDescribe(flat, static_cast<schema::Subject>(describe.subject), model,
                                             describe.start));
}

std::span<const std::byte> Encoder::encode(const Description& description) {
  auto& flat = builder_->flat;
  flat.Clear();
  const auto server = put_text(flat, description.server, kMaxNameBytes);
  const auto backends = put_all(flat, description.backends, put_backend);
  const auto models = put_all(flat, description.models, put_model);
  return finish(flat, schema::CreateDescription(flat, server, description.worker_count,
                                                description.model_count, backends, models, description.more));
}

std::span<const std::byte> Encoder::encode(const Call& call) {
  auto& flat = builder_->flat;
  flat.Clear();
  const auto name = put_text(flat, call.operator_name, kMaxNameBytes);
  const auto backend = put_text(flat, call.backend, kMaxNameBytes);
  const auto attributes = put_all(flat, call.attributes, put_attribute);
  const auto inputs = put_all(flat, call.inputs, put_tensor);
  return finish(flat, schema::CreateCall(flat, name, call.model, backend, attributes, inputs, call.timeout_us,
                                         call.timings));
}

std::span<const std::byte> Encoder::encode(const CallResult& result) {
  auto& flat = builder_->flat;
  flat.Clear();
  const auto outputs = put_all(flat, result.outputs, put_tensor);
  const auto& times = result.timings;
  const schema::Timings timings(times.agent_ns, times.queue_ns, times.worker_ns, times.decode_ns,
                                times.prepare_ns, times.infer_ns, times.postprocess_ns);
  return finish(flat, schema::CreateResult(flat, outputs, &timings));
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

Result<Describe> decode_describe(std::span<const std::byte> body) {
  return with_body<schema::Describe>(body, "describe", [](const schema::Describe& source) {
    Checker check;
    Describe describe;
    if (source.subject() > schema::Subject_MAX) {
      check.note(failure(VACCEL_INVALID_ARGUMENT, "subject %d cannot be described",
                         static_cast<int>(source.subject())));
    }
    describe.subject = static_cast<Subject>(source.subject());
    describe.model = check.text(source.model(), "the model's name", kMaxNameBytes);
    describe.start = source.start();
    return check.done(std::move(describe));
  });
}

Result<Description> decode_description(std::span<const std::byte> body) {
  return with_body<schema::Description>(body, "description", [](const schema::Description& source) {
    Checker check;
    Description description;
    description.server = check.text(source.server(), "the server's name", kMaxNameBytes);
    description.worker_count = source.worker_count();
    description.model_count = source.model_count();
    description.more = source.more();
    for (size_t index = 0; index < check.count(source.backends(), "backends", kMaxBackends); ++index) {
      const auto& from = *source.backends()->Get(static_cast<uint32_t>(index));
      description.backends.push_back({check.text(from.name(), "a backend's name", kMaxNameBytes),
                                      check.text(from.version(), "a backend's version", kMaxNameBytes),
                                      check.text(from.devices(), "a backend's devices", kMaxNameBytes),
                                      check.text(from.problem(), "a backend's problem", kMaxTextBytes)});
    }
    for (size_t index = 0; index < check.count(source.models(), "models", kMaxModelsInBody); ++index) {
      const auto& from = *source.models()->Get(static_cast<uint32_t>(index));
      ModelInfo model{.name = check.text(from.name(), "a model's name", kMaxNameBytes),
                      .task = check.text(from.task(), "a model's task", kMaxNameBytes),
                      .description = check.text(from.description(), "a model's description", kMaxTextBytes),
                      .version = check.text(from.version(), "a model's version", kMaxNameBytes),
                      .license = check.text(from.license(), "a model's licence", kMaxNameBytes),
                      .backend = check.text(from.backend(), "a model's backend", kMaxNameBytes),
                      .problem = check.text(from.problem(), "a model's problem", kMaxTextBytes),
                      .inputs = {},
                      .outputs = {}};
      for (size_t input = 0; input < check.count(from.inputs(), "inputs of a model", kMaxTensors); ++input) {
        model.inputs.push_back(check.tensor_info(*from.inputs()->Get(static_cast<uint32_t>(input))));
      }
      for (size_t output = 0; output < check.count(from.outputs(), "outputs of a model", kMaxTensors);
           ++output) {
        model.outputs.push_back(check.tensor_info(*from.outputs()->Get(static_cast<uint32_t>(output))));
      }
      description.models.push_back(std::move(model));
    }
    return check.done(std::move(description));
  });
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
