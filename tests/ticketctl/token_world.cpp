#include "token_world.hpp"

#include <algorithm>

#include "token/directory.hpp"
#include "token/header.hpp"

namespace tokens {

using namespace ticket;
using token::Form;
using token::TokenType;

namespace {

// Another one than the samples' of that type.
const token::IssuerKey& other_key() {
  static const auto key = token::IssuerKey::generate(TokenType::ristretto);
  return key;
}

std::string directory_of(const Rules& rules) {
  token::Directory directory{rules.request_uri, {}};
  for (const auto type : {TokenType::blind_rsa, TokenType::ristretto}) {
    const auto& key = rules.by_another_key && type == TokenType::ristretto
                          ? other_key().public_key()
                          : samples::issuer_key(type).public_key();
    directory.keys.push_back({*samples::both.code(type), key.bytes, std::nullopt});
  }
  return token::write_directory(directory);
}

}  // namespace

Issuer::Issuer(Rules rules) : rules_(std::move(rules)) {
  server_ = std::make_unique<web::Server>(
      [this](const web::Request& request) { return answer(request); }, rules_.tls);
}

web::Answer Issuer::answer(const web::Request& request) {
  if (request.path == token::directory_path) {
    return {
        200, {"Content-Type: " + std::string(token::directory_media_type)}, directory_of(rules_)};
  }
  if (request.method != "POST" || request.path != "/token-request") return {404, {}, ""};
  const bool known = rules_.wanted_secret.empty() ||
                     request.header("authorization") == "Bearer " + rules_.wanted_secret;
  if (!known) return {401, {}, ""};
  if (issued_ >= rules_.budget) return {429, {"Retry-After: 60"}, ""};
  return issue(request);
}

web::Answer Issuer::issue(const web::Request& request) {
  const auto type = request.header("content-type");
  const bool batch = type == token::batch_request_media_type;
  if (!batch && type != token::request_media_type) return {415, {}, ""};
  auto asked = request.body;
  if (rules_.by_another_key) {  // the byte that names the key
    asked.at(2) =
        static_cast<char>(samples::issuer_key(TokenType::ristretto).public_key().truncated_id());
  }
  const auto body = samples::issuer().answer(as_bytes(asked), batch ? Form::batch : Form::single);
  if (!body) return {422, {}, ""};
  ++issued_;
  return {200, {}, std::string(as_text(*body))};
}

std::vector<web::Request> Issuer::token_requests() const {
  auto all = requests();
  std::erase_if(all, [](const auto& request) { return request.method != "POST"; });
  return all;
}

Origin::Origin(std::string challenges, const web::Tls& tls) : challenges_(std::move(challenges)) {
  server_ = std::make_unique<web::Server>(
      [this](const web::Request& request) { return answer(request); }, tls);
}

web::Answer Origin::answer(const web::Request& request) {
  const auto token = request.header("authorization");
  if (request.path == "/down") return {503, {}, ""};
  if (request.path == "/open") return {200, {}, ""};
  const bool replay = std::ranges::find(spent_, token) != spent_.end();
  if (token.empty() || replay) return {401, {"WWW-Authenticate: " + challenges_}, ""};
  spent_.push_back(token);
  return {200, {}, "open"};
}

void make_certificate(const std::filesystem::path& folder, const std::string& name) {
  const auto made = support::run(
      {"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
       "-subj", "/CN=" + name, "-addext", "subjectAltName=DNS:" + name + ",IP:127.0.0.1", "-days",
       "2", "-keyout", folder / (name + ".key"), "-out", folder / (name + ".pem")});
  REQUIRE(made.code == 0);
}

support::Outcome ticketctl_does(const std::vector<std::string>& arguments,
                                const std::string& input) {
  std::vector<std::string> argv = {support::build_root() / "ticketctl/ticketctl"};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return support::run(argv, {.environment = {{"TZ", "UTC"}}, .input = input, .folder = {}});
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace tokens
