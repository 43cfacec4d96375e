// SPDX-License-Identifier: Apache-2.0
#include "runtime/catalogue.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "runtime/runtime_testing.h"

namespace vaccel::runtime {
namespace {

using testing::TemporaryFolder;
using testing::write_text;

constexpr const char* kModelBytes = "the model's bytes";

std::string model_toml(const std::string& name, const std::string& more = "") {
  return "name = \"" + name + "\"\ntask = \"infer\"\n" + more +
         "[model]\nfile = \"model.onnx\"\nformat = \"onnx\"\nsha256 = \"" +
         sha256_hex(testing::as_bytes(kModelBytes)) + "\"\n";
}

constexpr const char* kImageTable =
    "[image]\ninput = \"x\"\nwidth = 224\nheight = 192\nlayout = \"nhwc\"\ncolour = \"bgr\"\nresize = "
    "\"letterbox\"\n"
    "filter = \"bilinear\"\nmean = [1, 2, 3]\nscale = [4, 5, 6]\n";

class CatalogueTest : public ::testing::Test {
 protected:
  void add(const std::string& name, const std::string& toml) {
    write_text(folder.path() / name / "model.toml", toml);
    write_text(folder.path() / name / "model.onnx", kModelBytes);
  }
  Catalogue read() {
    auto catalogue = Catalogue::read(folder.path());
    EXPECT_TRUE(catalogue) << (catalogue ? "" : catalogue.error().message());
    return std::move(*catalogue);
  }
  std::string problem_of(const std::string& toml) {
    add("one", toml);
    const Catalogue catalogue = read();
    const CatalogueEntry* entry = catalogue.find("one");
    return entry == nullptr ? "not there" : entry->problem;
  }

