// SPDX-License-Identifier: Apache-2.0
#include "tools/vaccel/arguments.h"

#include <gtest/gtest.h>

namespace vaccel::tool {
namespace {

using Parsed = Result<std::variant<Arguments, HelpText>>;

Parsed parse(std::vector<const char*> words) {
  words.insert(words.begin(), "vaccel");
  return parse_arguments(static_cast<int>(words.size()), words.data());
}

template <typename Command>
Command command_of(const Parsed& parsed) {
  EXPECT_TRUE(parsed) << parsed.error().message();
  return std::get<Command>(std::get<Arguments>(*parsed).command);
}

std::string mistake_of(std::vector<const char*> words) {
  const Parsed parsed = parse(std::move(words));
  if (parsed) return "(nothing is wrong)";
  EXPECT_EQ(parsed.error().code(), VACCEL_INVALID_ARGUMENT);
  return parsed.error().message();
}

TEST(Arguments, TakesCommonOptionsBeforeAndAfterTheCommand) {
  for (const auto& words :
       {std::vector<const char*>{"--json", "--endpoint", "unix:/a", "--deadline", "2s", "classify", "cat"},
        std::vector<const char*>{"classify", "cat", "--endpoint=unix:/a", "--json", "--deadline", "2s"}}) {
    const Parsed parsed = parse(words);
    ASSERT_TRUE(parsed) << parsed.error().message();
    const CommonArguments& common = std::get<Arguments>(*parsed).common;
    EXPECT_TRUE(common.json);
    EXPECT_EQ(common.endpoint, "unix:/a");
    EXPECT_EQ(common.deadline, std::chrono::seconds(2));
    EXPECT_EQ(command_of<VisionArguments>(parsed).photos, std::vector<std::string>{"cat"});
  }
}

TEST(Arguments, HasDefaults) {
  const Parsed parsed = parse({"classify", "-"});
  const auto classify = command_of<VisionArguments>(parsed);
  EXPECT_EQ(classify.photos, std::vector<std::string>{"-"});
  EXPECT_FALSE(classify.model);
  EXPECT_EQ(classify.top, 5u);
  EXPECT_EQ(classify.repeat, 1u);
  EXPECT_FALSE(std::get<Arguments>(*parsed).common.endpoint);
  EXPECT_FALSE(std::get<Arguments>(*parsed).common.deadline);
  EXPECT_FALSE(command_of<PingArguments>(parse({"ping"})).count);
  EXPECT_FALSE(command_of<ModelsArguments>(parse({"models"})).name);
}

TEST(Arguments, OfWhatLooksAtPhotos) {
  const auto detect = command_of<VisionArguments>(
      parse({"detect", "a.jpg", "--min-score", "0", "-o", "out", "b.jpg", "--top=7", "--repeat", "2"}));
  EXPECT_EQ(detect.operator_name, "detect");
  EXPECT_EQ(detect.photos, (std::vector<std::string>{"a.jpg", "b.jpg"}));
  EXPECT_EQ(detect.min_score, 0);
  EXPECT_EQ(detect.top, 7u);
  EXPECT_EQ(detect.output, "out");
  EXPECT_EQ(detect.repeat, 2u);
  for (const char* command : {"detect", "segment", "pose", "depth"}) {
    const auto defaults = command_of<VisionArguments>(parse({command, "a.jpg", "--output", "x.png"}));
    EXPECT_EQ(defaults.operator_name, command);
    EXPECT_EQ(defaults.output, "x.png");
    EXPECT_EQ(defaults.top, 0u);
    EXPECT_FALSE(defaults.min_score);
    EXPECT_FALSE(defaults.model);
  }
}

TEST(Arguments, AnEmptyEndpointIsNotNone) {
  const Parsed parsed = parse({"--endpoint", "", "info"});
  ASSERT_TRUE(parsed);
  EXPECT_EQ(std::get<Arguments>(*parsed).common.endpoint, "");
}

TEST(Arguments, TensorsTakeOneFileEach) {
  const auto infer =
      command_of<InferArguments>(parse({"infer", "--input", "a=1.npy", "net", "--input", "2.npy", "--input",
                                        "=x=3.npy", "--output", "y=4.npy", "--output-dir", "out"}));
  EXPECT_EQ(infer.model, "net");
  ASSERT_EQ(infer.tensors.inputs.size(), 3u);
  EXPECT_EQ(infer.tensors.inputs[0].name, "a");
  EXPECT_EQ(infer.tensors.inputs[0].path, "1.npy");
  EXPECT_EQ(infer.tensors.inputs[1].name, "");
  EXPECT_EQ(infer.tensors.inputs[1].path, "2.npy");
  EXPECT_EQ(infer.tensors.inputs[2].name, "");
  EXPECT_EQ(infer.tensors.inputs[2].path, "x=3.npy");
  ASSERT_EQ(infer.tensors.outputs.size(), 1u);
  EXPECT_EQ(infer.tensors.output_directory, "out");
}

TEST(Arguments, AttributesHaveTypes) {
  EXPECT_EQ(std::get<int64_t>(parse_attribute("top=-5").value().value), -5);
  EXPECT_EQ(std::get<double>(parse_attribute("alpha=0.5").value().value), 0.5);
  EXPECT_EQ(std::get<double>(parse_attribute("big=99999999999999999999").value().value), 1e20);
  EXPECT_EQ(std::get<std::string>(parse_attribute("kind=error").value().value), "error");
  EXPECT_EQ(std::get<std::string>(parse_attribute("text=\"12\"").value().value), "12");
  EXPECT_EQ(std::get<std::string>(parse_attribute("text=").value().value), "");
  EXPECT_EQ(std::get<std::string>(parse_attribute("text=a=b").value().value), "a=b");
  EXPECT_EQ(std::get<std::string>(parse_attribute("version=1.2.3").value().value), "1.2.3");
  EXPECT_FALSE(parse_attribute("novalue"));
  EXPECT_FALSE(parse_attribute("=5"));
}

TEST(Arguments, MistakesSayWhereTheHelpIs) {
  EXPECT_NE(mistake_of({}).find("vaccel --help"), std::string::npos);
  EXPECT_NE(mistake_of({"frobnicate"}).find("frobnicate"), std::string::npos);
  EXPECT_NE(mistake_of({"--frob", "info"}).find("--frob"), std::string::npos);
  EXPECT_NE(mistake_of({"--deadline", "soon", "info"}).find("not a duration"), std::string::npos);
  EXPECT_NE(mistake_of({"classify"}).find("vaccel classify --help"), std::string::npos);
  EXPECT_NE(mistake_of({"classify"}).find("PHOTO"), std::string::npos);
  EXPECT_NE(mistake_of({"classify", "cat", "--top", "0"}).find("--top"), std::string::npos);
  EXPECT_NE(mistake_of({"classify", "cat", "--top", "-1"}).find("--top"), std::string::npos);
  EXPECT_NE(mistake_of({"classify", "cat", "--top", "many"}).find("--top"), std::string::npos);
  EXPECT_NE(mistake_of({"classify", "-", "cat", "-"}).find("'-' is given twice"), std::string::npos);
  EXPECT_NE(mistake_of({"classify", "cat", "-o", "out.png"}).find("-o"), std::string::npos);
  EXPECT_NE(mistake_of({"classify", "cat", "--min-score", "0.5"}).find("--min-score"), std::string::npos);
  EXPECT_NE(mistake_of({"detect", "cat", "--min-score", "1.5"}).find("--min-score"), std::string::npos);
  EXPECT_NE(mistake_of({"detect", "cat", "--top", "0"}).find("--top"), std::string::npos);
  EXPECT_NE(mistake_of({"segment", "cat", "--top", "3"}).find("--top"), std::string::npos);
  EXPECT_NE(mistake_of({"depth", "cat", "--min-score", "0.5"}).find("--min-score"), std::string::npos);
  EXPECT_NE(mistake_of({"classify", "cat", "--deadline", "soon"}).find("not a duration"), std::string::npos);
  EXPECT_NE(mistake_of({"ping", "--count", "0"}).find("--count"), std::string::npos);
  EXPECT_NE(mistake_of({"infer", "net", "--input", "a="}).find("names no file"), std::string::npos);
  EXPECT_NE(mistake_of({"call", "op", "--attribute", "a"}).find("NAME=VALUE"), std::string::npos);
  EXPECT_NE(mistake_of({"--deadline", "1s", "models"}).find("--deadline is for"), std::string::npos);
  EXPECT_NE(mistake_of({"infer", "net", "--frob", "1"}).find("--frob"), std::string::npos);
}

TEST(Arguments, HelpHasExamplesAndExitCodes) {
  const std::string help = std::get<HelpText>(parse({"--help"}).value()).text;
  for (const char* part :
       {"Examples:", "Exit codes:", "130", "classify", "detect", "segment", "pose", "depth", "infer",
        "models", "info", "backends", "operators", "ping", "call", "--json"})
    EXPECT_NE(help.find(part), std::string::npos) << part;
  for (const char* command : {"classify", "detect", "segment", "pose", "depth", "infer", "models", "info",
                              "backends", "operators", "ping", "call"}) {
    const std::string text = std::get<HelpText>(parse({command, "--help"}).value()).text;
    EXPECT_NE(text.find(std::string("vaccel ") + command), std::string::npos) << text;
    EXPECT_NE(text.find("Examples:"), std::string::npos);
  }
}

}  // namespace
}  // namespace vaccel::tool
