#include "issuer_session.hpp"

#include <openssl/ssl.h>
#include <spdlog/spdlog.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/span_body.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <type_traits>

#include "certificate_look.hpp"
#include "issuer_room.hpp"
#include "listening.hpp"
#include "log.hpp"
#include "tls_context.hpp"

namespace keyd {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using namespace std::chrono_literals;
constexpr auto as_result = asio::as_tuple(asio::use_awaitable);

namespace {

constexpr auto handshake_time = 10s;
constexpr auto request_time = 30s;  // until the next request is there as a whole
constexpr auto answer_time = 30s;
constexpr auto goodbye_time = 3s;
constexpr auto keeper_time = 20s;
constexpr std::size_t largest_head = 8 << 10;
constexpr std::size_t largest_body = 16 << 10;  // a batch of 256 has half of it

using Plain = beast::tcp_stream;
using Tls = asio::ssl::stream<beast::tcp_stream>;
using Request = http::request<http::string_body>;

// A connection's places among the others.
class Places {
 public:
  Places(IssuerRoom& room, std::function<void()> close) : room_(room), close_(std::move(close)) {
    stranger_ = room_.strangers.admit(close_);
    ++room_.desk->counts().connections;
  }
  ~Places() {
    --room_.desk->counts().connections;
    leave();
  }
  Places(const Places&) = delete;

  // From now on it is a client's.
  void move_to(const std::string& client) {
    if (client == client_) return;
    leave();
    client_ = client;
    among_clients_ = room_.clients.admit(close_);
    auto& others = room_.of_one.try_emplace(client, IssuerRoom::most_of_one).first->second;
    of_one_ = others.admit(close_);
  }

 private:
  void leave() {
    if (client_.empty()) return room_.strangers.leave(stranger_);
    room_.clients.leave(among_clients_);
    const auto others = room_.of_one.find(client_);
    others->second.leave(of_one_);
    if (others->second.size() == 0) room_.of_one.erase(others);
  }

  IssuerRoom& room_;
  std::function<void()> close_;
  std::string client_;  // empty: a stranger
  Crowd::Place stranger_, among_clients_, of_one_;
};

template <class Stream>
class Session : public std::enable_shared_from_this<Session<Stream>> {
 public:
  template <class... Args>
  Session(std::shared_ptr<IssuerRoom> room, std::shared_ptr<const IssuerTerms> terms,
          std::string address, Args&&... stream)
      : room_(std::move(room)),
        terms_(std::move(terms)),
        address_(std::move(address)),
        stream_(std::forward<Args>(stream)...),
        wake_(stream_.get_executor()) {}

  asio::awaitable<void> run();

 private:
  beast::tcp_stream& lowest() { return beast::get_lowest_layer(stream_); }
  asio::awaitable<bool> handshake();
  asio::awaitable<std::optional<Request>> read();
  asio::awaitable<IssuerAnswer> respond(const Request& request, Places& places);
  asio::awaitable<bool> write(const IssuerAnswer& answer, bool head, bool keep_alive);
  asio::awaitable<void> say_goodbye();

  Credentials credentials(const Request& request);
  void look_at_certificate();
  void log_refusal(const IssuerAnswer& answer);

