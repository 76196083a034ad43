#include "talk_listener.hpp"

#include <netinet/tcp.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/write.hpp>
#include <cerrno>
#include <cstring>

#include "socket_file.hpp"

namespace keyd {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using std::chrono::steady_clock;

namespace {

constexpr auto record_time = 5s;   // for a record to end
constexpr auto answer_time = 10s;  // until what was said is read
constexpr auto idle_time = 1s;     // then a connection may go to make room for another one
constexpr int mode = 0660;

[[noreturn]] void fail(const Endpoint& at, const std::string& why) {
  throw std::runtime_error("cannot listen on " + at.text() + ": " + why);
}

using Endpoints = std::vector<Door::Protocol::endpoint>;

Endpoints resolved(asio::io_context& context, const Endpoint& at) {
  if (!at.path.empty()) return {asio::local::stream_protocol::endpoint(at.path.string())};
  asio::ip::tcp::resolver resolver(context);
  boost::system::error_code error;
  const auto found =
      resolver.resolve(at.address.host, at.address.port, asio::ip::tcp::resolver::passive, error);
  if (error) fail(at, error.message());
  return {found.begin()->endpoint()};
}

}  // namespace

// ---- the listening socket

Door::Door(asio::io_context& context, const Endpoint& at, int group) : at_(at), acceptor_(context) {
  const bool is_file = !at.path.empty();
  if (is_file && std::filesystem::is_socket(at.path)) {
    if (somebody_listens(at.path)) fail(at, "somebody else listens there");
    ::unlink(at.path.c_str());
  }
  const auto endpoint = resolved(context, at).front();
  boost::system::error_code error;
  acceptor_.open(endpoint.protocol(), error);
  if (!error && !is_file) {
    acceptor_.set_option(asio::socket_base::reuse_address(true), error);
  }
  // Nobody may connect before the mode and the group are set: bound, it does not listen yet.
  if (!error) acceptor_.bind(endpoint, error);
  if (error) fail(at, error.message());
  if (is_file) {
    file_ = number_of_file(at.path);
    give(group);
    if (::chmod(at.path.c_str(), mode) != 0) fail(at, std::strerror(errno));
  }
  acceptor_.listen(asio::socket_base::max_listen_connections, error);
  if (error) fail(at, error.message());
}

void Door::give(int group) {
  if (at_.path.empty() || group < 0) return;
  const auto gid = static_cast<gid_t>(group);
  if (::chown(at_.path.c_str(), static_cast<uid_t>(-1), gid) != 0) fail(at_, std::strerror(errno));
}

Door::~Door() {
  if (!at_.path.empty() && number_of_file(at_.path) == file_) ::unlink(at_.path.c_str());
}

// ---- a connection

class TalkListener::Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(std::weak_ptr<TalkListener> listener, Door::Socket socket, std::shared_ptr<Talk> talk)
      : listener_(std::move(listener)),
        socket_(std::move(socket)),
        talk_(std::move(talk)),
        active_(steady_clock::now()) {}

  void start() {
    talk_->on_answer([weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->go_on();
    });
    go_on();
  }

  void close() {
    if (std::exchange(closed_, true)) return;
    talk_->hang_up();
    boost::system::error_code ignored;
    socket_.close(ignored);
    if (const auto listener = listener_.lock()) listener->gone(this);
  }

  bool overdue(steady_clock::time_point now) {
    if (!talk_->midway() || talk_->handled() != handled_) {
      handled_ = talk_->handled();
      midway_since_ = now;
    }
    return (writing_ && now - write_began_ > answer_time) || now - midway_since_ > record_time;
  }
  // Since when nothing is under way; the future when something is.
  steady_clock::time_point idle_since() const {
    const bool idle = talk_->idle() && !writing_;
    return idle ? active_ : steady_clock::time_point::max();
  }

 private:
  // Whatever can be done now: an answer to send, more to read.
  void go_on() {
    if (closed_) return;
    write();
    read();
  }

