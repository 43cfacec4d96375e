// SPDX-License-Identifier: Apache-2.0
#include "runtime/toml_reader.h"

#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 1
#define TOML_ENABLE_WINDOWS_COMPAT 0
#include <toml++/toml.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <set>
#include <sstream>
#include <tuple>

#include "core/byte_size.h"
#include "runtime/file_bytes.h"

namespace vaccel::runtime {
namespace {

constexpr uint64_t kMostBytes = uint64_t{1} << 20;

std::string type_text(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "an array";
    case toml::node_type::string:
      return "a string";
    case toml::node_type::integer:
      return "an integer";
    case toml::node_type::floating_point:
      return "a number";
    case toml::node_type::boolean:
      return "a boolean";
    default:
      return "a date or time";
  }
}

std::string quoted(std::string_view key) {
  return "'" + printable(key) + "'";
}

// A leaf as text, as `vaccel_backend_option.value` has it.
std::string text_of(const toml::node& node) {
  if (const auto* string = node.as_string()) return string->get();
  if (const auto* boolean = node.as_boolean()) return boolean->get() ? "true" : "false";
  if (const auto* integer = node.as_integer()) return std::to_string(integer->get());
  std::ostringstream text;
  if (const auto* number = node.as_floating_point()) {
    text << number->get();
  } else {
    toml::node_view<const toml::node>{node}.visit([&](const auto& leaf) {
      if constexpr (toml::is_value<decltype(leaf)>) text << leaf.get();
    });
  }
  return text.str();
}

}  // namespace

struct TomlTable::Node {
  TomlDocument::Content* document;
  const toml::table* table;
  std::string path;  // "image"; "" for the root
  std::set<std::string, std::less<>> read;
};

struct TomlDocument::Content {
  std::string name;
  toml::table root;
  std::deque<TomlTable::Node> tables;  // stable addresses; one for each table that was asked for

  struct Mistake {
    toml::source_position position;
    std::string sentence;
  };
  std::optional<Mistake> first;

  [[nodiscard]] std::string where(toml::source_position position) const {
    return name + ":" + std::to_string(position.line) + ":" + std::to_string(position.column);
  }

  void note(toml::source_position position, const std::string& sentence) {
    if (position.line == 0) position = {1, 1};  // the root table of a file has no place of its own
    const bool earlier = !first || std::tie(position.line, position.column) <
                                       std::tie(first->position.line, first->position.column);
    if (earlier) first = Mistake{position, sentence};
  }

  TomlTable::Node* enter(const toml::table& table, std::string path) {
    for (auto& node : tables) {
      if (node.table == &table) return &node;
    }
    tables.push_back({this, &table, std::move(path), {}});
    return &tables.back();
  }

  // Every value below `node`, by its dotted key.
  void flatten(const toml::node& node, const std::string& key, std::vector<TomlOption>& options) {
    const auto nested = [&](std::string_view name_part) {
      return key.empty() ? std::string(name_part) : key + "." + std::string(name_part);
    };
    if (const auto* table = node.as_table()) {
      for (const auto& [name_part, value] : *table)
        flatten(value, nested(name_part.str()), options);
    } else if (const auto* array = node.as_array()) {
      size_t index = 0;
      for (const auto& value : *array)
        flatten(value, nested(std::to_string(index++)), options);
    } else {
      options.push_back({key, text_of(node), where(node.source().begin)});
    }
  }
};

namespace {

const toml::node* find(const toml::table& table, std::string_view key) {
  const auto found = table.find(key);
  return found == table.end() ? nullptr : &found->second;
}

}  // namespace

bool TomlTable::has(std::string_view key) const {
  return find(*node_->table, key) != nullptr;
}

std::string TomlTable::place() const {
  return node_->path.empty() ? "the file" : "[" + node_->path + "]";
}

std::string TomlTable::where(std::string_view key) const {
  const toml::node* value = find(*node_->table, key);
  return node_->document->where((value != nullptr ? *value : *node_->table).source().begin);
}

void TomlTable::skip(std::string_view key) {
  node_->read.emplace(key);
}

void TomlTable::mistake(std::string_view key, const std::string& sentence) {
  const toml::node* value = find(*node_->table, key);
  node_->document->note((value != nullptr ? *value : *node_->table).source().begin, sentence);
}

std::optional<std::string> TomlTable::string(std::string_view key) {
  skip(key);
  const toml::node* node = find(*node_->table, key);
  if (node == nullptr) return std::nullopt;
  if (const auto* value = node->as_string()) return value->get();
  mistake(key, quoted(key) + " must be a string, not " + type_text(*node));
  return std::nullopt;
}

