// SPDX-License-Identifier: Apache-2.0
#include "tools/vaccel/npy_header.h"

#include <charconv>
#include <optional>

#include "vaccel/types.h"

namespace vaccel::tool {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::string_view kZipMagic = "PK\x03\x04";
constexpr size_t kVersionBytes = 2;
constexpr size_t kMostHeaderBytes = 64 << 10;
constexpr size_t kAlignment = 64;

Unexpected malformed(const char* what) {
  return fail(VACCEL_INVALID_ARGUMENT, "its header is not one that NumPy writes: %s", what);
}

// Reads the literal from left to right; each function says whether it found what it is called after, and stands behind it.
class Literal {
 public:
  explicit Literal(std::string_view text) : rest_(text) {}

  bool symbol(char wanted) {
    skip_spaces();
    if (rest_.empty() || rest_.front() != wanted) return false;
    rest_.remove_prefix(1);
    return true;
  }

  bool word(std::string_view wanted) {
    skip_spaces();
    if (!rest_.starts_with(wanted)) return false;
    rest_.remove_prefix(wanted.size());
    return true;
  }

  // No escapes: neither keys nor types have any.
  std::optional<std::string> quoted() {
    skip_spaces();
    if (rest_.empty() || (rest_.front() != '\'' && rest_.front() != '"')) return {};
    const size_t end = rest_.find(rest_.front(), 1);
    if (end == std::string_view::npos) return {};
    std::string text{rest_.substr(1, end - 1)};
    rest_.remove_prefix(end + 1);
    return text;
  }

  std::optional<int64_t> size() {
    skip_spaces();
    int64_t number = 0;
    const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), number);
    if (error != std::errc{} || number < 0) return {};
    rest_.remove_prefix(static_cast<size_t>(end - rest_.data()));
    word("L");  // NumPy under Python 2
    return number;
  }

  bool at_end() {
    skip_spaces();
    return rest_.empty();
  }

 private:
  void skip_spaces() {
    while (!rest_.empty() && (rest_.front() == ' ' || rest_.front() == '\n'))
      rest_.remove_prefix(1);
  }

  std::string_view rest_;
};

Status read_descr(Literal& literal, NpyHeader& header) {
  if (literal.symbol('[')) {
    return failure(VACCEL_INVALID_ARGUMENT,
                   "it holds records of several fields; save each field as an array of its own");
  }
  auto text = literal.quoted();
  if (!text) return malformed("'descr' is no string").error();
  header.descr = std::move(*text);
  return {};
}

Status read_order(Literal& literal, NpyHeader& header) {
  header.fortran_order = literal.word("True");
  if (!header.fortran_order && !literal.word("False"))
    return malformed("'fortran_order' is neither True nor False").error();
  return {};
}

Status read_shape(Literal& literal, NpyHeader& header) {
  if (!literal.symbol('(')) return malformed("'shape' is no tuple").error();
  while (!literal.symbol(')')) {
    const auto size = literal.size();
    if (!size) return malformed("'shape' holds something else than numbers from 0 to 2^63 - 1").error();
    if (header.shape.size() == VACCEL_MAX_RANK) {
      return failure(VACCEL_INVALID_ARGUMENT,
                     "it has more than %d dimensions, the most that a tensor may have", VACCEL_MAX_RANK);
    }
    header.shape.push_back(*size);
    if (literal.symbol(',')) continue;
    // "(3)" is a number in Python, not a tuple.
    if (header.shape.size() < 2 || !literal.symbol(')')) return malformed("'shape' is no tuple").error();
    break;
  }
  return {};
}

