// ticketctl token inspect: what is in a token, and is it genuine.
#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>

#include "crypto/digest.hpp"
#include "text.hpp"
#include "token.hpp"
#include "token/directory.hpp"
#include "token/redeemer.hpp"
#include "token_text.hpp"

namespace ticketctl {

using namespace ticket;
using nlohmann::ordered_json;
using token::TokenType;
using token::TokenTypes;

namespace {

// What --challenge and --directory told.
struct Findings {
  std::optional<token::Challenge> challenge;
  std::optional<bool> made_for_it;
  std::optional<bool> key_published;
  std::optional<bool> genuine;  // not to be told of ristretto: its key is private

  bool doubtful() const {
    return made_for_it == false || key_published == false || genuine == false;
  }
};

Bytes token_of(const std::string& argument) {
  auto bytes = read_token(text_or_file(argument));
  if (!bytes) throw bad_input("the token: " + bytes.error());
  return *std::move(bytes);
}

token::Token parsed(BytesView bytes, const TokenTypes& types) {
  const auto token = token::parse_token(bytes, types);
  if (token) return *token;
  const auto code = bytes.size() < 2 ? "" : " of type 0x" + hex(bytes.first(2));
  throw bad_input(std::to_string(bytes.size()) + " bytes" + code +
                  " are no token: of type 0x0002 " + "it has " +
                  std::to_string(token::token_size(TokenType::blind_rsa)) + ", of ristretto " +
                  std::to_string(token::token_size(TokenType::ristretto)));
}

token::Directory directory_of(const CommandLine& line) {
  const auto where = line.text("directory");
  std::string text;
  if (where.starts_with("http://") || where.starts_with("https://")) {
    const auto answer = HttpClient(http_options(line)).send({.url = where});
    if (answer.status != 200) {
      throw CommandError(exit_unreachable,
                         printable(where) + ": answers " + std::to_string(answer.status));
    }
    text = as_text(answer.body);
  } else {
    text = read_file(where);
  }
  auto directory = token::parse_directory(text);
  if (!directory) {
    throw bad_input(printable(where) + ": no issuer's directory; keyd serves it at https://ISSUER" +
                    std::string(token::directory_path));
  }
  return *std::move(directory);
}

void look_for_key(const token::Token& token, const token::Directory& directory,
                  Findings& findings) {
  findings.key_published = false;
  for (const auto& published : directory.keys) {
    const auto key = token::parse_token_key(token.type, published.bytes);
    if (!key || !std::ranges::equal(key->id, token.key_id)) continue;
    findings.key_published = true;
    if (const auto verifier = token::RedeemerKey::blind_rsa(*key)) {
      findings.genuine = verifier->verify(token);
    }
  }
}

Findings look(const CommandLine& line, const token::Token& token, const TokenTypes& types) {
  Findings findings;
  if (line.has("challenge")) {
    const auto bytes = read_challenge(line.text("challenge"));
    auto challenge = token::parse_challenge(bytes, types);
    if (!challenge) throw bad_input(std::string("--challenge: ") + to_text(challenge.error()));
    findings.made_for_it = std::ranges::equal(crypto::sha256(bytes), token.challenge_digest);
    findings.challenge = *std::move(challenge);
  }
  if (line.has("directory")) look_for_key(token, directory_of(line), findings);
  return findings;
}

BytesView nonce_of(const token::Token& token) { return token.input.subspan(2, 32); }

ordered_json as_json(const token::Token& token, const Findings& findings) {
  ordered_json json{{"type", type_name(token.type)},
                    {"nonce", hex(nonce_of(token))},
                    {"challenge_digest", hex(token.challenge_digest)},
                    {"key_id", hex(token.key_id)}};
  if (findings.challenge) {
    json["challenge"] = {{"issuer", findings.challenge->issuer},
                         {"origins", findings.challenge->origins()},
                         {"made_for_it", *findings.made_for_it}};
  }
  if (findings.key_published) json["key_published"] = *findings.key_published;
  if (findings.genuine) json["genuine"] = *findings.genuine;
  return json;
}

void tell(const char* label, const std::string& text) {
  std::cout << label << std::string(11 - std::string_view(label).size(), ' ') << text << "\n";
}

void tell_challenge(const token::Challenge& challenge, bool made_for_it) {
  std::string origins;
  for (const auto origin : challenge.origins()) {
    origins += (origins.empty() ? "" : ", ") + printable(std::string(origin));
  }
  tell("", made_for_it ? "is that of the challenge given" : "NOT that of the challenge given");
  tell("issuer", printable(challenge.issuer));
  tell("origins", origins.empty() ? "any" : origins);
  tell("context", challenge.redemption_context ? hex(*challenge.redemption_context) : "none");
}

std::string verdict(TokenType type, const Findings& findings) {
  if (!*findings.key_published) return "NOT by a key of that directory";
  if (!findings.genuine)
    return std::string("cannot be told of ") + type_name(type) +
           ": only who has the private key can";
  return *findings.genuine ? "yes, by a key of that directory" : "NO: it was altered or made up";
}

void print(const token::Token& token, const Findings& findings) {
  tell("type", std::string(type_name(token.type)) + " (0x" + hex(token.input.first(2)) + ")");
  tell("nonce", hex(nonce_of(token)));
  tell("challenge", hex(token.challenge_digest));
  if (findings.challenge) tell_challenge(*findings.challenge, *findings.made_for_it);
  tell("key", hex(token.key_id));
  if (findings.key_published) tell("genuine", verdict(token.type, findings));
}

}  // namespace

int inspect_token(int argc, const char* const* argv) {
  CommandLine line(
      "token inspect TOKEN|FILE|- [--challenge TEXT] [--directory FILE|URL] [OPTIONS]",
      "Tells what is in a token: its type, nonce, and the hashes of the challenge and key\n"
      "that it is for; with --challenge and --directory, whether it is for that challenge\n"
      "and verifies. Whether it was spent, only the servers know. TOKEN is the header\n"
      "`Authorization: PrivateToken token=...`, its value, or the token in base64url.\n",
      "ticketctl token get --url https://www.example.org/ | ticketctl token inspect -");
  line.exit_codes =
      "0 done; 1 what was asked for is not so; 2 usage or bad input;\n"
      "3 the directory cannot be had";
  line.add()("challenge", "What `challenge=` of a 401 says, in base64url",
             cxxopts::value<std::string>(),
             "TEXT")("directory", "The issuer's directory: a file or its URL",
                     cxxopts::value<std::string>(), "WHERE")(
      "ristretto-type", "The code point of ristretto, a draft's that may change (default: 5)",
      cxxopts::value<std::string>(), "N");
  add_http_options(line);
  line.add()("json", "Print JSON");
  if (!line.parse(argc, argv, "TOKEN")) return exit_ok;

  const auto types = both_types(line);
  const auto bytes = token_of(line.required("TOKEN"));
  const auto token = parsed(bytes, types);
  const auto findings = look(line, token, types);
  if (line.flag("json")) {
    std::cout << as_json(token, findings).dump(2) << "\n";
  } else {
    print(token, findings);
  }
  return findings.doubtful() ? exit_no : exit_ok;
}

}  // namespace ticketctl
