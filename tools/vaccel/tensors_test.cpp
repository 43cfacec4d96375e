// SPDX-License-Identifier: Apache-2.0
#include "tools/vaccel/tensors.h"

#include <gtest/gtest.h>

namespace vaccel::tool {
namespace {

TEST(FileNameFor, KeepsWithinTheFolder) {
  EXPECT_EQ(file_name_for("scores", {}), "scores.npy");
  EXPECT_EQ(file_name_for("MobilenetV1/Predictions/Reshape_1", {}), "MobilenetV1_Predictions_Reshape_1.npy");
  EXPECT_EQ(file_name_for("../../etc/passwd", {}), "_._.._etc_passwd.npy");
  EXPECT_EQ(file_name_for("..", {}), "_..npy");
  EXPECT_EQ(file_name_for(".bashrc", {}), "_bashrc.npy");
  EXPECT_EQ(file_name_for("", {}), "output.npy");
  EXPECT_EQ(file_name_for("a\n\x1B[2J", {}), "a___2J.npy");
  EXPECT_LE(file_name_for(std::string(5000, 'a'), {}).size(), 255u);
}

TEST(FileNameFor, NoTwoOutputsShareAFile) {
  const std::vector<std::string> taken{"a_b.npy", "a_b-2.npy"};
  EXPECT_EQ(file_name_for("a/b", taken), "a_b-3.npy");
}

}  // namespace
}  // namespace vaccel::tool