  void read() {
    if (reading_ || closed_ || ended_ || !talk_->wants()) return;
    reading_ = true;
    socket_.async_read_some(
        asio::buffer(bytes_),
        [self = shared_from_this()](const boost::system::error_code& error, std::size_t size) {
          self->reading_ = false;
          self->came(error, size);
        });
  }

  void came(const boost::system::error_code& error, std::size_t size) {
    if (closed_) return;
    active_ = steady_clock::now();
    if (error == asio::error::eof) {
      ended_ = true;  // what it asked is answered all the same
    } else if (error) {
      return close();
    }
    try {
      talk_->take(ticket::BytesView(bytes_).first(size));
    } catch (const std::exception& problem) {  // no memory, say: this one goes
      spdlog::error("a connection ends: {}", problem.what());
      return close();
    }
    go_on();
  }

  void write() {
    if (writing_ || closed_) return;
    sent_ = talk_->take_output();
    if (sent_.empty()) {
      if (talk_->over() || (ended_ && !talk_->busy())) close();
      return;
    }
    writing_ = true;
    write_began_ = steady_clock::now();
    asio::async_write(
        socket_, asio::buffer(sent_),
        [self = shared_from_this()](const boost::system::error_code& error, std::size_t) {
          self->writing_ = false;
          if (error) return self->close();
          self->active_ = steady_clock::now();
          self->go_on();
        });
  }

  std::weak_ptr<TalkListener> listener_;
  Door::Socket socket_;
  std::shared_ptr<Talk> talk_;
  std::array<std::byte, 16 << 10> bytes_;
  ticket::Bytes sent_;
  steady_clock::time_point active_, midway_since_ = active_, write_began_;
  std::uint64_t handled_ = 0;
  bool reading_ = false, writing_ = false, closed_ = false, ended_ = false;
};

// ---- all of them

TalkListener::TalkListener(std::shared_ptr<Door> door, Make make)
    : door_(std::move(door)), make_(std::move(make)) {}

void TalkListener::start() {
  started_ = true;
  accept();
}

void TalkListener::stop() {
  if (!std::exchange(started_, false)) return;
  boost::system::error_code ignored;
  door_->acceptor().cancel(ignored);
  for (const auto& connection : Connections(connections_)) connection->close();
}

// One at a time; at the most connections the next ones wait in the kernel.
void TalkListener::accept() {
  if (!started_ || accepting_) return;
  accepting_ = true;
  if (!make_room()) {
    accepting_ = false;
    return;
  }
  door_->acceptor().async_accept(
      [self = shared_from_this()](const boost::system::error_code& error, Door::Socket socket) {
        self->accepting_ = false;
        if (!self->started_) return;
        if (!error) {
          self->admit(std::move(socket));
          return self->accept();
        }
        // no descriptor is left, say: tick() tries again
        spdlog::warn("a connection to {} could not be accepted: {}", self->door_->at().text(),
                     error.message());
      });
}

void TalkListener::admit(Door::Socket socket) {
  if (door_->at().path.empty()) {
    boost::system::error_code ignored;
    socket.set_option(asio::ip::tcp::no_delay(true), ignored);
  }
  auto connection = std::make_shared<Connection>(weak_from_this(), std::move(socket), make_());
  connections_.push_back(connection);
  connection->start();
}

// The one that has been idle for longest goes; when all are at work nobody does.
bool TalkListener::make_room() {
  if (connections_.size() < most_connections) return true;
  const auto longest = *std::ranges::min_element(
      connections_, {}, [](const auto& connection) { return connection->idle_since(); });
  const auto now = steady_clock::now();
  if (longest->idle_since() > now - idle_time) return false;
  longest->close();
  return true;
}

void TalkListener::gone(const Connection* connection) {
  connections_.remove_if([connection](const auto& other) { return other.get() == connection; });
  accept();
}

void TalkListener::tick() {
  const auto now = steady_clock::now();
  for (const auto& connection : Connections(connections_)) {
    if (connection->overdue(now)) connection->close();
  }
  accept();
}

}  // namespace keyd