  std::shared_ptr<IssuerRoom> room_;
  std::shared_ptr<const IssuerTerms> terms_;
  std::string address_;
  Stream stream_;
  // of this size at most: nothing else ends a chunk's head that goes on for ever
  beast::flat_buffer buffer_{largest_head + largest_body};
  asio::steady_timer wake_;
  std::string certificate_, distrust_;  // as Credentials
  CertificateLook look_;
};

template <class Stream>
asio::awaitable<void> Session<Stream>::run() {
  Places places(*room_, [this] {
    lowest().close();
    wake_.cancel();
  });
  if (!co_await handshake()) co_return;
  for (bool alive = true; alive && !room_->closed;) {
    const auto request = co_await read();
    if (!request) break;
    const auto answer = co_await respond(*request, places);
    const bool head = request->method() == http::verb::head;
    alive = co_await write(answer, head, request->keep_alive()) && request->keep_alive();
  }
  co_await say_goodbye();
}

template <class Stream>
asio::awaitable<bool> Session<Stream>::handshake() {
  if constexpr (std::is_same_v<Stream, Tls>) {
    // Whether the certificate is worth anything is said to each request.
    stream_.set_verify_callback([](bool, asio::ssl::verify_context&) { return true; });
    lowest().expires_after(handshake_time);
    const auto [error] =
        co_await stream_.async_handshake(asio::ssl::stream_base::server, as_result);
    if (error) {
      spdlog::debug("{} left an issuer's handshake: {}", address_, error.message());
      co_return false;
    }
  }
  co_return true;
}

template <class Stream>
asio::awaitable<std::optional<Request>> Session<Stream>::read() {
  http::request_parser<http::string_body> parser;
  parser.header_limit(largest_head);
  parser.body_limit(largest_body);
  lowest().expires_after(request_time);
  const auto [error, size] = co_await http::async_read(stream_, buffer_, parser, as_result);
  if (!error) co_return parser.release();
  if (error == http::error::body_limit || error == http::error::buffer_overflow) {
    co_await write(issuer_refusal(413, "a body has at most 16 KiB"), false, false);
  } else if (error == http::error::header_limit) {
    co_await write(issuer_refusal(431, "a head has at most 8 KiB"), false, false);
  } else if (error.category() == http::make_error_code(http::error::end_of_stream).category() &&
             error != http::error::end_of_stream && error != http::error::partial_message) {
    co_await write(issuer_refusal(400, "not HTTP: " + error.message()), false, false);
  }
  co_return std::nullopt;
}

std::string_view text_of(beast::string_view text) { return {text.data(), text.size()}; }

// Views into the request.
issuer::Asked asked_of(const Request& request) {
  issuer::Asked asked;
  asked.method = text_of(request.method_string());
  asked.target = text_of(request.target());
  asked.content_type = text_of(request[http::field::content_type]);
  asked.authorization = text_of(request[http::field::authorization]);
  asked.if_none_match = text_of(request[http::field::if_none_match]);
  asked.body = request.body();
  if (request.count(http::field::content_type) > 1) asked.twice = "Content-Type";
  if (request.count(http::field::authorization) > 1) asked.twice = "Authorization";
  return asked;
}

template <class Stream>
asio::awaitable<IssuerAnswer> Session<Stream>::respond(const Request& request, Places& places) {
  const auto asked = asked_of(request);
  const auto now = room_->clock.now();
  const auto call = room_->desk->ask(asked, credentials(request), now, [this] { wake_.cancel(); });
  // On an open issuer everybody is the same client: there they stay strangers.
  if (!call->client.empty() && call->client != "open") places.move_to(call->client);
  if (!call->answer) {
    wake_.expires_after(keeper_time);
    co_await wake_.async_wait(as_result);
  }
  auto answer = call->answer ? *std::move(call->answer) : room_->desk->give_up(*call);
  if (answer.status >= 400) log_refusal(answer);
  co_return answer;
}

template <class Stream>
asio::awaitable<bool> Session<Stream>::write(const IssuerAnswer& answer, bool head,
                                             bool keep_alive) {
  using Body = http::span_body<const char>;
  http::response<Body> response{static_cast<http::status>(answer.status), 11};
  response.set(http::field::server, "keyd");
  response.set("X-Content-Type-Options", "nosniff");
  for (const auto& [name, value] : answer.fields) response.set(name, value);
  if (answer.body) {
    response.set(http::field::content_type, answer.type);
    response.body() = beast::span<const char>(answer.body->data(), answer.body->size());
  }
  response.keep_alive(keep_alive);
  response.prepare_payload();
  room_->desk->counts().answered(answer.status);
  lowest().expires_after(answer_time);
  http::response_serializer<Body> serializer(response);
  if (head) {
    const auto [error, size] = co_await http::async_write_header(stream_, serializer, as_result);
    co_return !error;
  }
  const auto [error, size] = co_await http::async_write(stream_, serializer, as_result);
  co_return !error;
}

template <class Stream>
asio::awaitable<void> Session<Stream>::say_goodbye() {
  lowest().expires_after(goodbye_time);
  if constexpr (std::is_same_v<Stream, Tls>) {
    co_await stream_.async_shutdown(as_result);
  } else {
    boost::system::error_code ignored;
    stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
  }
}

template <class Stream>
Credentials Session<Stream>::credentials(const Request& request) {
  look_at_certificate();
  const auto field = text_of(request[http::field::authorization]);
  const auto bearer = issuer::bearer_of(field);
  return {certificate_, distrust_, bearer, bearer.empty() && !field.empty()};
}

template <class Stream>
void Session<Stream>::look_at_certificate() {
  if constexpr (std::is_same_v<Stream, Tls>) {
    const auto now = room_->clock.now();
    if (!look_.due(now.steady, terms_ != room_->terms)) return;
    terms_ = room_->terms;
    const auto chain = peer_chain(stream_.native_handle());
    if (chain.empty()) return;
    certificate_ = ticket::crypto::tbs_hash(chain.front().get());
    distrust_ =
        ticket::crypto::chain_problem(chain, terms_->attest_ca, false, now.latest).value_or("");
  }
}

template <class Stream>
void Session<Stream>::log_refusal(const IssuerAnswer& answer) {
  log_refused(room_->clock.now().steady,
              {.pool = room_->desk->pool(),
               .address = address_,
               .reason = "issuer " + std::to_string(answer.status)},
              address_ + " refused by the issuer of " + room_->desk->pool() + ": " +
                  std::to_string(answer.status) + ", " + answer.error);
}

template <class Stream>
void spawn(std::shared_ptr<Session<Stream>> session, const asio::any_io_executor& executor) {
  asio::co_spawn(
      executor, [session]() -> asio::awaitable<void> { co_await session->run(); },
      [session](const std::exception_ptr& problem) {
        try {
          if (problem) std::rethrow_exception(problem);
        } catch (const std::exception& failure) {
          spdlog::error("a connection to an issuer ended by {}", failure.what());
        }
      });
}

}  // namespace

void start_issuer_session(std::shared_ptr<IssuerRoom> room, tcp::socket socket) {
  const auto executor = socket.get_executor();
  const auto terms = room->terms;
  auto address = text_of_peer(socket);
  if (terms->tls) {
    spawn(std::make_shared<Session<Tls>>(std::move(room), terms, std::move(address),
                                         std::move(socket), *terms->tls),
          executor);
  } else {
    spawn(std::make_shared<Session<Plain>>(std::move(room), terms, std::move(address),
                                           std::move(socket)),
          executor);
  }
}

}  // namespace keyd
