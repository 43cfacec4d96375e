// SPDX-License-Identifier: Apache-2.0
#include "tools/vaccel/npy.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <optional>

#include "core/tensor.h"
#include "tools/vaccel/file.h"
#include "tools/vaccel/npy_header.h"
#include "tools/vaccel/utf8.h"

namespace vaccel::tool {
namespace {

using Bytes = std::span<const std::byte>;

constexpr size_t kUtf32Bytes = 4;
constexpr uint64_t kMostStringBytes =
    std::numeric_limits<uint32_t>::max();  // a string tensor's offsets are uint32

struct NpyType {
  std::string_view code;  // kind and size, as NumPy writes them behind the byte order
  int32_t dtype;
};

constexpr NpyType kTypes[] = {{"f4", VACCEL_FLOAT32},  {"f8", VACCEL_FLOAT64}, {"f2", VACCEL_FLOAT16},
                              {"V2", VACCEL_BFLOAT16}, {"i1", VACCEL_INT8},    {"i2", VACCEL_INT16},
                              {"i4", VACCEL_INT32},    {"i8", VACCEL_INT64},   {"u1", VACCEL_UINT8},
                              {"u2", VACCEL_UINT16},   {"u4", VACCEL_UINT32},  {"u8", VACCEL_UINT64},
                              {"b1", VACCEL_BOOL}};

// What a header's descr says of the elements.
struct Elements {
  int32_t dtype;
  size_t bytes;       // of one, in the file
  size_t swap_bytes;  // of what has a byte order; 1 when nothing is to be swapped
  char kind;          // 'U' and 'S': strings
};

const char* meaning_of(char kind) {
  switch (kind) {
    case 'O':
      return "Python objects";
    case 'c':
      return "complex numbers";
    case 'M':
    case 'm':
      return "dates or times";
    case 'V':
      return "records or raw bytes";
    case 'f':
      return "floating-point numbers of an unusual size";
    default:
      return "elements of an unknown type";
  }
}

Unexpected refuse_type(std::string_view descr) {
  return fail(VACCEL_INVALID_ARGUMENT,
              "it holds %s ('%s'), which no tensor can; convert it with astype(), say to float32",
              meaning_of(descr.size() > 1 ? descr[1] : '?'), printable(descr, 20).c_str());
}

// The length of the strings of a type such as "<U12"; 0: it is none.
size_t string_length(std::string_view code) {
  size_t length = 0;
  for (const char digit : code.substr(1)) {
    if (digit < '0' || digit > '9' || length > kMostStringBytes) return 0;
    length = length * 10 + static_cast<size_t>(digit - '0');
  }
  return length;
}

Result<Elements> parse_descr(std::string_view descr) {
  if (descr.size() < 3 || std::string_view("<>|=").find(descr[0]) == std::string_view::npos)
    return refuse_type(descr);
  const bool swap = descr[0] == '>';
  const std::string_view code = descr.substr(1);
  for (const NpyType& type : kTypes) {
    if (type.code != code) continue;
    const size_t bytes = element_size(type.dtype);
    return Elements{type.dtype, bytes, swap ? bytes : 1, code[0]};
  }
  const size_t length = code[0] == 'U' || code[0] == 'S' ? string_length(code) : 0;
  if (length == 0) return refuse_type(descr);
  if (code[0] == 'S') return Elements{VACCEL_STRING, length, 1, 'S'};
  return Elements{VACCEL_STRING, length * kUtf32Bytes, swap ? kUtf32Bytes : 1, 'U'};
}

void swap_bytes(std::vector<std::byte>& data, size_t size) {
  if (size == 1) return;
  for (size_t at = 0; at + size <= data.size(); at += size) {
    std::reverse(data.begin() + static_cast<ptrdiff_t>(at), data.begin() + static_cast<ptrdiff_t>(at + size));
  }
}

// Appends the elements of the array at `source`, whose first dimension varies fastest, so that its last one does.
void append_row_major(const std::byte* source, size_t size, std::span<const int64_t> shape, size_t stride,
                      std::vector<std::byte>& destination) {
  if (shape.empty()) {
    destination.insert(destination.end(), source, source + size);
    return;
  }
  const size_t next = stride * static_cast<size_t>(shape[0]);
  for (size_t index = 0; index < static_cast<size_t>(shape[0]); ++index) {
    append_row_major(source + index * stride, size, shape.subspan(1), next, destination);
  }
}

std::vector<std::byte> row_major(Bytes data, size_t size, const NpyHeader& header) {
  if (!header.fortran_order || data.empty()) return {data.begin(), data.end()};
  std::vector<std::byte> ordered;
  ordered.reserve(data.size());
  append_row_major(data.data(), size, header.shape, size, ordered);
  return ordered;
}

// One string of a .npy file, without the NULs that fill it up, as UTF-8.
std::optional<std::string> to_utf8(Bytes field, char kind) {
  std::string text;
  if (kind == 'S') {
    text.assign(reinterpret_cast<const char*>(field.data()), field.size());
    text.resize(text.find_last_not_of('\0') + 1);
    return is_utf8(text) ? std::optional(std::move(text)) : std::nullopt;
  }
  for (size_t at = 0; at < field.size(); at += kUtf32Bytes) {
    uint32_t character = 0;
    std::memcpy(&character, field.data() + at, kUtf32Bytes);
    if (!append_utf8(character, text)) return std::nullopt;
  }
  text.resize(text.find_last_not_of('\0') + 1);
  return text;
}

// The form of VACCEL_STRING: offsets, then the strings.
Result<std::vector<std::byte>> string_tensor(Bytes fields, const Elements& elements, uint64_t count) {
  uint64_t total = (count + 1) * sizeof(uint32_t);
  std::vector<std::byte> data;
  if (total <= kMostStringBytes) data.resize(static_cast<size_t>(total));
  for (uint64_t index = 0; index <= count && total <= kMostStringBytes; ++index) {
    const auto offset = static_cast<uint32_t>(total);
    std::memcpy(data.data() + index * sizeof offset, &offset, sizeof offset);
    if (index == count) return data;
    const auto text =
        to_utf8(fields.subspan(static_cast<size_t>(index) * elements.bytes, elements.bytes), elements.kind);
    if (!text) {
      return fail(VACCEL_INVALID_ARGUMENT, "its string %llu is not valid %s",
                  static_cast<unsigned long long>(index), elements.kind == 'S' ? "UTF-8" : "Unicode");
    }
    const auto* begin = reinterpret_cast<const std::byte*>(text->c_str());
    data.insert(data.end(), begin, begin + text->size() + 1);
    total = data.size();
  }
  return fail(VACCEL_RESOURCE_EXHAUSTED,
              "its strings take more than 4 GiB, the most that a string tensor may have");
}

// Strings of a checked tensor.
std::string_view string_at(const vaccel_tensor& tensor, uint64_t index) {
  std::array<uint32_t, 2> offsets{};
  const auto* data = static_cast<const char*>(tensor.data);
  std::memcpy(offsets.data(), data + index * sizeof(uint32_t), sizeof offsets);
  return {data + offsets[0], offsets[1] - offsets[0] - 1};
}

Result<std::vector<std::byte>> format_strings(const vaccel_tensor& tensor, uint64_t count) {
  size_t longest = 1;  // as NumPy has it
  for (uint64_t index = 0; index < count; ++index)
    longest = std::max(longest, to_utf32(string_at(tensor, index)).size());
  uint64_t bytes = 0;
  if (__builtin_mul_overflow(count, longest * kUtf32Bytes, &bytes) || bytes > kMostFileBytes) {
    return fail(VACCEL_RESOURCE_EXHAUSTED,
                "%llu strings of up to %zu characters would take more than 4 GiB as .npy",
                static_cast<unsigned long long>(count), longest);
  }
  const std::string header = format_npy_header("<U" + std::to_string(longest), shape_of(tensor));
  std::vector<std::byte> file(header.size() + static_cast<size_t>(bytes));
  std::memcpy(file.data(), header.data(), header.size());
  for (uint64_t index = 0; index < count; ++index) {
    const std::u32string text = to_utf32(string_at(tensor, index));
    std::memcpy(file.data() + header.size() + index * longest * kUtf32Bytes, text.data(),
                text.size() * kUtf32Bytes);
  }
  return file;
}

std::string descr_of(int dtype) {
  for (const NpyType& type : kTypes) {
    if (type.dtype != dtype) continue;
    const bool has_order = element_size(dtype) > 1 && dtype != VACCEL_BFLOAT16;
    return (has_order ? "<" : "|") + std::string(type.code);
  }
  return {};
}

}  // namespace

vaccel_tensor NpyArray::view(const char* name) const {
  vaccel_tensor tensor{};
  tensor.name = name;
  tensor.data = const_cast<std::byte*>(data.data());  // inputs are only read
  tensor.bytes = data.size();
  tensor.shape = shape.data();
  tensor.rank = static_cast<int32_t>(shape.size());
  tensor.dtype = dtype;
  return tensor;
}

Result<NpyArray> parse_npy(Bytes file) {
  auto header = parse_npy_header(file);
  if (!header) return Unexpected{header.error()};
  const auto elements = parse_descr(header->descr);
  if (!elements) return Unexpected{elements.error()};
  const auto count = element_count(header->shape);
  if (!count) return Unexpected{count.error()};
  const Bytes stored = file.subspan(header->bytes);
  uint64_t bytes = 0;
  if (__builtin_mul_overflow(*count, uint64_t{elements->bytes}, &bytes) || bytes != stored.size()) {
    return fail(VACCEL_INVALID_ARGUMENT,
                "its header says %s of '%s', and %zu bytes of data follow; it is cut off, or holds more than "
                "one array",
                shape_text(header->shape).c_str(), header->descr.c_str(), stored.size());
  }
  std::vector<std::byte> data = row_major(stored, elements->bytes, *header);
  swap_bytes(data, elements->swap_bytes);
  if (elements->dtype == VACCEL_STRING) {
    auto strings = string_tensor(data, *elements, *count);
    if (!strings) return Unexpected{strings.error()};
    data = std::move(*strings);
  }
  if (elements->dtype == VACCEL_BOOL &&
      std::any_of(data.begin(), data.end(), [](std::byte value) { return value > std::byte{1}; })) {
    return fail(VACCEL_INVALID_ARGUMENT, "it holds booleans that are neither 0 nor 1");
  }
  return NpyArray{elements->dtype, std::move(header->shape), std::move(data)};
}

Result<NpyArray> read_npy(const std::string& path) {
  const auto file = read_file(path);
  if (!file) return Unexpected{file.error()};
  auto array = parse_npy(*file);
  if (!array) return Unexpected{array.error().within(path == "-" ? "standard input" : path)};
  return array;
}

Result<std::vector<std::byte>> format_npy(const vaccel_tensor& tensor) {
  const auto count = element_count(shape_of(tensor));
  if (!count) return Unexpected{count.error()};
  if (tensor.dtype == VACCEL_STRING) return format_strings(tensor, *count);
  const auto bytes = dense_bytes(tensor.dtype, shape_of(tensor));
  if (!bytes) return Unexpected{bytes.error()};
  const std::string header = format_npy_header(descr_of(tensor.dtype), shape_of(tensor));
  std::vector<std::byte> file(header.size() + static_cast<size_t>(*bytes));
  std::memcpy(file.data(), header.data(), header.size());
  if (*bytes > 0) std::memcpy(file.data() + header.size(), tensor.data, static_cast<size_t>(*bytes));
  return file;
}

Status write_npy(const std::string& path, const vaccel_tensor& tensor) {
  const auto file = format_npy(tensor);
  if (!file) return file.error().within(path);
  return write_file(path, *file);
}

}  // namespace vaccel::tool
