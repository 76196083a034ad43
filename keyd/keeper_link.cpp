#include "keeper_link.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "crypto/digest.hpp"

namespace keyd {

namespace asio = boost::asio;
constexpr auto as_result = asio::as_tuple(asio::use_awaitable);

namespace {

// Whoever asked is told, once.
template <class Waiting, class Answer>
void settle(Waiting& waiting, const Answer& answer) {
  const auto found = waiting.find(answer.id);
  if (found == waiting.end()) return;
  const auto done = std::move(found->second);
  waiting.erase(found);
  done(answer);
}

}  // namespace

KeeperLink::KeeperLink(asio::io_context& context, int socket, Events events)
    : socket_(context, asio::local::stream_protocol(), socket), events_(std::move(events)) {
  asio::co_spawn(context, read(), asio::detached);
}

const ShelfPool* KeeperLink::pool(const std::string& name) const {
  const auto found = shelf_.find(name);
  return found == shelf_.end() ? nullptr : &found->second;
}

void KeeperLink::enrol(Enrol request, std::function<void(const Enrolled&)> done) {
  request.id = ++last_id_;
  enrolling_.emplace(request.id, std::move(done));
  send(request);
}

void KeeperLink::seen(SeenList members) { send(members); }

const ShelfDirectory* KeeperLink::directory(const std::string& pool) const {
  const auto found = directories_.find(pool);
  return found == directories_.end() ? nullptr : &found->second;
}

void KeeperLink::issue(Issue request, std::function<void(const Issued&)> done) {
  request.id = ++last_id_;
  issuing_.emplace(request.id, std::move(done));
  send(request);
}

void KeeperLink::sentinel_made(SentinelMade answer) { send(answer); }

void KeeperLink::record_lost(RecordLost loss) { send(loss); }

asio::awaitable<void> KeeperLink::read() {
  std::string buffer(65536, '\0');
  std::string why = "the keeper has ended";
  try {
    for (;;) {
      const auto [error, size] = co_await socket_.async_read_some(asio::buffer(buffer), as_result);
      if (error) break;
      decoder_.feed(std::string_view(buffer).substr(0, size));
      while (const auto text = decoder_.next()) handle(parse_to_front(*text));
    }
  } catch (const std::exception& problem) {
    why = problem.what();
  }
  events_.lost(why);
}

void KeeperLink::send(const ToKeeper& message) {
  out_.push_back(frame(write_message(message), front_frame_limit));
  if (out_.size() == 1) asio::co_spawn(socket_.get_executor(), write(), asio::detached);
}

asio::awaitable<void> KeeperLink::write() {
  while (!out_.empty()) {
    const auto [error, size] =
        co_await asio::async_write(socket_, asio::buffer(out_.front()), as_result);
    if (error) co_return;  // read() sees it too, and says so
    out_.pop_front();
  }
}

void KeeperLink::handle(const ToFront& message) {
  if (std::holds_alternative<Stop>(message)) return events_.stop();
  if (const auto* ping = std::get_if<Ping>(&message)) return send(Pong{ping->number});
  if (const auto* report = std::get_if<Report>(&message)) return events_.reported(*report);
  if (const auto* setup = std::get_if<Setup>(&message)) return take(*setup);
  if (const auto* generation = std::get_if<Publish>(&message)) return take(*generation);
  if (const auto* wrap = std::get_if<AddWrap>(&message)) return take(*wrap);
  if (const auto* answer = std::get_if<Enrolled>(&message)) return take(*answer);
  if (const auto* published = std::get_if<Directory>(&message)) return take(*published);
  if (const auto* answer = std::get_if<Issued>(&message)) return take(*answer);
  if (std::holds_alternative<ClockAccepted>(message)) return events_.clock_accepted();
  events_.make_sentinel(std::get<MakeSentinel>(message));
}

void KeeperLink::take(const Setup& setup) {
  const auto answer = events_.set_up(setup);
  if (answer.error.empty()) {
    std::map<std::string, ShelfPool> shelf;
    for (const auto& pool : setup.pools) shelf[pool.name] = std::move(shelf_[pool.name]);
    shelf_ = std::move(shelf);
    std::map<std::string, ShelfDirectory> directories;
    for (const auto& issuer : setup.issuers) {
      const auto found = directories_.find(issuer.pool);
      if (found != directories_.end()) directories.insert(directories_.extract(found));
    }
    directories_ = std::move(directories);
  }
  send(answer);
}

void KeeperLink::take(const Publish& generation) {
  const auto found = shelf_.find(generation.pool);
  if (found == shelf_.end()) return;  // left the configuration meanwhile
  auto& pool = found->second;
  pool.generation = generation.generation;
  pool.bundle = std::make_shared<const std::string>(generation.bundle);
  pool.wraps.clear();
  for (const auto& wrap : generation.wraps) pool.wraps[wrap.member] = wrap;
  events_.changed(generation.pool);
}

void KeeperLink::take(const AddWrap& added) {
  const auto found = shelf_.find(added.pool);
  if (found == shelf_.end() || found->second.generation != added.generation) return;
  found->second.wraps[added.wrap.member] = added.wrap;
}

void KeeperLink::take(const Enrolled& answer) { settle(enrolling_, answer); }

void KeeperLink::take(const Issued& answer) { settle(issuing_, answer); }

void KeeperLink::take(const Directory& published) {
  if (shelf_.find(published.pool) == shelf_.end()) return;  // left the configuration meanwhile
  const auto hash = ticket::crypto::sha256(ticket::as_bytes(published.body));
  directories_[published.pool] = {std::make_shared<const std::string>(published.body),
                                  "\"" + ticket::hex(ticket::BytesView(hash).first(16)) + "\"",
                                  ticket::sys_seconds(ticket::seconds(published.changes_at))};
}

}  // namespace keyd
