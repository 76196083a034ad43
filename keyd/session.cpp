#include "session.hpp"

#include <openssl/err.h>
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

#include "api.hpp"
#include "certificate_look.hpp"
#include "front.hpp"
#include "listening.hpp"
#include "log.hpp"
#include "tls_context.hpp"

namespace keyd {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using ticket::crypto::Role;
using ticket::crypto::RoleKind;
using namespace std::chrono_literals;
constexpr auto as_result = asio::as_tuple(asio::use_awaitable);

namespace {

constexpr auto handshake_time = 10s;
constexpr auto request_time = 60s;  // until the next request is there as a whole
constexpr auto answer_time = 60s;
constexpr auto goodbye_time = 3s;
constexpr auto keeper_time = 30s;  // for an enrolment
constexpr std::size_t largest_head = 8 << 10;
constexpr std::size_t largest_body = 64 << 10;

using Request = http::request<http::string_body>;

struct Answer {
  int status = 200;
  std::shared_ptr<const std::string> body;  // nullptr: none
};

Answer answer(int status, std::string body) {
  return {status, std::make_shared<const std::string>(std::move(body))};
}

Answer refusal(int status, const std::string& text) {
  return answer(status, api::error_body(text));
}

class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(Front& front, tcp::socket socket)
      : front_(front),
        config_(front.config()),
        address_(text_of_peer(socket)),
        stream_(std::move(socket), *config_->tls),
        wake_(stream_.get_executor()) {
    ++front_.counts().open;
  }
  ~Session() { --front_.counts().open; }

  asio::awaitable<void> run();

 private:
  asio::awaitable<bool> handshake();
  asio::awaitable<std::optional<Request>> read();
  asio::awaitable<bool> write(const Answer& answer, bool keep_alive);
  asio::awaitable<void> say_goodbye();

  asio::awaitable<Answer> respond(const Request& request);
  asio::awaitable<Answer> give_bundle(api::BundleRequest request);
  Answer give_wrap(const api::WrapRequest& request);
  asio::awaitable<Answer> enrol(api::EnrolRequest request, const Request& http);
  asio::awaitable<void> wait_for_change(Seen member, std::uint64_t after, std::uint64_t wait);

  Answer refuse(RefusedRequest reason, int status, const std::string& text);
  void log_stranger(const std::string& reason, const std::string& text, std::string pool = {});
  // Why the peer may not act for the pool; without a body when it may.
  Answer refuse_stranger(const std::string& pool);
  void identify_again();

  // Among the connections of its certificate, as long as it lives.
  class Visit {
   public:
    explicit Visit(Session& session);
    ~Visit() { front_.leave(certificate_, place_); }
    Visit(const Visit&) = delete;

   private:
    Front& front_;
    std::string certificate_;
    Crowd::Place place_;
  };

