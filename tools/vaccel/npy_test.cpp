// SPDX-License-Identifier: Apache-2.0
//
// Files are written out byte by byte where their form matters; where Debian's NumPy is installed, it writes and reads them, too.
#include "tools/vaccel/npy.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "tools/vaccel/file.h"
#include "tools/vaccel/npy_header.h"

namespace vaccel::tool {
namespace {

using std::string_literals::operator""s;

std::span<const std::byte> bytes_of(const std::string& text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

template <typename T>
std::string raw(std::initializer_list<T> values) {
  std::string text(values.size() * sizeof(T), '\0');
  std::memcpy(text.data(), std::data(values), text.size());
  return text;
}

template <typename T>
std::vector<T> values_of(const NpyArray& array) {
  std::vector<T> values(array.data.size() / sizeof(T));
  std::memcpy(values.data(), array.data.data(), array.data.size());
  return values;
}

// A version 1 file with this dictionary.
std::string file_of(const std::string& dictionary, const std::string& data) {
  const std::string header = dictionary + "\n";
  return "\x93NUMPY\x01\x00"s + static_cast<char>(header.size() & 0xFF) +
         static_cast<char>(header.size() >> 8) + header + data;
}

std::string file_of(const char* descr, const char* shape, const std::string& data,
                    const char* fortran = "False") {
  return file_of("{'descr': '"s + descr + "', 'fortran_order': " + fortran + ", 'shape': " + shape + ", }",
                 data);
}

std::string sentence_of(const std::string& file) {
  const auto parsed = parse_npy(bytes_of(file));
  if (parsed) return "(it was read)";
  EXPECT_EQ(parsed.error().code(), VACCEL_INVALID_ARGUMENT);
  return parsed.error().message();
}

TEST(Npy, ReadsWhatNumPyWrites) {
  const auto array = parse_npy(bytes_of(file_of("<f4", "(2, 3)", raw<float>({1, 2, 3, 4, 5, 6}))));
  ASSERT_TRUE(array) << array.error().message();
  EXPECT_EQ(array->dtype, VACCEL_FLOAT32);
  EXPECT_EQ(array->shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(values_of<float>(*array), (std::vector<float>{1, 2, 3, 4, 5, 6}));
}

TEST(Npy, ViewsAreTensors) {
  const auto array = parse_npy(bytes_of(file_of("<i8", "(1,)", raw<int64_t>({-7}))));
  ASSERT_TRUE(array);
  const vaccel_tensor tensor = array->view("x");
  EXPECT_STREQ(tensor.name, "x");
  EXPECT_EQ(tensor.rank, 1);
  EXPECT_EQ(tensor.shape[0], 1);
  EXPECT_EQ(tensor.strides, nullptr);
  EXPECT_EQ(tensor.bytes, 8u);
  EXPECT_EQ(*static_cast<const int64_t*>(tensor.data), -7);
}

TEST(Npy, TurnsFortranOrderAround) {
  // [[1, 2, 3], [4, 5, 6]], first dimension fastest.
  const auto array = parse_npy(bytes_of(file_of("<i2", "(2, 3)", raw<int16_t>({1, 4, 2, 5, 3, 6}), "True")));
  ASSERT_TRUE(array) << array.error().message();
  EXPECT_EQ(values_of<int16_t>(*array), (std::vector<int16_t>{1, 2, 3, 4, 5, 6}));
}

TEST(Npy, SwapsBigEndian) {
  const auto array = parse_npy(bytes_of(file_of(">u2", "(2,)", "\x01\x02\x03\x04"s)));
  ASSERT_TRUE(array) << array.error().message();
  EXPECT_EQ(values_of<uint16_t>(*array), (std::vector<uint16_t>{0x0102, 0x0304}));
}

TEST(Npy, ReadsScalarsAndEmptyArrays) {
  const auto scalar = parse_npy(bytes_of(file_of("|b1", "()", "\x01"s)));
  ASSERT_TRUE(scalar) << scalar.error().message();
  EXPECT_TRUE(scalar->shape.empty());
  EXPECT_EQ(scalar->dtype, VACCEL_BOOL);
  const auto empty = parse_npy(bytes_of(file_of("<f8", "(0, 3)", "")));
  ASSERT_TRUE(empty) << empty.error().message();
  EXPECT_EQ(empty->shape, (std::vector<int64_t>{0, 3}));
  EXPECT_TRUE(empty->data.empty());
}

TEST(Npy, ReadsStringsAsStringTensors) {
  const std::string fields = raw<char32_t>({U'a', 0, 0, U'\u00E9', U'\U0001F408', U'!'});
  const auto array = parse_npy(bytes_of(file_of("<U3", "(2,)", fields)));
  ASSERT_TRUE(array) << array.error().message();
  EXPECT_EQ(array->dtype, VACCEL_STRING);
  const std::string expected = raw<uint32_t>({12, 14, 22}) + "a\0"s + "\u00E9\U0001F408!"s + '\0';
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(array->data.data()), array->data.size()), expected);
  const auto bytes = parse_npy(bytes_of(file_of("|S2", "(2,)", "ab\0\0"s)));
  ASSERT_TRUE(bytes) << bytes.error().message();
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(bytes->data.data()), bytes->data.size()),
            raw<uint32_t>({12, 15, 16}) + "ab\0\0"s);
}

