// SPDX-License-Identifier: Apache-2.0
//
// What the tests of this backend share: small .tflite files, written field by field with just enough of the schema, and
// a catalogue of one such file behind the real runtime. A model of one or two operators takes less than a kilobyte, and
// each test shows the one that it is about.
#pragma once

#include <flatbuffers/flatbuffers.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "../common/sanitizers_testing.h"
#include "runtime/runtime_testing.h"

namespace vaccel::tflite::testing {

using backend_testing::kAddressSanitizer;
using backend_testing::kThreadSanitizer;

/// TensorType of the schema.
enum FileType : int8_t {
  kFloat = 0,
  kFloat16 = 1,
  kInt32 = 2,
  kUint8 = 3,
  kInt64 = 4,
  kString = 5,
  kBool = 6,
  kInt16 = 7,
  kComplex64 = 8,
  kInt8 = 9,
  kDouble = 10,
  kUint64 = 12,
  kResource = 13,
  kUint32 = 15
};

/// BuiltinOperator of the schema.
enum Operation : int32_t {
  kAdd = 0,
  kDequantize = 6,
  kReshape = 22,
  kCustom = 32,
  kSequenceRnn = 35,
  kFill = 94,
  kWhere = 109,
  kQuantize = 114,
  kWhile = 119,
  kCallOnce = 129,
  kVarHandle = 142,
  kReadVariable = 143,
  kAssignVariable = 144
};

/// An operator's options: their type in the schema's union, and their integer fields.
struct OperatorOptions {
  uint8_t type = 0;
  std::vector<int32_t> fields;
};

struct FileTensorToWrite {
  std::string name;
  FileType type;
  std::vector<int32_t> shape;  ///< -1: any size, which the file has as 1 and, in the signature, as -1.
  std::string content;         ///< Of a constant.
  bool variable = false;
  uint32_t buffer = UINT32_MAX;  ///< An index to write instead of the right one.
  float scale = 0;               ///< Of a quantised one: real = scale * (stored - zero_point).
  int64_t zero_point = 0;
};

/// A subgraph under construction.
class Graph {
 public:
  /// Adds a tensor; its index.
  int32_t tensor(FileTensorToWrite tensor) {
    tensors_.push_back(std::move(tensor));
    return static_cast<int32_t>(tensors_.size()) - 1;
  }
  int32_t input(const std::string& name, FileType type, const std::vector<int32_t>& shape) {
    inputs_.push_back(tensor({name, type, shape, {}}));
    return inputs_.back();
  }
  int32_t output(const std::string& name, FileType type, const std::vector<int32_t>& shape) {
    outputs_.push_back(tensor({name, type, shape, {}}));
    return outputs_.back();
  }
  template <typename T>
  int32_t constant(const std::string& name, FileType type, const std::vector<int32_t>& shape,
                   const std::vector<T>& values) {
    return tensor({name, type, shape,
                   std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T))});
  }
  Graph& node(Operation operation, std::vector<int32_t> inputs, std::vector<int32_t> outputs,
              OperatorOptions options = {}, const std::string& custom_name = "") {
    nodes_.push_back({operation, custom_name, std::move(inputs), std::move(outputs), std::move(options)});
    return *this;
  }
  /// For what no builder should write: indices of inputs and outputs as they are.
  std::vector<int32_t>& inputs() { return inputs_; }
  std::vector<int32_t>& outputs() { return outputs_; }

 private:
  friend class TfliteModel;
  struct Node {
    Operation operation;
    std::string custom_name;
    std::vector<int32_t> inputs;
    std::vector<int32_t> outputs;
    OperatorOptions options;
  };
  std::vector<FileTensorToWrite> tensors_;
  std::vector<int32_t> inputs_;
  std::vector<int32_t> outputs_;
  std::vector<Node> nodes_;
};

class TfliteModel {
 public:
  explicit TfliteModel(Graph main) { graphs_.push_back(std::move(main)); }
  /// A further subgraph; the first one added has index 1.
  TfliteModel& subgraph(Graph graph) {
    graphs_.push_back(std::move(graph));
    return *this;
  }
  [[nodiscard]] std::string file(uint32_t schema_version = 3) const {
    Writer writer;
    std::vector<Offset> graphs;
    for (const Graph& graph : graphs_)
      graphs.push_back(writer.graph(graph));
    return writer.finish(schema_version, graphs, description_, metadata_);
  }
  /// What the file says of itself; metadata are names and the bytes of their buffers.
  TfliteModel& about(const std::string& description,
                     std::vector<std::pair<std::string, std::string>> metadata) {
    description_ = description;
    metadata_ = std::move(metadata);
    return *this;
  }

