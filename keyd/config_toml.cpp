#include "config_toml.hpp"

#include <toml++/toml.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <numeric>
#include <optional>

#include "atomic_file.hpp"
#include "config.hpp"

namespace keyd::toml_file {
namespace {

constexpr std::size_t size_limit = 1 << 20;

int line_of(const toml::node& node) {
  return std::max(1, static_cast<int>(node.source().begin.line));
}

Value value_of(const toml::node& node);

Table table_of(const toml::table& from) {
  Table table{.line = line_of(from), .entries = {}};
  for (const auto& [key, node] : from) {
    auto value = value_of(node);
    value.line = std::max(1, static_cast<int>(key.source().begin.line));
    table.entries.push_back({std::string(key.str()), std::move(value)});
  }
  // In the order of the file, so that the first mistake is told first.
  std::ranges::stable_sort(table.entries, {}, [](const Entry& entry) { return entry.value.line; });
  return table;
}

Value value_of(const toml::node& node) {
  Value value{.line = line_of(node), .content = {}};
  if (const auto* text = node.as_string()) value.content = text->get();
  if (const auto* number = node.as_integer()) value.content = number->get();
  if (const auto* truth = node.as_boolean()) value.content = truth->get();
  if (const auto* table = node.as_table()) value.content = table_of(*table);
  if (const auto* array = node.as_array()) {
    std::vector<Value> list;
    for (const auto& element : *array) list.push_back(value_of(element));
    value.content = std::move(list);
  }
  return value;
}

std::string read_whole(const std::filesystem::path& file) {
  try {
    if (auto content = read_file(file, size_limit)) return *std::move(content);
  } catch (const std::system_error& error) {
    throw ConfigError(file.string() + ":1: cannot be read: " + error.code().message());
  }
  throw ConfigError(file.string() + ":1: no such file; --config names a file of keyd");
}

// Levenshtein's distance: how many characters to type, drop or replace.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    auto diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const auto replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row.back();
}

std::string joined(std::initializer_list<std::string_view> words) {
  std::string text;
  for (const auto word : words) text.append(text.empty() ? "" : ", ").append(word);
  return text;
}

std::string advice(std::string_view key, std::initializer_list<std::string_view> allowed) {
  const auto nearest = std::ranges::min_element(
      allowed, {}, [key](std::string_view candidate) { return distance(key, candidate); });
  const auto known = "allowed are " + joined(allowed);
  if (distance(key, *nearest) > std::max<std::size_t>(1, key.size() / 3)) return known;
  return "did you mean " + std::string(*nearest) + "? " + known;
}

const char* kind(const Value& value) {
  if (value.text() != nullptr) return "a text";
  if (value.table() != nullptr) return "a table";
  if (value.list() != nullptr) return "a list";
  if (value.number() != nullptr) return "a number";
  if (value.truth() != nullptr) return "a truth value";
  return "a date or a fraction";
}

}  // namespace

const Value* Table::find(std::string_view key) const {
  for (const auto& entry : entries) {
    if (entry.key == key) return &entry.value;
  }
  return nullptr;
}

Table parse(const std::filesystem::path& file) {
  const auto content = read_whole(file);
  try {
    return table_of(toml::parse(content));
  } catch (const toml::parse_error& error) {
    throw ConfigError(file.string() + ":" + std::to_string(error.source().begin.line) +
                      ": no TOML: " + std::string(error.description()) +
                      "; lines are KEY = \"VALUE\", [SECTION] or # COMMENT");
  }
}

Section::Section(std::filesystem::path file, const Table& table, std::string name,
                 std::initializer_list<std::string_view> allowed)
    : file_(std::move(file)), table_(table), name_(std::move(name)) {
  for (const auto& entry : table.entries) {
    if (std::ranges::find(allowed, entry.key) == allowed.end()) {
      fail_at(entry.value.line, entry.key, "unknown", advice(entry.key, allowed));
    }
  }
}

const std::string& Section::text(std::string_view key, std::string_view allowed) const {
  const auto* value = table_.find(key);
  if (value == nullptr) fail(key, "missing", allowed);
  if (value->text() == nullptr) fail(key, std::string(kind(*value)) + ", not a text", allowed);
  if (value->text()->empty()) fail(key, "empty", allowed);
  return *value->text();
}

std::string Section::text_or(std::string_view key, std::string_view allowed,
                             std::string otherwise) const {
  return has(key) ? text(key, allowed) : std::move(otherwise);
}

bool Section::truth(std::string_view key, bool otherwise) const {
  constexpr auto allowed = "true or false";
  const auto* value = table_.find(key);
  if (value == nullptr) return otherwise;
  if (value->truth() == nullptr) {
    fail(key, std::string(kind(*value)) + ", not a truth value", allowed);
  }
  return *value->truth();
}

std::vector<std::pair<int, std::string>> Section::texts(std::string_view key,
                                                        std::string_view allowed,
                                                        bool required) const {
  std::vector<std::pair<int, std::string>> texts;
  const auto* value = table_.find(key);
  if (value == nullptr && !required) return texts;
  if (value == nullptr) fail(key, "missing", allowed);
  if (value->list() == nullptr) fail(key, std::string(kind(*value)) + ", not a list", allowed);
  for (const auto& element : *value->list()) {
    if (element.text() == nullptr || element.text()->empty()) {
      fail_at(element.line, key, "holds something else than texts", allowed);
    }
    texts.emplace_back(element.line, *element.text());
  }
  if (texts.empty() && required) fail(key, "empty", allowed);
  return texts;
}

std::int64_t Section::number(std::string_view key, std::int64_t least, std::int64_t most,
                             std::string_view allowed) const {
  const auto* value = table_.find(key);
  if (value == nullptr) fail(key, "missing", allowed);
  const auto* number = value->number();
  if (number == nullptr) fail(key, std::string(kind(*value)) + ", not a number", allowed);
  if (*number < least || *number > most) {
    fail(key, std::to_string(*number) + " is out of range", allowed);
  }
  return *number;
}

const Table* Section::table(std::string_view key, std::string_view allowed) const {
  const auto* value = table_.find(key);
  if (value == nullptr) return nullptr;
  if (value->table() == nullptr) fail(key, std::string(kind(*value)) + ", not a table", allowed);
  return value->table();
}

std::vector<const Table*> Section::tables(std::string_view key) const {
  std::vector<const Table*> tables;
  const auto* value = table_.find(key);
  if (value == nullptr) return tables;
  const auto allowed = "write [[" + std::string(key) + "]], once for each";
  if (value->list() == nullptr) fail(key, std::string(kind(*value)) + ", not a list", allowed);
  for (const auto& element : *value->list()) {
    if (element.table() == nullptr) fail_at(element.line, key, "holds something else", allowed);
    tables.push_back(element.table());
  }
  return tables;
}

int Section::line(std::string_view key) const {
  const auto* value = table_.find(key);
  return value != nullptr ? value->line : table_.line;
}

void Section::fail(std::string_view key, std::string_view wrong, std::string_view allowed) const {
  fail_at(line(key), key, wrong, allowed);
}

void Section::fail_at(int line, std::string_view key, std::string_view wrong,
                      std::string_view allowed) const {
  auto message = file_.string() + ":" + std::to_string(line) + ": ";
  if (!name_.empty()) message += name_ + " ";
  message.append(key).append(": ").append(wrong);
  if (!allowed.empty()) message.append("; ").append(allowed);
  throw ConfigError(message);
}

}  // namespace keyd::toml_file
