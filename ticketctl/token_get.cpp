// ticketctl token get: the client's whole way to a token.
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <iostream>
#include <nlohmann/json.hpp>

#include "crypto/digest.hpp"
#include "issuer_client.hpp"
#include "text.hpp"
#include "token.hpp"
#include "token/header.hpp"

namespace ticketctl {

using namespace ticket;
using nlohmann::ordered_json;
using token::Challenge;

namespace {

constexpr std::size_t most_tokens = 10'000;

// What to get a token for.
struct Wanted {
  Bytes challenge;
  Challenge parsed;
  Bytes token_key;  // as the 401 names it; empty = the issuer's first
};

std::string listed(const std::vector<std::string_view>& names) {
  std::string text;
  for (const auto name : names) text += (text.empty() ? "" : ", ") + printable(std::string(name));
  return text;
}

// A token for others than who asks could be spent by who asks.
void check_origin(const std::string& url, const Challenge& challenge) {
  const auto origins = challenge.origins();
  const auto parts = url_parts(url);
  const auto is_asked = [&](std::string_view origin) {
    return origin == parts.host || origin == parts.host + ":" + parts.port;
  };
  if (origins.empty() || std::ranges::any_of(origins, is_asked)) return;
  throw CommandError(exit_no, printable(url) + " asks for a token for others (" + listed(origins) +
                                  "), which it could spend there");
}

std::string asked_types(const std::vector<token::HeaderChallenge>& challenges) {
  std::string types;
  for (const auto& one : challenges) {
    if (one.challenge.size() < 2) continue;
    types += (types.empty() ? "0x" : ", 0x") + hex(BytesView(one.challenge).first(2));
  }
  return types.empty() ? "none" : types;
}

Wanted asked_by(const std::string& url, const TypeChoice& choice, const HttpOptions& http) {
  const auto answer = HttpClient(http).send({.url = url});
  if (answer.status != 401) {
    throw CommandError(exit_no, printable(url) + " answers " + std::to_string(answer.status) +
                                    ", not 401: it asks for no token");
  }
  const auto challenges = token::parse_authenticate(answer.authenticate);
  if (!challenges || challenges->empty()) {
    throw CommandError(exit_no, printable(url) +
                                    " answers 401 without a challenge for a token "
                                    "(WWW-Authenticate: PrivateToken): it wants something else");
  }
  for (const auto& one : *challenges) {
    auto parsed = token::parse_challenge(one.challenge, choice.spoken);
    if (!parsed || parsed->type != choice.wanted) continue;
    check_origin(url, *parsed);
    return {one.challenge, *std::move(parsed), one.token_key};
  }
  throw CommandError(exit_no, printable(url) + " asks for tokens of the types " +
                                  asked_types(*challenges) + ", not for " +
                                  type_name(choice.wanted) + ": see --type");
}

Wanted given(const std::string& text, const TypeChoice& choice) {
  auto bytes = read_challenge(text);
  auto parsed = token::parse_challenge(bytes, choice.spoken);
  if (!parsed) {
    throw bad_input(std::string("--challenge: ") + to_text(parsed.error()) +
                    (parsed.error() == Rejection::unsupported ? " type: see --type" : ""));
  }
  if (parsed->type != choice.wanted) {
    throw bad_input(std::string("--challenge asks for a token of type ") + type_name(parsed->type) +
                    ": see --type");
  }
  return {std::move(bytes), *std::move(parsed), {}};
}

// A challenge of nobody: to see an issuer at work.
Wanted made_up(const std::string& issuer, const std::string& origin, const TypeChoice& choice) {
  Challenge challenge{choice.wanted, issuer, std::nullopt, origin};
  auto bytes = token::write_challenge(challenge, choice.spoken);
  if (!bytes) throw bad_input("--origin: names in visible ASCII, with commas between them");
  return {*std::move(bytes), std::move(challenge), {}};
}

Wanted wanted_by(const CommandLine& line, const std::optional<IssuerPlace>& issuer,
                 const TypeChoice& choice) {
  const bool url = line.has("url"), challenge = line.has("challenge"), origin = line.has("origin");
  if (url + challenge + origin != 1) {
    throw bad_input(
        "a token for what? One of --url, --challenge, and --issuer with --origin\n"
        "Usage: ticketctl " +
        line.usage);
  }
  if (url) return asked_by(line.text("url"), choice, http_options(line));
  if (challenge) return given(line.text("challenge"), choice);
  if (!issuer) throw bad_input("--origin wants --issuer, to ask it");
  return made_up(issuer->name, line.text("origin"), choice);
}

void warn_of_readers(const std::string& path) {
  struct stat about {};
  if (stat(path.c_str(), &about) != 0 || (about.st_mode & S_IROTH) == 0) return;
  std::cerr << "ticketctl: everybody on this machine may read " << path << ": chmod 600 " << path
            << "\n";
}

// In the file's first line.
SecretBytes read_secret(const std::string& path) {
  warn_of_readers(path);
  auto text = read_file(path);
  const auto end = std::min(text.find_first_of("\r\n"), text.size());
  const auto secret = std::string_view(text).substr(0, end);
  const bool visible = std::ranges::all_of(secret, [](char c) { return c > ' ' && c <= '~'; });
  if (secret.empty() || !visible) {
    throw bad_input("--secret-file: " + path +
                    ": wanted is a secret in visible ASCII, in one line");
  }
  auto copy = SecretBytes::copy_of(as_bytes(secret));
  sodium_memzero(text.data(), text.size());
  return copy;
}

Attestation attestation_of(const CommandLine& line) {
  Attestation attestation;
  if (line.has("cert") != line.has("key")) throw bad_input("--cert and --key belong together");
  if (line.has("cert")) attestation.certificate = line.text("cert");
  if (line.has("key")) attestation.key = line.text("key");
  if (line.has("secret-file")) attestation.secret = read_secret(line.text("secret-file"));
  return attestation;
}

// Who asks for a token names its issuer, and might name itself.
IssuerPlace trusted(const Wanted& wanted, const std::optional<IssuerPlace>& named,
                    const Attestation& attestation) {
  auto place = issuer_place(wanted.parsed.issuer, "the challenge names the issuer ");
  if (!named) {
    if (!attestation.any()) return place;
    throw bad_input("the challenge names the issuer " + place.name +
                    "; if that is the one to be shown who you are, say --issuer " + place.name);
  }
  if (place.name != named->name) {
    throw CommandError(
        exit_no, "the challenge names another issuer, " + place.name + ", than " + named->name);
  }
  return *named;
}

token::TokenKey key_for(const Wanted& wanted, const token::Directory& directory,
                        const TypeChoice& choice, const IssuerPlace& place) {
  if (wanted.token_key.empty()) {
    auto key = directory.key(choice.wanted, choice.spoken, SystemClock().now());
    if (key) return *std::move(key);
    throw CommandError(
        exit_no, place.name + " issues no tokens of type " + type_name(choice.wanted) + " now");
  }
  // A key that one client alone was told would tell its tokens apart.
  const bool published = std::ranges::any_of(
      directory.keys, [&](const auto& key) { return key.bytes == wanted.token_key; });
  auto key = token::parse_token_key(choice.wanted, wanted.token_key);
  if (published && key) return *std::move(key);
  throw CommandError(exit_no,
                     "the key that the challenge comes with is none that " + place.name +
                         " publishes: its keys changed this moment, or it is there to recognise "
                         "you");
}

std::size_t count_of(const std::string& text) {
  std::size_t count = 0;
  const auto* end = text.data() + text.size();
  const auto [parsed_to, error] = std::from_chars(text.data(), end, count);
  if (error != std::errc() || parsed_to != end || count < 1 || count > most_tokens) {
    throw bad_input("--count takes a number from 1 to 10000, not " + printable(text));
  }
  return count;
}

ordered_json as_json(const Wanted& wanted, const token::TokenKey& key,
                     const std::vector<Bytes>& tokens) {
  ordered_json json{{"type", type_name(key.type)},
                    {"issuer", wanted.parsed.issuer},
                    {"origins", wanted.parsed.origins()},
                    {"challenge", base64url_padded(wanted.challenge)},
                    {"key_id", hex(key.id)},
                    {"tokens", ordered_json::array()}};
  for (const auto& token : tokens) json["tokens"].push_back(base64url_padded(token));
  return json;
}

// What has come is printed also when no more comes: it was paid for.
void get(const CommandLine& line, IssuerClient& issuer, const token::Directory& directory,
         const Wanted& wanted, const token::TokenKey& key, const TypeChoice& choice,
         std::size_t count) {
  std::vector<Bytes> all;
  const bool json = line.flag("json");
  const auto tell = [&] {
    if (json) std::cout << as_json(wanted, key, all).dump(2) << std::endl;
  };
  try {
    issuer.withdraw(
        directory, wanted.challenge, key, choice.spoken, count, [&](std::vector<Bytes> tokens) {
          for (auto& token : tokens) {
            if (!json) {
              std::cout << "Authorization: " << token::write_authorization(token) << "\n"
                        << std::flush;
            }
            all.push_back(std::move(token));
          }
        });
  } catch (const CommandError& error) {
    if (!all.empty()) tell();
    throw CommandError(error.code,
                       std::string(error.what()) +
                           (all.empty() ? ""
                                        : "; " + std::to_string(all.size()) + " of " +
                                              std::to_string(count) + " tokens came before"));
  }
  tell();
}

}  // namespace

int get_tokens(int argc, const char* const* argv) {
  CommandLine line(
      "token get --url URL [--issuer ISSUER] [OPTIONS]",
      "Gets a token as a client does: asks for URL, reads the challenge of its 401, has\n"
      "the issuer that it names sign blindly, and prints the header to send. A token is\n"
      "spent once; who reads it can spend it.\n",
      "ticketctl token get --url https://www.example.org/ | curl -H @- https://www.example.org/");
  line.exit_codes = "0 done; 1 no; 2 usage or bad input;\n3 server or issuer cannot be reached";
  line.add()("url", "What asks for a token", cxxopts::value<std::string>(), "URL")(
      "challenge", "Instead of --url: the challenge, in base64url", cxxopts::value<std::string>(),
      "TEXT")("origin",
              "Instead of --url, with --issuer: a challenge of our own for this origin. To try an "
              "issuer: keyd's pools take no token without their own challenge",
              cxxopts::value<std::string>(),
              "NAME")("issuer",
                      "The issuer that may be shown who you are: HOST[:PORT], or "
                      "http://HOST[:PORT] on loopback; a challenge for another one is refused",
                      cxxopts::value<std::string>(), "ISSUER")(
      "cert", "Client certificate for the issuer, PEM", cxxopts::value<std::string>(), "FILE")(
      "key", "Its key, PEM", cxxopts::value<std::string>(), "FILE")(
      "secret-file", "A secret that the issuer knows you by, in the first line of FILE (-: input)",
      cxxopts::value<std::string>(),
      "FILE")("count", "How many tokens", cxxopts::value<std::string>()->default_value("1"), "N");
  add_type_options(line);
  add_http_options(line);
  line.add()("json", "Print JSON");
  if (!line.parse(argc, argv)) return exit_ok;

  const auto count = count_of(line.text("count"));
  const auto choice = type_choice(line);
  std::optional<IssuerPlace> named;
  if (line.has("issuer")) named = issuer_place(line.text("issuer"), "--issuer: ");
  auto attestation = attestation_of(line);
  const auto wanted = wanted_by(line, named, choice);
  const auto place = trusted(wanted, named, attestation);
  IssuerClient issuer(place, http_options(line), std::move(attestation));
  const auto directory = issuer.directory();
  const auto key = key_for(wanted, directory, choice, place);
  get(line, issuer, directory, wanted, key, choice, count);
  return exit_ok;
}

}  // namespace ticketctl
