// SPDX-License-Identifier: Apache-2.0
#include "runtime/descriptions.h"

#include <cstdint>
#include <limits>

namespace vaccel::runtime {
namespace {

std::vector<vaccel_tensor_info> infos_of(const std::vector<TensorFacts>& tensors) {
  std::vector<vaccel_tensor_info> infos;
  infos.reserve(tensors.size());
  for (const TensorFacts& tensor : tensors) {
    infos.push_back({tensor.name.c_str(), tensor.shape.data(),
                     tensor.any_rank ? -1 : static_cast<int32_t>(tensor.shape.size()), tensor.dtype});
  }
  return infos;
}

std::string version_text() {
  return "local " + std::to_string(VACCEL_VERSION_MAJOR) + "." + std::to_string(VACCEL_VERSION_MINOR) + "." +
         std::to_string(VACCEL_VERSION_PATCH);
}

}  // namespace

ModelText::ModelText(ModelFacts facts, bool with_tensors) : facts_(std::move(facts)) {
  if (with_tensors) {
    inputs_ = infos_of(facts_.inputs);
    outputs_ = infos_of(facts_.outputs);
    for (const MetadataPair& pair : facts_.metadata)
      metadata_.push_back({pair.key.c_str(), pair.value.c_str()});
  }
  const ModelDescription& model = facts_.entry->model;
  view_.size = sizeof view_;
  view_.name = model.name.c_str();
  view_.task = task_name(model.task);
  view_.description = model.description.c_str();
  view_.version = model.version.c_str();
  view_.license = model.license.c_str();
  view_.backend = facts_.backend.c_str();
  view_.problem = facts_.problem.c_str();
  view_.input_count = inputs_.size();
  view_.inputs = inputs_.data();
  view_.output_count = outputs_.size();
  view_.outputs = outputs_.data();
  view_.metadata_count = metadata_.size();
  view_.metadata = metadata_.data();
}

ModelListText::ModelListText(std::vector<ModelFacts> models) {
  for (ModelFacts& facts : models) {
    pointers_.push_back(&models_.emplace_back(std::move(facts), false).view());
  }
  view_.size = sizeof view_;
  view_.count = pointers_.size();
  view_.models = pointers_.data();
}

OperatorListText::OperatorListText(std::vector<OperatorFacts> operators) : facts_(std::move(operators)) {
  for (const OperatorFacts& facts : facts_) {
    One& one = views_.emplace_back();
    for (const PartFacts& part : facts.parts)
      one.parts.push_back({part.kind, 0, part.name.c_str(), part.type.c_str(), part.description.c_str()});
    for (const OfferFacts& offer : facts.offers)
      one.backends.push_back({offer.backend.c_str(), offer.dtype, offer.score});
    one.view.size = sizeof one.view;
    one.view.name = facts.name.c_str();
    one.view.description = facts.description.c_str();
    one.view.part_count = one.parts.size();
    one.view.parts = one.parts.data();
    one.view.backend_count = one.backends.size();
    one.view.backends = one.backends.data();
    pointers_.push_back(&one.view);
  }
  view_.size = sizeof view_;
  view_.count = pointers_.size();
  view_.operators = pointers_.data();
}

AgentText::AgentText(std::vector<BackendReport> backends, size_t model_count)
    : backends_(std::move(backends)), version_(version_text()) {
  for (const BackendReport& backend : backends_) {
    infos_.push_back(
        {backend.name.c_str(), backend.version.c_str(), backend.devices.c_str(), backend.problem.c_str()});
  }
  view_.size = sizeof view_;
  view_.endpoint = "local:";
  view_.version = version_.c_str();
  view_.max_payload_bytes = std::numeric_limits<uint64_t>::max();  // the caller's own memory is the limit
  view_.max_calls_in_flight = std::numeric_limits<uint32_t>::max();
  view_.model_count = static_cast<uint32_t>(model_count);
  view_.backend_count = infos_.size();
  view_.backends = infos_.data();
}

}  // namespace vaccel::runtime