std::optional<bool> TomlTable::boolean(std::string_view key) {
  skip(key);
  const toml::node* node = find(*node_->table, key);
  if (node == nullptr) return std::nullopt;
  if (const auto* value = node->as_boolean()) return value->get();
  mistake(key, quoted(key) + " must be true or false, not " + type_text(*node));
  return std::nullopt;
}

std::optional<int64_t> TomlTable::integer(std::string_view key, int64_t least, int64_t most) {
  skip(key);
  const toml::node* node = find(*node_->table, key);
  if (node == nullptr) return std::nullopt;
  const auto* value = node->as_integer();
  if (value == nullptr) {
    mistake(key, quoted(key) + " must be an integer, not " + type_text(*node));
    return std::nullopt;
  }
  if (value->get() < least || value->get() > most) {
    mistake(key, quoted(key) + " is " + std::to_string(value->get()) + "; it must be " +
                     std::to_string(least) + " to " + std::to_string(most));
    return std::nullopt;
  }
  return value->get();
}

std::optional<uint64_t> TomlTable::byte_size(std::string_view key, uint64_t least, uint64_t most) {
  skip(key);
  const toml::node* node = find(*node_->table, key);
  if (node == nullptr) return std::nullopt;
  if (!node->is_integer() && !node->is_string()) {
    mistake(key, quoted(key) + " must be a size such as 4096 or \"512M\", not " + type_text(*node));
    return std::nullopt;
  }
  const auto size = parse_byte_size(node->is_integer() ? std::to_string(node->as_integer()->get())
                                                       : node->as_string()->get());
  if (!size) {
    mistake(key, quoted(key) + ": " + size.error().message());
    return std::nullopt;
  }
  if (*size < least || *size > most) {
    mistake(key, quoted(key) + " is " + std::to_string(*size) + " bytes; it must be " +
                     std::to_string(least) + " to " + std::to_string(most));
    return std::nullopt;
  }
  return *size;
}

std::optional<double> TomlTable::number(std::string_view key) {
  skip(key);
  const toml::node* node = find(*node_->table, key);
  if (node == nullptr) return std::nullopt;
  const std::optional<double> value = node->is_number() ? node->value<double>() : std::nullopt;
  if (value && std::isfinite(*value)) return value;
  mistake(key, quoted(key) + " must be a finite number, not " + (value ? text_of(*node) : type_text(*node)));
  return std::nullopt;
}

std::optional<size_t> TomlTable::choice(std::string_view key, const std::vector<std::string_view>& words) {
  const auto value = string(key);
  if (!value) return std::nullopt;
  std::string known;
  for (size_t index = 0; index < words.size(); ++index) {
    if (*value == words[index]) return index;
    known += (index == 0 ? "" : index + 1 == words.size() ? " or " : ", ");
    known += "\"" + std::string(words[index]) + "\"";
  }
  mistake(key, quoted(key) + " is \"" + printable(*value) + "\"; it must be " + known);
  return std::nullopt;
}

std::optional<std::vector<std::string>> TomlTable::strings(std::string_view key) {
  skip(key);
  const toml::node* node = find(*node_->table, key);
  if (node == nullptr) return std::nullopt;
  const auto* array = node->as_array();
  if (array == nullptr) {
    mistake(key, quoted(key) + " must be an array of strings, not " + type_text(*node));
    return std::nullopt;
  }
  std::vector<std::string> values;
  for (const toml::node& element : *array) {
    if (!element.is_string()) {
      node_->document->note(element.source().begin,
                            quoted(key) + " must hold strings only, not " + type_text(element));
      return std::nullopt;
    }
    values.push_back(element.as_string()->get());
  }
  return values;
}

std::optional<std::vector<double>> TomlTable::numbers(std::string_view key, size_t count) {
  skip(key);
  const toml::node* node = find(*node_->table, key);
  if (node == nullptr) return std::nullopt;
  const auto* array = node->as_array();
  if (array == nullptr || array->size() != count) {
    mistake(key, quoted(key) + " must be an array of " + std::to_string(count) + " numbers, not " +
                     (array == nullptr ? type_text(*node) : "of " + std::to_string(array->size())));
    return std::nullopt;
  }
  std::vector<double> values;
  for (const toml::node& element : *array) {
    const std::optional<double> value = element.is_number() ? element.value<double>() : std::nullopt;
    if (!value || !std::isfinite(*value)) {
      node_->document->note(element.source().begin, quoted(key) + " must hold finite numbers only");
      return std::nullopt;
    }
    values.push_back(*value);
  }
  return values;
}

