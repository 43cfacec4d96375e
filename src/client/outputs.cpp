// SPDX-License-Identifier: Apache-2.0
#include "client/outputs.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "client/exchange.h"
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
  Slab* area;  // that results lie in
  std::atomic<uint32_t> owners;
};

// Memory aligned to 64. Of malloc() rather than posix_memalign(), which is several times slower for small results.
void* allocate(size_t bytes) {
  if (bytes > SIZE_MAX - 2 * wire::kTensorAlignment) return nullptr;
  auto* memory = static_cast<std::byte*>(std::malloc(bytes + wire::kTensorAlignment + sizeof(void*)));
  if (memory == nullptr) return nullptr;
  const uintptr_t begin =
      wire::align_up(reinterpret_cast<uintptr_t>(memory) + sizeof(void*), wire::kTensorAlignment);
  auto* aligned = reinterpret_cast<std::byte*>(begin);
  std::memcpy(aligned - sizeof(void*), &memory, sizeof memory);
  return aligned;
}

void deallocate(void* aligned) {
  void* memory = nullptr;
  std::memcpy(&memory, static_cast<std::byte*>(aligned) - sizeof(void*), sizeof memory);
  std::free(memory);
}

void free_pieces(Piece* piece) {
  while (piece != nullptr) {
    Piece* next = piece->next;
    deallocate(piece);
    piece = next;
  }
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
    block_->owners.store(1, std::memory_order_relaxed);
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

// By offset: that is how they come, as good as always.
void add_in_order(std::vector<Landing>& landings, const Landing& landing) {
  auto behind = landings.end();
  while (behind != landings.begin() && (behind - 1)->offset > landing.offset)
    --behind;
  landings.insert(behind, landing);
}

// Turns landings into destinations that cover the payload from its first byte to its last.
Status cover_payload(const std::vector<Landing>& landings, uint64_t payload_bytes,
                     std::vector<channel::Destination>& destinations) {
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
  auto* block = static_cast<Block*>(outputs);
  // The only owner, as nearly always, need not tell the others.
  if (block->owners.load(std::memory_order_acquire) != 1 &&
      block->owners.fetch_sub(1, std::memory_order_acq_rel) != 1)
    return;
  free_pieces(block->pieces);
  delete block->area;
  block->~Block();
  deallocate(block);
}

vaccel_outputs* share_outputs(vaccel_outputs& outputs) {
  static_cast<Block&>(outputs).owners.fetch_add(1, std::memory_order_relaxed);
  return &outputs;
}

uint64_t area_bytes(const wire::CallResult& result, std::span<const vaccel_tensor> places) {
  constexpr uint64_t kLeast = 4096;  // smaller ones travel with the result in any case
  uint64_t bytes = 0;
  for (size_t index = 0; index < result.outputs.size(); ++index) {
    const wire::Tensor& tensor = result.outputs[index];
    if (tensor.bytes > kLeast && place_for(places, index, tensor.name) == nullptr)
      bytes += wire::align_up(tensor.bytes, wire::kTensorAlignment);
  }
  return bytes;
}

// What becomes of a result that lies in the window.
enum class Found {
  kInPlace,    // where the caller wanted it
  kInArea,     // in the call's own memory, which the result may keep
  kToBeCopied  // in memory that is not the result's to keep
};

static Found find_in_window(const wire::Tensor& tensor, const vaccel_tensor* place,
                            const CallMemory& memory) {
  const std::byte* at = memory.window->base() + tensor.offset;
  if (place != nullptr) return at == place->data ? Found::kInPlace : Found::kToBeCopied;
  const Slab& area = memory.area;
  const bool in_area = memory.window->is_own() && area.valid() && tensor.offset >= area.offset() &&
                       tensor.offset - area.offset() <= area.bytes() &&
                       tensor.bytes <= area.bytes() - (tensor.offset - area.offset());
  return in_area ? Found::kInArea : Found::kToBeCopied;
}

// Results whose place is on a device must be there, and no others: nobody may write, or look, at those addresses.
static Status check_device(const wire::Tensor& tensor, const vaccel_tensor* place, const CallMemory& call) {
  const BufferMemory* wanted = place != nullptr ? call.on_device(place->data) : nullptr;
  const bool there = wire::is_device_memory(tensor.segment);
  if (wanted == nullptr && !there) return {};
  const bool as_wanted =
      wanted != nullptr && there && tensor.dtype != VACCEL_STRING &&
      static_cast<uint32_t>(tensor.segment) == wanted->device->number &&
      tensor.offset == static_cast<uint64_t>(static_cast<const std::byte*>(place->data) - wanted->base);
  if (as_wanted || (wanted != nullptr && tensor.bytes == 0)) return {};
  return failure(VACCEL_PROTOCOL_ERROR, "result '%s' is not in the device buffer where it was wanted",
                 printable(tensor.name).c_str());
}

Result<OutputsPtr> lay_out(const wire::CallResult& result, uint64_t payload_bytes,
                           std::span<const vaccel_tensor> places, CallMemory& call,
                           std::vector<channel::Destination>& destinations) {
  if (Status status = check_places(places, result.outputs); !status.ok())
    return Unexpected{std::move(status)};
  const BlockPlan plan =
      plan_block(result.outputs, [](const wire::Tensor& tensor) { return tensor.dimensions().size(); });
  // Without places the payload lands in one piece, as it comes, which its tensors are views of.
  const bool in_one_piece = places.empty();
  uint64_t data_bytes = in_one_piece ? payload_bytes : 0;
  bool keeps_area = false;
  for (size_t index = 0; index < result.outputs.size(); ++index) {
    const wire::Tensor& tensor = result.outputs[index];
    const vaccel_tensor* place = place_for(places, index, tensor.name);
    if (place != nullptr && tensor.bytes > place->bytes)
      return Unexpected{too_small(*place, tensor.name, index, tensor.bytes)};
    if (Status status = check_device(tensor, place, call); !status.ok()) return Unexpected{std::move(status)};
    if (tensor.segment == wire::Segment::kWindow) {
      const uint64_t size = call.window->size();
      if (tensor.offset > size || tensor.bytes > size - tensor.offset) {
        return fail(VACCEL_PROTOCOL_ERROR, "result '%s' does not lie in the window",
                    printable(tensor.name).c_str());
      }
      const Found found = find_in_window(tensor, place, call);
      keeps_area = keeps_area || found == Found::kInArea;
      if (found == Found::kToBeCopied && place == nullptr) {
        data_bytes = wire::align_up(data_bytes, wire::kTensorAlignment) +
                     wire::align_up(tensor.bytes, wire::kTensorAlignment);
      }
    } else if (place != nullptr) {
      continue;
    } else if (!in_one_piece) {
      data_bytes += wire::align_up(tensor.bytes, wire::kTensorAlignment);
    }
  }
  if (data_bytes > SIZE_MAX - plan.data) return Unexpected{no_memory(data_bytes)};
  void* memory = allocate(plan.data + static_cast<size_t>(data_bytes));
  if (memory == nullptr) return Unexpected{no_memory(data_bytes)};
  BlockWriter writer(memory, plan, result.outputs.size());
  OutputsPtr outputs{writer.block()};
  std::byte* const payload = static_cast<std::byte*>(memory) + plan.data;
  std::byte* free_data = payload;  // where data go that have no other place
  if (in_one_piece) {
    if (payload_bytes > 0) destinations.push_back({payload, static_cast<size_t>(payload_bytes)});
    free_data += wire::align_up(payload_bytes, wire::kTensorAlignment);
  }
  std::vector<Landing> landings;
  for (size_t index = 0; index < result.outputs.size(); ++index) {
    const wire::Tensor& tensor = result.outputs[index];
    const vaccel_tensor* place = place_for(places, index, tensor.name);
    std::byte* at = payload + tensor.offset;
    if (tensor.segment == wire::Segment::kWindow) {
      const std::byte* from = call.window->base() + tensor.offset;
      at = call.window->base() + tensor.offset;
      if (find_in_window(tensor, place, call) == Found::kToBeCopied) {
        at = place != nullptr ? static_cast<std::byte*>(place->data) : free_data;
        if (place == nullptr) free_data += wire::align_up(tensor.bytes, wire::kTensorAlignment);
        std::memcpy(at, from, tensor.bytes);
        call.copied_bytes += tensor.bytes;
      }
    } else if (wire::is_device_memory(tensor.segment)) {
      at = static_cast<std::byte*>(place->data);
    } else if (!in_one_piece) {
      at = place != nullptr ? static_cast<std::byte*>(place->data) : free_data;
      if (place == nullptr) free_data += wire::align_up(tensor.bytes, wire::kTensorAlignment);
      add_in_order(landings, {tensor.offset, tensor.bytes, at});
    }
    writer.add({tensor.name, tensor.dtype, tensor.dimensions(), static_cast<size_t>(tensor.bytes), at});
  }
  if (!in_one_piece) {
    if (Status status = cover_payload(landings, payload_bytes, destinations); !status.ok())
      return Unexpected{std::move(status)};
  }
  if (keeps_area) writer.block()->area = new Slab(std::move(call.area));
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
  // They come in order, as good as always.
  auto behind = items_.end();
  while (behind != items_.begin() && (behind - 1)->index > index)
    --behind;
  items_.insert(behind, {index, std::string{name}, dtype, {shape.begin(), shape.end()}, data, bytes});
  return data;
}

Result<OutputsPtr> OutputCollector::finish() {
  if (Status status = check_places(places_, items_); !status.ok()) return Unexpected{std::move(status)};
  const BlockPlan plan = plan_block(items_, [](const Item& item) { return item.shape.size(); });
  void* memory = allocate(plan.data);
  if (memory == nullptr) return Unexpected{no_memory(plan.data)};
  BlockWriter writer(memory, plan, items_.size());
  for (const Item& item : items_)
    writer.add({item.name, item.dtype, item.shape, item.bytes, item.data});
  writer.block()->pieces = static_cast<Piece*>(std::exchange(pieces_, nullptr));
  return OutputsPtr{writer.block()};
}

}  // namespace vaccel::client
