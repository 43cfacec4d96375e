// SPDX-License-Identifier: Apache-2.0
//
// The codec of descriptions: what there is at the other end.
#include "wire/codec.h"
#include "wire/messages.h"

namespace vaccel::wire {
namespace {

fb::Offset<schema::TensorInfo> put_tensor_info(fb::FlatBufferBuilder& flat, const TensorInfo& info) {
  const auto name = put_text(flat, info.name, kMaxNameBytes);
  const auto rank = info.rank < 0 ? size_t{0} : static_cast<size_t>(info.rank);
  const auto shape = flat.CreateVector(info.shape.data(), rank);
  return schema::CreateTensorInfo(flat, name, static_cast<uint8_t>(info.dtype), shape, info.rank < 0);
}

fb::Offset<schema::Metadata> put_metadata(fb::FlatBufferBuilder& flat, const Metadata& pair) {
  const auto key = put_text(flat, pair.key, kMaxNameBytes);
  const auto value = put_text(flat, pair.value);
  return schema::CreateMetadata(flat, key, value);
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
  const auto metadata = put_all(flat, model.metadata, put_metadata);
  return schema::CreateModelInfo(flat, name, task, description, version, license, backend, problem, inputs,
                                 outputs, metadata);
}

fb::Offset<schema::BackendInfo> put_backend(fb::FlatBufferBuilder& flat, const BackendInfo& backend) {
  const auto name = put_text(flat, backend.name, kMaxNameBytes);
  const auto version = put_text(flat, backend.version, kMaxNameBytes);
  const auto devices = put_text(flat, backend.devices, kMaxNameBytes);
  const auto problem = put_text(flat, backend.problem, 512);
  return schema::CreateBackendInfo(flat, name, version, devices, problem);
}

fb::Offset<schema::OperatorPart> put_operator_part(fb::FlatBufferBuilder& flat, const OperatorPart& part) {
  const auto name = put_text(flat, part.name, kMaxNameBytes);
  const auto type = put_text(flat, part.type, kMaxNameBytes);
  const auto description = put_text(flat, part.description, 512);
  return schema::CreateOperatorPart(flat, static_cast<uint8_t>(part.kind), name, type, description);
}

fb::Offset<schema::OperatorBackend> put_operator_backend(fb::FlatBufferBuilder& flat,
                                                         const OperatorBackend& backend) {
  const auto name = put_text(flat, backend.name, kMaxNameBytes);
  return schema::CreateOperatorBackend(flat, name, static_cast<uint8_t>(backend.dtype),
                                       static_cast<uint8_t>(backend.score));
}

fb::Offset<schema::OperatorInfo> put_operator(fb::FlatBufferBuilder& flat, const OperatorInfo& info) {
  const auto name = put_text(flat, info.name, kMaxNameBytes);
  const auto description = put_text(flat, info.description, 512);
  const auto parts = put_all(flat, info.parts, put_operator_part);
  const auto backends = put_all(flat, info.backends, put_operator_backend);
  return schema::CreateOperatorInfo(flat, name, description, parts, backends);
}

}  // namespace

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
  const auto operators = put_all(flat, description.operators, put_operator);
  return finish(flat,
                schema::CreateDescription(flat, server, description.worker_count, description.model_count,
                                          backends, models, description.more, operators));
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

[[gnu::cold]] Result<Description> decode_description(std::span<const std::byte> body) {
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
                      .outputs = {},
                      .metadata = {}};
      for (size_t input = 0; input < check.count(from.inputs(), "inputs of a model", kMaxTensors); ++input) {
        model.inputs.push_back(check.tensor_info(*from.inputs()->Get(static_cast<uint32_t>(input))));
      }
      for (size_t output = 0; output < check.count(from.outputs(), "outputs of a model", kMaxTensors);
           ++output) {
        model.outputs.push_back(check.tensor_info(*from.outputs()->Get(static_cast<uint32_t>(output))));
      }
      for (size_t pair = 0; pair < check.count(from.metadata(), "metadata of a model", kMaxMetadata);
           ++pair) {
        const auto& one = *from.metadata()->Get(static_cast<uint32_t>(pair));
        model.metadata.push_back({check.text(one.key(), "a key of metadata", kMaxNameBytes),
                                  check.text(one.value(), "a value of metadata", kMaxTextBytes)});
      }
      description.models.push_back(std::move(model));
    }
    for (size_t index = 0; index < check.count(source.operators(), "operators", kMaxOperatorsInBody);
         ++index) {
      description.operators.push_back(
          check.operator_info(*source.operators()->Get(static_cast<uint32_t>(index))));
    }
    return check.done(std::move(description));
  });
}

}  // namespace vaccel::wire