 private:
  using Offset = flatbuffers::Offset<flatbuffers::Table>;

  class Writer {
   public:
    Writer() { buffers_.push_back(buffer("")); }  // the first one means "no constant"

    Offset graph(const Graph& graph) {
      std::vector<Offset> tensors;
      for (const FileTensorToWrite& one : graph.tensors_)
        tensors.push_back(tensor(one));
      std::vector<Offset> nodes;
      for (const Graph::Node& one : graph.nodes_)
        nodes.push_back(node(one));
      const auto tensor_vector = builder_.CreateVector(tensors);
      const auto inputs = builder_.CreateVector(graph.inputs_);
      const auto outputs = builder_.CreateVector(graph.outputs_);
      const auto operators = builder_.CreateVector(nodes);
      return table([&] {
        offset(0, tensor_vector);
        offset(1, inputs);
        offset(2, outputs);
        offset(3, operators);
      });
    }

    std::string finish(uint32_t schema_version, const std::vector<Offset>& graphs,
                       const std::string& description,
                       const std::vector<std::pair<std::string, std::string>>& metadata) {
      std::vector<Offset> entries;
      for (const auto& [name, content] : metadata) {
        buffers_.push_back(buffer(content));
        const auto text = builder_.CreateString(name);
        entries.push_back(table([&] {
          offset(0, text);
          builder_.AddElement<uint32_t>(place(1), static_cast<uint32_t>(buffers_.size() - 1), 0);
        }));
      }
      // Nothing is written that the model does not refer to: damage there would do nothing.
      flatbuffers::Offset<flatbuffers::String> words;
      if (!description.empty()) words = builder_.CreateString(description);
      flatbuffers::Offset<flatbuffers::Vector<Offset>> entry_vector;
      if (!entries.empty()) entry_vector = builder_.CreateVector(entries);
      const auto codes = builder_.CreateVector(codes_);
      const auto subgraphs = builder_.CreateVector(graphs);
      const auto buffers = builder_.CreateVector(buffers_);
      const Offset model = table([&] {
        builder_.AddElement<uint32_t>(place(0), schema_version, 0);
        offset(1, codes);
        offset(2, subgraphs);
        if (!words.IsNull()) offset(3, words);
        offset(4, buffers);
        if (!entry_vector.IsNull()) offset(6, entry_vector);
      });
      builder_.Finish(model, "TFL3");
      return {reinterpret_cast<const char*>(builder_.GetBufferPointer()), builder_.GetSize()};
    }

   private:
    static flatbuffers::voffset_t place(unsigned field) {
      return flatbuffers::FieldIndexToOffset(static_cast<flatbuffers::voffset_t>(field));
    }
    template <typename T>
    void offset(unsigned field, flatbuffers::Offset<T> value) {
      builder_.AddOffset(place(field), value);
    }
    Offset table(const std::function<void()>& fields) {
      const auto start = builder_.StartTable();
      fields();
      return {builder_.EndTable(start)};
    }
    Offset buffer(const std::string& content) {
      builder_.ForceVectorAlignment(content.size(), 1, 16);
      const auto data =
          builder_.CreateVector(reinterpret_cast<const uint8_t*>(content.data()), content.size());
      return table([&] {
        if (!content.empty()) offset(0, data);
      });
    }
    Offset tensor(const FileTensorToWrite& one) {
      uint32_t index = one.buffer;
      if (index == UINT32_MAX && one.content.empty()) index = 0;
      if (index == UINT32_MAX) {
        index = static_cast<uint32_t>(buffers_.size());
        buffers_.push_back(buffer(one.content));
      }
      std::vector<int32_t> sizes = one.shape;
      for (int32_t& size : sizes)
        size = size == -1 ? 1 : size;
      const auto shape = builder_.CreateVector(sizes);
      const auto signature = builder_.CreateVector(one.shape);
      const auto name = builder_.CreateString(one.name);
      const auto scales = builder_.CreateVector(std::vector<float>{one.scale});
      const auto zero_points = builder_.CreateVector(std::vector<int64_t>{one.zero_point});
      const Offset quantisation = table([&] {
        offset(2, scales);
        offset(3, zero_points);
      });
      return table([&] {
        offset(0, shape);
        builder_.AddElement<int8_t>(place(1), one.type, 0);
        builder_.AddElement<uint32_t>(place(2), index, 0);
        offset(3, name);
        if (one.scale != 0) offset(4, quantisation);
        builder_.AddElement<uint8_t>(place(5), one.variable ? 1 : 0, 0);
        if (sizes != one.shape) offset(7, signature);
        builder_.AddElement<uint8_t>(place(8), 1, 0);
      });
    }
    Offset node(const Graph::Node& one) {
      const auto code = static_cast<uint32_t>(codes_.size());
      codes_.push_back(operator_code(one));
      const auto inputs = builder_.CreateVector(one.inputs);
      const auto outputs = builder_.CreateVector(one.outputs);
      const Offset options = table([&] {
        for (unsigned field = 0; field < one.options.fields.size(); ++field)
          builder_.AddElement<int32_t>(place(field), one.options.fields[field], 0);
      });
      return table([&] {
        builder_.AddElement<uint32_t>(place(0), code, 0);
        offset(1, inputs);
        offset(2, outputs);
        if (one.options.type == 0) return;
        builder_.AddElement<uint8_t>(place(3), one.options.type, 0);
        offset(4, options);
      });
    }
    Offset operator_code(const Graph::Node& one) {
      const auto name = builder_.CreateString(one.custom_name);
      const auto short_code = static_cast<int8_t>(one.operation < 127 ? one.operation : 127);
      return table([&] {
        builder_.AddElement<int8_t>(place(0), short_code, 0);
        if (!one.custom_name.empty()) offset(1, name);
        builder_.AddElement<int32_t>(place(2), 1, 1);
        builder_.AddElement<int32_t>(place(3), one.operation, 0);
      });
    }

