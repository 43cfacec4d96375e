// SPDX-License-Identifier: Apache-2.0
#include "runtime/toml_reader.h"

#include <gtest/gtest.h>

#include "runtime/runtime_testing.h"

namespace vaccel::runtime {
namespace {

TomlDocument parse(const std::string& text) {
  auto document = TomlDocument::parse(text, "file.toml");
  EXPECT_TRUE(document) << (document ? "" : document.error().message());
  return std::move(*document);
}

TEST(TomlReader, ReadsEveryType) {
  auto document = parse(R"(
text = "word"
flag = true
count = 7
size = "2M"
bytes = 4096
ratio = 2.5
list = ["a", "b"]
triple = [1, 2.5, -3]
mode = "slow"
[inner]
x = 1
[[many]]
y = 1
[[many]]
y = 2
)");
  TomlTable root = document.root();
  EXPECT_EQ(root.string("text"), "word");
  EXPECT_EQ(root.boolean("flag"), true);
  EXPECT_EQ(root.integer("count", 0, 10), 7);
  EXPECT_EQ(root.byte_size("size", 0, 1 << 30), 2u << 20);
  EXPECT_EQ(root.byte_size("bytes", 0, 4096), 4096u);
  EXPECT_EQ(root.number("ratio"), 2.5);
  EXPECT_EQ(root.strings("list"), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(root.numbers("triple", 3), (std::vector<double>{1, 2.5, -3}));
  EXPECT_EQ(root.choice("mode", {"fast", "slow"}), 1u);
  EXPECT_EQ(root.table("inner")->integer("x", 0, 10), 1);
  auto many = root.tables("many");
  ASSERT_EQ(many.size(), 2u);
  EXPECT_EQ(many[0].integer("y", 0, 10), 1);
  EXPECT_EQ(many[1].integer("y", 0, 10), 2);
  EXPECT_EQ(root.string("absent"), std::nullopt);
  EXPECT_TRUE(document.finish().ok()) << document.finish().message();
}

// A letter of Arabic (U+FEFD does not even exist): wherever it stands it is a character like any other.
TEST(TomlReader, LettersJustBelowTheByteOrderMarkAreLetters) {
  EXPECT_FALSE(TomlDocument::parse("\xef\xbb\xbd", "file.toml"));
  EXPECT_FALSE(TomlDocument::parse("\xef\xbb\xbc = 1", "file.toml"));
  auto document = parse("name = \"\xef\xbb\xbc\" # \xef\xba\xa6\n");
  EXPECT_EQ(document.root().string("name"), "\xef\xbb\xbc");
}

// What stands behind "[" is no key: a mistake like any other, not one that the parser may take for impossible.
TEST(TomlReader, ATableWithoutAKeyIsNoToml) {
  for (const char* text : {"[?]", "[\x01]", "[=]", "[,a]", "[[ ]]", "[a.?]"}) {
    const auto document = TomlDocument::parse(text, "file.toml");
    ASSERT_FALSE(document) << text;
    EXPECT_TRUE(document.error().message().starts_with("file.toml:1:")) << document.error().message();
    EXPECT_NE(document.error().message().find("not valid TOML"), std::string::npos);
  }
}

struct Mistake {
  const char* text;
  const char* sentence;
};

class TomlMistakes : public ::testing::TestWithParam<Mistake> {};

TEST_P(TomlMistakes, AreToldWithTheirPlace) {
  auto document = parse(GetParam().text);
  TomlTable root = document.root();
  (void)root.required("name", root.string("name"));
  (void)root.boolean("flag");
  (void)root.integer("count", 1, 9);
  (void)root.byte_size("size", 4096, 8192);
  (void)root.number("ratio");
  (void)root.strings("list");
  (void)root.numbers("triple", 3);
  (void)root.choice("mode", {"fast", "slow", "off"});
  if (auto inner = root.table("inner")) (void)inner->required("x", inner->string("x"));
  for (TomlTable& one : root.tables("many"))
    (void)one.integer("y", 0, 9);
  const Status status = document.finish();
  EXPECT_EQ(status.code(), VACCEL_INVALID_ARGUMENT);
  EXPECT_EQ(status.message(), GetParam().sentence);
}

INSTANTIATE_TEST_SUITE_P(
    All, TomlMistakes,
    ::testing::Values(
        Mistake{"other = 1", "file.toml:1:1: key 'name' is missing in the file"},
        Mistake{"name = 3", "file.toml:1:8: 'name' must be a string, not an integer"},
        Mistake{"name = ''\nflag = 'yes'", "file.toml:2:8: 'flag' must be true or false, not a string"},
        Mistake{"name = ''\ncount = 1.0", "file.toml:2:9: 'count' must be an integer, not a number"},
        Mistake{"name = ''\ncount = 10", "file.toml:2:9: 'count' is 10; it must be 1 to 9"},
        Mistake{"name = ''\nsize = 4095", "file.toml:2:8: 'size' is 4095 bytes; it must be 4096 to 8192"},
        Mistake{"name = ''\nsize = '1G'",
                "file.toml:2:8: 'size' is 1073741824 bytes; it must be 4096 to 8192"},
        Mistake{"name = ''\nsize = 4.5",
                "file.toml:2:8: 'size' must be a size such as 4096 or \"512M\", not a number"},
        Mistake{
            "name = ''\nsize = 'much'",
            "file.toml:2:8: 'size': 'much' is not a size; write a number of bytes, or one with K, M, G or T: "
            "512M"},
        Mistake{"name = ''\nratio = nan", "file.toml:2:9: 'ratio' must be a finite number, not nan"},
        Mistake{"name = ''\nratio = '1'", "file.toml:2:9: 'ratio' must be a finite number, not a string"},
        Mistake{"name = ''\nlist = 'a'", "file.toml:2:8: 'list' must be an array of strings, not a string"},
        Mistake{"name = ''\nlist = ['a', 1]",
                "file.toml:2:14: 'list' must hold strings only, not an integer"},
        Mistake{"name = ''\ntriple = [1, 2]",
                "file.toml:2:10: 'triple' must be an array of 3 numbers, not of 2"},
        Mistake{"name = ''\ntriple = [1, 2, inf]", "file.toml:2:17: 'triple' must hold finite numbers only"},
        Mistake{"name = ''\nmode = 'slowly'",
                "file.toml:2:8: 'mode' is \"slowly\"; it must be \"fast\", \"slow\" or \"off\""},
        Mistake{"name = ''\ninner = 3", "file.toml:2:9: 'inner' must be a table, not an integer"},
        Mistake{"name = ''\n[inner]\ny = 1", "file.toml:2:1: key 'x' is missing in [inner]"},
        Mistake{"name = ''\n[inner]\nx = ''\ny = 1", "file.toml:4:1: unknown key 'y' in [inner]"},
        Mistake{"name = ''\n[[many]]\ny = 1\n[[many]]\nz = 1", "file.toml:5:1: unknown key 'z' in [many]"},
        Mistake{"name = ''\nmany = [1]", "file.toml:2:9: 'many' must hold tables only, not an integer"},
        Mistake{"name = ''\nnmae = ''", "file.toml:2:1: unknown key 'nmae'"},
        Mistake{"name = ''\nzzz = 1\nflag = 1", "file.toml:2:1: unknown key 'zzz'"}));

TEST(TomlReader, SyntaxErrorsHaveTheirPlace) {
  const auto document = TomlDocument::parse("a = 1\nb = = 2\n", "file.toml");
  ASSERT_FALSE(document);
  EXPECT_TRUE(document.error().message().starts_with("file.toml:2:5: not valid TOML: "))
      << document.error().message();
}

TEST(TomlReader, RandomBytesAreRefused) {
  std::string bytes;
  for (int index = 0; index < 300; ++index)
    bytes += static_cast<char>((index * 7919) >> 3);
  EXPECT_FALSE(TomlDocument::parse(bytes, "file.toml"));
}

TEST(TomlReader, FlattensOptions) {
  auto document =
      parse("[backend.ort]\nthreads = 4\nproviders = [{name = \"CUDA\", on = true}, {name = \"CPU\"}]\n");
  TomlTable root = document.root();
  TomlTable backend = *root.table("backend");
  EXPECT_EQ(backend.table_names(), std::vector<std::string>{"ort"});
  std::map<std::string, std::string> values;
  std::string where;
  for (const TomlOption& option : backend.table("ort")->options()) {
    values[option.key] = option.value;
    if (option.key == "threads") where = option.where;
  }
  EXPECT_EQ(values, (std::map<std::string, std::string>{{"threads", "4"},
                                                        {"providers.0.name", "CUDA"},
                                                        {"providers.0.on", "true"},
                                                        {"providers.1.name", "CPU"}}));
  EXPECT_EQ(where, "file.toml:2:11");
  EXPECT_TRUE(document.finish().ok());
}

TEST(TomlReader, FilesThatCannotBeReadSayWhy) {
  const auto missing = TomlDocument::read("/nonexistent/vaccel.toml", "vaccel.toml");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code(), VACCEL_NOT_FOUND);
  EXPECT_EQ(missing.error().message(), "cannot open /nonexistent/vaccel.toml: No such file or directory");
  const auto folder = TomlDocument::read("/tmp", "tmp");
  ASSERT_FALSE(folder);
  EXPECT_EQ(folder.error().message(), "/tmp is not a regular file");
}

}  // namespace
}  // namespace vaccel::runtime