  TemporaryFolder folder;
};

TEST_F(CatalogueTest, ReadsWhatAModelDeclaresOfItsTensors) {
  add("m", model_toml("m", "") +
               "[[inputs]]\nname = \"a\"\ndtype = \"int64\"\nshape = [-1, 3]\n[[inputs]]\nname = \"b\"\n"
               "[[outputs]]\nname = \"y\"\nshape = []\n");
  const Catalogue catalogue = read();
  ASSERT_EQ(catalogue.find("m")->problem, "");
  const ModelDescription& model = catalogue.find("m")->model;
  ASSERT_EQ(model.inputs.size(), 2u);
  EXPECT_EQ(model.inputs[0].name, "a");
  EXPECT_EQ(model.inputs[0].dtype, VACCEL_INT64);
  EXPECT_FALSE(model.inputs[0].any_rank);
  EXPECT_EQ(model.inputs[0].shape, (std::vector<int64_t>{-1, 3}));
  EXPECT_EQ(model.inputs[1].dtype, VACCEL_FLOAT32);
  EXPECT_TRUE(model.inputs[1].any_rank);
  ASSERT_EQ(model.outputs.size(), 1u);
  EXPECT_FALSE(model.outputs[0].any_rank);
  EXPECT_TRUE(model.outputs[0].shape.empty());
  const auto views = declaration_views(model.inputs);
  EXPECT_EQ(views[0].rank, 2);
  EXPECT_EQ(views[1].rank, -1);
}

TEST_F(CatalogueTest, RefusesDeclarationsThatAreNone) {
  const auto problem = [&](const std::string& table) { return problem_of(model_toml("one", "") + table); };
  EXPECT_EQ(
      problem("[[inputs]]\nname = \"a\"\ndtype = \"float\"\n").find("'dtype' is \"float\"; it must be "), 16u)
      << problem("[[inputs]]\nname = \"a\"\ndtype = \"float\"\n");
  EXPECT_NE(problem("[[outputs]]\nshape = [1]\n").find("key 'name' is missing in [outputs"),
            std::string::npos)
      << problem("[[outputs]]\nshape = [1]\n");
  EXPECT_NE(problem("[[inputs]]\nname = \"a\"\n[[inputs]]\nname = \"a\"\n")
                .find("'a' is declared twice in [[inputs]]"),
            std::string::npos);
}

TEST_F(CatalogueTest, ReadsHowTensorsAreQuantised) {
  add("m", model_toml("m", "") +
               "[[inputs]]\nname = \"a\"\ndtype = \"uint8\"\nscale = 0.0078125\nzero_point = 128\n"
               "[[inputs]]\nname = \"b\"\ndtype = \"uint8\"\n"
               "[[outputs]]\nname = \"y\"\ndtype = \"int8\"\nscale = 1\nzero_point = -128\n");
  const Catalogue catalogue = read();
  ASSERT_EQ(catalogue.find("m")->problem, "");
  const ModelDescription& model = catalogue.find("m")->model;
  ASSERT_TRUE(model.inputs[0].quantisation);
  EXPECT_EQ(model.inputs[0].quantisation->scale, 0.0078125F);
  EXPECT_EQ(model.inputs[0].quantisation->zero_point, 128);
  EXPECT_FALSE(model.inputs[1].quantisation);
  ASSERT_TRUE(model.outputs[0].quantisation);
  EXPECT_EQ(model.outputs[0].quantisation->text(), "1 * (stored - -128)");
}

TEST_F(CatalogueTest, RefusesQuantisationThatIsNone) {
  const auto problem = [&](const std::string& keys) {
    return problem_of(model_toml("one", "") + "[[inputs]]\nname = \"a\"\n" + keys);
  };
  const auto has = [&](const std::string& keys, const std::string& words) {
    const std::string sentence = problem(keys);
    EXPECT_NE(sentence.find(words), std::string::npos) << sentence;
  };
  has("dtype = \"uint8\"\nscale = 0.5\n", "key 'zero_point' is missing in [inputs");
  has("dtype = \"uint8\"\nzero_point = 5\n", "key 'scale' is missing in [inputs");
  has("scale = 0.5\nzero_point = 0\n",
      "'scale' does not go with dtype \"float32\": only uint8 and int8 are quantised");
  has("dtype = \"int32\"\nzero_point = 0\n", "'zero_point' does not go with dtype \"int32\"");
  has("dtype = \"uint8\"\nscale = 0\nzero_point = 0\n",
      "its scale is 0 and its zero point 0; they must be a number above 0, and one of uint8, from 0 to 255");
  has("dtype = \"uint8\"\nscale = 1\nzero_point = -1\n", "its zero point -1");
  has("dtype = \"int8\"\nscale = 1\nzero_point = 128\n", "one of int8, from -128 to 127");
  has("dtype = \"uint8\"\nscale = 1e60\nzero_point = 0\n", "its scale is inf");
  has("dtype = \"uint8\"\nscale = \"1\"\nzero_point = 0\n", "'scale' must be a finite number, not a string");
  has("dtype = \"uint8\"\nscale = 1\nzero_point = 256\n", "'zero_point' is 256");
}

TEST_F(CatalogueTest, ReadsAllThatAModelSays) {
  std::string toml = model_toml("cats", "description = \"d\"\nlicense = \"l\"\nversion = \"2\"\n");
  toml.replace(toml.find("infer"), 5, "classify");
  toml += "backends = [\"a\", \"b\"]\n";
  toml += kImageTable;
  toml += "[classify]\noutput = \"y\"\nactivation = \"softmax\"\nlabels = \"labels.txt\"\n";
  add("cats", toml);
  write_text(folder.path() / "cats" / "labels.txt", "one\r\ntwo\n\nfour");
  const Catalogue catalogue = read();
  ASSERT_NE(catalogue.find("cats"), nullptr);
  const CatalogueEntry& entry = *catalogue.find("cats");
  ASSERT_EQ(entry.problem, "");
  EXPECT_EQ(entry.model.task, Task::kClassify);
  EXPECT_EQ(entry.model.description, "d");
  EXPECT_EQ(entry.model.license, "l");
  EXPECT_EQ(entry.model.version, "2");
  EXPECT_EQ(entry.model.format, "onnx");
  EXPECT_EQ(entry.model.backends, (std::vector<std::string>{"a", "b"}));
  ASSERT_TRUE(entry.model.image);
  EXPECT_EQ(entry.model.image->width, 224u);
  EXPECT_EQ(entry.model.image->height, 192u);
  EXPECT_EQ(entry.model.image->layout, Layout::kNhwc);
  EXPECT_EQ(entry.model.image->colour, Colour::kBgr);
  EXPECT_EQ(entry.model.image->resize, ResizeMode::kLetterbox);
  EXPECT_EQ(entry.model.image->mean, (std::array<float, 3>{1, 2, 3}));
  EXPECT_EQ(entry.model.image->scale, (std::array<float, 3>{4, 5, 6}));
  ASSERT_TRUE(entry.model.classify);
  EXPECT_EQ(entry.model.classify->activation, Activation::kSoftmax);
  const auto labels = read_labels(entry);
  ASSERT_TRUE(labels) << labels.error().message();
  EXPECT_EQ(*labels, (std::vector<std::string>{"one", "two", "", "four"}));
  const auto bytes = read_model_file(entry);
  ASSERT_TRUE(bytes) << bytes.error().message();
  EXPECT_EQ(bytes->text(), kModelBytes);
}

TEST_F(CatalogueTest, OneWrongModelDoesNotHarmTheOthers) {
  add("good", model_toml("good"));
  add("broken", "name = = 3");
  add("renamed", model_toml("another"));
  write_text(folder.path() / "empty" / "notes.txt", "no model here");
  write_text(folder.path() / "plain-file", "not a folder");
  write_text(folder.path() / ".hidden" / "model.toml", "not looked at");
  const Catalogue catalogue = read();
  EXPECT_EQ(catalogue.entries().size(), 4u);
  EXPECT_EQ(catalogue.find("good")->problem, "");
  EXPECT_TRUE(catalogue.find("broken")->problem.starts_with("model.toml:1:8: not valid TOML"))
      << catalogue.find("broken")->problem;
  EXPECT_EQ(catalogue.find("renamed")->problem,
            "model.toml:1:8: 'name' is \"another\" and its folder is \"renamed\"; they must be the same");
  EXPECT_EQ(catalogue.find("empty")->problem,
            "cannot open " + (folder.path() / "empty/model.toml").string() + ": No such file or directory");
  EXPECT_EQ(catalogue.find("plain-file"), nullptr);
}

TEST_F(CatalogueTest, MistakesAreToldWithTheirPlace) {
  EXPECT_EQ(problem_of(model_toml("one", "nmae = 1\n")), "model.toml:3:1: unknown key 'nmae'");
  EXPECT_EQ(problem_of("name = \"one\"\n[model]\nfile = \"f\"\nformat = \"onnx\"\nsha256 = \"\"\n"),
            "model.toml:1:1: key 'task' is missing in the file");
  EXPECT_EQ(problem_of("name = \"one\"\ntask = \"dance\"\n"), "model.toml:1:1: table [model] is missing");
  EXPECT_EQ(
      problem_of(
          "name = \"one\"\ntask = \"infer\"\n[model]\nfile = \"f\"\nformat = \"onnx\"\nsha256 = \"abc\"\n"),
      "model.toml:6:10: 'sha256' must be 64 hexadecimal digits, not \"abc\"");
  EXPECT_EQ(problem_of("name = \"one\"\ntask = \"infer\"\n[model]\nfile = \"f\"\nformat = \"onnx\"\n"),
            "model.toml:3:1: key 'sha256' is missing in [model]");
  std::string toml = model_toml("one");
  EXPECT_EQ(problem_of(toml.replace(toml.find("infer"), 5, "classify")),
            "model.toml:1:1: table [image] is missing: task \"classify\" needs it");
  std::string zero = model_toml("one") + kImageTable;
  EXPECT_EQ(problem_of(zero.replace(zero.find("[4, 5, 6]"), 9, "[4, 0, 6]")),
            "model.toml:16:9: 'scale' must not hold 0: pixels are divided by it");
}

TEST_F(CatalogueTest, FilesStayInTheModelsFolder) {
  for (const char* file : {"../secret", "/etc/passwd", "a/b", "..", ""}) {
    std::string toml = model_toml("one");
    toml.replace(toml.find("model.onnx"), 10, file);
    EXPECT_EQ(problem_of(toml), std::string("model.toml:4:8: 'file' is \"") + file +
                                    "\"; it must name a file in the model's own folder");
  }
  add("one", model_toml("one"));
  write_text(folder.path() / "secret", kModelBytes);
  std::filesystem::remove(folder.path() / "one" / "model.onnx");
  std::filesystem::create_symlink("../secret", folder.path() / "one" / "model.onnx");
  const Catalogue catalogue = read();
  const auto bytes = read_model_file(*catalogue.find("one"));
  ASSERT_FALSE(bytes);
  EXPECT_NE(bytes.error().message().find("leads out of the model's folder"), std::string::npos);
}

TEST_F(CatalogueTest, ALinkWithinTheFolderIsFine) {
  add("one", model_toml("one"));
  std::filesystem::create_directory(folder.path() / "one" / "..data");
  std::filesystem::rename(folder.path() / "one" / "model.onnx",
                          folder.path() / "one" / "..data" / "model.onnx");
  std::filesystem::create_symlink("..data/model.onnx", folder.path() / "one" / "model.onnx");
  const Catalogue catalogue = read();
  EXPECT_TRUE(read_model_file(*catalogue.find("one")));
}

TEST_F(CatalogueTest, AnotherHashIsRefusedWithBoth) {
  add("one", model_toml("one"));
  write_text(folder.path() / "one" / "model.onnx", "other bytes");
  const Catalogue catalogue = read();
  EXPECT_EQ(catalogue.find("one")->problem, "");  // found out when it is loaded
  const auto bytes = read_model_file(*catalogue.find("one"));
  ASSERT_FALSE(bytes);
  EXPECT_EQ(bytes.error().code(), VACCEL_UNAVAILABLE);
  EXPECT_EQ(bytes.error().message(),
            "model.onnx has SHA-256 " + sha256_hex(testing::as_bytes("other bytes")) +
                "; its model.toml says " + sha256_hex(testing::as_bytes(kModelBytes)));
}

TEST_F(CatalogueTest, AMissingFileIsSeenInTheListing) {
  add("one", model_toml("one"));
  std::filesystem::remove(folder.path() / "one" / "model.onnx");
  const Catalogue catalogue = read();
  EXPECT_EQ(catalogue.find("one")->problem, "its file model.onnx is missing");
  const auto bytes = read_model_file(*catalogue.find("one"));
  ASSERT_FALSE(bytes);
  EXPECT_EQ(bytes.error().code(), VACCEL_NOT_FOUND);
}

TEST_F(CatalogueTest, AFifoDoesNotBlock) {
  add("one", model_toml("one"));
  std::filesystem::remove(folder.path() / "one" / "model.onnx");
  ASSERT_EQ(::mkfifo((folder.path() / "one" / "model.onnx").c_str(), 0600), 0);
  const Catalogue catalogue = read();
  EXPECT_FALSE(read_model_file(*catalogue.find("one")));
}

TEST_F(CatalogueTest, AFolderThatIsNotThereIsAnError) {
  const auto catalogue = Catalogue::read(folder.path() / "nowhere");
  ASSERT_FALSE(catalogue);
  EXPECT_EQ(catalogue.error().code(), VACCEL_NOT_FOUND);
  EXPECT_EQ(catalogue.error().message(), "cannot read the catalogue folder " +
                                             (folder.path() / "nowhere").string() +
                                             ": No such file or directory");
}

TEST(ModelName, IsWhatAFolderMayBeCalled) {
  EXPECT_TRUE(is_model_name("mobilenet-v1_1.0.224"));
  EXPECT_TRUE(is_model_name(std::string(64, 'a')));
  EXPECT_FALSE(is_model_name(std::string(65, 'a')));
  for (const char* name : {"", ".", "..", ".hidden", "Upper", "a/b", "a b", "a\n"})
    EXPECT_FALSE(is_model_name(name)) << name;
}

TEST(Sha256, IsTheOneOfTheStandard) {
  EXPECT_EQ(sha256_hex({}), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex(testing::as_bytes("abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

}  // namespace
}  // namespace vaccel::runtime