std::optional<std::vector<int64_t>> TomlTable::integers(std::string_view key, int64_t least, int64_t most,
                                                        size_t most_count) {
  skip(key);
  const toml::node* node = find(*node_->table, key);
  if (node == nullptr) return std::nullopt;
  const auto* array = node->as_array();
  if (array == nullptr || array->size() > most_count) {
    mistake(key, quoted(key) + " must be an array of at most " + std::to_string(most_count) +
                     " integers, not " +
                     (array == nullptr ? type_text(*node) : "of " + std::to_string(array->size())));
    return std::nullopt;
  }
  std::vector<int64_t> values;
  for (const toml::node& element : *array) {
    const auto value = element.is_integer() ? element.value<int64_t>() : std::nullopt;
    if (!value || *value < least || *value > most) {
      node_->document->note(
          element.source().begin,
          quoted(key) + " must hold integers from " + std::to_string(least) + " to " + std::to_string(most));
      return std::nullopt;
    }
    values.push_back(*value);
  }
  return values;
}

std::optional<TomlTable> TomlTable::table(std::string_view key) {
  skip(key);
  const toml::node* node = find(*node_->table, key);
  if (node == nullptr) return std::nullopt;
  if (const auto* table = node->as_table()) {
    const std::string path = node_->path.empty() ? std::string(key) : node_->path + "." + std::string(key);
    return TomlTable(node_->document->enter(*table, path));
  }
  mistake(key, quoted(key) + " must be a table, not " + type_text(*node));
  return std::nullopt;
}

std::vector<TomlTable> TomlTable::tables(std::string_view key) {
  skip(key);
  const toml::node* node = find(*node_->table, key);
  if (node == nullptr) return {};
  const auto* array = node->as_array();
  if (array == nullptr) {
    mistake(key, quoted(key) + " must be an array of tables, not " + type_text(*node));
    return {};
  }
  std::vector<TomlTable> result;
  const std::string path = node_->path.empty() ? std::string(key) : node_->path + "." + std::string(key);
  for (const toml::node& element : *array) {
    if (const auto* table = element.as_table()) {
      result.push_back(TomlTable(node_->document->enter(*table, path)));
    } else {
      node_->document->note(element.source().begin,
                            quoted(key) + " must hold tables only, not " + type_text(element));
    }
  }
  return result;
}

std::vector<std::string> TomlTable::table_names() {
  std::vector<std::pair<toml::source_position, std::string>> found;
  for (const auto& [key, value] : *node_->table) {
    if (value.is_table()) found.emplace_back(value.source().begin, std::string(key.str()));
  }
  std::sort(found.begin(), found.end(), [](const auto& left, const auto& right) {
    return std::tie(left.first.line, left.first.column) < std::tie(right.first.line, right.first.column);
  });
  std::vector<std::string> names;
  for (auto& [position, name] : found)
    names.push_back(std::move(name));
  return names;
}

std::vector<TomlOption> TomlTable::options() {
  for (const auto& [key, value] : *node_->table)
    skip(key.str());
  std::vector<TomlOption> options;
  node_->document->flatten(*node_->table, "", options);
  return options;
}

TomlDocument::TomlDocument(std::unique_ptr<Content> content) : content_(std::move(content)) {}
TomlDocument::TomlDocument(TomlDocument&&) noexcept = default;
TomlDocument& TomlDocument::operator=(TomlDocument&&) noexcept = default;
TomlDocument::~TomlDocument() = default;

Result<TomlDocument> TomlDocument::parse(std::string_view text, const std::string& name) {
  toml::parse_result parsed = toml::parse(text);
  if (parsed.failed()) {
    const toml::source_position place = parsed.error().source().begin;
    return fail(VACCEL_INVALID_ARGUMENT, "%s:%u:%u: not valid TOML: %s", name.c_str(), place.line,
                place.column, printable(parsed.error().description(), 300).c_str());
  }
  auto content = std::make_unique<Content>();
  content->name = name;
  content->root = std::move(parsed.table());
  return TomlDocument(std::move(content));
}

Result<TomlDocument> TomlDocument::read(const std::filesystem::path& file, const std::string& name) {
  const auto bytes = FileBytes::read(file, kMostBytes);
  if (!bytes) return Unexpected{bytes.error()};
  return parse(bytes->text(), name);
}

TomlTable TomlDocument::root() {
  return TomlTable(content_->enter(content_->root, ""));
}

Status TomlDocument::finish() {
  root();  // a file whose keys nobody asked for has unknown keys, too
  for (const TomlTable::Node& node : content_->tables) {
    for (const auto& [key, value] : *node.table) {
      if (node.read.contains(std::string(key.str()))) continue;
      const toml::source_position place = key.source().begin;
      content_->note(
          place, "unknown key " + quoted(key.str()) + (node.path.empty() ? "" : " in [" + node.path + "]"));
    }
  }
  if (!content_->first) return {};
  return failure(VACCEL_INVALID_ARGUMENT, "%s: %s", content_->where(content_->first->position).c_str(),
                 content_->first->sentence.c_str());
}

}  // namespace vaccel::runtime
