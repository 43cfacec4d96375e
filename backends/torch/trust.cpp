// SPDX-License-Identifier: Apache-2.0
#include "trust.h"

#include <malloc.h>
#include <torch/csrc/jit/ir/alias_analysis.h>
#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/ir/ir.h>
#include <torch/csrc/jit/passes/inliner.h>

#include "failure.h"

namespace vaccel::torch_backend {
namespace {

// Reading an archive, LibTorch takes a storage's size from the pickle and its data from a record of the archive, and does
// not compare the two. The record lies in a block of malloc() of its own: what the block has room for may be read.
void check_storage(const at::Tensor& tensor) {
  if (!tensor.has_storage() || !tensor.device().is_cpu()) return;
  const c10::Storage& storage = tensor.storage();
  const void* data = storage.unsafeGetStorageImpl()->data();
  if (storage.nbytes() == 0) return;
  const size_t room = data == nullptr ? 0 : ::malloc_usable_size(const_cast<void*>(data));
  if (room >= storage.nbytes()) return;
  refuse(VACCEL_INVALID_ARGUMENT,
         "the file is damaged: a tensor takes %zu bytes, and the archive has at most %zu for it",
         storage.nbytes(), room);
}

void check_value(const c10::IValue& value) {
  c10::IValue::HashAliasedIValues parts;
  value.getSubValues(parts);
  for (const c10::IValue& part : parts) {
    if (part.isTensor()) check_storage(part.toTensor());
  }
}

void check_node(const torch::jit::Node& node) {
  static const c10::Symbol kFileOperators[] = {c10::Symbol::fromQualString("aten::from_file"),
                                               c10::Symbol::fromQualString("aten::save")};
  for (const c10::Symbol& symbol : kFileOperators) {
    if (node.kind() == symbol) {
      refuse(VACCEL_INVALID_ARGUMENT, "the model uses %s, and a model must leave the host's files alone",
             symbol.toQualString());
    }
  }
  if (node.kind() != c10::prim::Constant || node.outputs().empty()) return;
  if (const auto constant = torch::jit::toIValue(node.output())) check_value(*constant);
}

void check_block(const torch::jit::Block& block) {
  for (const torch::jit::Node* node : block.nodes()) {
    check_node(*node);
    for (const torch::jit::Block* inner : node->blocks())
      check_block(*inner);
    if (node->hasAttribute(c10::attr::Subgraph)) check_block(*node->g(c10::attr::Subgraph)->block());
  }
}

// Whether a node may leave a tensor where a later run, or a thread that runs on, finds it: in an attribute, in a list or
// dict (which may be an attribute's), or in code that is not seen from here.
bool may_keep_tensors(const torch::jit::Node& node) {
  static const c10::Symbol kKeepers[] = {c10::prim::SetAttr, c10::prim::CallMethod, c10::prim::CallFunction,
                                         c10::prim::fork, c10::Symbol::fromQualString("prim::awaitable")};
  for (const c10::Symbol& symbol : kKeepers) {
    if (node.kind() == symbol) return true;
  }
  const c10::FunctionSchema* schema = node.maybeSchema();
  if (schema == nullptr) return false;
  for (size_t index = 0; index < schema->arguments().size() && index < node.inputs().size(); ++index) {
    const c10::AliasInfo* aliases = schema->arguments()[index].alias_info();
    const bool written = aliases != nullptr && aliases->isWrite();
    if (written && node.inputs()[index]->type()->kind() != c10::TypeKind::TensorType) return true;
  }
  return false;
}

bool may_keep_tensors(const torch::jit::Block& block) {
  for (const torch::jit::Node* node : block.nodes()) {
    if (may_keep_tensors(*node)) return true;
    for (const torch::jit::Block* inner : node->blocks()) {
      if (may_keep_tensors(*inner)) return true;
    }
  }
  return false;
}

}  // namespace

void check_module(const torch::jit::Module& module) {
  check_value(module._ivalue());
  for (torch::jit::Function* function : module._ivalue()->compilation_unit()->get_functions())
    check_block(*torch::jit::toGraphFunction(*function).graph()->block());
}

std::vector<bool> find_inputs_to_copy(const torch::jit::Method& forward) {
  const auto graph = forward.graph()->copy();
  torch::jit::Inline(*graph);
  const bool keeps = may_keep_tensors(*graph->block());
  const torch::jit::AliasDb aliases(graph);
  std::vector<bool> copied;
  for (size_t index = 1; index < graph->inputs().size(); ++index)
    copied.push_back(keeps || aliases.hasWriters(graph->inputs()[index]));
  return copied;
}

}  // namespace vaccel::torch_backend
