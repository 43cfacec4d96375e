// SPDX-License-Identifier: Apache-2.0
//
// Matching of inputs, without any framework; onnxruntime_test.cpp runs models.
#include "runtime/operators/infer.h"

#include <gtest/gtest.h>

namespace vaccel::runtime {
namespace {

class OrderInputs : public ::testing::Test {
 protected:
  static vaccel_tensor tensor(const char* name, int32_t dtype, const std::vector<int64_t>& shape) {
    vaccel_tensor view{};
    view.name = name;
    view.shape = shape.data();
    view.rank = static_cast<int32_t>(shape.size());
    view.dtype = dtype;
    return view;
  }
  std::string order(const std::vector<vaccel_tensor>& given) {
    return order_inputs(inputs, given, ordered).message();
  }

  const std::vector<int64_t> two_by_three = {2, 3};
  const std::vector<int64_t> empty = {0, 3};
  const std::vector<int64_t> five = {5};
  const std::vector<TensorFacts> inputs = {{"a", {-1, 3}, false, VACCEL_FLOAT32},
                                           {"b", {}, true, VACCEL_INT64}};
  std::vector<vaccel_tensor> ordered{2};
};

TEST_F(OrderInputs, ByNameAndByPosition) {
  EXPECT_EQ(order({tensor("b", VACCEL_INT64, five), tensor("a", VACCEL_FLOAT32, two_by_three)}), "");
  EXPECT_EQ(ordered[0].shape, two_by_three.data());
  EXPECT_EQ(ordered[1].shape, five.data());
  EXPECT_EQ(order({tensor(nullptr, VACCEL_FLOAT32, empty), tensor("", VACCEL_INT64, five)}), "");
  EXPECT_EQ(ordered[0].shape, empty.data());
  EXPECT_STREQ(ordered[1].name, "b");
}

TEST_F(OrderInputs, SaysWhatDoesNotFit) {
  const std::string all = "'a' float32 [?, 3], 'b' int64 of any rank";
  EXPECT_EQ(order({}), "input 'a' is missing; the model's inputs are: " + all);
  EXPECT_EQ(order({tensor("b", VACCEL_INT64, five)}), "input 'a' is missing; the model's inputs are: " + all);
  EXPECT_EQ(order({tensor("c", VACCEL_INT64, five)}), "the model has no input 'c'; its inputs are: " + all);
  EXPECT_EQ(order({tensor("b\n", VACCEL_INT64, five)}),
            "the model has no input 'b?'; its inputs are: " + all);
  EXPECT_EQ(order({tensor("a", VACCEL_FLOAT32, five)}),
            "input 'a' has shape [5]; the model takes float32 [?, 3]");
  EXPECT_EQ(order({tensor("a", VACCEL_FLOAT64, two_by_three)}),
            "input 'a' is float64 [2, 3]; the model takes float32 [?, 3]");
  EXPECT_EQ(order({tensor("b", VACCEL_INT64, five), tensor(nullptr, VACCEL_INT64, five)}),
            "input 'b' is given twice; the model's inputs are: " + all);
}

}  // namespace
}  // namespace vaccel::runtime
