#include "memory.hpp"

#include <fcntl.h>
#include <sodium.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <sstream>

#include "ring/ring_file.hpp"  // Fd
#include "support/process.hpp"

namespace faults {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t chunk_size = std::size_t{4} << 20;

bool contains(std::string_view hay, const std::string& needle) {
  const std::boyer_moore_horspool_searcher searcher(needle.begin(), needle.end());
  return std::search(hay.begin(), hay.end(), searcher) != hay.end();
}

// Pieces overlap by a needle's length.
void search_range(int memory, std::uint64_t from, std::uint64_t to, const Needles& needles,
                  const std::string& where, Hits& hits) {
  std::string buffer(chunk_size, '\0');
  constexpr std::size_t overlap = 256;
  for (auto at = from; at < to; at += chunk_size - overlap) {
    const auto wanted = std::min<std::uint64_t>(chunk_size, to - at);
    const auto got = ::pread(memory, buffer.data(), wanted, static_cast<off_t>(at));
    if (got <= 0) continue;
    const std::string_view hay(buffer.data(), static_cast<std::size_t>(got));
    for (const auto& [name, needle] : needles) {
      if (contains(hay, needle)) hits.push_back(name + " in " + where);
    }
  }
}

Hits sorted(Hits hits) {
  std::ranges::sort(hits);
  hits.erase(std::unique(hits.begin(), hits.end()), hits.end());
  return hits;
}

std::string encoded(const std::string& bytes, int variant) {
  std::string text(sodium_base64_encoded_len(bytes.size(), variant), '\0');
  sodium_bin2base64(text.data(), text.size(), reinterpret_cast<const unsigned char*>(bytes.data()),
                    bytes.size(), variant);
  text.resize(bytes.size() * 4 / 3);  // the last character depends on what follows
  return text;
}

std::string hex(const std::string& bytes) {
  std::string text(bytes.size() * 2 + 1, '\0');
  sodium_bin2hex(text.data(), text.size(), reinterpret_cast<const unsigned char*>(bytes.data()),
                 bytes.size());
  text.pop_back();
  return text;
}

}  // namespace

Hits find_in_memory(pid_t pid, const Needles& needles) {
  const auto proc = "/proc/" + std::to_string(pid);
  const ticket::ring::Fd memory(::open((proc + "/mem").c_str(), O_RDONLY | O_CLOEXEC));
  Hits hits;
  if (!memory) return {"cannot look into " + proc};
  std::istringstream maps(support::read_text(proc + "/maps"));
  for (std::string line; std::getline(maps, line);) {
    std::istringstream fields(line);
    std::string range, rights, offset, device, inode, name;
    fields >> range >> rights >> offset >> device >> inode >> name;
    if (rights[0] != 'r' || name == "[vvar]" || name == "[vsyscall]") continue;
    const auto dash = range.find('-');
    search_range(memory.get(), std::stoull(range.substr(0, dash), nullptr, 16),
                 std::stoull(range.substr(dash + 1), nullptr, 16), needles,
                 proc + (name.empty() ? "" : " " + name), hits);
  }
  return sorted(hits);
}

Hits find_in_files(const fs::path& folder, const Needles& needles) {
  Hits hits;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    std::error_code gone;
    if (!fs::exists(entry.path(), gone)) continue;
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    for (const auto& hit : find_in_text(text, needles, entry.path().string())) hits.push_back(hit);
  }
  return sorted(hits);
}

Hits find_in_text(const std::string& text, const Needles& needles, const std::string& where) {
  Hits hits;
  for (const auto& [name, needle] : needles) {
    auto upper = hex(needle);
    std::ranges::transform(upper, upper.begin(), [](unsigned char c) { return std::toupper(c); });
    for (const auto& form :
         {needle, hex(needle), upper, encoded(needle, sodium_base64_VARIANT_ORIGINAL_NO_PADDING),
          encoded(needle, sodium_base64_VARIANT_URLSAFE_NO_PADDING)}) {
      if (text.find(form) != std::string::npos) hits.push_back(name + " in " + where);
    }
  }
  return sorted(hits);
}

}  // namespace faults
