// SPDX-License-Identifier: Apache-2.0
//
// What operators say of themselves, against what they do. (Those on pictures: vision_operators_test.cpp.)
#include <algorithm>
#include <map>
#include <set>
#include <span>

#include "core/tensor.h"
#include "runtime/runtime_testing.h"

namespace vaccel::runtime {
namespace {

using testing::make_runtime;
using testing::TestCall;

std::map<std::string, const vaccel_operator*> by_name(const vaccel_operator_list& list) {
  std::map<std::string, const vaccel_operator*> operators;
  for (const vaccel_operator* one : std::span(list.operators, list.count))
    EXPECT_TRUE(operators.emplace(one->name, one).second) << one->name << " is there twice";
  return operators;
}

std::set<std::string> names_of(const vaccel_operator& one, vaccel_operator_part_kind kind) {
  std::set<std::string> names;
  for (const vaccel_operator_part& part : std::span(one.parts, one.part_count)) {
    if (part.kind != kind) continue;
    EXPECT_TRUE(names.insert(part.name).second) << one.name << " " << part.name;
  }
  return names;
}

// The names in single quotes behind "it has" in an error's sentence.
std::set<std::string> quoted(const std::string& sentence, const char* after) {
  std::set<std::string> names;
  size_t at = sentence.find(after);
  while (at != std::string::npos && (at = sentence.find('\'', at)) != std::string::npos) {
    const size_t end = sentence.find('\'', at + 1);
    names.insert(sentence.substr(at + 1, end - at - 1));
    at = end + 1;
  }
  return names;
}

class OperatorFactsTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { runtime_ = make_runtime(""); }
  static void TearDownTestSuite() { runtime_.reset(); }
  static inline std::unique_ptr<Runtime> runtime_;
};

TEST_F(OperatorFactsTest, AllAreThereByNameAndSaySomething) {
  const auto& list = runtime_->list_operators();
  const auto operators = by_name(list);
  for (const char* name :
       {"classify", "detect", "segment", "pose", "depth", "infer", "vaccel.echo", "gemm", "gemv", "axpy",
        "scal", "dot", "nrm2", "add", "copy", "min", "max", "reference.echo", "reference.fault"})
    EXPECT_TRUE(operators.contains(name)) << name;
  EXPECT_TRUE(std::is_sorted(
      list.operators, list.operators + list.count,
      [](const auto* left, const auto* right) { return std::string(left->name) < right->name; }));
  for (const auto& [name, one] : operators) {
    EXPECT_NE(std::string(one->description), "") << name;
    int32_t last = 0;
    for (const vaccel_operator_part& part : std::span(one->parts, one->part_count)) {
      EXPECT_GE(part.kind, last) << name << " " << part.name;  // inputs, outputs, attributes
      last = part.kind;
      EXPECT_NE(std::string(part.type), "") << name << " " << part.name;
    }
    // Each of them can be called.
    TestCall call(name.c_str());
    EXPECT_NE(call.integer("no such", 1).run(*runtime_), VACCEL_NOT_FOUND) << call.sentence;
  }
}

TEST_F(OperatorFactsTest, LinearAlgebraTakesWhatItSays) {
  const auto operators = by_name(runtime_->list_operators());
  for (const char* name : {"gemm", "gemv", "axpy", "scal", "dot", "nrm2", "add", "copy", "min", "max"}) {
    TestCall call(name);
    EXPECT_EQ(call.integer("no such", 1).run(*runtime_), VACCEL_INVALID_ARGUMENT);
    EXPECT_EQ(quoted(call.sentence, "; it has"), names_of(*operators.at(name), VACCEL_OPERATOR_ATTRIBUTE))
        << call.sentence;
    TestCall with_input(name);
    with_input.input("no such", VACCEL_FLOAT32, {1}, std::vector<float>{1});
    EXPECT_EQ(with_input.run(*runtime_), VACCEL_INVALID_ARGUMENT);
    EXPECT_EQ(quoted(with_input.sentence, "; its inputs are"),
              names_of(*operators.at(name), VACCEL_OPERATOR_INPUT))
        << with_input.sentence;
    // One element fits everything.
    TestCall real(name);
    real.backend("reference");
    const auto inputs = names_of(*operators.at(name), VACCEL_OPERATOR_INPUT);
    const bool on_matrices = name[0] == 'g';
    for (const std::string& input : inputs) {
      const bool is_vector = std::string(name) == "gemv" && input != "a";
      real.input(input.c_str(), VACCEL_FLOAT32, std::vector<int64_t>(on_matrices && !is_vector ? 2 : 1, 1),
                 std::vector<float>{1});
    }
    ASSERT_EQ(real.run(*runtime_), VACCEL_OK) << name << ": " << real.sentence;
    EXPECT_EQ(std::set<std::string>{real.outputs.at(0).name},
              names_of(*operators.at(name), VACCEL_OPERATOR_OUTPUT));
  }
}

TEST_F(OperatorFactsTest, OffersAreWhatBackendsDo) {
  const auto operators = by_name(runtime_->list_operators());
  const vaccel_operator& dot = *operators.at("dot");
  ASSERT_GT(dot.backend_count, 0u);
  const vaccel_operator_backend* last = nullptr;
  for (const vaccel_operator_backend& offer : std::span(dot.backends, dot.backend_count)) {
    EXPECT_GT(offer.score, 0);
    EXPECT_LE(offer.score, 100);
    if (last != nullptr && last->dtype == offer.dtype) {
      EXPECT_GE(last->score, offer.score);
    }
    last = &offer;
  }
  // Those that need no device: what they are said to do they do, and nothing else.
  for (const std::string backend : {"reference", "openblas"}) {
    if (!testing::why_not(*runtime_, backend).empty()) continue;
    for (const vaccel_dtype dtype : {VACCEL_FLOAT32, VACCEL_FLOAT64, VACCEL_FLOAT16, VACCEL_BFLOAT16}) {
      const auto offers = std::span(dot.backends, dot.backend_count);
      const bool is_offered =
          std::any_of(offers.begin(), offers.end(), [&](const vaccel_operator_backend& offer) {
            return offer.dtype == dtype && offer.name == backend;
          });
      TestCall call("dot");
      const std::vector<std::byte> zero(element_size(dtype));
      call.backend(backend.c_str()).input("x", dtype, {1}, zero).input("y", dtype, {1}, zero);
      EXPECT_EQ(call.run(*runtime_), is_offered ? VACCEL_OK : VACCEL_UNIMPLEMENTED)
          << backend << dtype_name(dtype);
    }
  }
}

// odd0 describes an operator as badly as one can.
TEST(OperatorFacts, WhatABackendWritesIsLimited) {
  RuntimeConfig config;
  config.backend_directory = VACCEL_ODD_BACKENDS;
  config.backends = {"odd0"};
  const auto runtime = Runtime::create(std::move(config));
  ASSERT_TRUE(runtime);
  const auto operators = by_name((*runtime)->list_operators());
  const vaccel_operator& odd = *operators.at("odd.talkative");
  EXPECT_EQ(odd.description, std::string(250, 'd') + "...");
  EXPECT_EQ(odd.part_count, 64u);
  EXPECT_STREQ(odd.parts[0].name, "");
  EXPECT_STREQ(odd.parts[0].type, "unknown, any shape");
  EXPECT_EQ(odd.parts[1].kind, VACCEL_OPERATOR_ATTRIBUTE);
  EXPECT_STREQ(odd.parts[1].name, "bell?");
  EXPECT_STREQ(odd.parts[1].description, "");
  EXPECT_STREQ(operators.at("odd.unexplained")->backends[0].name, "odd0");
}

}  // namespace
}  // namespace vaccel::runtime