TEST(Npy, RefusesWhatIsNoNpy) {
  EXPECT_NE(sentence_of("").find("empty"), std::string::npos);
  EXPECT_NE(sentence_of("hello").find("no .npy file"), std::string::npos);
  EXPECT_NE(sentence_of("PK\x03\x04rest").find(".npz"), std::string::npos);
  EXPECT_NE(sentence_of("\x93NUMPY").find("cut off"), std::string::npos);
  EXPECT_NE(sentence_of("\x93NUMPY\x04\x00\x00\x00\x00\x00"s).find("version is 4.0"), std::string::npos);
  EXPECT_NE(sentence_of("\x93NUMPY\x01\x00\x76\x00{"s).find("cut off"), std::string::npos);
  EXPECT_NE(sentence_of("\x93NUMPY\x02\x00\xFF\xFF\xFF\xFF{"s).find("claims 4294967295 bytes"),
            std::string::npos);
}

TEST(Npy, RefusesHeadersThatNumPyDoesNotWrite) {
  for (const char* dictionary :
       {"", "[]", "{}", "{'descr': '<f4'}", "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)",
        "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'more': 1, }",
        "{'descr': '<f4', 'fortran_order': 0, 'shape': (1,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': 1, }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1.0,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), } + 1",
        "{'descr': __import__('os'), 'fortran_order': False, 'shape': (1,), }",
        "{'descr': '<f4, 'fortran_order': False, 'shape': (1,), }"}) {
    EXPECT_NE(sentence_of(file_of(dictionary, raw<float>({1}))).find("not one that NumPy writes"),
              std::string::npos)
        << dictionary << ": " << sentence_of(file_of(dictionary, raw<float>({1})));
  }
}

TEST(Npy, RefusesElementsThatNoTensorHas) {
  EXPECT_NE(sentence_of(file_of("|O", "(1,)", "12345678")).find("objects"), std::string::npos);
  EXPECT_NE(sentence_of(file_of("<c8", "(1,)", "12345678")).find("complex"), std::string::npos);
  EXPECT_NE(sentence_of(file_of("<M8[ns]", "(1,)", "12345678")).find("dates"), std::string::npos);
  EXPECT_NE(sentence_of(file_of("<f16", "(1,)", "1234567812345678")).find("unusual size"), std::string::npos);
  EXPECT_NE(sentence_of(file_of("|V4", "(1,)", "1234")).find("raw bytes"), std::string::npos);
  for (const char* descr :
       {"", "f4", "<", "<f", "<U", "<U0", "|S0", "<U-1", "<U99999999999999999999", "\x1B[2J"}) {
    EXPECT_NE(sentence_of(file_of(descr, "(1,)", "1234")).find("no tensor can"), std::string::npos) << descr;
  }
  const std::string records =
      "{'descr': [('a', '<f4'), ('b', '<i4')], 'fortran_order': False, 'shape': (1,), }";
  EXPECT_NE(sentence_of(file_of(records, "12345678")).find("several fields"), std::string::npos);
  EXPECT_NE(sentence_of(file_of("|b1", "(2,)", "\x01\x02")).find("neither 0 nor 1"), std::string::npos);
  EXPECT_NE(sentence_of(file_of("|S1", "(1,)", "\xFF")).find("not valid UTF-8"), std::string::npos);
  EXPECT_NE(sentence_of(file_of("<U1", "(1,)", raw<uint32_t>({0xD800}))).find("not valid Unicode"),
            std::string::npos);
  EXPECT_NE(sentence_of(file_of("<U1", "(1,)", raw<uint32_t>({0x110000}))).find("not valid Unicode"),
            std::string::npos);
}

