#include "agent_client.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>
#include <chrono>
#include <stdexcept>

#include "crypto/certificate.hpp"

namespace keyd {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
namespace ssl = boost::asio::ssl;
using asio::use_awaitable;
using asio::ip::tcp;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t body_limit = 4 << 20;
constexpr std::uint32_t header_limit = 16 << 10;
constexpr std::size_t piece = 64 << 10;  // of a body, as it is read
constexpr auto connect_timeout = 10s;    // TCP and TLS, each server
constexpr auto exchange_timeout = 15s;   // beyond what the server may hold the answer back

std::string to_text(const Address& address) {
  const bool brackets = address.host.find(':') != std::string::npos;
  return (brackets ? "[" + address.host + "]" : address.host) + ":" + address.port;
}

[[noreturn]] void refuse(const std::string& what) { throw std::runtime_error(what); }

void check_role(SSL* session) {
  using ticket::crypto::RoleKind;
  X509* leaf = SSL_get0_peer_certificate(session);
  if (leaf == nullptr) refuse("it shows no certificate");
  const auto role = ticket::crypto::role_of(leaf).value_or(ticket::crypto::Role{});
  if (role.kind == RoleKind::keyd || role.kind == RoleKind::relay) return;
  const auto shown = role.kind == RoleKind::none ? "no role" : "the role " + role_uri(role);
  refuse("its certificate (" + ticket::crypto::subject(leaf) + ") has " + shown +
         "; needed is ticket:keyd or ticket:relay:NAME");
}

// What OpenSSL has against the server's certificate, or else the error itself.
std::string handshake_failure(SSL* session, const beast::error_code& error) {
  const auto verdict = SSL_get_verify_result(session);
  if (verdict == X509_V_OK) return "TLS: " + error.message();
  return std::string("its certificate: ") + X509_verify_cert_error_string(verdict);
}

}  // namespace

struct AgentClient::Tls {
  ssl::context context{ssl::context::tls_client};
};

struct AgentClient::Connection {
  Connection(const asio::any_io_executor& executor, ssl::context& tls) : stream(executor, tls) {}

  beast::tcp_stream& tcp() { return beast::get_lowest_layer(stream); }
  SSL* session() { return stream.native_handle(); }

  beast::ssl_stream<beast::tcp_stream> stream;
  beast::flat_buffer buffer{header_limit + piece};
};

AgentClient::AgentClient(asio::any_io_executor executor, const ticket::Clock& clock,
                         std::vector<Address> servers, const Identity& identity,
                         const std::string& ca)
    : executor_(std::move(executor)),
      clock_(clock),
      servers_(std::move(servers)),
      tls_(std::make_unique<Tls>()) {
  for (const auto& server : servers_) tallies_.push_back({to_text(server), 0, 0, {}});
  auto& context = tls_->context;
  SSL_CTX* const handle = context.native_handle();
  SSL_CTX_set_min_proto_version(handle, TLS1_3_VERSION);
  SSL_CTX_set_mode(handle, SSL_MODE_RELEASE_BUFFERS);
  context.set_verify_mode(ssl::verify_peer);
  context.add_certificate_authority(asio::buffer(ca));
  context.use_certificate_chain(asio::buffer(identity.chain));
  if (SSL_CTX_use_PrivateKey(handle, identity.key.get()) != 1) refuse("TLS: the key is not usable");
}

AgentClient::~AgentClient() = default;

asio::awaitable<Reply> AgentClient::exchange(const Request& request) {
  if (!connected_) co_await connect();
  const auto connection = connection_;  // close() may let go of it meanwhile
  auto& tally = tallies_[current_];
  const auto& server = tally.server;
  connected_ = false;  // until the answer is whole

  http::request<http::string_body> message{http::string_to_verb(request.method), request.target,
                                           11};
  message.set(http::field::host, server);
  message.set(http::field::user_agent, "keyd-agent");
  if (!request.body.empty()) message.set(http::field::content_type, "application/json");
  message.body() = request.body;
  message.prepare_payload();

  http::response_parser<http::string_body> parser;
  parser.body_limit(body_limit);
  parser.header_limit(header_limit);
  try {
    connection->tcp().expires_after(exchange_timeout + request.wait);
    co_await http::async_write(connection->stream, message, use_awaitable);
    co_await http::async_read(connection->stream, connection->buffer, parser, use_awaitable);
  } catch (const boost::system::system_error& error) {
    ++tally.failures;
    refuse(server + ": " + error.code().message());
  }
  tally.last_answer = clock_.now().latest;
  connection->tcp().expires_never();
  connected_ = parser.get().keep_alive() && !closed_;
  co_return Reply{parser.get().result_int(), std::move(parser.get().body())};
}

asio::awaitable<void> AgentClient::connect() {
  std::string failures;
  const auto failed = [&failures](ServerTally& tally, const std::string& why) {
    ++tally.failures;
    failures += (failures.empty() ? "" : ", ") + tally.server + ": " + why;
  };
  for (std::size_t i = 0; i < servers_.size() && !closed_; ++i) {
    const auto index = (current_ + i) % servers_.size();
    auto& tally = tallies_[index];
    try {
      co_await connect_to(servers_[index]);
      ++tally.connects;
      current_ = index;
      connected_ = true;
      co_return;
    } catch (const boost::system::system_error& error) {
      failed(tally, error.code().message());
    } catch (const std::exception& error) {
      failed(tally, error.what());
    }
  }
  refuse("no keyd answers: " + failures);
}

asio::awaitable<void> AgentClient::connect_to(const Address& server) {
  tcp::resolver resolver(executor_);
  const auto endpoints = co_await resolver.async_resolve(server.host, server.port, use_awaitable);
  if (closed_) refuse("closed");
  connection_ = std::make_shared<Connection>(executor_, tls_->context);
  const auto connection = connection_;

  connection->tcp().expires_after(connect_timeout);
  co_await connection->tcp().async_connect(endpoints, use_awaitable);
  connection->tcp().socket().set_option(tcp::no_delay(true));
  beast::error_code error;
  co_await connection->stream.async_handshake(ssl::stream_base::client,
                                              asio::redirect_error(use_awaitable, error));
  if (error) refuse(handshake_failure(connection->session(), error));
  check_role(connection->session());
}

void AgentClient::next_server() {
  connected_ = false;
  connection_.reset();
  current_ = (current_ + 1) % servers_.size();
}

void AgentClient::close() {
  closed_ = true;
  connected_ = false;
  if (connection_) connection_->tcp().close();
}

}  // namespace keyd
