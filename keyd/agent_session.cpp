#include "agent_session.hpp"

#include <grp.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <system_error>

#include "agent_client.hpp"
#include "agent_pool.hpp"
#include "atomic_file.hpp"
#include "config_files.hpp"
#include "log.hpp"
#include "ring/counters.hpp"

namespace keyd {

namespace asio = boost::asio;

// Carries one pool's requests. Keeps itself alive while a request is under way.
class PoolRunner : public std::enable_shared_from_this<PoolRunner> {
 public:
  // `published`: the ring has another generation now.
  PoolRunner(asio::io_context& context, const ticket::Clock& clock, std::function<void()> changed,
             std::function<void()> published, std::unique_ptr<PoolLife> life,
             std::unique_ptr<AgentClient> client)
      : context_(context),
        clock_(clock),
        changed_(std::move(changed)),
        published_(std::move(published)),
        life_(std::move(life)),
        client_(std::move(client)),
        pause_(context) {}

  void start() {
    guarded([this] { life_->start(clock_.now()); });
    asio::co_spawn(context_, run(shared_from_this()), [](const std::exception_ptr& problem) {
      if (problem) std::rethrow_exception(problem);  // a pool that nobody fetches is for systemd
    });
  }

  void stop() {
    stopped_ = true;
    pause_.cancel();
    client_->close();
  }

  void tick() {
    guarded([this] { life_->tick(clock_.now()); });
  }

  bool settled() const { return life_->has_ring() || life_->tried(); }

  // What only the runner knows of its pool.
  PoolSight look() const {
    PoolSight sight;
    sight.enrolled = life_->enrolled();
    sight.enrolments = life_->enrolments();
    sight.enrolments_refused = life_->enrolments_refused();
    sight.refusals = life_->refusals();
    sight.servers = client_->tallies();
    return sight;
  }

 private:
  // The machine's failures (a full disk, a folder gone) leave the ring and the
  // process as they are. Each is told once.
  template <class Work>
  void guarded(Work work) {
    try {
      work();
      last_failure_.clear();
    } catch (const std::exception& error) {
      if (last_failure_ != error.what()) spdlog::error("{}", error.what());
      last_failure_ = error.what();
    }
  }

  asio::awaitable<void> run(std::shared_ptr<PoolRunner> self) {
    while (!self->stopped_) {
      const auto step = life_->next(clock_.now());
      if (const auto* pause = std::get_if<Pause>(&step)) {
        co_await sleep(pause->length);
      } else {
        co_await exchange(std::get<Request>(step));
      }
    }
  }

  asio::awaitable<void> sleep(std::chrono::milliseconds length) {
    boost::system::error_code cancelled;
    pause_.expires_after(length);
    co_await pause_.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
  }

  asio::awaitable<void> exchange(const Request& request) {
    std::string failure;
    const auto before = life_->generation();
    try {
      const auto reply = co_await client_->exchange(request);
      if (!stopped_) life_->answered(reply, clock_.now());
    } catch (const std::exception& error) {
      failure = error.what();
    }
    if (stopped_) co_return;
    if (life_->generation() != before) published_();
    if (!failure.empty()) life_->failed(failure);
    if (life_->troubled()) client_->next_server();
    changed_();
  }

