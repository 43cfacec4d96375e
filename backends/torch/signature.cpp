// SPDX-License-Identifier: Apache-2.0
#include "signature.h"

#include <ATen/core/jit_type.h>

#include <cstring>

#include "failure.h"
#include "tensors.h"

namespace vaccel::torch_backend {
namespace {

const vaccel_tensor_info* find_declared(const vaccel_tensor_info* declared, size_t count,
                                        const std::string& name) {
  for (size_t index = 0; index < count; ++index) {
    if (name == declared[index].name) return &declared[index];
  }
  return nullptr;
}

void check_dtype(const char* kind, const vaccel_tensor_info& info) {
  if (scalar_type(info.dtype) != at::ScalarType::Undefined) return;
  refuse(VACCEL_UNIMPLEMENTED,
         "%s '%s' is declared with a type that LibTorch has no tensors of (strings, and unsigned integers "
         "but uint8)",
         kind, info.name);
}

void read_inputs(const c10::FunctionSchema& forward, const vaccel_backend_model_source& source,
                 Side& inputs) {
  for (size_t index = 1; index < forward.arguments().size(); ++index) {
    const c10::Argument& argument = forward.arguments()[index];
    if (argument.default_value()) break;  // those behind it have one too
    if (argument.type()->kind() != c10::TypeKind::TensorType) {
      refuse(VACCEL_UNIMPLEMENTED, "argument '%s' of forward() is %s; only tensors can be passed",
             argument.name().c_str(), argument.type()->str().c_str());
    }
    inputs.add(argument.name(), find_declared(source.inputs, source.input_count, argument.name()));
  }
}

// How many tensors a type has within, and what they are called; -1: that is not known before it runs.
struct Leaves {
  std::vector<std::string> names;
  bool counted = true;
};

void count_leaves(const c10::Type& type, const std::string& name, Leaves& leaves) {
  switch (type.kind()) {
    case c10::TypeKind::TensorType:
      leaves.names.push_back(name);
      return;
    case c10::TypeKind::ListType:
      leaves.counted = false;
      return count_leaves(*type.containedTypes().at(0), name, leaves);
    case c10::TypeKind::TupleType: {
      const auto& tuple = static_cast<const c10::TupleType&>(type);
      for (size_t index = 0; index < tuple.elements().size(); ++index) {
        const std::string part = tuple.schema() ? tuple.schema()->arguments().at(index).name()
                                                : name + "_" + std::to_string(index);
        count_leaves(*tuple.elements()[index], part, leaves);
      }
      return;
    }
    default:
      refuse(VACCEL_UNIMPLEMENTED,
             "forward() returns %s; only tensors, and tuples, lists and a dict of them, are known",
             type.str().c_str());
  }
}

bool is_dict_of_tensors(const c10::Type& type) {
  return type.kind() == c10::TypeKind::DictType &&
         type.containedTypes().at(0)->kind() == c10::TypeKind::StringType &&
         type.containedTypes().at(1)->kind() == c10::TypeKind::TensorType;
}

void read_outputs(const c10::FunctionSchema& forward, const vaccel_backend_model_source& source,
                  Signature& signature) {
  if (forward.returns().size() != 1) refuse(VACCEL_UNIMPLEMENTED, "forward() returns nothing");
  const c10::Type& type = *forward.returns()[0].type();
  signature.returns_dict = is_dict_of_tensors(type);
  Leaves leaves;
  if (!signature.returns_dict) count_leaves(type, "output", leaves);
  const bool known = !signature.returns_dict && leaves.counted;
  if (source.output_count == 0) {
    if (!known) {
      refuse(VACCEL_INVALID_ARGUMENT,
             "forward() returns %s, which does not tell its outputs; [[outputs]] in its model.toml has to "
             "name them",
             type.str().c_str());
    }
    for (const std::string& name : leaves.names)
      signature.outputs.add(name, nullptr);
    return;
  }
  if (known && leaves.names.size() != source.output_count) {
    refuse(VACCEL_INVALID_ARGUMENT, "forward() returns %zu tensors, and model.toml has %zu [[outputs]]",
           leaves.names.size(), source.output_count);
  }
  for (size_t index = 0; index < source.output_count; ++index)
    signature.outputs.add(source.outputs[index].name, &source.outputs[index]);
}

void flatten(const c10::IValue& value, std::vector<at::Tensor>& tensors) {
  if (value.isTensor()) {
    tensors.push_back(value.toTensor());
  } else if (value.isTuple()) {
    for (const c10::IValue& element : value.toTupleRef().elements())
      flatten(element, tensors);
  } else if (value.isList()) {
    for (const c10::IValue& element : value.toListRef())
      flatten(element, tensors);
  } else {
    refuse(VACCEL_INTERNAL, "forward() returned %s where a tensor was expected", value.tagKind().c_str());
  }
}

}  // namespace

void Side::add(const std::string& name, const vaccel_tensor_info* declared) {
  names_.push_back(name);
  shapes_.emplace_back();
  if (declared != nullptr && declared->rank > 0)
    shapes_.back().assign(declared->shape, declared->shape + declared->rank);
  infos_.push_back({names_.back().c_str(), shapes_.back().data(), declared != nullptr ? declared->rank : -1,
                    declared != nullptr ? declared->dtype : VACCEL_FLOAT32});
}

Signature read_signature(const c10::FunctionSchema& forward, const vaccel_backend_model_source& source) {
  Signature signature;
  read_inputs(forward, source, signature.inputs);
  read_outputs(forward, source, signature);
  for (const vaccel_tensor_info& info : signature.inputs.infos())
    check_dtype("input", info);
  for (const vaccel_tensor_info& info : signature.outputs.infos())
    check_dtype("output", info);
  return signature;
}

std::vector<at::Tensor> take_results(const Signature& signature, const c10::IValue& returned) {
  const std::vector<vaccel_tensor_info>& infos = signature.outputs.infos();
  std::vector<at::Tensor> tensors;
  if (!signature.returns_dict) {
    flatten(returned, tensors);
    if (tensors.size() != infos.size()) {
      refuse(VACCEL_INTERNAL, "forward() returned %zu tensors, and model.toml has %zu [[outputs]]",
             tensors.size(), infos.size());
    }
    return tensors;
  }
  const auto dict = returned.toGenericDict();
  for (const vaccel_tensor_info& info : infos) {
    const auto found = dict.find(info.name);
    if (found == dict.end()) refuse(VACCEL_INTERNAL, "forward() returned no '%s' in its dict", info.name);
    tensors.push_back(found->value().toTensor());
  }
  return tensors;
}

}  // namespace vaccel::torch_backend
