// SPDX-License-Identifier: Apache-2.0
//
// The reader on its own, on memory of exactly the file's size, so that AddressSanitizer sees a byte too many. What it finds
// in whole models is tested with the backend.
#include "external_data.h"

#include <gtest/gtest.h>

#include <random>

#include "common/failure.h"
#include "onnx_testing.h"

namespace vaccel::onnxruntime {
namespace {

using backends::Failure;
using namespace testing;

enum class Outcome { kWithin, kElsewhere, kRefused };

Outcome outcome_of(const std::string& file) {
  const std::vector<char> exact(file.begin(), file.end());
  try {
    return keeps_weights_elsewhere({exact.data(), exact.size()}) ? Outcome::kElsewhere : Outcome::kWithin;
  } catch (const Failure& failure) {
    EXPECT_EQ(failure.status, VACCEL_INVALID_ARGUMENT);
    EXPECT_FALSE(failure.sentence.empty());
    return Outcome::kRefused;
  }
}

std::string model(bool elsewhere) {
  OnnxModel made;
  made.input("x", kFloat, {2}).output("y", kFloat, {2}).node("Add", {"x", "w"}, {"y"});
  if (elsewhere) return made.external_weight("w", 2, "weights.bin").file();
  return made.weight(Message().number(1, 2).number(2, kFloat).bytes(8, "w").bytes(9, "12345678")).file();
}

TEST(ExternalData, IsTheOneDifference) {
  EXPECT_EQ(outcome_of(model(false)), Outcome::kWithin);
  EXPECT_EQ(outcome_of(model(true)), Outcome::kElsewhere);
  EXPECT_EQ(outcome_of(""), Outcome::kWithin);
  EXPECT_EQ(outcome_of("no model"), Outcome::kRefused);
  // In the place of the default, said in so many words.
  EXPECT_EQ(outcome_of(OnnxModel().weight(Message().number(1, 0).number(2, kFloat).number(14, 0)).file()),
            Outcome::kWithin);
}

TEST(ExternalData, NoPrefixIsReadBeyondItsEnd) {
  const std::string whole = model(true);
  for (size_t size = 0; size < whole.size(); ++size)
    (void)outcome_of(whole.substr(0, size));
}

TEST(ExternalData, NoDamageDoesHarm) {
  const std::string whole = model(true);
  std::mt19937 random(5);
  int refused = 0;
  for (int count = 0; count < 5000; ++count) {
    std::string damaged = whole;
    damaged[random() % damaged.size()] = static_cast<char>(random());
    refused += outcome_of(damaged) == Outcome::kRefused;
  }
  EXPECT_GT(refused, 0);
  EXPECT_LT(refused, 5000);
}

}  // namespace
}  // namespace vaccel::onnxruntime