  asio::io_context& context_;
  const ticket::Clock& clock_;
  std::function<void()> changed_, published_;
  std::unique_ptr<PoolLife> life_;
  std::unique_ptr<AgentClient> client_;
  asio::steady_timer pause_;
  bool stopped_ = false;
  std::string last_failure_;
};

namespace {

constexpr std::size_t ca_limit = 1 << 20;

int group_number(const std::string& name) {
  if (name.empty()) return -1;
  const auto* group = ::getgrnam(name.c_str());
  if (group == nullptr) throw std::runtime_error("no such group: " + name);
  return static_cast<int>(group->gr_gid);
}

void change_group(const std::filesystem::path& path, int group) {
  if (group >= 0 && ::chown(path.c_str(), static_cast<uid_t>(-1), static_cast<gid_t>(group)) != 0) {
    throw std::system_error(errno, std::generic_category(), "set the group of " + path.string());
  }
}

std::filesystem::path counters_of(const AgentPool& pool) {
  auto counters = pool.ring;
  return counters.replace_extension(".counters");
}

// Servers of other users look for the ring in it.
void make_ring_folder(const std::filesystem::path& folder) {
  using std::filesystem::perms;
  if (!std::filesystem::create_directories(folder)) return;
  std::filesystem::permissions(folder, perms::owner_all | perms::group_read | perms::group_exec |
                                           perms::others_read | perms::others_exec);
}

std::string read_ca(const std::filesystem::path& file) {
  auto pem = read_file(file, ca_limit);
  if (!pem) throw std::runtime_error(file.string() + ": no such file");
  if (!ticket::crypto::parse_chain(*pem)) {
    throw std::runtime_error(file.string() + ": no PEM certificates, or more than 8");
  }
  return *std::move(pem);
}

void tell_of_left(const std::filesystem::path& file, const std::string& pool) {
  log_event(spdlog::level::warn, {.pool = pool},
            file.string() + " of pool " + pool +
                " is written no more, but still holds keys: remove it once no server reads it");
}

// The files that servers without our plugin read, each with its pool.
using KeyFiles = std::vector<std::pair<std::filesystem::path, std::string>>;
KeyFiles key_files(const AgentConfig& config) {
  KeyFiles files;
  for (const auto& haproxy : config.haproxy) files.emplace_back(haproxy.file, haproxy.pool);
  for (const auto& section : config.key_files) {
    for (const auto& path : section.paths) files.emplace_back(path, section.pool);
  }
  return files;
}

}  // namespace

AgentSession::AgentSession(asio::io_context& context, const ticket::Clock& clock,
                           AgentConfig config, const AgentSession* before,
                           std::function<void()> changed)
    : config_(std::move(config)), changed_(std::move(changed)) {
  const auto inherited = before == nullptr ? OpenRings() : before->rings();
  const auto ca = read_ca(config_.ca);
  for (const auto& pool : config_.pools) {
    runners_.push_back(make_runner(context, clock, pool, ca, inherited));
  }
  RingWriters writers;
  for (const auto& [path, ring] : rings_) writers.emplace(ring.pool, ring.writer);
  open_offices(context, clock, writers, before);
  feeders_ = std::make_unique<Feeders>(context, clock, config_, std::move(writers));
}

AgentSession::~AgentSession() = default;

// A section that stands as it stood goes on with its connections, its tables and what it has
// counted; one that changed takes over the sockets that it still wants.
void AgentSession::open_offices(asio::io_context& context, const ticket::Clock& clock,
                                const RingWriters& rings, const AgentSession* before) {
  const auto earlier = before == nullptr ? TokenOffices() : before->offices_;
  OpenDoors doors;
  for (const auto& office : earlier) doors.merge(office->doors());
  for (const auto& tokens : config_.tokens) {
    const auto& ring = rings.at(tokens.pool);
    const auto same = std::ranges::find_if(
        earlier, [&](const auto& office) { return office->serves(tokens, ring.get()); });
    offices_.push_back(same != earlier.end()
                           ? *same
                           : std::make_shared<TokenOffice>(
                                 context, clock, tokens, group_number(tokens.group), ring, doors));
  }
}

std::shared_ptr<PoolRunner> AgentSession::make_runner(asio::io_context& context,
                                                      const ticket::Clock& clock,
                                                      const AgentPool& pool, const std::string& ca,
                                                      const OpenRings& inherited) {
  auto identity = load_identity(pool.certificate, pool.key, pool.name);
  auto client =
      std::make_unique<AgentClient>(context.get_executor(), clock, config_.servers, identity, ca);
  const auto ring = open_ring(pool, inherited);
  rings_.emplace(pool.ring, ring);
  PoolLife::Settings settings{.pool = pool.name,
                              .signer = config_.authority_key,
                              .state = state_of(pool.name),
                              .log = [name = pool.name](auto level, const std::string& text) {
                                log_event(level, {.pool = name}, text);
                              }};
  auto life = std::make_unique<PoolLife>(std::move(settings), std::move(identity), ring.writer);
  // A burn is not to wait for the timer. Not called once the session has ended.
  const auto feed = [this] { feeders_->tick(); };
  return std::make_shared<PoolRunner>(context, clock, changed_, feed, std::move(life),
                                      std::move(client));
}

OpenRing AgentSession::open_ring(const AgentPool& pool, const OpenRings& inherited) {
  const auto group = group_number(pool.group);
  make_ring_folder(pool.ring.parent_path());
  ticket::ring::Counters::create(counters_of(pool), group);
  const auto open = inherited.find(pool.ring);
  if (open != inherited.end() && open->second.pool == pool.name) {
    change_group(pool.ring, group);
    return open->second;
  }
  return {pool.name, std::make_shared<ticket::ring::RingWriter>(pool.ring, pool.name, group)};
}

void AgentSession::start() {
  tell_of_left_state();
  for (const auto& runner : runners_) runner->start();
  feeders_->start();
  for (const auto& office : offices_) office->start();
}

// Whether a server still reads a file that nobody writes any more, the agent cannot know: so
// it wipes none, but says where keys are left.
void AgentSession::tell_of_left_files(const AgentSession& next) const {
  for (const auto& [path, ring] : rings_) {
    if (next.rings_.contains(path)) continue;
    const auto left = ring.writer->current();
    if (!left || (left->epochs.empty() && left->tokens.size() == 0)) continue;
    tell_of_left(path, ring.pool);
  }
  const auto goes_on = key_files(next.config_);
  for (const auto& left : key_files(config_)) {
    const auto same = [&](const auto& other) { return same_file(other.first, left.first); };
    std::error_code none;
    if (std::ranges::any_of(goes_on, same) || !std::filesystem::exists(left.first, none)) continue;
    tell_of_left(left.first, left.second);
  }
}

// Whoever gets the disk would open with it each epoch of the bundle. A pool that has its
// folder still, under whatever name, goes on.
void AgentSession::forget_left_pools(const AgentSession& next) const {
  for (const auto& pool : config_.pools) {
    const auto folder = state_of(pool.name);
    const auto has_it = [&](const auto& other) {
      return same_file(next.state_of(other.name), folder);
    };
    if (std::ranges::any_of(next.config_.pools, has_it)) continue;
    const auto tell = [&pool](auto level, const std::string& text) {
      log_event(level, {.pool = pool.name}, pool.name + ": " + text);
    };
    try {
      AgentState::forget(folder);
      tell(spdlog::level::info,
           folder.string() + " is left: the sealing key and bundle in it are removed");
    } catch (const std::exception& error) {
      tell(spdlog::level::err, folder.string() +
                                   " is left, but the sealing key and bundle in it cannot be "
                                   "removed: " +
                                   error.what() + ": remove it");
    }
  }
}

// Another agent's, perhaps: nothing keeps two, with a pool each, from one state_dir.
void AgentSession::tell_of_left_state() const {
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(config_.state_dir, none)) {
    const auto& folder = entry.path();
    const auto has_it = [&](const auto& pool) { return same_file(state_of(pool.name), folder); };
    if (!AgentState::remembers(folder) || std::ranges::any_of(config_.pools, has_it)) continue;
    spdlog::warn(
        "{} holds the sealing key or bundle of no pool of this file: remove it, unless another "
        "agent uses it",
        folder.string());
  }
}

