#include "plugins/token_agent.hpp"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>

#include "ring/ring_file.hpp"
#include "support/rings.hpp"
#include "token/client.hpp"
#include "token/header.hpp"
#include "wire/token_block.hpp"

namespace plugins {

namespace fs = std::filesystem;
using namespace ticket;
using token::TokenType;

namespace {

// How far ahead the epoch is announced: an agent on a busy machine makes its table in it.
constexpr auto announced = 8s;
constexpr std::uint16_t member = 1;

const token::TokenTypes types(token::TokenTypes::ristretto_draft_code);

ByteArray<16> epoch_id(std::uint32_t number) {
  ByteArray<16> id{};
  id.fill(static_cast<std::byte>(0xe0 + number));
  return id;
}

std::string of(const std::string& name, std::uint16_t port) {
  return name + " = \"127.0.0.1:" + std::to_string(port) + "\"\n";
}

// The wall clock as a file has it, read anew each time; all else is the machine's.
std::map<std::string, std::string> turned_by(const fs::path& clock) {
  auto library = support::run({"faketime", "-m", "-f", "+0", "printenv", "LD_PRELOAD"}).output;
  while (library.ends_with('\n')) library.pop_back();
  return {{"LD_PRELOAD", library},
          {"FAKETIME_TIMESTAMP_FILE", clock},
          {"FAKETIME_NO_CACHE", "1"},
          {"FAKETIME_DONT_FAKE_MONOTONIC", "1"},
          {"NO_FAKE_STAT", "1"}};
}

// A connected socket with a deadline for each read and write.
int connected(int family, const sockaddr* address, socklen_t size) {
  const int socket = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval patience{20, 0};
  ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  ::setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  if (::connect(socket, address, size) == 0) return socket;
  ::close(socket);
  return -1;
}

int connected(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return connected(AF_INET, reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

bool send_all(int socket, BytesView bytes) {
  while (!bytes.empty()) {
    const auto sent = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(sent));
  }
  return true;
}

void make_certificate(const fs::path& folder) {
  const auto done = support::run({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                                  "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                                  "/CN=one", "-addext", "subjectAltName=URI:ticket:member:web:one",
                                  "-keyout", folder / "member.key", "-out", folder / "member.pem"});
  if (done.code != 0) throw std::runtime_error(done.output);
  fs::permissions(folder / "member.key", fs::perms::owner_read | fs::perms::owner_write);
}

}  // namespace

TokenAgent::TokenAgent(const TokenAgentTimes& times)
    : spop(support::unused_port()),
      http(support::unused_port()),
      metrics_port(support::unused_port()),
      times_(times),
      key_(token::IssuerKey::generate(TokenType::ristretto)) {
  make_certificate(folder_.path());
  write_config("");
  set_clock("+0");
  write_ring();
  start();
  // its epoch has begun once it has a challenge
  const bool begun = support::wait_until(
      [this] {
        return !field(http_get(http, "/redeem?origin=a.test"), "WWW-Authenticate").empty();
      },
      announced + 20s);
  if (!begun) throw std::runtime_error("no challenge: " + log());
  // and passes something when its table was looked at after that
  const bool takes = support::wait_until(
      [this] { return status_of(http_get(http, "/redeem?origin=a.test", token())) == 200; }, 10s);
  if (!takes) throw std::runtime_error("no token passes: " + log());
}

void TokenAgent::write_ring() {
  const auto now = std::chrono::floor<seconds>(std::chrono::system_clock::now());
  auto ring = test::ring_of(test::hourly(1, 1, now), 1, member);
  wire::TokenBlock block;
  block.issuer = "issuer.test";
  block.origin_info = "a.test,b.test";
  block.ristretto_type = token::TokenTypes::ristretto_draft_code;
  block.redeemer = member;
  const auto location_keys = Secret<64>::random();
  const auto scalar = key_.secret();
  auto begins = now + announced;
  for (const std::uint32_t number : {1, 2}) {
    wire::TokenBlockEpoch epoch;
    epoch.number = number;
    epoch.id = epoch_id(number);
    epoch.made = now;
    epoch.capacity = 100'000;
    epoch.issues_from = begins;
    epoch.issues_until = epoch.redeems_until = begins + (number == 1 ? times_.first_epoch : 1h);
    epoch.context.fill(static_cast<std::byte>(0xc0 + number));
    epoch.location_key = location_keys.expose().subspan(32 * (number - 1), 32);
    epoch.ristretto = scalar.expose();
    begins = epoch.redeems_until;
    block.epochs.push_back(epoch);
  }
  first_ends_ = block.epochs.front().redeems_until;
  block_ = wire::write_token_block(block);
  ring.tokens = SecretBytes::copy_of(block_.expose());
  ticket::ring::RingWriter writer(at("web.ring"), "web");
  if (!writer.publish(ring, Moment(now))) throw std::runtime_error("the ring is refused");
}

void TokenAgent::write_config(const std::string& lines) const {
  support::write_text(
      at("agent.toml"),
      "[agent]\nservers = [\"127.0.0.1:1\"]\nca = \"member.pem\"\n"
      "authority_key = \"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\"\nstate_dir = \"state\"\n" +
          of("metrics", metrics_port) +
          "[[pool]]\nname = \"web\"\ncertificate = \"member.pem\"\nkey = \"member.key\"\n"
          "ring = \"web.ring\"\n[[tokens]]\npool = \"web\"\n" +
          of("spop", spop) + of("http", http) + lines);
}

void TokenAgent::set_clock(const std::string& offset) const {
  support::write_text(at("clock.new"), offset + "\n");
  fs::rename(at("clock.new"), at("clock"));
}

void TokenAgent::start() {
  support::ProcessOptions options;
  if (times_.turned) options.environment = turned_by(at("clock"));
  process_.emplace(std::vector<std::string>{support::build_root() / "keyd/keyd", "agent",
                                            "--config", at("agent.toml")},
                   options);
  const bool answers = support::wait_until(
      [this] { return !process_->alive() || status_of(http_get(http, "/redeem")) == 400; }, 20s);
  if (!answers || !process_->alive()) throw std::runtime_error("no agent: " + log());
}

void TokenAgent::kill() { process_->kill(); }

void TokenAgent::reload(const std::string& lines) {
  const auto told = [this] {
    const auto log = process_->output();
    std::size_t count = 0;
    for (auto at = log.find("configuration "); at != std::string::npos;
         at = log.find("configuration ", at + 1)) {
      ++count;
    }
    return count;
  };
  const auto before = told();
  write_config(lines);
  process_->send(SIGHUP);
  if (!support::wait_until([&] { return told() > before; }, 10s)) {
    throw std::runtime_error("not reloaded: " + log());
  }
}

std::string TokenAgent::metrics() const {
  const auto answer = http_get(metrics_port, "/metrics");
  return answer.substr(answer.find("\r\n\r\n") + 4);
}

ByteArray<16> TokenAgent::epoch() const { return epoch_id(1); }

std::string TokenAgent::token_for(const std::string& challenge) const {
  const auto asked = token::parse_authenticate(challenge);
  if (!asked || asked->empty()) throw std::runtime_error("no challenge: " + challenge);
  const auto withdrawal =
      token::Withdrawal::begin(asked->front().challenge, key_.public_key(), types);
  const auto request = token::parse_request(withdrawal->request(), token::Form::single, types);
  const auto tokens = withdrawal->finish(*key_.issue(*request, token::Form::single));
  return token::write_authorization(tokens->front());
}

std::string TokenAgent::token() const {
  return token_for(field(http_get(http, "/redeem?origin=a.test"), "WWW-Authenticate"));
}

// ---- clients

std::string http_get(std::uint16_t port, const std::string& target,
                     const std::string& authorization, const std::string& more) {
  const int socket = connected(port);
  if (socket < 0) return "";
  auto request = "GET " + target + " HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n" + more;
  if (!authorization.empty()) request += "Authorization: " + authorization + "\r\n";
  request += "\r\n";
  std::string answer;
  if (send_all(socket, as_bytes(request))) {
    char bytes[16 << 10];
    for (ssize_t got = 0; (got = ::recv(socket, bytes, sizeof bytes, 0)) > 0;) {
      answer.append(bytes, static_cast<std::size_t>(got));
    }
  }
  ::close(socket);
  return answer;
}

int status_of(const std::string& answer) {
  return answer.starts_with("HTTP/1.1 ") ? std::stoi(answer.substr(9, 3)) : 0;
}

std::string field(const std::string& answer, const std::string& name) {
  auto lower = answer;
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return std::tolower(c); });
  auto wanted = "\r\n" + name + ": ";
  std::ranges::transform(wanted, wanted.begin(), [](unsigned char c) { return std::tolower(c); });
  const auto at = lower.find(wanted);
  if (at == std::string::npos) return "";
  const auto begin = at + wanted.size();
  return answer.substr(begin, answer.find("\r\n", begin) - begin);
}

ClaimsClient::ClaimsClient(const fs::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.string().copy(address.sun_path, sizeof address.sun_path - 1);
  socket_ = connected(AF_UNIX, reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

ClaimsClient::~ClaimsClient() {
  if (socket_ >= 0) ::close(socket_);
}

bool ClaimsClient::send(BytesView bytes) { return send_all(socket_, bytes); }

std::optional<wire::ClaimAnswer> ClaimsClient::answer() {
  ByteArray<wire::claim_answer_size> bytes;
  std::size_t size = 0;
  while (size < bytes.size()) {
    const auto got = ::recv(socket_, bytes.data() + size, bytes.size() - size, 0);
    if (got <= 0) return std::nullopt;
    size += static_cast<std::size_t>(got);
  }
  const auto parsed = wire::parse_claim_answer(bytes);
  return parsed ? std::optional(*parsed) : std::nullopt;
}

bool ClaimsClient::closes(support::Milliseconds patience) {
  const auto until = std::chrono::steady_clock::now() + patience;
  while (std::chrono::steady_clock::now() < until) {
    pollfd polled{socket_, POLLRDHUP, 0};
    ::poll(&polled, 1, 100);
    if ((polled.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0) return true;
  }
  return false;
}

}  // namespace plugins
