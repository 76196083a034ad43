#include "token_office.hpp"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "claim_talk.hpp"
#include "log.hpp"
#include "redeem_talk.hpp"
#include "redis_link.hpp"
#include "spop_talk.hpp"

namespace keyd {

namespace asio = boost::asio;
using std::chrono::steady_clock;
using ticket::replay::Doubt;
using ticket::replay::Verdict;

namespace {

class RecordInRedis final : public SharedRecord {
 public:
  RecordInRedis(asio::io_context& context, const AgentTokens& config, RedisLink::Log log)
      : address_(config.redis->text()),
        claimer_(context, address_,
                 {.timeout = config.redis_timeout, .durable = config.redis_durable},
                 std::move(log)) {}

  void claim(const ticket::replay::RedisEpoch& epoch, const ticket::replay::Location& location,
             const ticket::replay::ClaimId& id, Done done) override {
    claimer_.claim(
        epoch, location, id,
        [this, asked = steady_clock::now(), done = std::move(done)](Verdict verdict, Doubt doubt) {
          ++doubts_[static_cast<std::size_t>(doubt)];
          if (verdict != Verdict::unknown) {
            ++answers_;
            waited_ += steady_clock::now() - asked;
          }
          done(verdict);
        });
  }

  RedisSight sight() const override {
    RedisSight sight;
    sight.address = address_;
    sight.ready = claimer_.ready();
    sight.trouble = sight.ready ? "" : claimer_.why();
    sight.answers = answers_;
    sight.waited = std::chrono::duration_cast<std::chrono::microseconds>(waited_);
    sight.doubts = doubts_;
    return sight;
  }

 private:
  std::string address_;
  std::uint64_t answers_ = 0;
  steady_clock::duration waited_{0};
  std::array<std::uint64_t, ticket::replay::doubts> doubts_{};
  RedisClaimer claimer_;  // last: it goes first, and its last answers are counted
};

// A section whose group was forgotten at first: its tables stand for days, and whoever
// redeems must be let at them.
void give_tables(const std::filesystem::path& folder, int group) {
  std::error_code error;
  if (group < 0 || !std::filesystem::is_directory(folder, error)) return;
  const auto give = [group](const std::filesystem::path& path) {
    if (::lchown(path.c_str(), static_cast<uid_t>(-1), static_cast<gid_t>(group)) != 0) {
      throw std::system_error(errno, std::generic_category(), "set the group of " + path.string());
    }
  };
  give(folder);
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".spent") give(entry.path());
  }
}

TokenService::Log log_of(const std::string& pool) {
  return [pool](auto level, const std::string& text) { log_event(level, {.pool = pool}, text); };
}

std::unique_ptr<SharedRecord> record_of(asio::io_context& context, const AgentTokens& config) {
  if (!config.redis) return nullptr;
  return std::make_unique<RecordInRedis>(context, config,
                                         [pool = config.pool](auto level, const std::string& text) {
                                           log_event(level, {.pool = pool}, pool + ": " + text);
                                         });
}

}  // namespace

TokenOffice::TokenOffice(asio::io_context& context, const ticket::Clock& clock, AgentTokens config,
                         int group, std::shared_ptr<ticket::ring::RingWriter> ring,
                         const OpenDoors& doors)
    : config_(std::move(config)), ring_(std::move(ring)) {
  give_tables(config_.tables, group);
  service_ =
      std::make_unique<TokenService>(TokenService::Settings{.pool = config_.pool,
                                                            .tables = config_.tables,
                                                            .group = group,
                                                            .shared = record_of(context, config_),
                                                            .log = log_of(config_.pool)},
                                     clock);
  auto* desk = service_.get();  // the talks end before it
  listen(context, {config_.claims, {}}, group, doors,
         [desk] { return std::make_shared<ClaimTalk>(*desk); });
  if (config_.spop) {
    listen(context, *config_.spop, group, doors,
           [desk] { return std::make_shared<SpopTalk>(*desk); });
  }
  if (config_.http) {
    listen(context, *config_.http, group, doors,
           [desk] { return std::make_shared<RedeemTalk>(*desk); });
  }
}

void TokenOffice::listen(asio::io_context& context, const Endpoint& at, int group,
                         const OpenDoors& doors, TalkListener::Make make) {
  const auto open = doors.find(at.text());
  auto door = open != doors.end() ? open->second : std::make_shared<Door>(context, at, group);
  if (open != doors.end()) door->give(group);
  listeners_.push_back(std::make_shared<TalkListener>(std::move(door), std::move(make)));
}

// The tables first: who asks gets an answer at once.
void TokenOffice::start() {
  if (std::exchange(started_, true)) return;
  tick();
  for (const auto& listener : listeners_) listener->start();
}

void TokenOffice::stop() {
  for (const auto& listener : listeners_) listener->stop();
}

void TokenOffice::tick() {
  try {
    // the secrets stand in the ring file alone; here they are read for a moment
    const auto ring = ring_->current();
    service_->follow(ring ? &*ring : nullptr);
  } catch (const std::exception& error) {  // no memory, say: the other pools go on
    spdlog::error("{}: tokens: {}", config_.pool, error.what());
  }
  for (const auto& listener : listeners_) listener->tick();
}

TokenSight TokenOffice::sight() const { return service_->sight(); }

OpenDoors TokenOffice::doors() const {
  OpenDoors doors;
  for (const auto& listener : listeners_) {
    doors.emplace(listener->door()->at().text(), listener->door());
  }
  return doors;
}

}  // namespace keyd
