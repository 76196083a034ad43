#include "audit_chain.hpp"

#include <nlohmann/json.hpp>

namespace ticketctl {

using nlohmann::json;

namespace {

constexpr std::size_t most_repeated = 4096;  // as many lines may wait in keyd's state

struct Link {
  std::uint64_t number;
  ticket::crypto::Sha256 before;
};

std::optional<Link> parse_link(const std::string& line) {
  const auto object = json::parse(line, nullptr, false);
  if (!object.is_object() || !object.contains("n") || !object["n"].is_number_unsigned() ||
      !object.contains("before") || !object["before"].is_string()) {
    return std::nullopt;
  }
  const auto before = ticket::from_hex(object["before"].get<std::string>());
  if (!before || before->size() != 32 || object["n"] == 0) return std::nullopt;
  return Link{object["n"].get<std::uint64_t>(),
              ticket::to_array(ticket::BytesView(*before).first<32>())};
}

}  // namespace

bool AuditChain::repeats(std::uint64_t number, const ticket::crypto::Sha256& hash) const {
  if (!beginning_ || number > count_ || count_ - number >= recent_.size()) return false;
  return recent_[recent_.size() - 1 - static_cast<std::size_t>(count_ - number)] == hash;
}

std::string AuditChain::add(const std::string& line) {
  const auto link = parse_link(line);
  if (!link) return "it is no line of an audit log";
  const auto hash = ticket::crypto::sha256(ticket::as_bytes(line));
  if (repeats(link->number, hash)) return {};
  beginning_ = false;
  if (first_ == 0) {
    if (link->number == 1 && !ticket::all_zero(link->before)) return "line 1 has a line before it";
    first_ = link->number;
  } else if (link->number != count_ + 1) {
    return "it is number " + std::to_string(link->number) + ", but " + std::to_string(count_ + 1) +
           " is due: lines were taken out or put in";
  } else if (link->before != last_) {
    return "the line before it, number " + std::to_string(count_) + ", was altered";
  }
  count_ = link->number;
  last_ = hash;
  recent_.push_back(hash);
  if (recent_.size() > most_repeated) recent_.pop_front();
  return {};
}

}  // namespace ticketctl
