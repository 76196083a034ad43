// A TOML file as tables that remember their lines, so that every complaint can
// name the place. The only reader of TOML.
#pragma once

#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace keyd::toml_file {

struct Value;
struct Entry;

struct Table {
  int line = 1;
  std::vector<Entry> entries;  // in the order of the file

  const Value* find(std::string_view key) const;
};

struct Value {
  struct Other {};  // dates, fractions: no setting takes one

  int line = 1;
  std::variant<Other, std::string, Table, std::vector<Value>, std::int64_t, bool> content;

  const std::string* text() const { return std::get_if<std::string>(&content); }
  const bool* truth() const { return std::get_if<bool>(&content); }
  const Table* table() const { return std::get_if<Table>(&content); }
  const std::vector<Value>* list() const { return std::get_if<std::vector<Value>>(&content); }
  const std::int64_t* number() const { return std::get_if<std::int64_t>(&content); }
};

struct Entry {
  std::string key;
  Value value;
};

// Throws ConfigError for a missing file or one that is no TOML.
Table parse(const std::filesystem::path& file);

// One table under its name, "[agent]". Complaints are ConfigErrors that read
// "FILE:LINE: [section] field: what is wrong; what is allowed".
class Section {
 public:
  // Refuses keys that are not among `allowed`, with the nearest that is.
  Section(std::filesystem::path file, const Table& table, std::string name,
          std::initializer_list<std::string_view> allowed);

  bool has(std::string_view key) const { return table_.find(key) != nullptr; }
  // Of the key; of the table when the key is missing.
  int line(std::string_view key) const;

  // Each throws when the key is there with another type; those without
  // `otherwise` also when it is missing. `allowed` ends the complaint.
  const std::string& text(std::string_view key, std::string_view allowed) const;
  std::string text_or(std::string_view key, std::string_view allowed, std::string otherwise) const;
  std::vector<std::pair<int, std::string>> texts(std::string_view key, std::string_view allowed,
                                                 bool required) const;
  // A whole number from `least` to `most`.
  std::int64_t number(std::string_view key, std::int64_t least, std::int64_t most,
                      std::string_view allowed) const;
  bool truth(std::string_view key, bool otherwise) const;
  // The table [key]; nullptr when it is missing.
  const Table* table(std::string_view key, std::string_view allowed) const;
  // The tables of [[key]]; none when it is missing.
  std::vector<const Table*> tables(std::string_view key) const;

  [[noreturn]] void fail(std::string_view key, std::string_view wrong,
                         std::string_view allowed) const;
  [[noreturn]] void fail_at(int line, std::string_view key, std::string_view wrong,
                            std::string_view allowed) const;

  const std::filesystem::path& file() const { return file_; }
  const std::string& name() const { return name_; }

 private:
  std::filesystem::path file_;
  const Table& table_;
  std::string name_;
};

}  // namespace keyd::toml_file
