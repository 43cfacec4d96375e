// SPDX-License-Identifier: Apache-2.0
//
// Reading TOML files that people write: typed getters that remember the place of every mistake, and keys that
// nobody asked for are mistakes too. A reader asks for all its keys without looking at errors in between, and
// then asks finish() once: it has the mistake that stands first in the file, as "model.toml:4:1: ...".
//
// Knows nothing of what the files are about. The only room that includes toml++ is toml_reader.cpp.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/status.h"

namespace vaccel::runtime {

/// A value as text, whatever its type, with its dotted key and its place: for options that are handed on.
struct TomlOption {
  std::string key;
  std::string value;
  std::string where;
};

using StringPair = std::pair<std::string, std::string>;

/// One table of a document, while it is read. Refers to the document, which must outlive it. Getters return
/// nothing for a key that is not there and, after noting the mistake, for a value of the wrong type or out of
/// range.
class TomlTable {
 public:
  std::optional<std::string> string(std::string_view key);
  std::optional<bool> boolean(std::string_view key);
  /// An integer within [least, most].
  std::optional<int64_t> integer(std::string_view key, int64_t least, int64_t most);
  /// A size within [least, most]: an integer, or a string such as "512M".
  std::optional<uint64_t> byte_size(std::string_view key, uint64_t least, uint64_t most);
  /// A finite number; integers count.
  std::optional<double> number(std::string_view key);
  /// A string that is one of `words`; the index of it.
  std::optional<size_t> choice(std::string_view key, const std::vector<std::string_view>& words);
  std::optional<std::vector<std::string>> strings(std::string_view key);
  /// An array of arrays of two strings each.
  std::optional<std::vector<StringPair>> string_pairs(std::string_view key);
  /// An array of `count` finite numbers.
  std::optional<std::vector<double>> numbers(std::string_view key, size_t count);
  /// An array of `least` to `most` finite numbers.
  std::optional<std::vector<double>> numbers(std::string_view key, size_t least, size_t most);
  /// An array of at most `most_count` integers within [least, most].
  std::optional<std::vector<int64_t>> integers(std::string_view key, int64_t least, int64_t most,
                                               size_t most_count);

  std::optional<TomlTable> table(std::string_view key);
  std::vector<TomlTable> tables(std::string_view key);  ///< An array of tables: [[key]].
  /// The keys of this table whose values are tables, in the file's order: "[backend.NAME]" asks backend for
  /// them.
  std::vector<std::string> table_names();

  /// Everything in this table, nested keys joined by dots ("providers.0.name"); all of it counts as read.
  std::vector<TomlOption> options();

  /// Counts a key as read, whatever it holds.
  void skip(std::string_view key);

  /// Notes a mistake about `key`, at its value (at the table, when there is no such key).
  void mistake(std::string_view key, const std::string& sentence);
  /// Notes that `key` is missing when `value` is empty; hands the value through.
  template <typename T>
  T required(std::string_view key, std::optional<T> value) {
    if (!value && !has(key)) mistake(key, "key '" + std::string(key) + "' is missing in " + place());
    return value ? std::move(*value) : T{};
  }
  [[nodiscard]] bool has(std::string_view key) const;
  /// "[image]", or "the file" for the root table.
  [[nodiscard]] std::string place() const;
  /// "model.toml:7:9", of a key's value.
  [[nodiscard]] std::string where(std::string_view key) const;

 private:
  friend class TomlDocument;
  struct Node;
  explicit TomlTable(Node* node) : node_(node) {}
  Node* node_;
};

/// A parsed file.
class TomlDocument {
 public:
  /// `name` is what mistakes are reported under; the file's path, or its last part.
  static Result<TomlDocument> parse(std::string_view text, const std::string& name);
  /// Reads and parses a file of at most 1 MiB. NOT_FOUND, PERMISSION_DENIED or INVALID_ARGUMENT.
  static Result<TomlDocument> read(const std::filesystem::path& file, const std::string& name);

  TomlDocument(TomlDocument&&) noexcept;
  TomlDocument& operator=(TomlDocument&&) noexcept;
  ~TomlDocument();

  TomlTable root();
  /// OK, or INVALID_ARGUMENT with the first mistake in the file, unknown keys included.
  [[nodiscard]] Status finish();

 private:
  struct Content;
  explicit TomlDocument(std::unique_ptr<Content> content);
  std::unique_ptr<Content> content_;
  friend class TomlTable;
};

}  // namespace vaccel::runtime