void AgentSession::stop(const AgentSession* next) {
  if (next != nullptr) tell_of_left_files(*next);
  for (const auto& runner : runners_) runner->stop();
  if (next != nullptr) forget_left_pools(*next);
  feeders_->stop();
  for (const auto& office : offices_) {
    const auto goes_on = [&](const auto& other) { return other == office; };
    if (next == nullptr || std::ranges::none_of(next->offices_, goes_on)) office->stop();
  }
}

void AgentSession::tick() {
  for (const auto& runner : runners_) runner->tick();
  feeders_->tick();
  for (const auto& office : offices_) office->tick();
}

std::vector<TokenSight> AgentSession::tokens() const {
  std::vector<TokenSight> sights;
  for (const auto& office : offices_) sights.push_back(office->sight());
  return sights;
}

std::vector<PoolSight> AgentSession::look(ticket::Moment now) const {
  std::vector<PoolSight> sights;
  for (std::size_t i = 0; i < runners_.size(); ++i) {
    const auto& pool = config_.pools[i];
    auto sight = runners_[i]->look();
    sight.pool = pool.name;
    sight.ring = look_at_ring(pool.ring, now);
    sight.counts = ticket::ring::Counters::sum(counters_of(pool));
    sights.push_back(std::move(sight));
  }
  return sights;
}

bool AgentSession::settled() const {
  for (const auto& runner : runners_) {
    if (!runner->settled()) return false;
  }
  return true;
}

}  // namespace keyd