TEST(Npy, RefusesDataOfAnotherSize) {
  EXPECT_NE(sentence_of(file_of("<f4", "(2,)", raw<float>({1}))).find("4 bytes of data follow"),
            std::string::npos);
  EXPECT_NE(sentence_of(file_of("<f4", "(2,)", raw<float>({1, 2, 3}))).find("12 bytes"), std::string::npos);
  EXPECT_NE(sentence_of(file_of("<f4", "(4611686018427387904,)", "")).find("0 bytes"), std::string::npos);
  EXPECT_NE(sentence_of(file_of("<f4", "(4294967296, 4294967296)", "")).find("2^62"), std::string::npos);
  EXPECT_NE(sentence_of(file_of("<U1073741824", "(4294967296,)", "")).find("0 bytes"), std::string::npos)
      << "wraps around";
  EXPECT_NE(sentence_of(file_of("<f4", "(1,1,1,1,1,1,1,1,1)", raw<float>({1}))).find("8 dimensions"),
            std::string::npos);
}

TEST(Npy, EveryPrefixOfAFileIsRefused) {
  const std::string whole = file_of("<f4", "(2, 3)", raw<float>({1, 2, 3, 4, 5, 6}));
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(parse_npy(bytes_of(whole.substr(0, size)))) << size << " bytes";
  }
}

TEST(Npy, WritesWhatItReads) {
  struct Case {
    const char* descr;
    std::string data;
  };
  const Case cases[] = {
      {"<f4", raw<float>({1, -2})},       {"<f8", raw<double>({1, -2})},
      {"<f2", raw<uint16_t>({15360, 1})}, {"|V2", raw<uint16_t>({7, 8})},
      {"|i1", raw<int8_t>({1, -2})},      {"<i2", raw<int16_t>({1, -2})},
      {"<i4", raw<int32_t>({1, -2})},     {"<i8", raw<int64_t>({1, -2})},
      {"|u1", raw<uint8_t>({1, 2})},      {"<u2", raw<uint16_t>({1, 2})},
      {"<u4", raw<uint32_t>({1, 2})},     {"<u8", raw<uint64_t>({1, 2})},
      {"|b1", raw<uint8_t>({1, 0})},      {"<U2", raw<char32_t>({U'a', 0, U'\u732B', U'b'})}};
  for (const char* shape : {"(2,)", "(1, 2)", "(2, 1, 1)"}) {
    for (const Case& one : cases) {
      const auto array = parse_npy(bytes_of(file_of(one.descr, shape, one.data)));
      ASSERT_TRUE(array) << one.descr << ": " << array.error().message();
      const auto written = format_npy(array->view("x"));
      ASSERT_TRUE(written) << one.descr;
      const auto header = parse_npy_header(*written);
      ASSERT_TRUE(header) << one.descr;
      EXPECT_EQ(header->descr, one.descr);
      EXPECT_EQ(header->bytes % 64, 0u);
      const auto again = parse_npy(*written);
      ASSERT_TRUE(again) << one.descr << ": " << again.error().message();
      EXPECT_EQ(again->shape, array->shape) << one.descr;
      EXPECT_EQ(again->data, array->data) << one.descr;
    }
  }
}

TEST(Npy, WritesScalars) {
  const auto array = parse_npy(bytes_of(file_of("<u8", "()", raw<uint64_t>({~0ull}))));
  ASSERT_TRUE(array);
  const auto again = parse_npy(format_npy(array->view(nullptr)).value());
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_TRUE(again->shape.empty());
  EXPECT_EQ(values_of<uint64_t>(*again), std::vector<uint64_t>{~0ull});
}

TEST(Npy, RefusesStringsThatWouldFillTheDisk) {
  constexpr uint32_t kLong = 1 << 20;
  constexpr uint32_t kCount = 2000;  // one of 1 Mi characters, the others empty: 8 GB as .npy
  std::vector<uint32_t> offsets{(kCount + 1) * 4};
  offsets.push_back(offsets[0] + kLong + 1);
  while (offsets.size() <= kCount)
    offsets.push_back(offsets.back() + 1);
  std::string data(offsets.back(), '\0');
  std::memcpy(data.data(), offsets.data(), offsets.size() * 4);
  std::memset(data.data() + offsets[0], 'a', kLong);
  const int64_t shape[] = {kCount};
  vaccel_tensor tensor{};
  tensor.data = data.data();
  tensor.bytes = data.size();
  tensor.shape = shape;
  tensor.rank = 1;
  tensor.dtype = VACCEL_STRING;
  const auto written = format_npy(tensor);
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code(), VACCEL_RESOURCE_EXHAUSTED);
}

