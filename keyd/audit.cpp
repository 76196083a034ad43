#include "audit.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>

#include "ring/ring_file.hpp"  // Fd

namespace keyd {

using nlohmann::json;
using ticket::ring::Fd;

namespace {

constexpr off_t longest_line = 64 << 10;

// The last `longest_line` bytes of a file, or all that it has.
std::optional<std::string> tail_of(const Fd& file) {
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) return std::nullopt;
  const auto begin = std::max<off_t>(0, status.st_size - longest_line);
  std::string tail(static_cast<std::size_t>(status.st_size - begin), '\0');
  std::size_t got = 0;
  while (got < tail.size()) {
    const auto count =
        ::pread(file.get(), tail.data() + got, tail.size() - got, begin + static_cast<off_t>(got));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return std::nullopt;
    got += static_cast<std::size_t>(count);
  }
  return tail;
}

// The last whole line; empty when there is none.
std::string_view last_line(std::string_view tail) {
  if (tail.empty()) return {};
  tail.remove_suffix(1);
  return tail.substr(tail.rfind('\n') + 1);
}

bool write_whole(const Fd& file, std::string_view text) {
  while (!text.empty()) {
    const auto count = ::write(file.get(), text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

// A line that a full disk or a kill cut short: it is written again, whole.
bool drop_torn_line(const Fd& file, std::string& tail) {
  if (tail.empty() || tail.back() == '\n') return true;
  const auto whole = tail.rfind('\n') + 1;
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) return false;
  if (::ftruncate(file.get(), status.st_size - static_cast<off_t>(tail.size() - whole)) != 0) {
    return false;
  }
  tail.resize(whole);
  return true;
}

}  // namespace

void add_audit_line(AuditHead& audit, json event, ticket::sys_seconds time) {
  event["n"] = ++audit.count;
  event["time"] = time.time_since_epoch().count();
  event["before"] = ticket::hex(audit.last);
  auto line = event.dump(-1, ' ', true, json::error_handler_t::replace);
  audit.last = ticket::crypto::sha256(ticket::as_bytes(line));
  audit.unwritten.push_back(std::move(line));
  if (audit.unwritten.size() > most_unwritten) audit.unwritten.erase(audit.unwritten.begin());
}

std::string AuditFile::append(const AuditHead& audit) {
  const auto failure = [this] {
    return "cannot write the audit log " + path_.string() + ": " + std::strerror(errno);
  };
  const Fd file(::open(path_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file) return failure();
  auto tail = tail_of(file);
  if (!tail || !drop_torn_line(file, *tail)) return failure();

  // A kill may have come between writing them and forgetting them. By what they
  // say, not by their numbers: after an older copy of the state those come again.
  const auto there = std::ranges::find(audit.unwritten, last_line(*tail));
  const auto first = there == audit.unwritten.end() ? audit.unwritten.begin() : there + 1;
  std::string text;
  std::for_each(first, audit.unwritten.end(),
                [&text](const std::string& line) { text += line + "\n"; });
  if (!write_whole(file, text) || ::fdatasync(file.get()) != 0) return failure();
  return {};
}

}  // namespace keyd
