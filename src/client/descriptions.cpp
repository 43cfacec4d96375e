// SPDX-License-Identifier: Apache-2.0
#include "client/descriptions.h"

#include <algorithm>

namespace vaccel::client {
namespace {

std::vector<vaccel_tensor_info> views_of(const std::vector<wire::TensorInfo>& infos) {
  std::vector<vaccel_tensor_info> views;
  views.reserve(infos.size());
  for (const wire::TensorInfo& info : infos)
    views.push_back({info.name.c_str(), info.shape.data(), info.rank, info.dtype});
  return views;
}

std::string text(const char* text) {
  return text != nullptr ? text : "";
}

std::vector<wire::TensorInfo> copy_infos(const vaccel_tensor_info* infos, size_t count) {
  std::vector<wire::TensorInfo> copies(count);
  for (size_t index = 0; index < count; ++index) {
    const vaccel_tensor_info& info = infos[index];
    copies[index].name = text(info.name);
    copies[index].dtype = info.dtype;
    copies[index].rank = std::min(info.rank, VACCEL_MAX_RANK);
    for (int32_t axis = 0; axis < copies[index].rank; ++axis)
      copies[index].shape[static_cast<size_t>(axis)] = info.shape[axis];
  }
  return copies;
}

void copy_operator(const vaccel_operator& source, wire::OperatorInfo& info) {
  info.name = text(source.name);
  info.description = text(source.description);
  for (size_t index = 0; index < source.part_count; ++index) {
    const vaccel_operator_part& part = source.parts[index];
    info.parts.push_back({part.kind, text(part.name), text(part.type), text(part.description)});
  }
  for (size_t index = 0; index < source.backend_count; ++index) {
    const vaccel_operator_backend& backend = source.backends[index];
    info.backends.push_back({text(backend.name), backend.dtype, backend.score});
  }
}

}  // namespace

Model::Model(wire::ModelInfo info)
    : vaccel_model{},
      info_(std::move(info)),
      input_views_(views_of(info_.inputs)),
      output_views_(views_of(info_.outputs)) {
  size = sizeof(vaccel_model);
  name = info_.name.c_str();
  task = info_.task.c_str();
  description = info_.description.c_str();
  version = info_.version.c_str();
  license = info_.license.c_str();
  backend = info_.backend.c_str();
  problem = info_.problem.c_str();
  input_count = input_views_.size();
  inputs = input_views_.data();
  output_count = output_views_.size();
  outputs = output_views_.data();
  for (const wire::Metadata& pair : info_.metadata)
    metadata_views_.push_back({pair.key.c_str(), pair.value.c_str()});
  metadata_count = metadata_views_.size();
  metadata = metadata_views_.data();
}

ModelList::ModelList(std::vector<wire::ModelInfo> infos) : vaccel_model_list{} {
  for (wire::ModelInfo& info : infos) {
    owned_.push_back(std::make_unique<Model>(std::move(info)));
    views_.push_back(owned_.back().get());
  }
  size = sizeof(vaccel_model_list);
  count = views_.size();
  models = views_.data();
}

Operator::Operator(wire::OperatorInfo info) : vaccel_operator{}, info_(std::move(info)) {
  for (const wire::OperatorPart& part : info_.parts)
    part_views_.push_back({part.kind, 0, part.name.c_str(), part.type.c_str(), part.description.c_str()});
  for (const wire::OperatorBackend& backend : info_.backends)
    backend_views_.push_back({backend.name.c_str(), backend.dtype, backend.score});
  size = sizeof(vaccel_operator);
  name = info_.name.c_str();
  description = info_.description.c_str();
  part_count = part_views_.size();
  parts = part_views_.data();
  backend_count = backend_views_.size();
  backends = backend_views_.data();
}

OperatorList::OperatorList(std::vector<wire::OperatorInfo> infos) : vaccel_operator_list{} {
  for (wire::OperatorInfo& info : infos) {
    owned_.push_back(std::make_unique<Operator>(std::move(info)));
    views_.push_back(owned_.back().get());
  }
  size = sizeof(vaccel_operator_list);
  count = views_.size();
  operators = views_.data();
}

Agent::Agent(std::string endpoint_text, wire::Description details, AgentLimits limits)
    : vaccel_agent{},
      endpoint_text_(std::move(endpoint_text)),
      limits_(std::move(limits)),
      description_(std::move(details)) {
  for (const wire::BackendInfo& backend : description_.backends) {
    backend_views_.push_back(
        {backend.name.c_str(), backend.version.c_str(), backend.devices.c_str(), backend.problem.c_str()});
  }
  size = sizeof(vaccel_agent);
  endpoint = endpoint_text_.c_str();
  version = description_.server.c_str();
  protocol_version = limits_.protocol_version;
  worker_count = description_.worker_count;
  max_payload_bytes = limits_.max_payload_bytes;
  max_calls_in_flight = limits_.max_calls_in_flight;
  model_count = description_.model_count;
  backend_count = backend_views_.size();
  backends = backend_views_.data();
  window = limits_.window.c_str();
  window_bytes = limits_.window_bytes;
}

wire::ModelInfo copy_model(const vaccel_model& model) {
  wire::ModelInfo info{.name = text(model.name),
                       .task = text(model.task),
                       .description = text(model.description),
                       .version = text(model.version),
                       .license = text(model.license),
                       .backend = text(model.backend),
                       .problem = text(model.problem),
                       .inputs = copy_infos(model.inputs, model.input_count),
                       .outputs = copy_infos(model.outputs, model.output_count),
                       .metadata = {}};
  for (size_t index = 0; index < model.metadata_count; ++index)
    info.metadata.push_back({text(model.metadata[index].key), text(model.metadata[index].value)});
  return info;
}

wire::Description copy_agent(const vaccel_agent& agent) {
  wire::Description description;
  description.server = text(agent.version);
  description.worker_count = agent.worker_count;
  description.model_count = agent.model_count;
  for (size_t index = 0; index < agent.backend_count; ++index) {
    const vaccel_backend_info& backend = agent.backends[index];
    description.backends.push_back(
        {text(backend.name), text(backend.version), text(backend.devices), text(backend.problem)});
  }
  return description;
}

std::vector<wire::OperatorInfo> copy_operators(const vaccel_operator_list& list) {
  std::vector<wire::OperatorInfo> infos(list.count);
  for (size_t index = 0; index < list.count; ++index)
    copy_operator(*list.operators[index], infos[index]);
  return infos;
}

}  // namespace vaccel::client
