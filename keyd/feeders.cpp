#include "feeders.hpp"

#include <spdlog/spdlog.h>

#include "log.hpp"

namespace keyd {

namespace {

TicketKeyFile::Log log_of(const std::string& pool) {
  return [pool](auto level, const std::string& text) { log_event(level, {.pool = pool}, text); };
}

void warn_of_disk(const std::string& pool, const std::filesystem::path& path) {
  if (const auto warning = disk_warning(path)) {
    log_of(pool)(spdlog::level::warn, pool + ": key file " + *warning);
  }
}

}  // namespace

Feeders::Feeders(boost::asio::io_context& context, const ticket::Clock& clock,
                 const AgentConfig& config, RingWriters rings)
    : clock_(clock), rings_(std::move(rings)) {
  for (const auto& haproxy : config.haproxy) targets_.push_back(make(context, haproxy));
  for (const auto& file : config.key_files) targets_.push_back(make(file));
}

Feeders::~Feeders() = default;

Feeders::Target Feeders::make(boost::asio::io_context& context, const HaproxyConfig& config) const {
  warn_of_disk(config.pool, config.file);
  Target target{rings_.at(config.pool), nullptr, {}};
  target.file =
      std::make_unique<TicketKeyFile>(TicketKeyFile::Settings{.pool = config.pool,
                                                              .context = config.context,
                                                              .layout = KeyLayout::haproxy,
                                                              .paths = {config.file},
                                                              .on_change = {},
                                                              .log = log_of(config.pool)});
  for (const auto& socket : config.sockets) {
    target.haproxy.push_back(std::make_shared<HaproxyFeed>(
        context, clock_,
        HaproxyFeed::Settings{.pool = config.pool,
                              .context = config.context,
                              .reference = config.reference,
                              .socket = socket.string(),
                              .ring = [ring = target.ring] { return ring->current(); },
                              .log = log_of(config.pool)}));
  }
  return target;
}

Feeders::Target Feeders::make(const KeyFileConfig& config) const {
  for (const auto& path : config.paths) warn_of_disk(config.pool, path);
  return {rings_.at(config.pool),
          std::make_unique<TicketKeyFile>(TicketKeyFile::Settings{.pool = config.pool,
                                                                  .context = config.context,
                                                                  .layout = config.layout,
                                                                  .paths = config.paths,
                                                                  .on_change = config.on_change,
                                                                  .log = log_of(config.pool)}),
          {}};
}

// Files first: a server that starts meanwhile reads what the running ones get.
void Feeders::start() {
  tick();
  for (const auto& target : targets_) {
    for (const auto& haproxy : target.haproxy) haproxy->start();
  }
}

void Feeders::stop() {
  for (const auto& target : targets_) {
    for (const auto& haproxy : target.haproxy) haproxy->stop();
  }
}

void Feeders::tick() {
  const auto now = clock_.now();
  const auto t = ChangeCommand::Clock::now();
  for (const auto& target : targets_) {
    try {
      // The secrets stand in the ring file alone; here they are read for a moment.
      const auto ring = target.ring->current();
      if (!ring || !target.file->update(*ring, now, t)) continue;
      for (const auto& haproxy : target.haproxy) haproxy->look_now();
    } catch (const std::exception& error) {  // no memory, say: the others are fed all the same
      spdlog::error("{}: {}", target.file->sight().file, error.what());
    }
  }
}

FeedSight Feeders::look() const {
  FeedSight sight;
  for (const auto& target : targets_) {
    sight.files.push_back(target.file->sight());
    for (const auto& haproxy : target.haproxy) sight.haproxy.push_back(haproxy->sight());
  }
  return sight;
}

}  // namespace keyd
