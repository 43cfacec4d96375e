// SPDX-License-Identifier: Apache-2.0
#include "onnx_case.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <set>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wunused-parameter"
#include <onnx/onnx_pb.h>
#pragma GCC diagnostic pop

namespace vaccel::conformance {
namespace {

std::optional<vaccel_dtype> dtype_of(int32_t type) {
  using onnx::TensorProto;
  switch (type) {
    case TensorProto::FLOAT:
      return VACCEL_FLOAT32;
    case TensorProto::DOUBLE:
      return VACCEL_FLOAT64;
    case TensorProto::FLOAT16:
      return VACCEL_FLOAT16;
    case TensorProto::BFLOAT16:
      return VACCEL_BFLOAT16;
    case TensorProto::INT8:
      return VACCEL_INT8;
    case TensorProto::INT16:
      return VACCEL_INT16;
    case TensorProto::INT32:
      return VACCEL_INT32;
    case TensorProto::INT64:
      return VACCEL_INT64;
    case TensorProto::UINT8:
      return VACCEL_UINT8;
    case TensorProto::UINT16:
      return VACCEL_UINT16;
    case TensorProto::UINT32:
      return VACCEL_UINT32;
    case TensorProto::UINT64:
      return VACCEL_UINT64;
    case TensorProto::BOOL:
      return VACCEL_BOOL;
    case TensorProto::STRING:
      return VACCEL_STRING;
    default:
      return std::nullopt;
  }
}

template <typename Element, typename Field>
void append(std::vector<std::byte>& data, const Field& field) {
  for (const auto item : field) {
    const auto element = static_cast<Element>(item);
    const auto* bytes = reinterpret_cast<const std::byte*>(&element);
    data.insert(data.end(), bytes, bytes + sizeof element);
  }
}

// Small tensors are kept as lists of numbers, each type in one of a few lists.
void append_numbers(const onnx::TensorProto& proto, Value& value) {
  switch (value.dtype) {
    case VACCEL_FLOAT32:
      return append<float>(value.data, proto.float_data());
    case VACCEL_FLOAT64:
      return append<double>(value.data, proto.double_data());
    case VACCEL_INT64:
      return append<int64_t>(value.data, proto.int64_data());
    case VACCEL_UINT64:
      return append<uint64_t>(value.data, proto.uint64_data());
    case VACCEL_UINT32:
      return append<uint32_t>(value.data, proto.uint64_data());
    case VACCEL_INT32:
      return append<int32_t>(value.data, proto.int32_data());
    case VACCEL_FLOAT16:
    case VACCEL_BFLOAT16:
    case VACCEL_UINT16:
      return append<uint16_t>(value.data, proto.int32_data());
    case VACCEL_INT16:
      return append<int16_t>(value.data, proto.int32_data());
    default:
      return append<uint8_t>(value.data, proto.int32_data());
  }
}

std::optional<Value> value_of(const onnx::TensorProto& proto, std::string& reason) {
  const auto dtype = dtype_of(proto.data_type());
  if (!dtype) {
    reason = "a tensor of type " + std::to_string(proto.data_type()) + ", which vAccel has not";
    return std::nullopt;
  }
  std::vector<int64_t> shape(proto.dims().begin(), proto.dims().end());
  if (*dtype == VACCEL_STRING) {
    return Value::of_strings(proto.name(), shape, {proto.string_data().begin(), proto.string_data().end()});
  }
  Value value{proto.name(), *dtype, shape, {}};
  if (proto.has_raw_data()) {
    const auto* bytes = reinterpret_cast<const std::byte*>(proto.raw_data().data());
    value.data.assign(bytes, bytes + proto.raw_data().size());
  } else {
    append_numbers(proto, value);
  }
  return value;
}

template <typename Proto>
bool parse(const std::filesystem::path& file, Proto& proto) {
  std::ifstream stream(file, std::ios::binary);
  return stream && proto.ParseFromIstream(&stream);
}

// The values in files input_0.pb, input_1.pb, ..., which are those of `infos` in their order.
bool read_values(const std::filesystem::path& folder, const std::string& kind,
                 const std::vector<const onnx::ValueInfoProto*>& infos, std::vector<Value>& values,
                 std::string& reason) {
  for (size_t index = 0; index < infos.size(); ++index) {
    const auto file = folder / (kind + "_" + std::to_string(index) + ".pb");
    if (!std::filesystem::exists(file)) break;
    if (!infos[index]->type().has_tensor_type()) {
      reason = kind + " '" + infos[index]->name() + "' is no tensor (a sequence, map or optional)";
      return false;
    }
    onnx::TensorProto proto;
    if (!parse(file, proto)) {
      reason = file.string() + " cannot be read";
      return false;
    }
    auto value = value_of(proto, reason);
    if (!value) return false;
    value->name = infos[index]->name();
    values.push_back(std::move(*value));
  }
  return true;
}

double half(uint16_t bits) {
  const int exponent = bits >> 10 & 0x1f;
  const double fraction = (bits & 0x3ff) / 1024.0;
  const double sign = (bits & 0x8000) != 0 ? -1 : 1;
  if (exponent == 0x1f) return fraction == 0 ? sign * std::numeric_limits<double>::infinity() : std::nan("");
  return sign * (exponent == 0 ? std::ldexp(fraction, -14) : std::ldexp(1 + fraction, exponent - 15));
}

std::vector<double> floating(const Value& value) {
  std::vector<double> numbers;
  const auto each = [&]<typename Element>(auto convert, Element element) {
    for (size_t at = 0; at + sizeof element <= value.data.size(); at += sizeof element) {
      std::memcpy(&element, value.data.data() + at, sizeof element);
      numbers.push_back(convert(element));
    }
  };
  switch (value.dtype) {
    case VACCEL_FLOAT32:
      each([](float number) { return static_cast<double>(number); }, float{});
      break;
    case VACCEL_FLOAT64:
      each([](double number) { return number; }, double{});
      break;
    case VACCEL_FLOAT16:
      each(half, uint16_t{});
      break;
    case VACCEL_BFLOAT16:
      each([](uint16_t bits) { return static_cast<double>(std::bit_cast<float>(uint32_t{bits} << 16)); },
           uint16_t{});
      break;
    default:
      break;
  }
  return numbers;
}

bool is_floating(vaccel_dtype dtype) {
  return dtype == VACCEL_FLOAT32 || dtype == VACCEL_FLOAT64 || dtype == VACCEL_FLOAT16 ||
         dtype == VACCEL_BFLOAT16;
}

}  // namespace

vaccel_tensor Value::view() const {
  vaccel_tensor tensor{};
  tensor.name = name.c_str();
  tensor.data = const_cast<std::byte*>(data.data());
  tensor.bytes = data.size();
  tensor.shape = shape.data();
  tensor.rank = static_cast<int32_t>(shape.size());
  tensor.dtype = dtype;
  return tensor;
}

std::vector<std::string> Value::strings() const {
  std::vector<std::string> strings;
  uint32_t begin = 0;
  if (data.size() >= sizeof begin) std::memcpy(&begin, data.data(), sizeof begin);
  const size_t count =
      begin < 4 ? 0 : begin / sizeof begin - 1;  // the first string begins behind the offsets
  for (size_t index = 0; index < count; ++index) {
    uint32_t end = 0;
    std::memcpy(&end, data.data() + (index + 1) * sizeof end, sizeof end);
    strings.emplace_back(reinterpret_cast<const char*>(data.data()) + begin, end - begin - 1);
    begin = end;
  }
  return strings;
}

Value Value::of_strings(std::string name, std::vector<int64_t> shape,
                        const std::vector<std::string>& strings) {
  Value value{std::move(name), VACCEL_STRING, std::move(shape), {}};
  std::vector<uint32_t> offsets{static_cast<uint32_t>((strings.size() + 1) * sizeof(uint32_t))};
  std::string characters;
  for (const std::string& text : strings) {
    characters += text + '\0';
    offsets.push_back(offsets.back() + static_cast<uint32_t>(text.size() + 1));
  }
  value.data.resize(offsets.size() * sizeof(uint32_t) + characters.size());
  std::memcpy(value.data.data(), offsets.data(), offsets.size() * sizeof(uint32_t));
  std::memcpy(value.data.data() + offsets.size() * sizeof(uint32_t), characters.data(), characters.size());
  return value;
}

std::optional<Case> read_case(const std::filesystem::path& folder, std::string& reason) {
  onnx::ModelProto model;
  if (!parse(folder / "model.onnx", model)) {
    reason = "its model cannot be read";
    return std::nullopt;
  }
  std::set<std::string> initialised;
  for (const auto& one : model.graph().initializer())
    initialised.insert(one.name());
  std::vector<const onnx::ValueInfoProto*> inputs;
  for (const auto& input : model.graph().input()) {
    if (!initialised.contains(input.name())) inputs.push_back(&input);
  }
  std::vector<const onnx::ValueInfoProto*> outputs;
  for (const auto& output : model.graph().output())
    outputs.push_back(&output);
  Case result;
  const auto data = folder / "test_data_set_0";
  if (!read_values(data, "input", inputs, result.inputs, reason) ||
      !read_values(data, "output", outputs, result.outputs, reason)) {
    return std::nullopt;
  }
  return result;
}

bool is_close(const Value& value, const Value& expected) {
  if (value.dtype != expected.dtype || value.shape != expected.shape) return false;
  if (!is_floating(value.dtype)) return value.data == expected.data;
  const auto ours = floating(value);
  const auto theirs = floating(expected);
  return std::ranges::equal(ours, theirs, [](double one, double other) {
    if (std::isnan(one) || std::isnan(other)) return std::isnan(one) && std::isnan(other);
    return one == other || std::abs(one - other) <= 1e-7 + 1e-3 * std::abs(other);
  });
}

std::string fingerprint(const std::vector<Value>& values) {
  // FNV-1a of what the values are: kept short, since there are a thousand of them.
  uint64_t hash = 0xcbf29ce484222325;
  const auto add = [&](const void* data, size_t size) {
    for (size_t index = 0; index < size; ++index)
      hash = (hash ^ static_cast<const unsigned char*>(data)[index]) * 0x100000001b3;
  };
  std::string text;
  for (const Value& value : values) {
    add(value.shape.data(), value.shape.size() * sizeof(int64_t));
    add(value.data.data(), value.data.size());
    text += std::to_string(value.dtype) + ":" + std::to_string(value.data.size()) + " ";
  }
  return text + std::to_string(hash);
}

}  // namespace vaccel::conformance
