// Claims in Redis as the agent makes them, beside the same script sent by bare hiredis over
// the same kind of socket, in alternating slices; and what a token takes there. A
// redis-server of its own, in a temporary folder. Prints one JSON object, name -> value.
#include <hiredis/hiredis.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "redis_link.hpp"
#include "setting.hpp"

namespace {

using namespace ticket;
using namespace ticket::replay;
using bench::Figures;
using std::chrono::steady_clock;

constexpr std::uint64_t depth = 128, slice = 20'000, tokens = 1'000'000;
constexpr int slices = 20;

const RedisEpoch epoch{"web", EpochId{std::byte{1}}, {std::byte{2}}, tokens};

void check(bool well) {
  if (!well) throw std::runtime_error("Redis answered otherwise than it should");
}

// Spread like a keyed hash: the 16 bytes that the record looks at.
Location location(std::uint64_t number) {
  Location location{};
  for (std::uint64_t half = 0; half < 2; ++half) {  // splitmix64
    auto z = (2 * number + half + 1) * 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    z ^= z >> 31;
    for (std::uint64_t i = 0; i < 8; ++i) {
      location[half * 8 + i] = static_cast<std::byte>(z >> (8 * i));
    }
  }
  return location;
}

using Context = std::unique_ptr<redisContext, void (*)(redisContext*)>;
struct FreeReply {
  void operator()(redisReply* reply) const { freeReplyObject(reply); }
};
using Reply = std::unique_ptr<redisReply, FreeReply>;

// Killed by its pid when this ends.
class Server {
 public:
  Server() {
    std::string name = std::filesystem::temp_directory_path() / "tkt-bench-XXXXXX";
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    folder_ = name;
    pid_ = fork();
    if (pid_ == 0) {
      execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", socket().c_str(),
             "--dir", folder_.c_str(), "--save", "", "--logfile", "log", nullptr);
      _exit(127);
    }
    for (int i = 0; i < 500 && !std::filesystem::exists(socket()); ++i) usleep(20'000);
  }
  ~Server() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  std::string socket() const { return folder_ / "redis.sock"; }
  Context connect() const {
    Context context(redisConnectUnix(socket().c_str()), redisFree);
    if (context == nullptr || context->err != 0) {
      throw std::runtime_error("no redis-server: run tools/deps");
    }
    return context;
  }

 private:
  std::filesystem::path folder_;
  pid_t pid_ = -1;
};

Reply next(redisContext* context) {
  void* reply = nullptr;
  if (redisGetReply(context, &reply) != REDIS_OK) throw std::runtime_error("Redis has ended");
  return Reply(static_cast<redisReply*>(reply));
}

Reply ask(const Server& server, const char* command) {
  const auto context = server.connect();
  redisAppendCommand(context.get(), command);
  return next(context.get());
}

double used_memory(const Server& server) {
  const std::string info = ask(server, "INFO memory")->str;
  return std::stod(info.substr(info.find("used_memory:") + 12));
}

// ---- bare hiredis: the same commands, as many under way

class Raw {
 public:
  explicit Raw(const Server& server) : context_(server.connect()) {
    const auto id = std::string(ask(server, "INFO server")->str);
    RedisServer seen;
    read_info(seen, id);
    read_info(seen, ask(server, "INFO replication")->str);
    expected_ = sentinel_value(epoch, seen);
    redisAppendCommand(context_.get(), "SCRIPT LOAD %b", claim_script.data(), claim_script.size());
    sha_ = next(context_.get())->str;
  }

  // Claims a second.
  double slice(std::uint64_t from, std::uint64_t count) {
    const auto began = steady_clock::now();
    std::uint64_t sent = 0, fresh = 0;
    while (sent < std::min(depth, count)) send(from + sent++);
    for (std::uint64_t answers = 0; answers < count; ++answers) {
      const auto reply = next(context_.get());
      fresh += reply->type == REDIS_REPLY_INTEGER && reply->integer == 0 ? 1 : 0;
      if (sent < count) send(from + sent++);
    }
    check(fresh == count);
    return static_cast<double>(count) /
           std::chrono::duration<double>(steady_clock::now() - began).count();
  }

