// SPDX-License-Identifier: Apache-2.0
//
// Writes small ONNX models for tests: just enough of onnx.proto, field by field. A model of one or two nodes takes less
// than a kilobyte, and each test shows the one that it is about.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace vaccel::onnxruntime::testing {

/// TensorProto.DataType
enum OnnxType {
  kFloat = 1,
  kUint8 = 2,
  kInt8 = 3,
  kUint16 = 4,
  kInt16 = 5,
  kInt32 = 6,
  kInt64 = 7,
  kString = 8,
  kBool = 9,
  kFloat16 = 10,
  kDouble = 11,
  kUint32 = 12,
  kUint64 = 13,
  kBfloat16 = 16
};

/// A protobuf message under construction.
class Message {
 public:
  Message& number(uint32_t field, uint64_t value) {
    varint(field << 3);
    varint(value);
    return *this;
  }
  Message& bytes(uint32_t field, const std::string& value) {
    varint(field << 3 | 2);
    varint(value.size());
    text_ += value;
    return *this;
  }
  Message& message(uint32_t field, const Message& value) { return bytes(field, value.text_); }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  void varint(uint64_t value) {
    for (; value >= 128; value >>= 7)
      text_ += static_cast<char>(value | 128);
    text_ += static_cast<char>(value);
  }
  std::string text_;
};

/// A graph; -1 in a shape is a dimension of any size.
class OnnxModel {
 public:
  OnnxModel& input(const std::string& name, OnnxType type, const std::vector<int64_t>& shape) {
    graph_.message(11, value_info(name, type, shape));
    return *this;
  }
  OnnxModel& output(const std::string& name, OnnxType type, const std::vector<int64_t>& shape) {
    graph_.message(12, value_info(name, type, shape));
    return *this;
  }
  OnnxModel& node(const std::string& operation, const std::vector<std::string>& inputs,
                  const std::vector<std::string>& outputs, const Message& attributes = {}) {
    Message node;
    for (const std::string& name : inputs)
      node.bytes(1, name);
    for (const std::string& name : outputs)
      node.bytes(2, name);
    node.bytes(4, operation);
    graph_.bytes(1, node.text() + attributes.text());
    return *this;
  }
  /// A float weight whose values are said to be in another file.
  OnnxModel& external_weight(const std::string& name, uint64_t size, const std::string& file) {
    Message tensor;
    tensor.number(1, size).number(2, kFloat).bytes(8, name);
    tensor.message(13, Message().bytes(1, "location").bytes(2, file));
    tensor.number(14, 1);
    graph_.message(5, tensor);
    return *this;
  }
  /// An int64 weight, one-dimensional.
  OnnxModel& weight(const std::string& name, const std::vector<int64_t>& values) {
    std::string raw(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(int64_t));
    graph_.message(5, Message().number(1, values.size()).number(2, kInt64).bytes(8, name).bytes(9, raw));
    return *this;
  }
  /// Any weight, as a TensorProto.
  OnnxModel& weight(const Message& tensor) {
    graph_.message(5, tensor);
    return *this;
  }
  [[nodiscard]] std::string file() const {
    Message graph = graph_;
    graph.bytes(2, "test");
    return Message().number(1, 8).message(7, graph).message(8, Message().bytes(1, "").number(2, 13)).text() +
           about_.text();
  }
  /// What the file says of itself, with the fields of ModelProto.
  OnnxModel& about(const Message& fields) {
    about_ = fields;
    return *this;
  }

 private:
  static Message value_info(const std::string& name, OnnxType type, const std::vector<int64_t>& shape) {
    Message dimensions;
    for (const int64_t dimension : shape) {
      dimensions.message(1,
                         dimension < 0 ? Message() : Message().number(1, static_cast<uint64_t>(dimension)));
    }
    const Message tensor = Message().number(1, type).message(2, dimensions);
    return Message().bytes(1, name).message(2, Message().message(1, tensor));
  }
  Message graph_;
  Message about_;
};

/// An integer attribute of a node.
inline Message int_attribute(const std::string& name, int64_t value) {
  return Message().message(5, Message().bytes(1, name).number(3, static_cast<uint64_t>(value)).number(20, 2));
}

/// A string attribute of a node.
inline Message string_attribute(const std::string& name, const std::string& value) {
  return Message().message(5, Message().bytes(1, name).bytes(4, value).number(20, 3));
}

/// One node, Identity, from "x" to "y".
inline OnnxModel identity(OnnxType type, const std::vector<int64_t>& shape) {
  return OnnxModel().input("x", type, shape).output("y", type, shape).node("Identity", {"x"}, {"y"});
}

}  // namespace vaccel::onnxruntime::testing
