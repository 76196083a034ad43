#include "client/pool_dns.hpp"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unbound.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>
#include <vector>

#include "client/pool_txt.hpp"
#include "client/still_holds.hpp"

namespace ticket::client {

namespace {

constexpr int type_txt = 16, class_in = 1;
constexpr std::size_t most_names = 8192;  // known at a time
constexpr std::size_t most_waiting = 256, most_open = 64;
constexpr std::size_t longest_name = 253;
// What a failure is worth, and the bounds of what an answer says of itself.
constexpr seconds failure_ttl{30}, shortest_ttl{1}, longest_ttl{86400};

void must(int error, const char* what) {
  if (error != 0) throw std::runtime_error(std::string(what) + ": " + ub_strerror(error));
}

std::vector<std::string_view> records_of(const ub_result& result) {
  std::vector<std::string_view> records;
  for (int i = 0; result.havedata != 0 && result.data[i] != nullptr; ++i) {
    records.emplace_back(result.data[i], static_cast<std::size_t>(result.len[i]));
  }
  return records;
}

}  // namespace

void PoolDns::Close::operator()(ub_ctx* context) const { ub_ctx_delete(context); }

PoolDns::PoolDns(const std::string& server, std::function<sys_seconds()> clock)
    : clock_(std::move(clock)), context_(ub_ctx_create()) {
  if (!context_) throw std::runtime_error("no resolver: out of memory");
  if (server.empty()) {
    must(ub_ctx_resolvconf(context_.get(), nullptr), "/etc/resolv.conf");
  } else {
    must(ub_ctx_set_fwd(context_.get(), server.c_str()), server.c_str());
  }
  must(ub_ctx_set_option(context_.get(), "do-not-query-localhost:", "no"), "resolver");
  must(ub_ctx_async(context_.get(), 1), "resolver");
  // names that libunbound would answer itself: whom we ask may know them
  for (const char* zone : {"test.", "home.arpa."}) {
    must(ub_ctx_zone_remove(context_.get(), zone), "resolver");
  }
  wake_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake_ < 0) throw std::runtime_error("no eventfd");
  // all signals are the application's; libunbound's thread inherits the mask
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    thread_ = std::thread([this] { run(); });
  } catch (...) {
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    ::close(wake_);
    throw;
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

PoolDns::~PoolDns() {
  stop();
  ::close(wake_);
}

void PoolDns::stop() {
  if (stop_.exchange(true)) return;
  wake();
  thread_.join();
  context_.reset();
}

void PoolDns::wake() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(wake_, &one, sizeof one);
}

PoolDns::Shard& PoolDns::shard_of(std::string_view host) {
  return shards_[std::hash<std::string_view>{}(host) % shards_.size()];
}

std::optional<std::string> PoolDns::find(const std::string& host,
                                         std::chrono::milliseconds patience) {
  if (pool_txt_prefix.size() + host.size() > longest_name) return std::nullopt;
  const auto now = clock_();
  Shard& shard = shard_of(host);
  std::unique_lock lock(shard.mutex);
  auto at = shard.entries.find(host);
  if (at == shard.entries.end()) {
    make_room(shard, now);
    at = shard.entries.try_emplace(host).first;
  }
  Entry* entry = &at->second;
  const bool fresh = entry->known && still_holds(entry->since, entry->until, now);
  if (!entry->asked && (!fresh || now >= entry->refresh_at)) entry->asked = ask(host);
  if (fresh) return entry->id;
  if (patience.count() == 0 || !entry->asked) return std::nullopt;
  std::optional<std::string> id;
  shard.answered.wait_for(lock, patience, [&] {
    const auto found = shard.entries.find(host);  // what is forgotten meanwhile is no answer
    if (found == shard.entries.end() || found->second.asked) return false;
    id = found->second.id;
    return true;
  });
  return id;
}