  Front& front_;
  std::shared_ptr<const FrontConfig> config_;
  std::string address_;
  asio::ssl::stream<beast::tcp_stream> stream_;
  // of this size at most: nothing else ends a chunk's head that goes on for ever
  beast::flat_buffer buffer_{largest_head + largest_body};
  asio::steady_timer wake_;
  unsigned waits_ = 0;   // tells this wait's end from an earlier one's
  std::string refused_;  // why the certificate was not accepted
  Role role_;            // kind none until identified
  std::string problem_;  // why there is no role
  RefusedRequest problem_kind_ = RefusedRequest::role;
  CertificateLook look_;
};

asio::awaitable<void> Session::run() {
  if (!co_await handshake()) co_return;
  const Visit visit(*this);
  for (bool alive = true; alive;) {
    const auto request = co_await read();
    if (!request) break;
    const auto made = co_await respond(*request);
    alive = co_await write(made, request->keep_alive()) && request->keep_alive();
  }
  co_await say_goodbye();
}

Session::Visit::Visit(Session& session) : front_(session.front_) {
  auto* const leaf = SSL_get0_peer_certificate(session.stream_.native_handle());
  certificate_ = ticket::crypto::tbs_hash(leaf);
  place_ = front_.enter(certificate_, [&session] {
    session.log_stranger("many",
                         session.address_ + " closed, the oldest of too many connections of " +
                             describe(SSL_get0_peer_certificate(session.stream_.native_handle())));
    session.stream_.next_layer().close();
    session.wake_.cancel();
  });
}

asio::awaitable<bool> Session::handshake() {
  stream_.set_verify_callback([this](bool fine, asio::ssl::verify_context& context) {
    auto* const store = context.native_handle();
    if (!fine && refused_.empty()) {
      auto* const leaf = X509_STORE_CTX_get0_cert(store);
      refused_ = (leaf == nullptr ? "" : describe(leaf) + ": ") +
                 X509_verify_cert_error_string(X509_STORE_CTX_get_error(store));
    }
    return fine;
  });
  const auto stranger = front_.admit([this] { stream_.next_layer().close(); });
  stream_.next_layer().expires_after(handshake_time);
  const auto [error] = co_await stream_.async_handshake(asio::ssl::stream_base::server, as_result);
  const bool crowded = stranger->closed;
  front_.proven(stranger);
  if (!error) co_return true;
  // A certificate that is missing or not vouched for is what most are refused for.
  const bool no_certificate = ERR_GET_REASON(static_cast<unsigned long>(error.value())) ==
                              SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE;
  const auto reason = crowded                               ? RefusedConnection::crowded
                      : error == beast::error::timeout      ? RefusedConnection::timeout
                      : !refused_.empty() || no_certificate ? RefusedConnection::certificate
                      : error == asio::error::eof || error == asio::error::connection_reset
                          ? RefusedConnection::left
                          : RefusedConnection::tls;
  if (!crowded) front_.counts().refuse(reason);
  if (reason == RefusedConnection::left) {
    spdlog::debug("{} left during the handshake", address_);
  } else {
    log_stranger(to_text(reason),
                 address_ + " refused: " + (refused_.empty() ? error.message() : refused_));
  }
  co_return false;
}

void Session::log_stranger(const std::string& reason, const std::string& text, std::string pool) {
  log_refused(front_.now().steady, {.pool = std::move(pool), .address = address_, .reason = reason},
              text);
}

asio::awaitable<std::optional<Request>> Session::read() {
  http::request_parser<http::string_body> parser;
  parser.header_limit(largest_head);
  parser.body_limit(largest_body);
  stream_.next_layer().expires_after(request_time);
  const auto [error, size] = co_await http::async_read(stream_, buffer_, parser, as_result);
  if (!error) {
    ++front_.counts().requests;
    co_return parser.release();
  }
  if (error == http::error::body_limit || error == http::error::buffer_overflow) {
    co_await write(refuse(RefusedRequest::too_large, 413, "a body has at most 64 KiB"), false);
  } else if (error == http::error::header_limit) {
    co_await write(refuse(RefusedRequest::too_large, 431, "a head has at most 8 KiB"), false);
  } else if (error.category() == http::make_error_code(http::error::end_of_stream).category() &&
             error != http::error::end_of_stream && error != http::error::partial_message) {
    co_await write(refuse(RefusedRequest::not_http, 400, "not HTTP: " + error.message()), false);
  }
  co_return std::nullopt;
}

asio::awaitable<bool> Session::write(const Answer& answer, bool keep_alive) {
  using Body = http::span_body<const char>;
  http::response<Body> response{static_cast<http::status>(answer.status), 11};
  response.set(http::field::server, "keyd");
  if (answer.body) {
    response.set(http::field::content_type, "application/json");
    response.body() = beast::span<const char>(answer.body->data(), answer.body->size());
  }
  response.keep_alive(keep_alive);
  response.prepare_payload();
  stream_.next_layer().expires_after(answer_time);
  const auto [error, size] = co_await http::async_write(stream_, response, as_result);
  co_return !error;
}

asio::awaitable<void> Session::say_goodbye() {
  stream_.next_layer().expires_after(goodbye_time);
  co_await stream_.async_shutdown(as_result);
}

asio::awaitable<Answer> Session::respond(const Request& request) {
  const std::string method(request.method_string());
  const std::string target(request.target());
  const auto parsed = api::parse_request(method, target);
  if (!parsed) {
    const auto& problem = parsed.error();
    co_return refuse(
        problem.status == 400 ? RefusedRequest::bad_request : RefusedRequest::no_such_path,
        problem.status, problem.text);
  }
  if (const auto* bundle = std::get_if<api::BundleRequest>(&*parsed)) {
    co_return co_await give_bundle(*bundle);
  }
  if (const auto* wrap = std::get_if<api::WrapRequest>(&*parsed)) co_return give_wrap(*wrap);
  co_return co_await enrol(std::get<api::EnrolRequest>(*parsed), request);
}

asio::awaitable<Answer> Session::give_bundle(api::BundleRequest request) {
  if (const auto refused = refuse_stranger(request.pool); refused.body) co_return refused;
  Seen member{request.pool, role_.name, request.applied.value_or(0), address_};
  if (request.applied) front_.sighted(member);

  const auto* pool = front_.upstream().pool(request.pool);
  if (pool->generation <= request.after && request.wait > 0) {
    co_await wait_for_change(std::move(member), request.after, request.wait);
    pool = front_.upstream().pool(request.pool);  // it may have gone meanwhile
    if (pool == nullptr) co_return refuse(RefusedRequest::no_such_pool, 404, "no such pool");
  }
  if (pool->generation <= request.after) co_return Answer{204, nullptr};
  ++front_.counts().pool(request.pool).bundles_served;
  co_return Answer{200, pool->bundle};
}

// Returns when there is a newer generation, when the time is over, when the
// front stops, or when the peer says anything: then it has given up.
asio::awaitable<void> Session::wait_for_change(Seen member, std::uint64_t after,
                                               std::uint64_t wait) {
  wake_.expires_after(std::chrono::seconds(wait));
  auto& socket = stream_.next_layer().socket();
  socket.async_wait(tcp::socket::wait_read, [self = weak_from_this(), number = ++waits_](
                                                const boost::system::error_code& error) {
    const auto session = self.lock();
    if (session && !error && session->waits_ == number) session->wake_.cancel();
  });
  const auto held = front_.hold({std::move(member), after, &wake_});
  co_await wake_.async_wait(as_result);
  front_.release(held);
  ++waits_;
  socket.cancel();
}

Answer Session::give_wrap(const api::WrapRequest& request) {
  if (auto refused = refuse_stranger(request.pool); refused.body) return refused;
  // "self": a member that knows no name of its own, because a rule gave it one.
  if (request.member != role_.name && request.member != "self") {
    return refuse(RefusedRequest::others_wrap, 403, "a member asks for its own wrap only");
  }
  const auto* pool = front_.upstream().pool(request.pool);
  const auto wrap = pool->wraps.find(role_.name);
  if (wrap == pool->wraps.end()) {
    return refuse(RefusedRequest::not_enrolled, 404, role_.name + " is not enrolled");
  }
  return answer(200, api::wrap_body(pool->generation, wrap->second));
}

asio::awaitable<Answer> Session::enrol(api::EnrolRequest request, const Request& http) {
  if (const auto refused = refuse_stranger(request.pool); refused.body) co_return refused;
  auto enrolment = api::parse_enrolment(http.body());
  if (!enrolment) {
    co_return refuse(RefusedRequest::bad_request, enrolment.error().status, enrolment.error().text);
  }
  enrolment->pool = request.pool;
  enrolment->address = address_;

  // Lives as long as this waits, whatever the keeper answers later.
  const auto enrolled = std::make_shared<std::optional<Enrolled>>();
  const std::weak_ptr<std::optional<Enrolled>> waiting = enrolled;
  wake_.expires_after(keeper_time);
  front_.upstream().enrol(std::move(*enrolment), [this, waiting](const Enrolled& result) {
    const auto alive = waiting.lock();
    if (!alive) return;
    *alive = result;
    wake_.cancel();
  });
  if (!*enrolled) co_await wake_.async_wait(as_result);
  auto& counts = front_.counts().pool(request.pool);
  if (!*enrolled) {
    ++counts.unavailable;
    co_return refuse(RefusedRequest::unavailable, 503, "the keeper has not answered");
  }
  const auto& result = **enrolled;
  const bool unavailable = result.status == 503;
  ++(result.status == 200 ? counts.enrolled : unavailable ? counts.unavailable : counts.refused);
  if (result.status != 200) {
    co_return refuse(unavailable ? RefusedRequest::unavailable : RefusedRequest::enrolment,
                     result.status, result.error);
  }
  co_return answer(200, api::enrolled_body(result));
}

// ---- who the peer is

Answer Session::refuse_stranger(const std::string& pool) {
  if (front_.upstream().pool(pool) == nullptr) {
    return refuse(RefusedRequest::no_such_pool, 404, "no such pool");
  }
  identify_again();
  std::string why = problem_;
  auto reason = problem_kind_;
  if (why.empty() && role_.kind != RoleKind::member) why = "its role is not that of a member";
  if (why.empty() && role_.pool != pool) {
    why = "it is a member of the pool " + role_.pool;
    reason = RefusedRequest::other_pool;
  }
  if (why.empty()) return {};
  auto* const leaf = SSL_get0_peer_certificate(stream_.native_handle());
  log_stranger(to_text(reason),
               address_ + " refused at the pool " + pool + ": " + describe(leaf) + ": " + why,
               pool);
  return refuse(reason, 403, why);
}

Answer Session::refuse(RefusedRequest reason, int status, const std::string& text) {
  front_.counts().refuse(reason);
  return refusal(status, text);
}

void Session::identify_again() {
  const auto now = front_.now();
  if (!look_.due(now.steady, config_ != front_.config())) return;
  config_ = front_.config();
  role_ = {};
  problem_.clear();
  problem_kind_ = RefusedRequest::role;

  const auto presented = peer_chain(stream_.native_handle());
  auto role = identify(presented.front().get(), config_->rules);
  if (!role) {
    problem_ = role.error();
    return;
  }
  role_ = std::move(*role);
  // Any pool's CA lets a peer connect; only this pool's makes it a member.
  for (const auto& pool : config_->pools) {
    if (pool.name != role_.pool) continue;
    const auto problem =
        ticket::crypto::chain_problem(presented, pool.members_ca, false, now.latest);
    if (!problem) continue;
    problem_ = *problem;
    problem_kind_ = RefusedRequest::untrusted;
  }
}

}  // namespace

void start_session(Front& front, tcp::socket socket) {
  const auto executor = socket.get_executor();
  const auto session = std::make_shared<Session>(front, std::move(socket));
  asio::co_spawn(
      executor, [session]() -> asio::awaitable<void> { co_await session->run(); },
      [session](const std::exception_ptr& problem) {
        try {
          if (problem) std::rethrow_exception(problem);
        } catch (const std::exception& failure) {
          spdlog::error("a connection ended by {}", failure.what());
        }
      });
}

}  // namespace keyd
