#include "status_listener.hpp"

#include <spdlog/spdlog.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <list>

#include "exposition.hpp"
#include "listening.hpp"

namespace keyd {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using namespace std::chrono_literals;
constexpr auto as_result = asio::as_tuple(asio::use_awaitable);

namespace {

constexpr std::size_t most_connections = 64;  // the oldest is closed for one more
constexpr std::uint32_t largest_head = 4 << 10;
constexpr auto request_time = 5s;
constexpr auto answer_time = 10s;
constexpr auto manifest_path = "/v1/client-manifest";
constexpr auto page_time = 500ms;  // how long a page that was made is good for

using Response = http::response<http::string_body>;

// A page, and when it was made.
struct Kept {
  std::string text;
  std::chrono::steady_clock::time_point made{};
  bool any = false;
};

Response plain(http::status status, std::string text) {
  Response response(status, 11);
  response.set(http::field::content_type, "text/plain; charset=utf-8");
  response.body() = std::move(text);
  return response;
}

}  // namespace

struct StatusListener::Room : std::enable_shared_from_this<Room> {
  using Connections = std::list<beast::tcp_stream>;

  Room(asio::io_context& context, tcp::acceptor listening, Pages made_by)
      : acceptor(std::move(listening)), pages(std::move(made_by)), pause(context) {}

  asio::awaitable<void> accept(std::shared_ptr<Room> self);
  asio::awaitable<void> serve(std::shared_ptr<Room> self, Connections::iterator stream);
  void admit(tcp::socket socket);
  void close();
  Response respond(const http::request<http::empty_body>& request);
  const std::string& page(Kept& kept, const std::function<std::string()>& make) const;

  tcp::acceptor acceptor;
  Pages pages;
  asio::steady_timer pause;
  Connections connections;  // oldest first
  Kept metrics, status, manifest;
  bool closed = false;
};

asio::awaitable<void> StatusListener::Room::accept(std::shared_ptr<Room> self) {
  while (!self->closed) {
    auto [error, socket] = co_await acceptor.async_accept(as_result);
    if (closed) co_return;
    if (!error) {
      admit(std::move(socket));
      continue;
    }
    spdlog::warn("a connection to the metrics could not be accepted: {}", error.message());
    pause.expires_after(100ms);
    co_await pause.async_wait(as_result);
  }
}

void StatusListener::Room::admit(tcp::socket socket) {
  if (connections.size() >= most_connections) {
    for (auto& stream : connections) {
      if (!stream.socket().is_open()) continue;  // its coroutine has not ended yet
      stream.close();
      break;
    }
  }
  const auto executor = socket.get_executor();
  const auto stream = connections.emplace(connections.end(), std::move(socket));
  asio::co_spawn(executor, serve(shared_from_this(), stream), asio::detached);
}

asio::awaitable<void> StatusListener::Room::serve(std::shared_ptr<Room> self,
                                                  Connections::iterator stream) {
  beast::flat_buffer buffer{2 * largest_head};
  http::request_parser<http::empty_body> parser;
  parser.header_limit(largest_head);
  parser.body_limit(0);
  stream->expires_after(request_time);
  const auto [error, size] = co_await http::async_read(*stream, buffer, parser, as_result);
  const bool http_error = error && error != http::error::end_of_stream &&
                          error != http::error::partial_message &&
                          error.category() == http::make_error_code(http::error{}).category();
  if (!self->closed && (!error || http_error)) {
    auto response = error ? plain(http::status::bad_request, "not a request for here\n")
                          : self->respond(parser.get());
    const bool head = !error && parser.get().method() == http::verb::head;
    response.set(http::field::server, "keyd");
    response.set(http::field::cache_control, "no-store");
    response.set("X-Content-Type-Options", "nosniff");
    response.set("Content-Security-Policy",
                 "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'");
    response.keep_alive(false);
    response.prepare_payload();
    if (head) response.body().clear();
    stream->expires_after(answer_time);
    http::response_serializer<http::string_body> serializer(response);
    if (head) {
      co_await http::async_write_header(*stream, serializer, as_result);
    } else {
      co_await http::async_write(*stream, serializer, as_result);
    }
    boost::system::error_code ignored;
    stream->socket().shutdown(tcp::socket::shutdown_both, ignored);
  }
  self->connections.erase(stream);
}

Response StatusListener::Room::respond(const http::request<http::empty_body>& request) {
  if (request.method() != http::verb::get && request.method() != http::verb::head) {
    auto response = plain(http::status::method_not_allowed, "GET and HEAD only\n");
    response.set(http::field::allow, "GET, HEAD");
    return response;
  }
  const std::string target(request.target());
  const auto path = target.substr(0, target.find('?'));
  try {
    if (path == "/metrics") {
      auto response = plain(http::status::ok, page(metrics, pages.metrics));
      response.set(http::field::content_type, exposition_type);
      return response;
    }
    if (path == "/") {
      auto response = plain(http::status::ok, page(status, pages.status));
      response.set(http::field::content_type, "text/html; charset=utf-8");
      return response;
    }
    if (path == manifest_path && pages.manifest) {
      auto response = plain(http::status::ok, page(manifest, pages.manifest));
      response.set(http::field::content_type, "application/json");
      return response;
    }
  } catch (const std::exception& problem) {
    spdlog::error("{} could not be made: {}", path, problem.what());
    return plain(http::status::internal_server_error, "not now; the log says why\n");
  }
  return plain(http::status::not_found, pages.manifest ? "there are /, /metrics and "
                                                         "/v1/client-manifest\n"
                                                       : "there are / and /metrics\n");
}

const std::string& StatusListener::Room::page(Kept& kept,
                                              const std::function<std::string()>& make) const {
  const auto now = std::chrono::steady_clock::now();
  if (!kept.any || now - kept.made > page_time) kept = {make(), now, true};
  return kept.text;
}

void StatusListener::Room::close() {
  closed = true;
  boost::system::error_code ignored;
  acceptor.close(ignored);
  pause.cancel();
  for (auto& stream : connections) stream.close();
}

StatusListener::StatusListener(asio::io_context& context, const Address& address, Pages pages)
    : room_(std::make_shared<Room>(context, listen_at(context, address), std::move(pages))) {
  asio::co_spawn(context, room_->accept(room_), asio::detached);
}

StatusListener::~StatusListener() {
  if (room_) room_->close();
}

StatusListener::StatusListener(StatusListener&&) noexcept = default;

StatusListener& StatusListener::operator=(StatusListener&& other) noexcept {
  if (room_) room_->close();
  room_ = std::move(other.room_);
  return *this;
}

std::string StatusListener::endpoint() const { return text_of(room_->acceptor.local_endpoint()); }

// ---- a configuration that is read again

MetricsDoor::Prepared MetricsDoor::prepare(const std::optional<Address>& address) {
  Prepared prepared{address, std::nullopt};
  if (address && address != address_) prepared.listener.emplace(context_, *address, pages_);
  return prepared;
}

void MetricsDoor::adopt(Prepared prepared) {
  if (prepared.address == address_) return;
  address_ = std::move(prepared.address);
  listener_.reset();
  if (!prepared.listener) return;
  listener_ = std::move(prepared.listener);
  spdlog::info("metrics: http://{}/metrics", listener_->endpoint());
}

}  // namespace keyd