    flatbuffers::FlatBufferBuilder builder_;
    std::vector<Offset> codes_;
    std::vector<Offset> buffers_;
  };

  std::vector<Graph> graphs_;
  std::string description_;
  std::vector<std::pair<std::string, std::string>> metadata_;
};

/// "y" has the values of "x"; at most one dimension is -1.
inline TfliteModel identity(FileType type, const std::vector<int32_t>& shape) {
  Graph graph;
  const int32_t x = graph.input("x", type, shape);
  const int32_t y = graph.output("y", type, shape);
  const int32_t sizes = graph.constant("sizes", kInt32, {static_cast<int32_t>(shape.size())}, shape);
  graph.node(kReshape, {x, sizes}, {y});
  return TfliteModel(std::move(graph));
}

/// A custom operator from float "x" to "y", of the same shape.
inline TfliteModel custom(const std::string& name, const std::vector<int32_t>& shape) {
  Graph graph;
  const int32_t x = graph.input("x", kFloat, shape);
  const int32_t y = graph.output("y", kFloat, shape);
  graph.node(kCustom, {x}, {y}, {}, name);
  return TfliteModel(std::move(graph));
}

class TfliteTest : public ::testing::Test {
 protected:
  void SetUp() override {
    runtime = runtime::testing::make_runtime("");
    ASSERT_NE(runtime, nullptr);
    const std::string reason = runtime::testing::why_not(*runtime, "tflite");
    if (!reason.empty()) GTEST_SKIP() << "skipped: " << reason;
  }

  void TearDown() override { close(); }

  void close() {
    if (model != nullptr) runtime->close_model(model);
    model = nullptr;
  }

  // Makes a catalogue of one model and opens it; the failure's sentence, or "".
  std::string open(const std::string& file, std::vector<runtime::BackendOption> options = {},
                   const std::string& task = "infer", const std::string& tables = "") {
    close();
    runtime::testing::write_text(folder.path() / "m" / "model.tflite", file);
    runtime::testing::write_text(
        folder.path() / "m" / "model.toml",
        "name = \"m\"\ntask = \"" + task +
            "\"\n[model]\nfile = \"model.tflite\"\nformat = \"tflite\"\nsha256 = \"" +
            runtime::sha256_hex(runtime::testing::as_bytes(file)) + "\"\nbackends = [\"tflite\"]\n" + tables);
    runtime = runtime::testing::make_runtime(folder.path(), {{"tflite", std::move(options)}});
    const auto opened = runtime->open_model("m");
    if (!opened) return opened.error().message();
    model = *opened;
    return "";
  }
  std::string open(const TfliteModel& made, std::vector<runtime::BackendOption> options = {}) {
    return open(made.file(), std::move(options));
  }

  runtime::BackendReport report() {
    for (const runtime::BackendReport& one : runtime->backends()) {
      if (one.name == "tflite") return one;
    }
    return {};
  }

  runtime::testing::TemporaryFolder folder;
  std::unique_ptr<runtime::Runtime> runtime;
  runtime::Model* model = nullptr;
};

}  // namespace vaccel::tflite::testing
