// tkt_ring_embed: options, and real processes that share a pool.
#include <doctest/doctest.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <ticket/ticket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstring>
#include <ctime>
#include <thread>
#include <ticket/ticket.hpp>

#include "stacks/pool.hpp"

using namespace pool;

namespace {

tkt_embed_options embed_options() {
  tkt_embed_options options{};
  options.size = sizeof options;
  options.pool = "web";
  options.no_thread = 1;
  return options;
}

// What became of an option struct, and what was said.
struct Answer {
  tkt_status status;
  std::string said;
};

Answer answer_to(tkt_embed_options options) {
  Answer answer{};
  options.log_user = &answer;
  options.log = [](void* user, tkt_log_level, const char* text) {
    static_cast<Answer*>(user)->said += text;
  };
  tkt_ring* ring = nullptr;
  answer.status = tkt_ring_embed(&ring, &options);
  CHECK((ring != nullptr) == (answer.status == TKT_OK));
  tkt_ring_free(ring);
  return answer;
}

// ---- a server process that embeds the pool at a path, asked over a socket

enum Order : char { new_session = 'n', resume = 'r', tell = 't', quit = 'q' };

struct Told {
  int writes;  // this process makes the keys
  tkt_ring_state state;
  std::uint64_t generation;
  std::uint32_t sealing;
};

void send_bytes(int to, const void* bytes, std::size_t size) {
  if (write(to, bytes, size) != static_cast<ssize_t>(size)) _exit(3);
}

void serve(int orders, const char* path) {
  std::atomic<bool> writes{false};  // said on the pool's own thread
  tkt_embed_options options = embed_options();
  options.no_thread = 0;
  options.ring_path = path;
  options.rotate_every = 1;
  options.lifetime = 30;
  options.log_user = &writes;
  options.log = [](void* user, tkt_log_level, const char* text) {
    if (std::strstr(text, "makes the keys") != nullptr)
      *static_cast<std::atomic<bool>*>(user) = true;
  };
  tkt_ring* ring = nullptr;
  if (tkt_ring_embed(&ring, &options) != TKT_OK) _exit(2);
  const auto context = server_context("a.test");
  if (tkt_openssl_attach(context.get(), ring, nullptr) != TKT_OK) _exit(2);

  std::vector<unsigned char> buffer(16384);
  for (;;) {
    const auto size = recv(orders, buffer.data(), buffer.size(), 0);
    if (size <= 0 || buffer[0] == quit) break;
    if (buffer[0] == tell) {
      tkt_ring_info info{};
      info.size = sizeof info;
      tkt_ring_info_read(ring, &info);
      const Told told{writes, info.state, info.generation, info.sealing_epoch};
      send_bytes(orders, &told, sizeof told);
      continue;
    }
    const unsigned char* at = buffer.data() + 1;
    SessionPtr session(buffer[0] == resume ? d2i_SSL_SESSION(nullptr, &at, size - 1) : nullptr);
    const auto outcome = connect(context.get(), {.session = session.get()});
    unsigned char* der = nullptr;
    const int length = outcome.session ? i2d_SSL_SESSION(outcome.session.get(), &der) : 0;
    std::vector<unsigned char> reply;
    reply.push_back(outcome.completed && outcome.resumed ? 1 : 0);
    for (int i = 0; i < length; ++i) reply.push_back(der[i]);
    OPENSSL_free(der);
    send_bytes(orders, reply.data(), reply.size());
  }
  tkt_ring_free(ring);
  _exit(0);
}

class Process {
 public:
  explicit Process(const std::string& path) {
    int ends[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
    pid_ = fork();
    if (pid_ == 0) {
      close(ends[0]);
      serve(ends[1], path.c_str());
    }
    close(ends[1]);
    socket_ = ends[0];
    // a child that hangs fails its test instead of stopping it
    const timeval patience{20, 0};
    setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }
  ~Process() { end(SIGKILL); }
  Process(const Process&) = delete;

  void end(int signal) {
    if (pid_ > 0) {
      ::kill(pid_, signal);
      waitpid(pid_, nullptr, 0);
      close(socket_);
    }
    pid_ = -1;
  }

  Told told() {
    const auto reply = ask(tell, {});
    Told told{};
    if (reply.size() == sizeof told) std::memcpy(&told, reply.data(), sizeof told);
    return told;
  }
  // A session as the client would keep it.
  std::vector<unsigned char> session() {
    auto reply = ask(new_session, {});
    if (!reply.empty()) reply.erase(reply.begin());
    return reply;
  }
  bool resumes(const std::vector<unsigned char>& session) {
    const auto reply = ask(resume, session);
    return !reply.empty() && reply[0] == 1;
  }

 private:
  std::vector<unsigned char> ask(Order order, const std::vector<unsigned char>& with) {
    auto message = with;
    message.insert(message.begin(), static_cast<unsigned char>(order));
    CHECK(send(socket_, message.data(), message.size(), MSG_NOSIGNAL) ==
          static_cast<ssize_t>(message.size()));
    std::vector<unsigned char> reply(16384);
    const auto size = recv(socket_, reply.data(), reply.size(), 0);
    reply.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
    return reply;
  }

  pid_t pid_ = -1;
  int socket_ = -1;
};

template <class Condition>
bool within(std::chrono::seconds patience, Condition condition) {
  const auto end = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return true;
}

}  // namespace

TEST_SUITE("tkt_ring_embed") {
  TEST_CASE("a pool of a name alone seals at once, by keyd's defaults") {
    const auto options = embed_options();
    tkt_ring* ring = nullptr;
    REQUIRE(tkt_ring_embed(&ring, &options) == TKT_OK);
    const RingPtr owner(ring);
    tkt_ring_info info{};
    info.size = sizeof info;
    REQUIRE(tkt_ring_info_read(ring, &info) == TKT_OK);
    CHECK(info.state == TKT_RING_OK);
    CHECK(std::string(info.why) == "ok");
    CHECK(std::string(info.pool) == "web");
    CHECK(info.epochs == 2);
    CHECK(info.member == 1);

    const auto context = server_context("a.test");
    REQUIRE(tkt_openssl_attach(context.get(), ring, nullptr) == TKT_OK);
    const auto full = connect(context.get(), {});
    CHECK(full.tickets == 2);
    CHECK(SSL_SESSION_get_ticket_lifetime_hint(full.session.get()) == 12 * 3600);
    CHECK(connect(context.get(), {.session = full.session.get()}).resumed);
  }

  TEST_CASE("promise 15: a policy that cannot be is refused with what is allowed") {
    struct {
      std::uint32_t rotate_every, lifetime, lineage;
      const char* said;
    } const cases[] = {
        {0, 604801, 0, "lifetime = 604801s is too long: at most 7d (RFC 8446, 4.6.1)"},
        {60, 0, 0, "epochs at once; at most 64: rotate less often, or shorten lifetime"},
        {4'000'000'000u, 0, 0, "rotate_every = 4000000000s is too long: at most 365d"},
        {0, 0, 4'000'000'000u, "lineage = 4000000000s is too long"},
    };
    for (const auto& c : cases) {
      CAPTURE(c.said);
      auto options = embed_options();
      options.rotate_every = c.rotate_every;
      options.lifetime = c.lifetime;
      options.lineage = c.lineage;
      const auto answer = answer_to(options);
      CHECK(answer.status == TKT_BAD_ARGUMENT);
      CAPTURE(answer.said);
      CHECK(answer.said.find(c.said) != std::string::npos);
    }
    auto options = embed_options();
    options.pool = nullptr;
    CHECK(answer_to(options).said == "tkt_ring_embed: pool: a name of 1-255 bytes");
    const std::string long_name(256, 'x');
    options.pool = long_name.c_str();
    CHECK(answer_to(options).status == TKT_BAD_ARGUMENT);
    CHECK(tkt_ring_embed(nullptr, &options) == TKT_BAD_ARGUMENT);
    CHECK(answer_to(embed_options()).status == TKT_OK);
  }

  TEST_CASE("promise 10: a wall clock set a day ahead is followed, one set back is not") {
    struct Turned {
      std::int64_t steady = 1'790'000'000, wall = steady;
      std::string said;
    } turned;
    auto options = embed_options();
    options.clock_user = &turned;
    options.clock = [](void* user, std::int64_t* steady, std::int64_t* wall) {
      *steady = static_cast<Turned*>(user)->steady;
      *wall = static_cast<Turned*>(user)->wall;
    };
    options.log_user = &turned;
    options.log = [](void* user, tkt_log_level, const char* text) {
      static_cast<Turned*>(user)->said += text;
    };
    tkt_ring* ring = nullptr;
    REQUIRE(tkt_ring_embed(&ring, &options) == TKT_OK);
    const RingPtr owner(ring);
    const auto look = [&] {
      REQUIRE(tkt_ring_tend(ring, nullptr) == TKT_OK);
      tkt_ring_info info{};
      info.size = sizeof info;
      REQUIRE(tkt_ring_info_read(ring, &info) == TKT_OK);
      CHECK(info.state == TKT_RING_OK);
      return info.generation;
    };
    const auto first = look();
    turned.wall += 86'400;
    const auto second = look();
    CHECK(second > first);
    CHECK(turned.said.find("the clock was set 1d ahead") != std::string::npos);
    for (int i = 0; i < 10; ++i) {  // and no key is made but by the schedule
      turned.steady += 60, turned.wall += 60;
      CHECK(look() == second);
    }
    turned.wall -= 86'400;
    CHECK(look() == second);
    turned.steady += 3'600, turned.wall += 3'600;
    CHECK(look() > second);
  }

  TEST_CASE("promise 10: of keys that live for minutes no step of the clock stops the making") {
    struct Turned {
      std::int64_t steady = 1'790'000'000, wall = steady;
    } turned;
    auto options = embed_options();
    options.rotate_every = 30;
    options.lifetime = 60;
    options.clock_user = &turned;
    options.clock = [](void* user, std::int64_t* steady, std::int64_t* wall) {
      *steady = static_cast<Turned*>(user)->steady;
      *wall = static_cast<Turned*>(user)->wall;
    };
    tkt_ring* ring = nullptr;
    REQUIRE(tkt_ring_embed(&ring, &options) == TKT_OK);
    const RingPtr owner(ring);
    for (const int step : {0, 10, 20, 45, 100, 200, 299, 301}) {
      CAPTURE(step);
      turned.wall += step;
      tkt_ring_info info{};
      info.size = sizeof info;
      for (int i = 0; i < 3; ++i) {
        REQUIRE(tkt_ring_tend(ring, nullptr) == TKT_OK);
        REQUIRE(tkt_ring_info_read(ring, &info) == TKT_OK);
        CHECK(info.state == TKT_RING_OK);
      }
      const auto generation = info.generation;
      REQUIRE(tkt_ring_tend(ring, nullptr) == TKT_OK);
      REQUIRE(tkt_ring_info_read(ring, &info) == TKT_OK);
      CHECK(info.generation == generation);  // and none is made at each look
      turned.steady += 15, turned.wall += 15;
    }
  }

  TEST_CASE("a file that cannot be written is no error, and info says why") {
    auto options = embed_options();
    options.ring_path = "/nonexistent/web.ring";
    tkt_ring* ring = nullptr;
    REQUIRE(tkt_ring_embed(&ring, &options) == TKT_OK);
    const RingPtr owner(ring);
    tkt_ring_info info{};
    info.size = sizeof info;
    tkt_ring_info_read(ring, &info);
    CHECK(info.state == TKT_RING_NONE);
    CHECK(std::string(info.why) == "ring file not written: No such file or directory");
  }

  TEST_CASE("a forked child that frees its ring leaves the parent's in peace") {
    auto options = embed_options();
    options.no_thread = 0;
    tkt_ring* ring = nullptr;
    REQUIRE(tkt_ring_embed(&ring, &options) == TKT_OK);
    const RingPtr owner(ring);
    const auto child = fork();
    if (child == 0) {
      tkt_ring_free(ring);
      _exit(0);
    }
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(status == 0);
    const auto before = std::clock();
    std::this_thread::sleep_for(500ms);
    const double used = static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC;
    CHECK(used < 0.2);  // its thread sleeps
  }

  TEST_CASE("ticket.hpp embeds too") {
    const Folder folder;
    const auto ring = ticket::Ring::embed(
        {.pool = "web", .path = (folder / "web.ring").string(), .thread = false});
    CHECK(ring.info().state == TKT_RING_OK);
    const ticket::Context logins(ring, "cookie", "logins");
    const auto opened = logins.open(logins.seal("alice"));
    CHECK(opened);
    CHECK(opened.payload == "alice");
    CHECK(opened.label.minter == 1);
    CHECK(logins.open("no ticket").status == TKT_MALFORMED);
    CHECK_THROWS_AS(logins.seal(std::string(TKT_PAYLOAD_MAX + 1, 'x')), ticket::Failure);
    CHECK_THROWS_AS(ticket::Ring::embed({.pool = ""}), ticket::Failure);
  }

  TEST_CASE("processes resume each other's sessions, through rotations, a restart and a SIGKILL") {
    const Folder folder;
    const auto path = (folder / "web.ring").string();
    auto one = std::make_unique<Process>(path);
    REQUIRE(one->told().writes == 1);
    auto two = std::make_unique<Process>(path);
    REQUIRE(two->told().state == TKT_RING_OK);
    CHECK(two->told().writes == 0);

    const auto from_one = one->session(), from_two = two->session();
    CHECK(two->resumes(from_one));
    CHECK(one->resumes(from_two));

    const auto first = one->told();
    CHECK(
        within(std::chrono::seconds(10), [&] { return two->told().sealing >= first.sealing + 2; }));
    CHECK(two->resumes(from_one));
    CHECK(one->resumes(from_two));

    // the writer is killed: the other makes the keys from then on
    const auto before = two->told();
    one->end(SIGKILL);
    CHECK(within(std::chrono::seconds(10), [&] { return two->told().writes == 1; }));
    CHECK(within(std::chrono::seconds(10),
                 [&] { return two->told().sealing >= before.sealing + 2; }));
    CHECK(two->told().generation > before.generation);
    CHECK(two->told().state == TKT_RING_OK);
    CHECK(two->resumes(from_one));

    // and a new one follows
    one = std::make_unique<Process>(path);
    CHECK(one->told().writes == 0);
    CHECK(one->resumes(from_two));
    CHECK(one->resumes(from_one));

    // all of them restarted
    one->end(SIGKILL);
    two->end(SIGKILL);
    one = std::make_unique<Process>(path);
    CHECK(one->told().writes == 1);
    CHECK(one->resumes(from_one));
    CHECK(one->resumes(from_two));
  }
}
