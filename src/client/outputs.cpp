// SPDX-License-Identifier: Apache-2.0
#include "client/outputs.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "core/tensor.h"
#include "wire/limits.h"

namespace vaccel::client {
namespace {

// Memory that a caller of OutputCollector::add() got: this header, then the bytes, 64-byte aligned too.
struct alignas(wire::kTensorAlignment) Piece {
  Piece* next;
};

// What the public struct begins: tensors, shapes, names and (for lay_out) data follow in the same block.
struct Block : vaccel_outputs {
  Piece* pieces;
};

struct ClassesBlock : vaccel_classes {
  vaccel_outputs* source;  // the labels lie there
};

void free_pieces(Piece* piece) {
  while (piece != nullptr) {
    Piece* next = piece->next;
    std::free(piece);
    piece = next;
  }
}

void* allocate(size_t bytes) {
  void* memory = nullptr;
  return ::posix_memalign(&memory, wire::kTensorAlignment, bytes) == 0 ? memory : nullptr;
}

Status no_memory(uint64_t bytes) {
  return failure(VACCEL_RESOURCE_EXHAUSTED, "there is no memory for a result of %llu bytes",
                 static_cast<unsigned long long>(bytes));
}

// One result, wherever it comes from.
struct ResultView {
  std::string_view name;
  int dtype;
  std::span<const int64_t> shape;
  size_t bytes;
  void* data;
};

// The caller's memory for result `index`; nullptr: none.
const vaccel_tensor* place_for(std::span<const vaccel_tensor> places, size_t index, std::string_view name) {
  for (const vaccel_tensor& place : places) {
    if (place.name != nullptr && name == place.name) return &place;
  }
  return index < places.size() && places[index].name == nullptr ? &places[index] : nullptr;
}

Status too_small(const vaccel_tensor& place, std::string_view name, size_t index, uint64_t bytes) {
  return failure(VACCEL_INVALID_ARGUMENT,
                 "result '%s' (number %zu) takes %llu bytes; options.outputs has %zu for it",
                 printable(name).c_str(), index, static_cast<unsigned long long>(bytes), place.bytes);
}

template <typename Results>
Status check_places(std::span<const vaccel_tensor> places, const Results& results) {
  for (size_t index = 0; index < places.size(); ++index) {
    const char* name = places[index].name;
    if (name == nullptr) {
      if (index < results.size()) continue;
      return failure(VACCEL_INVALID_ARGUMENT, "options.outputs[%zu] belongs to no result: there are %zu",
                     index, results.size());
    }
    const auto named = [name](const auto& result) { return result.name == name; };
    if (std::any_of(results.begin(), results.end(), named)) continue;
    std::string names;
    for (const auto& result : results) {
      if (!names.empty()) names += ", ";
      names += "'" + printable(result.name) + "'";
    }
    return failure(VACCEL_INVALID_ARGUMENT, "options.outputs[%zu] names '%s'; the results are: %s", index,
                   printable(name).c_str(), names.empty() ? "none" : names.c_str());
  }
  return {};
}

// Where the parts of a block lie: the struct, the tensors, their shapes, their names, then data.
struct BlockPlan {
  size_t tensors = 0;
  size_t shapes = 0;
  size_t names = 0;
  size_t data = 0;
};

template <typename Results, typename Rank>
BlockPlan plan_block(const Results& results, Rank rank) {
  size_t dimensions = 0;
  size_t characters = 0;
  for (const auto& result : results) {
    dimensions += rank(result);
    characters += result.name.size() + 1;
  }
  BlockPlan plan;
  plan.tensors = sizeof(Block);
  plan.shapes = plan.tensors + results.size() * sizeof(vaccel_tensor);
  plan.names = plan.shapes + dimensions * sizeof(int64_t);
  plan.data = static_cast<size_t>(wire::align_up(plan.names + characters, wire::kTensorAlignment));
  return plan;
}

// Fills in a block's struct, and its tensors one after the other.
class BlockWriter {
 public:
  BlockWriter(void* memory, const BlockPlan& plan, size_t count) {
    auto* base = static_cast<std::byte*>(memory);
    block_ = new (memory) Block{};
    tensors_ = reinterpret_cast<vaccel_tensor*>(base + plan.tensors);
    shape_ = reinterpret_cast<int64_t*>(base + plan.shapes);
    name_ = reinterpret_cast<char*>(base + plan.names);
    block_->size = sizeof(vaccel_outputs);
    block_->count = count;
    block_->tensors = tensors_;
  }