 private:
  void send(std::uint64_t number) {
    const auto place = location(number);
    const auto bucket = prefix_ + std::to_string(bucket_of(place, buckets_of(epoch)));
    const auto field = field_of(place);
    const ClaimId id{};
    const char* words[] = {
        "EVALSHA",      sha_.c_str(),      "2",          sentinel_.c_str(),
        bucket.c_str(), expected_.c_str(), field.data(), reinterpret_cast<const char*>(id.data())};
    const std::size_t sizes[] = {
        7, sha_.size(), 1, sentinel_.size(), bucket.size(), expected_.size(), field.size(), 12};
    redisAppendCommandArgv(context_.get(), 8, words, sizes);
  }

  Context context_;
  std::string sha_, expected_, prefix_ = key_prefix(epoch), sentinel_ = sentinel_key(epoch);
};

// ---- ours: the agent's own class, over Asio

class Ours {
 public:
  explicit Ours(const Server& server)
      : claimer_(loop_, server.socket(), {std::chrono::seconds(20)}, [](auto, const auto&) {}) {
    while (!claimer_.ready()) loop_.run_one_for(std::chrono::seconds(1));
  }

  double slice(std::uint64_t from, std::uint64_t count) {
    const auto began = steady_clock::now();
    next_ = from;
    end_ = from + count;
    fresh_ = answers_ = 0;
    while (next_ < std::min(from + depth, end_)) claim();
    while (answers_ < count) loop_.run_one();
    check(fresh_ == count);
    return static_cast<double>(count) /
           std::chrono::duration<double>(steady_clock::now() - began).count();
  }

 private:
  void claim() {
    claimer_.claim(epoch, location(next_++), {}, [this](Verdict verdict, Doubt) {
      ++answers_;
      fresh_ += verdict == Verdict::fresh ? 1 : 0;
      if (next_ < end_) claim();
    });
  }

  boost::asio::io_context loop_;
  keyd::RedisClaimer claimer_;
  std::uint64_t next_ = 0, end_ = 0, fresh_ = 0, answers_ = 0;
};

void make_sentinel(const Server& server) {
  boost::asio::io_context loop;
  keyd::RedisWatch watch(
      loop, server.socket(), {}, [](auto, const auto&) {}, [](const auto&, const auto&) {});
  while (!watch.ready()) loop.run_one_for(std::chrono::seconds(1));
  std::optional<std::string> made;
  const auto now = std::chrono::floor<seconds>(std::chrono::system_clock::now());
  watch.make(epoch, now + seconds(86400), [&](const std::string& error) { made = error; });
  while (!made) loop.run_one_for(std::chrono::seconds(1));
  check(made->empty());
}

void measure(Figures& figures) {
  const Server server;
  make_sentinel(server);
  Raw raw(server);
  Ours ours(server);
  const auto before = used_memory(server);
  std::vector<double> ratios, rates;
  std::uint64_t from = 0;
  for (int i = 0; i < slices; ++i) {
    // each goes first every other time: buckets grow, and what comes later takes longer
    double bare = 0, mine = 0;
    if (i % 2 == 0) bare = raw.slice(std::exchange(from, from + slice), slice);
    mine = ours.slice(std::exchange(from, from + slice), slice);
    if (i % 2 == 1) bare = raw.slice(std::exchange(from, from + slice), slice);
    ratios.push_back(mine / bare);
    rates.push_back(mine / 1000);
  }
  bench::note(figures, "redis_claim_vs_raw", ratios);
  bench::note(figures, "redis_claims_k_per_s", rates);
  ours.slice(from, tokens - from);
  figures["redis_bytes_per_token"] = (used_memory(server) - before) / static_cast<double>(tokens);
}

}  // namespace

int main() {
  try {
    Figures figures;
    measure(figures);
    std::puts(nlohmann::json(figures).dump(2).c_str());
    return 0;
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "redis bench: %s\n", failure.what());
    return 1;
  }
}
