// SPDX-License-Identifier: Apache-2.0
//
// What the describing functions hand out: the public structs, and behind each the values that it points into.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "vaccel/vaccel.h"
#include "wire/messages.h"

namespace vaccel::client {

/// A model's description that owns what its fields point to.
class Model : public vaccel_model {
 public:
  explicit Model(wire::ModelInfo info);
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

 private:
  wire::ModelInfo info_;
  std::vector<vaccel_tensor_info> input_views_;
  std::vector<vaccel_tensor_info> output_views_;
  std::vector<vaccel_metadata> metadata_views_;
};

class ModelList : public vaccel_model_list {
 public:
  explicit ModelList(std::vector<wire::ModelInfo> infos);
  ModelList(const ModelList&) = delete;
  ModelList& operator=(const ModelList&) = delete;

 private:
  std::vector<std::unique_ptr<Model>> owned_;
  std::vector<const vaccel_model*> views_;
};

/// An operator's description that owns what its fields point to.
class Operator : public vaccel_operator {
 public:
  explicit Operator(wire::OperatorInfo info);
  Operator(const Operator&) = delete;
  Operator& operator=(const Operator&) = delete;

 private:
  wire::OperatorInfo info_;
  std::vector<vaccel_operator_part> part_views_;
  std::vector<vaccel_operator_backend> backend_views_;
};

class OperatorList : public vaccel_operator_list {
 public:
  explicit OperatorList(std::vector<wire::OperatorInfo> infos);
  OperatorList(const OperatorList&) = delete;
  OperatorList& operator=(const OperatorList&) = delete;

 private:
  std::vector<std::unique_ptr<Operator>> owned_;
  std::vector<const vaccel_operator*> views_;
};

/// What is told of an agent besides its description.
struct AgentLimits {
  uint32_t protocol_version = 0;
  uint64_t max_payload_bytes = 0;
  uint32_t max_calls_in_flight = 0;
  std::string window;  ///< How memory is shared, for people.
  uint64_t window_bytes = 0;
};

class Agent : public vaccel_agent {
 public:
  Agent(std::string endpoint_text, wire::Description details, AgentLimits limits);
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

 private:
  std::string endpoint_text_;
  AgentLimits limits_;
  wire::Description description_;
  std::vector<vaccel_backend_info> backend_views_;
};

/// The same from the structs of a runtime in this process.
wire::ModelInfo copy_model(const vaccel_model& model);
wire::Description copy_agent(const vaccel_agent& agent);
std::vector<wire::OperatorInfo> copy_operators(const vaccel_operator_list& list);

}  // namespace vaccel::client
