#include "pool.hpp"

#include <unistd.h>

#include <cstring>
#include <ctime>
#include <stdexcept>

namespace pool {

namespace ring = ticket::ring;

Folder::Folder() {
  std::string name = (std::filesystem::temp_directory_path() / "ticket-stacks-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
  path_ = name;
}

Folder::~Folder() { std::filesystem::remove_all(path_); }

Clock::Clock() : steady(seconds(std::time(nullptr))), wall(steady) {}

std::vector<Life> hourly(unsigned count, seconds lifetime) {
  std::vector<Life> lives;
  for (unsigned i = 0; i < count; ++i) {
    const seconds begin = 1h * static_cast<int>(i);
    lives.push_back({i + 1, begin, begin + 1h, begin + 1h + lifetime});
  }
  return lives;
}

namespace {

// The same on every member, and no two the same.
void write_secret(std::uint32_t epoch, std::span<std::byte> out) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] = std::byte(epoch * 37 + i * 11 + 1);
  }
}

void tell_time(void* user, std::int64_t* steady, std::int64_t* wall) {
  const auto& clock = *static_cast<const Clock*>(user);
  *steady = clock.steady.time_since_epoch().count();
  *wall = clock.wall.time_since_epoch().count();
}

void listen(void* user, tkt_log_level, const char* text) {
  static_cast<Server*>(user)->said.push_back(text);
}

ring::Epoch epoch_of(const Life& life, sys_seconds start) {
  ring::Epoch epoch;
  epoch.number = life.number;
  epoch.id[0] = std::byte(life.number);
  epoch.made = start;
  epoch.seals_from = start + life.seals_from;
  epoch.seals_until = start + life.seals_until;
  epoch.opens_until = start + life.opens_until;
  return epoch;
}

}  // namespace

Server::Server(const std::string& name, std::uint16_t member, Clock& clock)
    : path(folder / (name + ".ring")), clock_(clock), start_(clock.steady), member_(member) {
  tkt_ring_options options{};
  options.size = sizeof options;
  const std::string text = path.string();
  options.ring_path = text.c_str();
  options.no_thread = 1;
  options.log = listen;
  options.log_user = this;
  options.clock = tell_time;
  options.clock_user = &clock;
  tkt_ring* opened = nullptr;
  if (tkt_ring_open(&opened, &options) != TKT_OK) throw std::runtime_error("no ring");
  ring.reset(opened);
}

void Server::publish(const std::vector<Life>& lives) {
  if (!writer_) writer_ = std::make_unique<ring::RingWriter>(path, "test");
  ring::Ring next;
  next.pool = "test";
  next.generation = ++generation_;
  next.member = member_;
  next.issued_at = clock_.steady;
  next.policy = policy;
  next.revocations = revocations;
  next.secrets = ticket::SecretBytes(lives.size() * 32);
  for (std::size_t i = 0; i < lives.size(); ++i) {
    next.epochs.push_back(epoch_of(lives[i], start_));
    write_secret(lives[i].number, next.secrets.fill().subspan(i * 32, 32));
    next.not_after = std::max(next.not_after, next.epochs.back().opens_until);
  }
  if (!writer_->publish(next, clock_.steady)) throw std::runtime_error("ring refused");
  tend();
}

tkt_counters Server::counters() const {
  tkt_counters counters{};
  counters.size = sizeof counters;
  tkt_counters_read(ring.get(), &counters);
  return counters;
}

tkt_ring_info Server::info() const {
  tkt_ring_info info{};
  info.size = sizeof info;
  tkt_ring_info_read(ring.get(), &info);
  return info;
}

std::array<unsigned char, 80> stek(std::uint32_t epoch, std::string_view context) {
  std::array<std::byte, 32> secret;
  write_secret(epoch, secret);
  std::array<unsigned char, 80> key;
  ring::derive_stek(secret, "tls/openssl", "test", context, std::as_writable_bytes(std::span(key)));
  return key;
}

}  // namespace pool