  void add(const ResultView& result) {
    auto* tensor = new (tensors_++) vaccel_tensor{};
    std::memcpy(name_, result.name.data(), result.name.size());
    name_[result.name.size()] = '\0';
    std::copy(result.shape.begin(), result.shape.end(), shape_);
    tensor->name = name_;
    tensor->data = result.data;
    tensor->bytes = result.bytes;
    tensor->shape = shape_;
    tensor->rank = static_cast<int32_t>(result.shape.size());
    tensor->dtype = result.dtype;
    name_ += result.name.size() + 1;
    shape_ += result.shape.size();
  }

  [[nodiscard]] Block* block() const { return block_; }

 private:
  Block* block_;
  vaccel_tensor* tensors_;
  int64_t* shape_;
  char* name_;
};

// Where a tensor of an arriving payload goes.
struct Landing {
  uint64_t offset;
  uint64_t bytes;
  std::byte* data;
};

// Turns landings into destinations that cover the payload from its first byte to its last.
Status cover_payload(std::vector<Landing>& landings, uint64_t payload_bytes,
                     std::vector<channel::Destination>& destinations) {
  std::sort(landings.begin(), landings.end(),
            [](const Landing& one, const Landing& other) { return one.offset < other.offset; });
  uint64_t position = 0;
  for (const Landing& landing : landings) {
    if (landing.bytes == 0) continue;
    if (landing.offset < position) {
      return failure(VACCEL_PROTOCOL_ERROR, "two results share bytes of the payload");
    }
    if (landing.offset > position)
      destinations.push_back({nullptr, static_cast<size_t>(landing.offset - position)});
    destinations.push_back({landing.data, static_cast<size_t>(landing.bytes)});
    position = landing.offset + landing.bytes;
  }
  if (position < payload_bytes)
    destinations.push_back({nullptr, static_cast<size_t>(payload_bytes - position)});
  return {};
}

}  // namespace

void FreeOutputs::operator()(vaccel_outputs* outputs) const {
  if (outputs == nullptr) return;
  free_pieces(static_cast<Block*>(outputs)->pieces);
  std::free(outputs);
}

void FreeClasses::operator()(vaccel_classes* classes) const {
  if (classes == nullptr) return;
  FreeOutputs{}(static_cast<ClassesBlock*>(classes)->source);
  std::free(classes);
}

Result<OutputsPtr> lay_out(const wire::CallResult& result, uint64_t payload_bytes,
                           std::span<const vaccel_tensor> places,
                           std::vector<channel::Destination>& destinations) {
  if (Status status = check_places(places, result.outputs); !status.ok())
    return Unexpected{std::move(status)};
  const BlockPlan plan =
      plan_block(result.outputs, [](const wire::Tensor& tensor) { return tensor.dimensions().size(); });
  // Without places the payload lands in one piece, as it comes, which its tensors are views of.
  const bool in_one_piece = places.empty();
  uint64_t data_bytes = in_one_piece ? payload_bytes : 0;
  if (!in_one_piece) {
    for (size_t index = 0; index < result.outputs.size(); ++index) {
      const wire::Tensor& tensor = result.outputs[index];
      const vaccel_tensor* place = place_for(places, index, tensor.name);
      if (place == nullptr) {
        data_bytes += wire::align_up(tensor.bytes, wire::kTensorAlignment);
      } else if (tensor.bytes > place->bytes) {
        return Unexpected{too_small(*place, tensor.name, index, tensor.bytes)};
      }
    }
  }
  auto* memory = static_cast<std::byte*>(allocate(plan.data + static_cast<size_t>(data_bytes)));
  if (memory == nullptr) return Unexpected{no_memory(data_bytes)};
  BlockWriter writer(memory, plan, result.outputs.size());
  OutputsPtr outputs{writer.block()};
  std::byte* data = memory + plan.data;
  if (in_one_piece && payload_bytes > 0) destinations.push_back({data, static_cast<size_t>(payload_bytes)});
  std::vector<Landing> landings;
  for (size_t index = 0; index < result.outputs.size(); ++index) {
    const wire::Tensor& tensor = result.outputs[index];
    std::byte* at = data + tensor.offset;
    if (!in_one_piece) {
      const vaccel_tensor* place = place_for(places, index, tensor.name);
      at = place != nullptr ? static_cast<std::byte*>(place->data) : data;
      if (place == nullptr) data += wire::align_up(tensor.bytes, wire::kTensorAlignment);
      landings.push_back({tensor.offset, tensor.bytes, at});
    }
    writer.add({tensor.name, tensor.dtype, tensor.dimensions(), static_cast<size_t>(tensor.bytes), at});
  }
  if (!in_one_piece) {
    if (Status status = cover_payload(landings, payload_bytes, destinations); !status.ok())
      return Unexpected{std::move(status)};
  }
  outputs->timings = result.timings;
  return outputs;
}

Status check_contents(const vaccel_outputs& outputs) {
  for (size_t index = 0; index < outputs.count; ++index) {
    const vaccel_tensor& tensor = outputs.tensors[index];
    if (tensor.dtype != VACCEL_STRING) continue;
    const auto count = element_count(shape_of(tensor));
    Status status = count ? check_strings({static_cast<const std::byte*>(tensor.data), tensor.bytes}, *count)
                          : count.error();
    if (!status.ok())
      return failure(VACCEL_PROTOCOL_ERROR, "result '%s': %s", printable(tensor.name).c_str(),
                     status.message().c_str());
  }
  return {};
}

OutputCollector::~OutputCollector() {
  free_pieces(static_cast<Piece*>(pieces_));
}

void* OutputCollector::add(size_t index, std::string_view name, int dtype, std::span<const int64_t> shape,
                           size_t bytes) {
  const vaccel_tensor* place = place_for(places_, index, name);
  void* data = nullptr;
  if (place != nullptr) {
    if (bytes > place->bytes) {
      status_ = too_small(*place, name, index, bytes);
      return nullptr;
    }
    data = place->data;
  }
  // A place of no bytes may be NULL, which would mean "no memory" here.
  if (data == nullptr) {
    void* memory = allocate(sizeof(Piece) + bytes);
    if (memory == nullptr) {
      status_ = no_memory(bytes);
      return nullptr;
    }
    auto* piece = new (memory) Piece{static_cast<Piece*>(pieces_)};
    pieces_ = piece;
    data = piece + 1;
  }
  items_.push_back({index, std::string{name}, dtype, {shape.begin(), shape.end()}, data, bytes});
  return data;
}

Result<OutputsPtr> OutputCollector::finish() {
  if (Status status = check_places(places_, items_); !status.ok()) return Unexpected{std::move(status)};
  std::sort(items_.begin(), items_.end(),
            [](const Item& one, const Item& other) { return one.index < other.index; });
  const BlockPlan plan = plan_block(items_, [](const Item& item) { return item.shape.size(); });
  void* memory = allocate(plan.data);
  if (memory == nullptr) return Unexpected{no_memory(plan.data)};
  BlockWriter writer(memory, plan, items_.size());
  for (const Item& item : items_)
    writer.add({item.name, item.dtype, item.shape, item.bytes, item.data});
  writer.block()->pieces = static_cast<Piece*>(std::exchange(pieces_, nullptr));
  return OutputsPtr{writer.block()};
}

Result<ClassesPtr> classes_from(OutputsPtr outputs) {
  struct Wanted {
    const char* name;
    int dtype;
    const vaccel_tensor* tensor = nullptr;
  };
  Wanted wanted[] = {{"index", VACCEL_INT32}, {"score", VACCEL_FLOAT32}, {"label", VACCEL_STRING}};
  for (Wanted& one : wanted) {
    for (size_t index = 0; index < outputs->count; ++index) {
      if (std::strcmp(outputs->tensors[index].name, one.name) == 0) one.tensor = &outputs->tensors[index];
    }
    if (one.tensor == nullptr || one.tensor->dtype != one.dtype || one.tensor->rank != 1 ||
        one.tensor->shape[0] != wanted[0].tensor->shape[0]) {
      return fail(VACCEL_PROTOCOL_ERROR,
                  "the operator 'classify' returned no result '%s' of type %s with one element a class",
                  one.name, dtype_name(one.dtype));
    }
  }
  const auto count = static_cast<size_t>(wanted[0].tensor->shape[0]);
  const size_t bytes = sizeof(ClassesBlock) + count * sizeof(vaccel_class);
  void* memory = allocate(bytes);
  if (memory == nullptr) return Unexpected{no_memory(bytes)};
  auto* block = new (memory) ClassesBlock{};
  auto* items = reinterpret_cast<vaccel_class*>(block + 1);
  const auto* labels = static_cast<const char*>(wanted[2].tensor->data);
  for (size_t index = 0; index < count; ++index) {
    uint32_t label = 0;
    std::memcpy(&label, labels + index * sizeof label, sizeof label);
    auto* item = new (items + index) vaccel_class{};
    std::memcpy(&item->index, static_cast<const int32_t*>(wanted[0].tensor->data) + index,
                sizeof item->index);
    std::memcpy(&item->score, static_cast<const float*>(wanted[1].tensor->data) + index, sizeof item->score);
    item->label = labels + label;
  }
  block->size = sizeof(vaccel_classes);
  block->count = count;
  block->items = items;
  block->timings = outputs->timings;
  block->source = outputs.release();
  return ClassesPtr{block};
}

}  // namespace vaccel::client