// True when it is in the queue now.
bool PoolDns::ask(const std::string& host) {
  {
    const std::lock_guard guard(queue_mutex_);
    if (queue_.size() >= most_waiting) return false;
    queue_.push_back(host);
  }
  wake();
  return true;
}

void PoolDns::make_room(Shard& shard, sys_seconds now) {
  if (shard.entries.size() < most_names / 16) return;
  std::erase_if(shard.entries, [now](const auto& entry) {
    const Entry& noted = entry.second;
    return !noted.asked && !still_holds(noted.since, noted.until, now);
  });
  for (auto at = shard.entries.begin();
       at != shard.entries.end() && shard.entries.size() >= most_names / 16;) {
    at = at->second.asked ? std::next(at) : shard.entries.erase(at);
  }
}

void PoolDns::run() {
  const int answers = ub_fd(context_.get());
  while (!stop_) {
    pollfd ready[] = {{answers, POLLIN, 0}, {wake_, POLLIN, 0}};
    if (::poll(ready, 2, -1) < 0) continue;
    std::uint64_t count;
    [[maybe_unused]] const auto drained = ::read(wake_, &count, sizeof count);
    if (stop_) return;
    if ((ready[0].revents & POLLIN) != 0) ub_process(context_.get());
    send_questions();
  }
}

void PoolDns::send_questions() {
  while (open_.size() < most_open) {
    std::string host;
    {
      const std::lock_guard guard(queue_mutex_);
      if (queue_.empty()) return;
      host = std::move(queue_.front());
      queue_.pop_front();
    }
    try {
      send_question(host);
    } catch (...) {
      give_up(host);
    }
  }
}

void PoolDns::send_question(const std::string& host) {
  const auto name = std::string(pool_txt_prefix) + host;
  const auto question = open_.insert({this, host}).first;
  ++queries_;
  if (ub_resolve_async(context_.get(), name.c_str(), type_txt, class_in,
                       const_cast<Question*>(&*question), &on_result, nullptr) != 0) {
    ++failures_;
    open_.erase(question);
    answer(host, std::nullopt, failure_ttl);
  }
}

// On our thread, from within ub_process.
void PoolDns::on_result(void* question, int error, ub_result* result) {
  const std::unique_ptr<ub_result, decltype(&ub_resolve_free)> freed(result, ub_resolve_free);
  const auto& asked = *static_cast<const Question*>(question);
  PoolDns& asker = *asked.asker;
  const auto done = asker.open_.extract(asked);
  try {
    asker.take_result(done.value().host, error, result);
  } catch (...) {  // nothing may be thrown through libunbound
    asker.give_up(done.value().host);
  }
}

// No memory for question or answer: who wants to know asks again.
void PoolDns::give_up(const std::string& host) {
  Shard& shard = shard_of(host);
  const std::lock_guard guard(shard.mutex);
  if (const auto at = shard.entries.find(host); at != shard.entries.end()) at->second.asked = false;
  shard.answered.notify_all();
}

void PoolDns::take_result(const std::string& host, int error, const ub_result* result) {
  constexpr int nxdomain = 3;
  const bool told =
      error == 0 && result != nullptr && (result->rcode == 0 || result->rcode == nxdomain);
  if (!told) {
    ++failures_;
    return answer(host, std::nullopt, failure_ttl);
  }
  ++answers_;
  auto records = read_pool_records(records_of(*result));
  ignored_ += records.ignored;
  answer(host, std::move(records.id), std::clamp(seconds(result->ttl), shortest_ttl, longest_ttl));
}

void PoolDns::answer(const std::string& host, std::optional<std::string> id, seconds ttl) {
  const auto now = clock_();
  Shard& shard = shard_of(host);
  const std::lock_guard guard(shard.mutex);
  Entry& entry = shard.entries[host];
  entry = {std::move(id), now, now + ttl, now + ttl * 9 / 10, true, false};
  shard.answered.notify_all();
}

DnsCounts PoolDns::counts() const { return {queries_, answers_, failures_, ignored_}; }

}  // namespace ticket::client