Result<NpyHeader> read_entries(std::string_view text) {
  struct Entry {
    std::string_view key;
    Status (*read)(Literal&, NpyHeader&);
    bool is_there;
  };
  Entry entries[] = {
      {"descr", read_descr, false}, {"fortran_order", read_order, false}, {"shape", read_shape, false}};
  NpyHeader header;
  Literal literal(text);
  if (!literal.symbol('{')) return malformed("it is no dictionary");
  while (!literal.symbol('}')) {
    const auto key = literal.quoted();
    Entry* found = nullptr;
    for (Entry& entry : entries) {
      if (key && entry.key == *key && !entry.is_there) found = &entry;
    }
    if (found == nullptr || !literal.symbol(':'))
      return malformed("its entries are not descr, fortran_order and shape");
    if (Status status = found->read(literal, header); !status.ok()) return Unexpected{std::move(status)};
    found->is_there = true;
    if (literal.symbol(',')) continue;
    if (!literal.symbol('}')) return malformed("an entry does not end");
    break;
  }
  if (!literal.at_end()) return malformed("something follows the dictionary");
  for (const Entry& entry : entries) {
    if (!entry.is_there) return malformed("one of descr, fortran_order and shape is missing");
  }
  return header;
}

std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Unexpected no_npy(std::string_view text) {
  if (text.empty()) return fail(VACCEL_INVALID_ARGUMENT, "it is empty, and no .npy file");
  if (text.starts_with(kZipMagic)) {
    return fail(
        VACCEL_INVALID_ARGUMENT,
        "it is a .npz or another zip archive; save one array with numpy.save(), which makes a .npy file");
  }
  return fail(VACCEL_INVALID_ARGUMENT,
              "it is no .npy file: it does not begin with \\x93NUMPY, as numpy.save() writes it");
}

}  // namespace

Result<NpyHeader> parse_npy_header(std::span<const std::byte> file) {
  const std::string_view text = as_text(file);
  if (!text.starts_with(kMagic)) return no_npy(text);
  if (text.size() < kMagic.size() + kVersionBytes)
    return fail(VACCEL_INVALID_ARGUMENT, "it is cut off in its header");
  const int major = static_cast<uint8_t>(text[kMagic.size()]);
  const int minor = static_cast<uint8_t>(text[kMagic.size() + 1]);
  if (major < 1 || major > 3 || minor != 0) {
    return fail(VACCEL_INVALID_ARGUMENT, "its .npy version is %d.%d; 1.0, 2.0 and 3.0 are known", major,
                minor);
  }
  const size_t length_bytes = major == 1 ? 2 : 4;
  const size_t start = kMagic.size() + kVersionBytes + length_bytes;
  size_t length = 0;
  for (size_t index = 0; index < length_bytes && start <= text.size(); ++index) {
    length |= size_t{static_cast<uint8_t>(text[start - length_bytes + index])} << (8 * index);
  }
  if (length > kMostHeaderBytes) {
    return fail(VACCEL_INVALID_ARGUMENT, "its header claims %zu bytes; at most %zu are read", length,
                kMostHeaderBytes);
  }
  if (start > text.size() || length > text.size() - start) {
    return fail(VACCEL_INVALID_ARGUMENT, "it is cut off in its header");
  }
  auto header = read_entries(text.substr(start, length));
  if (header) header->bytes = start + length;
  return header;
}

std::string format_npy_header(std::string_view descr, std::span<const int64_t> shape) {
  std::string tuple;
  for (const int64_t size : shape)
    tuple += std::to_string(size) + (shape.size() == 1 ? "," : ", ");
  if (shape.size() > 1) tuple.resize(tuple.size() - 2);
  std::string text =
      "{'descr': '" + std::string(descr) + "', 'fortran_order': False, 'shape': (" + tuple + "), }";
  const size_t start = kMagic.size() + kVersionBytes + 2;
  const size_t end = (start + text.size() + 1 + kAlignment - 1) / kAlignment * kAlignment;
  text.append(end - start - text.size() - 1, ' ');
  text += '\n';
  std::string header{kMagic};
  header += {'\x01', '\x00', static_cast<char>(text.size() & 0xFF), static_cast<char>(text.size() >> 8)};
  return header + text;
}

}  // namespace vaccel::tool
