// SPDX-License-Identifier: Apache-2.0
#include "client/call.h"

#include <algorithm>
#include <cstring>

#include "core/clock.h"
#include "core/tensor.h"
#include "wire/limits.h"

namespace vaccel::client {
namespace {

Status check_text(const char* text, const char* what, size_t limit) {
  const size_t size = ::strnlen(text, limit + 1);
  if (size <= limit) return {};
  return failure(VACCEL_INVALID_ARGUMENT, "%s '%s' has more than the %zu bytes allowed", what,
                 printable({text, size}).c_str(), limit);
}

Status check_attribute(const vaccel_attribute& attribute, size_t index) {
  if (attribute.name == nullptr || *attribute.name == '\0') {
    return failure(VACCEL_INVALID_ARGUMENT, "attribute %zu has no name", index);
  }
  if (Status status = check_text(attribute.name, "an attribute's name", wire::kMaxNameBytes); !status.ok())
    return status;
  switch (attribute.type) {
    case VACCEL_ATTRIBUTE_INT:
    case VACCEL_ATTRIBUTE_FLOAT:
      return {};
    case VACCEL_ATTRIBUTE_STRING:
      if (attribute.value.string == nullptr) {
        return failure(VACCEL_INVALID_ARGUMENT, "attribute '%s' is a string, and NULL", attribute.name);
      }
      return check_text(attribute.value.string, "an attribute's text", wire::kMaxTextBytes);
    default:
      return failure(VACCEL_INVALID_ARGUMENT, "attribute '%s' has type %d, which is none", attribute.name,
                     attribute.type);
  }
}

Status check_input(const vaccel_tensor& input) {
  if (input.name != nullptr) {
    if (Status status = check_text(input.name, "an input's name", wire::kMaxNameBytes); !status.ok())
      return status;
  }
  return check_view(input);
}

Status check_place(const vaccel_tensor& place, size_t index) {
  if (place.data != nullptr || place.bytes == 0) return {};
  return failure(VACCEL_INVALID_ARGUMENT, "options.outputs[%zu] has %zu bytes and no data", index,
                 place.bytes);
}

template <typename T>
Status check_count(std::span<const T> items, const char* what, size_t limit) {
  if (items.size() > limit) {
    return failure(VACCEL_INVALID_ARGUMENT, "%zu %s are more than the %zu allowed", items.size(), what,
                   limit);
  }
  if (items.data() == nullptr && !items.empty()) {
    return failure(VACCEL_INVALID_ARGUMENT, "%zu %s, and the pointer to them is NULL", items.size(), what);
  }
  return {};
}

Status check_attributes(std::span<const vaccel_attribute> attributes) {
  if (Status status = check_count(attributes, "attributes", wire::kMaxAttributes); !status.ok())
    return status;
  for (size_t index = 0; index < attributes.size(); ++index) {
    if (Status status = check_attribute(attributes[index], index); !status.ok()) return status;
  }
  return {};
}

Status check_inputs(std::span<const vaccel_tensor> inputs) {
  if (Status status = check_count(inputs, "inputs", wire::kMaxTensors); !status.ok()) return status;
  for (const vaccel_tensor& input : inputs) {
    if (Status status = check_input(input); !status.ok()) return status;
  }
  return {};
}

Status check_places(std::span<const vaccel_tensor> places) {
  if (Status status = check_count(places, "options.outputs", wire::kMaxTensors); !status.ok()) return status;
  for (size_t index = 0; index < places.size(); ++index) {
    if (Status status = check_place(places[index], index); !status.ok()) return status;
  }
  return {};
}

}  // namespace

Status check_name(const char* name, const char* what) {
  if (name == nullptr) return failure(VACCEL_INVALID_ARGUMENT, "the %s is NULL", what);
  if (*name == '\0') return failure(VACCEL_INVALID_ARGUMENT, "the %s is empty", what);
  return check_text(name, what, wire::kMaxNameBytes);
}

Status check_call(const CallSpec& spec) {
  if (Status status = check_name(spec.operator_name, "operator's name"); !status.ok()) return status;
  if (spec.model != nullptr) {
    if (Status status = check_name(spec.model, "model's name"); !status.ok()) return status;
  }
  if (spec.backend != nullptr) {
    if (Status status = check_name(spec.backend, "backend's name"); !status.ok()) return status;
  }
  if (!spec.attributes.empty()) {
    if (Status status = check_attributes(spec.attributes); !status.ok()) return status;
  }
  if (!spec.inputs.empty()) {
    if (Status status = check_inputs(spec.inputs); !status.ok()) return status;
  }
  if (!spec.places.empty()) {
    if (Status status = check_places(spec.places); !status.ok()) return status;
  }
  if (spec.deadline_ns < 0) {
    return failure(
        VACCEL_INVALID_ARGUMENT,
        "deadline_ns is %lld; it must be a time of CLOCK_MONOTONIC, see vaccel_deadline_after_us()",
        static_cast<long long>(spec.deadline_ns));
  }
  if (spec.deadline_ns != 0) {
    if (const int64_t now = now_ns(); has_passed(spec.deadline_ns, now)) {
      return failure(VACCEL_DEADLINE_EXCEEDED, "the deadline had passed %.3f ms before the call was made",
                     static_cast<double>(now - spec.deadline_ns) / 1e6);
    }
  }
  return {};
}

uint64_t dense_size(const vaccel_tensor& tensor) {
  if (tensor.dtype != VACCEL_STRING) return dense_bytes(tensor.dtype, shape_of(tensor)).value_or(0);
  // The last offset is where the last string ends.
  const uint64_t count = element_count(shape_of(tensor)).value_or(0);
  uint32_t end = 0;
  std::memcpy(&end, static_cast<const std::byte*>(tensor.data) + count * sizeof end, sizeof end);
  return end;
}

Status copy_sized(const void* given, size_t given_size, const char* name, void* value, size_t value_size) {
  if (given_size < sizeof(size_t)) {
    return failure(VACCEL_INVALID_ARGUMENT, "%s.size is %zu; set it to sizeof(%s), as VACCEL_INIT(%s) does",
                   name, given_size, name, name);
  }
  std::memcpy(value, given, std::min(given_size, value_size));
  const auto* bytes = static_cast<const std::byte*>(given);
  for (size_t index = value_size; index < given_size; ++index) {
    if (bytes[index] != std::byte{0}) {
      return failure(VACCEL_INVALID_ARGUMENT,
                     "%s.size is %zu, and a field beyond the %zu bytes that this library (version %d.%d.%d) "
                     "knows is set; install a newer libvaccel",
                     name, given_size, value_size, VACCEL_VERSION_MAJOR, VACCEL_VERSION_MINOR,
                     VACCEL_VERSION_PATCH);
    }
  }
  return {};
}

}  // namespace vaccel::client
