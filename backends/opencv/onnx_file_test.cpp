// SPDX-License-Identifier: Apache-2.0
#include "onnx_file.h"

#include <gtest/gtest.h>

#include "../onnxruntime/onnx_testing.h"
#include "failure.h"

namespace vaccel::opencv {
namespace {

using onnxruntime::testing::identity;
using onnxruntime::testing::kDouble;
using onnxruntime::testing::kFloat;
using onnxruntime::testing::kInt64;
using onnxruntime::testing::Message;
using onnxruntime::testing::OnnxModel;

// The sentence with which a file is refused; "" when it is not.
std::string refusal(const std::string& file) {
  try {
    (void)read_onnx_file(file);
    return "";
  } catch (const Failure& failure) {
    EXPECT_EQ(failure.status, VACCEL_INVALID_ARGUMENT);
    return failure.sentence;
  }
}

std::string graph_of(const Message& graph) {
  return Message().message(7, graph).text();
}
std::string initialiser_of(const Message& tensor) {
  return graph_of(Message().message(5, tensor));
}

TEST(OnnxFileTest, TellsInputsAndOutputs) {
  const OnnxFile file = read_onnx_file(OnnxModel()
                                           .input("image", kFloat, {1, 3, -1, 224})
                                           .input("count", kInt64, {})
                                           .output("scores", kDouble, {10})
                                           .weight("w", {1, 2, 3})
                                           .node("Made", {"image"}, {"scores"})
                                           .file());
  EXPECT_EQ(file.opset, 13);
  ASSERT_EQ(file.inputs.size(), 2u);
  EXPECT_EQ(file.inputs[0].name, "image");
  EXPECT_EQ(file.inputs[0].element, kOnnxFloat);
  EXPECT_FALSE(file.inputs[0].any_rank);
  EXPECT_EQ(file.inputs[0].shape, (std::vector<int64_t>{1, 3, -1, 224}));
  EXPECT_FALSE(file.inputs[1].any_rank);
  EXPECT_TRUE(file.inputs[1].shape.empty());
  ASSERT_EQ(file.outputs.size(), 1u);
  EXPECT_EQ(onnx_element_name(file.outputs[0].element), "float64");
  EXPECT_EQ(file.outputs[0].shape, std::vector<int64_t>{10});
}

TEST(OnnxFileTest, TakesAsAnySizeWhatHasANameOrNothing) {
  const Message shape = Message().message(1, Message().bytes(2, "batch")).message(1, Message());
  const Message type = Message().message(1, Message().number(1, kFloat).message(2, shape));
  const Message without = Message().message(1, Message().number(1, kFloat));
  const OnnxFile file =
      read_onnx_file(graph_of(Message()
                                  .message(11, Message().bytes(1, "x").message(2, type))
                                  .message(12, Message().bytes(1, "y").message(2, without))));
  EXPECT_EQ(file.inputs.at(0).shape, (std::vector<int64_t>{-1, -1}));
  EXPECT_TRUE(file.outputs.at(0).any_rank);
  EXPECT_EQ(file.opset, 0);
}

TEST(OnnxFileTest, AWeightThatIsListedAmongTheInputsIsNone) {
  const OnnxFile file = read_onnx_file(OnnxModel()
                                           .input("x", kFloat, {3})
                                           .input("w", kInt64, {3})
                                           .output("y", kFloat, {3})
                                           .weight("w", {1, 2, 3})
                                           .file());
  ASSERT_EQ(file.inputs.size(), 1u);
  EXPECT_EQ(file.inputs[0].name, "x");
}

TEST(OnnxFileTest, RefusesOtherFiles) {
  EXPECT_EQ(refusal(""), "the file is no ONNX model: it has no graph");
  EXPECT_EQ(refusal("not a model at all"),
            "the file is no ONNX model, or damaged: a field is of no known kind");
  EXPECT_EQ(refusal(std::string(100, '\xff')),
            "the file is no ONNX model, or damaged: a number has more than ten bytes");
  EXPECT_EQ(refusal(std::string(100, '\0')), "the file is no ONNX model, or damaged: a field has no number");
  EXPECT_EQ(
      refusal(Message().number(7, 1).text()),
      "the file is no ONNX model, or damaged: a field that holds text or a message holds something else");
  const std::string whole = identity(kFloat, {2}).file();
  EXPECT_EQ(refusal(whole.substr(0, whole.size() / 2)),
            "the file is no ONNX model, or damaged: a field ends after the file does");
}

TEST(OnnxFileTest, NoPrefixOfAFileIsTakenForMoreThanItIs) {
  const std::string whole = identity(kFloat, {2, 3}).file();
  size_t read = 0;
  for (size_t length = 0; length <= whole.size(); ++length) {
    // Memory of just that size, so that AddressSanitizer sees a byte too many.
    const std::vector<char> part(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
    try {
      const OnnxFile file = read_onnx_file({part.data(), part.size()});
      EXPECT_EQ(file.outputs.size(), 1u) << length;
      ++read;
    } catch (const Failure&) {
    }
  }
  EXPECT_EQ(read, 2u);  // the whole, and what ends before its opset
}

// OpenCV would read 100 GB, or 16 bytes, of a file that has 4.
TEST(OnnxFileTest, RefusesATensorWhoseDataDoesNotFillItsDimensions) {
  const auto tensor = [](std::vector<uint64_t> dimensions, uint64_t type) {
    Message made;
    for (const uint64_t size : dimensions)
      made.number(1, size);
    return made.number(2, type).bytes(8, "w");
  };
  EXPECT_EQ(refusal(initialiser_of(tensor({1}, kFloat).bytes(9, "1234"))), "");
  EXPECT_EQ(refusal(initialiser_of(tensor({2, 2}, kFloat).bytes(4, std::string(16, 'x')))), "");
  EXPECT_EQ(refusal(initialiser_of(tensor({2}, kInt64).number(7, 1).number(7, 300))), "");
  EXPECT_EQ(refusal(initialiser_of(tensor({3}, kInt64).bytes(7, "\x01\x80\x02\x03"))), "");
  EXPECT_EQ(
      refusal(initialiser_of(tensor({2, 2}, kFloat).bytes(9, "1234"))),
      "the file is damaged: tensor 'w' has 4 values of float32 by its dimensions, and its data 4 bytes or 0 "
      "values");
  EXPECT_EQ(
      refusal(initialiser_of(tensor({4}, kInt64).bytes(7, "\x01\x02\x03"))),
      "the file is damaged: tensor 'w' has 4 values of int64 by its dimensions, and its data 0 bytes or 3 "
      "values");
  EXPECT_EQ(refusal(initialiser_of(tensor({25'000'000'000}, kFloat).bytes(9, "1234"))),
            "the file is damaged or too large: tensor 'w' has a dimension or a size over 2147483647");
  EXPECT_EQ(refusal(initialiser_of(tensor({1U << 31U, 1U << 31U, 4, 4}, kFloat))),
            "the file is damaged or too large: tensor 'w' has a dimension or a size over 2147483647");
  EXPECT_EQ(refusal(initialiser_of(tensor({static_cast<uint64_t>(-1)}, kFloat))),
            "the file is damaged or too large: tensor 'w' has a dimension or a size over 2147483647");
  EXPECT_EQ(refusal(initialiser_of(tensor({1}, (uint64_t{1} << 32) + 1).bytes(9, "1234"))),
            "tensor 'w' is of type 4294967297, which OpenCV does not know");
}

TEST(OnnxFileTest, LooksIntoAttributes) {
  const Message bad = Message().number(1, 9).number(2, kFloat).bytes(8, "c").bytes(9, "1234");
  const auto node = [](const Message& attribute) {
    return Message().message(1, Message().message(5, attribute));
  };
  const std::string words = "the file is damaged: tensor 'c' has 9 values";
  EXPECT_TRUE(refusal(graph_of(node(Message().message(5, bad)))).starts_with(words));
  EXPECT_TRUE(refusal(graph_of(node(Message().message(10, bad)))).starts_with(words));
  const Message inner = Message().message(5, bad);
  EXPECT_TRUE(refusal(graph_of(node(Message().message(6, inner)))).starts_with(words));
  EXPECT_TRUE(refusal(graph_of(node(Message().message(11, inner)))).starts_with(words));
  Message deep;
  for (int depth = 0; depth < 100; ++depth)
    deep = node(Message().message(6, deep));
  EXPECT_EQ(refusal(graph_of(deep)), "the model has graphs within graphs, more than 16 deep");
}

// Protobuf merges or replaces what comes twice, so that the parts may each look right and the whole is not.
TEST(OnnxFileTest, RefusesWhatMayComeOnceAndComesTwice) {
  const Message whole = Message().number(1, 4).number(2, kFloat).bytes(9, std::string(16, 'x'));
  const std::string prefix = "the file is no ONNX model, or damaged: ";
  EXPECT_EQ(refusal(Message().message(7, Message()).message(7, Message()).text()),
            prefix + "the graph comes twice");
  EXPECT_EQ(refusal(graph_of(
                Message().message(1, Message().message(5, Message().message(5, whole).message(5, whole))))),
            prefix + "an attribute's tensor comes twice");
  EXPECT_EQ(refusal(initialiser_of(Message().number(1, 1).number(2, kFloat).bytes(9, "1234").bytes(9, ""))),
            prefix + "a tensor's data comes twice");
  EXPECT_EQ(
      refusal(initialiser_of(Message().number(1, 1).number(2, kFloat).number(2, kDouble).bytes(9, "1234"))),
      prefix + "a tensor's type comes twice");
}

TEST(OnnxFileTest, RefusesWeightsInOtherFiles) {
  EXPECT_EQ(
      refusal(OnnxModel().external_weight("w", 2, "../../etc/passwd").file()),
      "the model keeps weights ('w') in other files ('external data'), which are not loaded; save it as one "
      "file (onnx.save with save_as_external_data=False)");
}

}  // namespace
}  // namespace vaccel::opencv
