#include "issuer_text.hpp"

#include "text.hpp"

namespace ticketctl {

namespace {

constexpr std::size_t shown_of_id = 16;  // of 64 characters; --json has them all

std::string record_text(const IssuerStatus& issuer) {
  if (issuer.record == "redis") return "what is spent is recorded in Redis";
  if (issuer.redeemer.empty()) return "nobody redeems: its redeemer has not enrolled";
  return issuer.redeemer + " alone redeems, with its own table";
}

std::string heading(const IssuerStatus& issuer, const Terminal& terminal) {
  return coloured(terminal, Colour::bold, issuer.pool) + "  issuer " + issuer.issuer + ", " +
         std::to_string(issuer.issued) + " tokens issued; " + record_text(issuer);
}

std::string type_text(std::uint64_t code) {
  return code == 2 ? "blind-rsa" : "ristretto (" + std::to_string(code) + ")";
}

// Redis takes no token of an epoch whose mark is not there.
bool lacks_sentinel(const IssuerStatus& issuer, const TokenEpochStatus& epoch) {
  return issuer.record == "redis" && !epoch.sentinel;
}

std::string sentinel_text(const IssuerStatus& issuer, const TokenEpochStatus& epoch) {
  if (issuer.record != "redis") return "";
  if (epoch.sentinel) return "there";
  return epoch.drawn.state == token_words.announced ? "not yet" : "missing";
}

std::vector<std::string> key_table(const IssuerStatus& issuer, const Terminal& terminal) {
  std::vector<std::vector<std::string>> rows = {{"epoch", "state", "type", "key", "mark in Redis"}};
  if (issuer.record != "redis") rows[0].pop_back();
  std::vector<bool> troubled = {false};
  for (const auto& epoch : issuer.epochs) {
    const bool trouble = lacks_sentinel(issuer, epoch) && epoch.drawn.state == token_words.sealing;
    for (const auto& key : epoch.keys) {
      rows.push_back({std::to_string(epoch.drawn.number), epoch.drawn.state, type_text(key.type),
                      key.id.substr(0, shown_of_id), sentinel_text(issuer, epoch)});
      troubled.push_back(trouble);
    }
  }
  auto lines = table(rows);
  lines[0] = coloured(terminal, Colour::dim, lines[0]);
  for (std::size_t i = 1; i < lines.size(); ++i) {
    if (troubled[i]) lines[i] = coloured(terminal, Colour::yellow, lines[i]);
  }
  return lines;
}

std::vector<DrawnEpoch> drawn(const IssuerStatus& issuer) {
  std::vector<DrawnEpoch> epochs;
  for (const auto& epoch : issuer.epochs) epochs.push_back(epoch.drawn);
  return epochs;
}

void append(std::vector<std::string>& lines, const std::vector<std::string>& more) {
  lines.insert(lines.end(), more.begin(), more.end());
}

}  // namespace

std::vector<std::string> issuer_lines(const Issuers& issuers, const Terminal& terminal) {
  std::vector<std::string> lines;
  if (issuers.pools.empty()) {
    return {"no pool has tokens: [pool.tokens] in keyd.toml makes keyd an issuer (docs/tokens.md)"};
  }
  for (const auto& issuer : issuers.pools) {
    if (!lines.empty()) lines.push_back("");
    lines.push_back(heading(issuer, terminal));
    if (!issuer.problem.empty()) {
      lines.push_back(coloured(terminal, Colour::red, "  ALARM " + issuer.problem));
    }
    if (issuer.epochs.empty()) continue;
    lines.push_back("");
    append(lines, key_table(issuer, terminal));
    lines.push_back("");
    append(lines, draw_time_line(drawn(issuer), issuers.now, terminal, token_words));
  }
  return lines;
}

}  // namespace ticketctl
