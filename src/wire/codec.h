// SPDX-License-Identifier: Apache-2.0
//
// What the codec's files share, and nobody else includes: putting values into FlatBuffers, and taking them out with
// every check.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>

#include "core/tensor.h"
#include "wire/last_body.h"
#include "wire/limits.h"
#include "wire/messages.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wshadow"
#include "wire/schema_generated.h"
#pragma GCC diagnostic pop

namespace vaccel::wire {

namespace fb = flatbuffers;

struct Encoder::Builder {
  fb::FlatBufferBuilder flat{1024};
  LastBody<Call> last_call;
  LastBody<CallResult> last_result;
};

// ---- Encoding

inline std::string_view cut(std::string_view text, size_t limit) {
  return text.substr(0, limit);
}

inline fb::Offset<fb::String> put_text(fb::FlatBufferBuilder& flat, std::string_view text,
                                       size_t limit = kMaxTextBytes) {
  if (text.empty()) return {};
  const std::string_view kept = cut(text, limit);
  return flat.CreateString(kept.data(), kept.size());
}

inline fb::Offset<schema::Tensor> put_tensor(fb::FlatBufferBuilder& flat, const Tensor& tensor) {
  const auto name = put_text(flat, tensor.name, kMaxNameBytes);
  const auto shape = flat.CreateVector(tensor.shape.data(), static_cast<size_t>(tensor.rank));
  return schema::CreateTensor(flat, name, static_cast<uint8_t>(tensor.dtype), shape,
                              static_cast<uint32_t>(tensor.segment), tensor.offset, tensor.bytes);
}

template <typename T, typename Put>
auto put_all(fb::FlatBufferBuilder& flat, const std::vector<T>& items, Put put) {
  using Offset = decltype(put(flat, items.front()));
  std::array<Offset, 8> few;  // the usual number needs no memory of its own
  std::vector<Offset> many;
  if (items.size() > few.size()) many.resize(items.size());
  Offset* const offsets = many.empty() ? few.data() : many.data();
  for (size_t index = 0; index < items.size(); ++index)
    offsets[index] = put(flat, items[index]);
  return flat.CreateVector(offsets, items.size());
}

inline fb::Offset<schema::Place> put_place(fb::FlatBufferBuilder& flat, const Place& place) {
  const auto name = put_text(flat, place.name, kMaxNameBytes);
  return schema::CreatePlace(flat, name, place.offset, place.bytes, static_cast<uint32_t>(place.segment));
}

inline fb::Offset<schema::Attribute> put_attribute(fb::FlatBufferBuilder& flat, const Attribute& attribute) {
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
    tensor.dtype = source.dtype();
    if (!is_known_dtype(tensor.dtype)) {
      note(failure(VACCEL_INVALID_ARGUMENT, "%s has dtype %d, which is none", named(tensor).c_str(),
                   tensor.dtype));
      return tensor;
    }
    tensor.rank = static_cast<int32_t>(count(source.shape(), "dimensions of a tensor", VACCEL_MAX_RANK));
    for (int32_t axis = 0; axis < tensor.rank; ++axis) {
      tensor.shape[static_cast<size_t>(axis)] = element(*source.shape(), static_cast<size_t>(axis));
    }
    tensor.offset = source.offset();
    tensor.bytes = source.bytes();
    place(tensor, source.segment(), rules);
    size(tensor);
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

  OperatorInfo operator_info(const schema::OperatorInfo& source) {
    OperatorInfo info{.name = text(source.name(), "an operator's name", kMaxNameBytes),
                      .description = text(source.description(), "an operator's description", kMaxTextBytes),
                      .parts = {},
                      .backends = {}};
    for (size_t index = 0; index < count(source.parts(), "parts of an operator", kMaxOperatorParts);
         ++index) {
      const auto& from = *source.parts()->Get(static_cast<uint32_t>(index));
      if (from.kind() < VACCEL_OPERATOR_INPUT || from.kind() > VACCEL_OPERATOR_ATTRIBUTE) {
        note(failure(VACCEL_INVALID_ARGUMENT, "a part of an operator is of kind %d, which is none",
                     from.kind()));
      }
      info.parts.push_back({from.kind(), text(from.name(), "a part's name", kMaxNameBytes),
                            text(from.type(), "a part's type", kMaxNameBytes),
                            text(from.description(), "a part's description", kMaxTextBytes)});
    }
    for (size_t index = 0; index < count(source.backends(), "backends of an operator", kMaxOperatorBackends);
         ++index) {
      const auto& from = *source.backends()->Get(static_cast<uint32_t>(index));
      if (from.dtype() != 0 && !is_known_dtype(from.dtype())) {
        note(failure(VACCEL_INVALID_ARGUMENT, "an operator's backend is for dtype %d, which is none",
                     from.dtype()));
      }
      info.backends.push_back(
          {text(from.name(), "a backend's name", kMaxNameBytes), from.dtype(), from.score()});
    }
    return info;
  }

  /// A place in a window or in device memory. Whether it lies within that is for the caller to check.
  Place place(const schema::Place& source, const TensorRules& rules) {
    Place place{.name = text(source.name(), "a place's name", kMaxNameBytes),
                .offset = source.offset(),
                .bytes = source.bytes(),
                .segment = static_cast<Segment>(source.segment())};
    if (place.segment != Segment::kPayload && !(is_device_memory(place.segment) && takes_memory(rules))) {
      note(failure(VACCEL_INVALID_ARGUMENT,
                   "a place for a result lies in segment %u, which is no device memory of this sender's",
                   source.segment()));
    }
    if (place.bytes > kMaxPayloadBytes || place.offset > UINT64_MAX - place.bytes) {
      note(failure(VACCEL_INVALID_ARGUMENT, "a place for a result, %llu bytes at offset %llu, cannot be",
                   static_cast<unsigned long long>(place.bytes),
                   static_cast<unsigned long long>(place.offset)));
    }
    return place;
  }

  /// The number of the segment of places and area: a window's, or 0.
  Segment window(uint32_t number, const TensorRules& rules) {
    const bool known = number == 0 || (rules.window && number == static_cast<uint32_t>(Segment::kWindow)) ||
                       (rules.other_segments && is_imported_window(static_cast<Segment>(number)));
    if (!known) {
      note(failure(VACCEL_INVALID_ARGUMENT,
                   "results are wanted in segment %u, which is no window of this sender's", number));
    }
    return known ? static_cast<Segment>(number) : Segment::kPayload;
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
  static bool takes_memory(const TensorRules& rules) { return rules.device_memory || rules.other_segments; }

  // For sentences alone: made when something is wrong.
  static std::string named(const Tensor& tensor) { return "tensor '" + printable(tensor.name) + "'"; }

  void place(Tensor& tensor, uint32_t segment, const TensorRules& rules) {
    const bool is_window = segment == static_cast<uint32_t>(Segment::kWindow);
    const bool is_memory = is_device_memory(static_cast<Segment>(segment));
    const bool known =
        segment == 0 || (is_window && rules.window) || (is_memory && takes_memory(rules)) ||
        (!is_window && !is_memory && rules.other_segments &&
         (segment <= static_cast<uint32_t>(Segment::kResults) || segment >= kFirstWindowNumber));
    if (!known) {
      note(failure(VACCEL_INVALID_ARGUMENT, "%s lies in segment %u, which is not this sender's to use",
                   named(tensor).c_str(), segment));
      return;
    }
    tensor.segment = static_cast<Segment>(segment);
    if (is_window || segment >= kFirstWindowNumber) return;  // in a window or device memory at any offset
    if (tensor.offset % kTensorAlignment != 0) {
      note(failure(VACCEL_INVALID_ARGUMENT, "%s lies at offset %llu, not a multiple of %llu",
                   named(tensor).c_str(), static_cast<unsigned long long>(tensor.offset),
                   static_cast<unsigned long long>(kTensorAlignment)));
    }
    if (tensor.segment == Segment::kPayload &&
        (tensor.offset > rules.payload_bytes || tensor.bytes > rules.payload_bytes - tensor.offset)) {
      note(failure(VACCEL_INVALID_ARGUMENT,
                   "%s, %llu bytes at offset %llu, reaches beyond the payload's %llu bytes",
                   named(tensor).c_str(), static_cast<unsigned long long>(tensor.bytes),
                   static_cast<unsigned long long>(tensor.offset),
                   static_cast<unsigned long long>(rules.payload_bytes)));
    }
  }

  void size(const Tensor& tensor) {
    if (tensor.dtype ==
        VACCEL_STRING) {  // Whoever reads the strings checks their offsets, on memory of its own.
      if (auto elements = element_count(tensor.dimensions()); !elements)
        note(elements.error().within(named(tensor)));
      return;
    }
    const auto needed = dense_bytes(tensor.dtype, tensor.dimensions());
    if (!needed) {
      note(needed.error().within(named(tensor)));
    } else if (*needed != tensor.bytes) {
      note(failure(VACCEL_INVALID_ARGUMENT, "%s, %s %s, takes %llu bytes, not %llu", named(tensor).c_str(),
                   dtype_name(tensor.dtype), shape_text(tensor.dimensions()).c_str(),
                   static_cast<unsigned long long>(*needed), static_cast<unsigned long long>(tensor.bytes)));
    }
  }

  Status first_;
};

}  // namespace vaccel::wire