// A folder that goes when the test ends.
class NpyFiles : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "vaccel-npy-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  [[nodiscard]] std::string path(const char* name) const { return (folder_ / name).string(); }

  // Runs lines of Python with NumPy as np, the folder as its working directory.
  [[nodiscard]] bool python(const std::string& lines) const {
    std::ofstream(folder_ / "script.py") << "import numpy as np\n" << lines;
    return std::system(("cd '" + folder_.string() + "' && /usr/bin/python3 script.py").c_str()) == 0;
  }
  static bool has_numpy() { return std::system("/usr/bin/python3 -c 'import numpy' 2>/dev/null") == 0; }

  std::filesystem::path folder_;
};

TEST_F(NpyFiles, SentencesNameTheFile) {
  const auto missing = read_npy(path("missing.npy"));
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code(), VACCEL_NOT_FOUND);
  EXPECT_NE(missing.error().message().find("missing.npy: No such file"), std::string::npos);
  std::ofstream(path("text.npy")) << "text";
  EXPECT_NE(read_npy(path("text.npy")).error().message().find("text.npy: it is no .npy"), std::string::npos);
  EXPECT_EQ(read_npy(folder_.string()).error().code(), VACCEL_INVALID_ARGUMENT);
}

TEST_F(NpyFiles, FullDiskIsAnErrorAndLimitsHold) {
  const std::vector<std::byte> bytes(100);
  const Status full = write_file("/dev/full", bytes);
  EXPECT_EQ(full.code(), VACCEL_RESOURCE_EXHAUSTED) << full.message();
  EXPECT_TRUE(std::filesystem::exists("/dev/full"));
  EXPECT_EQ(read_file("/dev/zero", 1 << 20).error().code(), VACCEL_RESOURCE_EXHAUSTED);
  ASSERT_TRUE(write_file(path("hundred"), bytes).ok());
  EXPECT_EQ(read_file(path("hundred"), 99).error().code(), VACCEL_RESOURCE_EXHAUSTED);
  EXPECT_EQ(read_file(path("hundred"), 100).value().size(), 100u);
}

TEST_F(NpyFiles, ReadsEveryTypeAndOrderThatNumPySaves) {
  if (!has_numpy()) GTEST_SKIP() << "/usr/bin/python3 has no NumPy";
  ASSERT_TRUE(python(R"(
for kind in 'f2 f4 f8 i1 i2 i4 i8 u1 u2 u4 u8 b1 U5 S5'.split():
    for order in '<>':
        for layout in 'CF':
            for version in (1, 2, 3):
                array = np.arange(24).reshape(2, 3, 4).astype(order + kind)
                if layout == 'F':
                    array = np.asfortranarray(array)
                with open(f'{kind}{"lb"[order == ">"]}{layout}{version}.npy', 'wb') as file:
                    np.lib.format.write_array(file, array, version=(version, 0))
)"));
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
    if (entry.path().extension() != ".npy") continue;
    const auto array = read_npy(entry.path().string());
    ASSERT_TRUE(array) << array.error().message();
    EXPECT_EQ(array->shape, (std::vector<int64_t>{2, 3, 4}));
    ASSERT_TRUE(write_npy(entry.path().string() + ".again.npy", array->view("x")).ok());
    ++count;
  }
  EXPECT_EQ(count, 14 * 2 * 2 * 3);
  EXPECT_TRUE(python(R"(
import glob
for again in glob.glob('*.again.npy'):
    original, copy = np.load(again.removesuffix('.again.npy')), np.load(again)
    assert copy.flags.c_contiguous and copy.shape == (2, 3, 4), again
    if original.dtype.kind == 'S':
        original = original.astype('U')
    assert copy.dtype.kind == original.dtype.kind, again
    assert copy.dtype.kind == 'U' or copy.dtype.itemsize == original.dtype.itemsize, again
    assert (copy == original).all(), again
)"));
}

}  // namespace
}  // namespace vaccel::tool
