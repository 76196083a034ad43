#include "issuer_listener.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "issuer_room.hpp"
#include "issuer_session.hpp"
#include "listening.hpp"
#include "tls_context.hpp"
#include "token/directory.hpp"

namespace keyd {

namespace asio = boost::asio;
using asio::ip::tcp;
using namespace std::chrono_literals;
constexpr auto as_result = asio::as_tuple(asio::use_awaitable);

namespace {

asio::awaitable<void> accept(std::shared_ptr<IssuerRoom> room) {
  while (!room->closed) {
    auto [error, socket] = co_await room->acceptor.async_accept(as_result);
    if (room->closed) co_return;
    if (!error) {
      try {
        start_issuer_session(room, std::move(socket));
        continue;
      } catch (const std::exception& problem) {  // no memory: it passes
        spdlog::warn("a connection to an issuer could not be served: {}", problem.what());
      }
    } else {
      spdlog::warn("a connection to an issuer could not be accepted: {}", error.message());
    }
    room->pause.expires_after(100ms);  // no descriptor is free: it would fail again at once
    co_await room->pause.async_wait(as_result);
  }
}

// Connections end after the answer that they are at.
void close(IssuerRoom& room) {
  room.closed = true;
  boost::system::error_code ignored;
  room.acceptor.close(ignored);
  room.pause.cancel();
}

std::shared_ptr<const IssuerTerms> terms_of(const IssuerSetup& setup, const Attestation& by) {
  auto terms = std::make_shared<IssuerTerms>();
  terms->attest_ca = setup.attest_ca;
  if (!setup.certificate.empty()) {
    terms->tls = make_issuer_tls_context(setup.certificate, setup.key,
                                         by.wants_certificate() ? setup.attest_ca : "");
  }
  return terms;
}

// The keeper has seen to it; but a name may have come to mean another address.
void refuse_beyond_loopback(const IssuerSetup& setup, const tcp::acceptor& acceptor) {
  const bool open = std::ranges::count(setup.attest, "open") > 0;
  if ((!open && !setup.certificate.empty()) || acceptor.local_endpoint().address().is_loopback()) {
    return;
  }
  throw std::runtime_error(
      "the issuer of " + setup.pool + " would listen on " + text_of(acceptor.local_endpoint()) +
      (open ? ": open is for loopback only" : ": without TLS on loopback only"));
}

}  // namespace

IssuerListeners::~IssuerListeners() { stop(); }

IssuerListeners::Prepared::One IssuerListeners::prepare_one(const IssuerSetup& setup) {
  const Attestation attestation(setup);
  Prepared::One one{setup, terms_of(setup, attestation), nullptr};
  const auto known = open_.find(setup.pool);
  if (known != open_.end() && known->second.setup.listen == setup.listen) {
    refuse_beyond_loopback(setup, known->second.room->acceptor);
    return one;
  }
  auto acceptor = listen_at(context_, setup.listen);
  refuse_beyond_loopback(setup, acceptor);
  auto desk = known != open_.end() ? known->second.room->desk
                                   : std::make_shared<IssuerDesk>(setup, *upstream_, keeper_,
                                                                  counts_.issuer(setup.pool));
  one.room = std::make_shared<IssuerRoom>(std::move(acceptor), std::move(desk), one.terms, clock_);
  return one;
}

IssuerListeners::Prepared IssuerListeners::prepare(const std::vector<IssuerSetup>& issuers) {
  Prepared prepared;
  for (const auto& setup : issuers) prepared.issuers.push_back(prepare_one(setup));
  return prepared;
}

void IssuerListeners::adopt(Prepared prepared) {
  auto before = std::exchange(open_, {});
  for (auto& one : prepared.issuers) {
    const auto pool = one.setup.pool;
    const auto known = before.find(pool);
    const bool opened = one.room != nullptr;
    auto room = opened ? std::move(one.room) : known->second.room;
    room->desk->configure(one.setup);
    room->terms = one.terms;
    if (opened) {
      asio::co_spawn(context_, accept(room), asio::detached);
      spdlog::info("issuer of {}: {}://{}{}", pool, one.terms->tls ? "https" : "http",
                   text_of(room->acceptor.local_endpoint()), ticket::token::directory_path);
    } else {
      before.erase(known);
    }
    open_[pool] = {std::move(one.setup), std::move(room)};
  }
  for (auto& [pool, gone] : before) close(*gone.room);
}

void IssuerListeners::move_time(ticket::seconds shift) {
  for (auto& [pool, open] : open_) open.room->desk->move_time(shift);
}

void IssuerListeners::stop() {
  for (auto& [pool, open] : open_) close(*open.room);
}

std::string IssuerListeners::endpoint(const std::string& pool) const {
  const auto open = open_.find(pool);
  return open == open_.end() ? "" : text_of(open->second.room->acceptor.local_endpoint());
}

std::vector<std::string> IssuerListeners::pools() const {
  std::vector<std::string> names;
  for (const auto& [pool, open] : open_) names.push_back(pool);
  return names;
}

}  // namespace keyd
