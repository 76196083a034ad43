// Promise 14 in memory: first flights with early data, carried to servers byte for byte.
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <fstream>
#include <thread>

#include "pool.hpp"

using namespace pool;

namespace {

namespace fs = std::filesystem;

using Bytes = std::vector<unsigned char>;
constexpr std::string_view request = "GET /pay HTTP/1.1\r\n\r\n";
constexpr tkt_openssl_options once{.early_data = TKT_EARLY_DATA_ONCE};

// A side of a connection whose bytes the test carries.
class Side {
 public:
  Side(SSL_CTX* context, bool client) : ssl(SSL_new(context)) { begin(client); }
  void begin(bool client) const {
    BIO* in = BIO_new(BIO_s_mem());
    BIO* out = BIO_new(BIO_s_mem());
    BIO_set_mem_eof_return(in, -1);
    BIO_set_mem_eof_return(out, -1);
    SSL_set_bio(ssl.get(), in, out);
    client ? SSL_set_connect_state(ssl.get()) : SSL_set_accept_state(ssl.get());
  }
  void give(const Bytes& bytes) const {
    if (!bytes.empty())
      BIO_write(SSL_get_rbio(ssl.get()), bytes.data(), static_cast<int>(bytes.size()));
  }
  Bytes take() const {
    Bytes bytes(BIO_ctrl_pending(SSL_get_wbio(ssl.get())));
    if (!bytes.empty())
      BIO_read(SSL_get_wbio(ssl.get()), bytes.data(), static_cast<int>(bytes.size()));
    return bytes;
  }

  SslPtr ssl;
};

ContextPtr client_context() {
  ContextPtr context(SSL_CTX_new(TLS_client_method()));
  SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION);
  return context;
}

// A client that has sent its ClientHello and a request behind it.
struct Early {
  explicit Early(const SSL_SESSION* session, const char* name = "a.test")
      : context(client_context()), client(context.get(), true) {
    REQUIRE(session != nullptr);
    const auto offered = copy(session);
    SSL_SESSION_set1_hostname(offered.get(), name);
    SSL_set_tlsext_host_name(client.ssl.get(), name);
    REQUIRE(SSL_set_session(client.ssl.get(), offered.get()) == 1);
    std::size_t written = 0;
    REQUIRE(SSL_write_early_data(client.ssl.get(), request.data(), request.size(), &written) == 1);
    flight = client.take();
  }
  ContextPtr context;
  Side client;
  Bytes flight;
};

// What a server made of a flight.
struct Arrival {
  Arrival(SSL_CTX* context, const Bytes& flight) : server(context, false) {
    server.give(flight);
    read_on();
    info.size = sizeof info;
    tkt_openssl_info_read(server.ssl.get(), &info);
    resumed = SSL_session_reused(server.ssl.get()) == 1;
  }
  void read_on() {
    char bytes[256];
    std::size_t size = 0;
    while (SSL_read_early_data(server.ssl.get(), bytes, sizeof bytes, &size) ==
           SSL_READ_EARLY_DATA_SUCCESS) {
      data.append(bytes, size);
    }
  }
  bool accepted() const { return data == request; }

  Side server;
  std::string data;  // the application's: what was sent early
  bool resumed = false;
  tkt_openssl_info info{};
};

// Carries on to the end of a handshake whose early data was dropped or read.
bool completes(Early& early, Arrival& arrival) {
  auto *client = early.client.ssl.get(), *server = arrival.server.ssl.get();
  for (int round = 0; round < 6; ++round) {
    early.client.give(arrival.server.take());
    SSL_do_handshake(client);
    arrival.server.give(early.client.take());
    arrival.read_on();
    SSL_do_handshake(server);
  }
  char byte = 0;
  early.client.give(arrival.server.take());
  SSL_read(client, &byte, 1);  // tickets
  return SSL_is_init_finished(client) && SSL_is_init_finished(server) &&
         SSL_write(server, "y", 1) == 1 && (early.client.give(arrival.server.take()), true) &&
         SSL_read(client, &byte, 1) == 1 && byte == 'y';
}

// OpenSSL goes by the machine's clock when it looks at a ticket's age.
void follow_the_machine(Clock& clock) {
  clock.steady = clock.wall = std::chrono::floor<seconds>(std::chrono::system_clock::now());
}

// One host of a pool, and as many processes of it as wanted.
class Host {
 public:
  explicit Host(std::uint16_t member = 1) : server("web", member, clock) {
    server.publish(hourly(3));
  }

  // Another process, with the same ring file.
  RingPtr process(const std::string& path = {}) const {
    const auto ring_path = path.empty() ? server.path.string() : path;
    tkt_ring_options options{};
    options.size = sizeof options;
    options.ring_path = ring_path.c_str();
    options.no_thread = 1;
    tkt_ring* opened = nullptr;
    REQUIRE(tkt_ring_open(&opened, &options) == TKT_OK);
    return RingPtr(opened);
  }
  fs::path tables() const { return fs::path(server.path).replace_extension(".early"); }
  SessionPtr mint(SSL_CTX* context, const char* name = "a.test") {
    follow_the_machine(clock);
    server.tend();
    auto outcome = connect(context, {.name = name});
    REQUIRE(outcome.session);
    return std::move(outcome.session);
  }

  Clock clock;
  Server server;
};

ContextPtr attach(tkt_ring* ring, tkt_openssl_options options = once) {
  auto context = server_context("a.test");
  options.size = sizeof options;
  REQUIRE(tkt_openssl_attach(context.get(), ring, &options) == TKT_OK);
  return context;
}

ContextPtr key_file_server() {
  auto context = server_context("a.test");
  auto key = stek(1, "default");
  SSL_CTX_set_tlsext_ticket_keys(context.get(), key.data(), key.size());
  SSL_CTX_set_options(context.get(), SSL_OP_NO_ANTI_REPLAY);
  SSL_CTX_set_max_early_data(context.get(), 16384);
  return context;
}

// A pre-shared key of the application's own, which allows early data, to whoever asks.
SSL_SESSION* psk_session(SSL* ssl) {
  constexpr unsigned char aes_256_gcm[] = {0x13, 0x02}, key[32] = {7};
  SSL_SESSION* session = SSL_SESSION_new();
  SSL_SESSION_set1_master_key(session, key, sizeof key);
  SSL_SESSION_set_cipher(session, SSL_CIPHER_find(ssl, aes_256_gcm));
  SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION);
  SSL_SESSION_set_max_early_data(session, 16384);
  return session;
}
int find_psk(SSL* ssl, const unsigned char* identity, std::size_t size, SSL_SESSION** session) {
  const bool ours = std::string_view(reinterpret_cast<const char*>(identity), size) == "ours";
  *session = ours ? psk_session(ssl) : nullptr;
  return 1;
}
int use_psk(SSL* ssl, const EVP_MD*, const unsigned char** identity, std::size_t* size,
            SSL_SESSION** session) {
  *identity = reinterpret_cast<const unsigned char*>("ours");
  *size = 4;
  *session = psk_session(ssl);
  return 1;
}

std::size_t files_in(const fs::path& folder) {
  return static_cast<std::size_t>(
      std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

}  // namespace

TEST_SUITE("openssl: early data") {
  TEST_CASE("stock OpenSSL with a pool's keys takes a flight again, at each of its servers") {
    Host host;
    const auto one = key_file_server(), two = key_file_server();
    const auto session = host.mint(one.get());
    const Early early(session.get());
    for (auto* server : {one.get(), one.get(), two.get()}) {
      CHECK(Arrival(server, early.flight).accepted());  // this is the hole
    }
  }

  TEST_CASE("promise 14: a flight is taken once, whichever process of the host it comes to") {
    Host host;
    const auto ring = host.process();
    const auto one = attach(host.server.ring.get()), two = attach(ring.get());
    for (auto* first : {one.get(), two.get()}) {
      const auto session = host.mint(one.get());
      CHECK(SSL_SESSION_get_max_early_data(session.get()) == 16384);
      Early early(session.get());
      Arrival arrival(first, early.flight);
      CHECK(arrival.accepted());
      CHECK(arrival.info.early_data == TKT_EARLY_ACCEPTED);
      CHECK(completes(early, arrival));
      CHECK(arrival.info.resumed == 1);

      for (auto* again : {one.get(), two.get(), one.get()}) {
        const Arrival replay(again, early.flight);
        CHECK(replay.data.empty());
        CHECK(replay.resumed);
        CHECK(replay.info.early_data == TKT_EARLY_REPLAY);
      }
      // the same ticket again is another flight, and the client's own affair
      CHECK(Arrival(two.get(), Early(session.get()).flight).accepted());
    }
  }

  TEST_CASE("promise 14: an SSL that is used again takes no early data by the ticket of before") {
    Host host;
    const auto context = attach(host.server.ring.get());
    SSL_CTX_set_psk_find_session_callback(context.get(), find_psk);
    const auto session = host.mint(context.get());
    const auto ours = client_context();
    const Side first(ours.get(), true), server(context.get(), false);
    SSL_set_tlsext_host_name(first.ssl.get(), "a.test");
    REQUIRE(SSL_set_session(first.ssl.get(), session.get()) == 1);
    for (int round = 0; round < 4; ++round) {  // without early data: OpenSSL reads it once an SSL
      SSL_do_handshake(first.ssl.get());
      server.give(first.take());
      SSL_do_handshake(server.ssl.get());
      first.give(server.take());
    }
    tkt_openssl_info info{};
    info.size = sizeof info;
    REQUIRE(tkt_openssl_info_read(server.ssl.get(), &info) == TKT_OK);
    REQUIRE(info.resumed == 1);

    // another client's, with a key that is none of the pool's
    const auto stranger = client_context();
    SSL_CTX_set_psk_use_session_callback(stranger.get(), use_psk);
    const Side client(stranger.get(), true);
    SSL_set_tlsext_host_name(client.ssl.get(), "a.test");
    std::size_t written = 0;
    REQUIRE(SSL_write_early_data(client.ssl.get(), request.data(), request.size(), &written) == 1);
    const auto flight = client.take();
    const Arrival anew(context.get(), flight);
    CHECK(anew.resumed);  // by its own key
    CHECK(anew.data.empty());

    REQUIRE(SSL_clear(server.ssl.get()) == 1);
    server.begin(false);
    server.give(flight);
    char bytes[64];
    std::size_t size = 0;
    CHECK(SSL_read_early_data(server.ssl.get(), bytes, sizeof bytes, &size) ==
          SSL_READ_EARLY_DATA_FINISH);
    CHECK(size == 0);
    CHECK(SSL_session_reused(server.ssl.get()) == 1);
    REQUIRE(tkt_openssl_info_read(server.ssl.get(), &info) == TKT_OK);
    CHECK(info.early_data != TKT_EARLY_ACCEPTED);
  }

  TEST_CASE("a clock that OpenSSL reads behind ours takes no early data away") {
    // by milliseconds, as time() is of a coarse clock, or because somebody set it back
    for (const auto ahead : {1s, 8s, 300s}) {
      CAPTURE(ahead.count());
      Host host;
      const auto context = attach(host.server.ring.get());
      const auto mint = [&] {
        follow_the_machine(host.clock);
        host.clock.steady += ahead;
        host.server.tend();
        return connect(context.get(), {.name = "a.test"}).session;
      };
      const auto session = mint();
      const Early early(session.get());
      CHECK(Arrival(context.get(), early.flight).accepted());
      CHECK(Arrival(context.get(), early.flight).info.early_data == TKT_EARLY_REPLAY);
    }
  }

  TEST_CASE("promise 14: no server but the one that sealed the ticket takes it, 1-RTT goes on") {
    Host here(1), there(2);
    const auto first = attach(here.server.ring.get()), second = attach(there.server.ring.get());
    const auto session = here.mint(first.get());
    follow_the_machine(there.clock);
    Early early(session.get());

    Arrival elsewhere(second.get(), early.flight);

    CHECK(elsewhere.data.empty());
    CHECK(elsewhere.info.early_data == TKT_EARLY_FOREIGN);
    CHECK(completes(early, elsewhere));
    CHECK(elsewhere.resumed);
    CHECK(Arrival(first.get(), early.flight).accepted());  // it has taken nothing away
  }

  TEST_CASE("promise 14: two servers that are one member by mistake do not both take it") {
    Host here(1), there(1);  // as if somebody had copied the agent's folder
    const auto first = attach(here.server.ring.get()), second = attach(there.server.ring.get());
    const auto session = here.mint(first.get());
    follow_the_machine(there.clock);
    const Early early(session.get());
    CHECK(Arrival(second.get(), early.flight).info.early_data == TKT_EARLY_FOREIGN);
    CHECK(Arrival(first.get(), early.flight).accepted());
  }

  TEST_CASE("promise 14: a restarted host takes none twice, with its tables and without") {
    Host host;
    auto ring = host.process();
    auto context = attach(ring.get());
    const auto session = host.mint(context.get());
    const Early taken(session.get()), kept(session.get()), lost(session.get());
    CHECK(Arrival(context.get(), taken.flight).accepted());
    const auto restart = [&] {
      context.reset();
      ring.reset();
      ring = host.process();
      context = attach(ring.get());
    };

    restart();
    CHECK(Arrival(context.get(), taken.flight).info.early_data == TKT_EARLY_REPLAY);
    CHECK(Arrival(context.get(), kept.flight).accepted());

    context.reset();
    ring.reset();
    fs::remove_all(host.tables());
    restart();
    for (const auto* flight : {&taken, &kept, &lost}) {
      CHECK(Arrival(context.get(), flight->flight).info.early_data == TKT_EARLY_FOREIGN);
    }
    // tickets of now name the table of now
    CHECK(Arrival(context.get(), Early(host.mint(context.get()).get()).flight).accepted());
  }

  TEST_CASE("promise 14: a table that was removed, put back or copied under its servers") {
    Host host;
    const auto ring = host.process();
    const auto one = attach(host.server.ring.get());
    const auto session = host.mint(one.get());
    const Early early(session.get());
    const auto copy = host.server.folder / "copy";
    fs::copy(host.tables(), copy);
    CHECK(Arrival(one.get(), early.flight).accepted());

    fs::remove_all(host.tables());
    fs::rename(copy, host.tables());
    const auto two = attach(ring.get());  // opens what was put back
    CHECK(Arrival(two.get(), early.flight).info.early_data == TKT_EARLY_FOREIGN);
    CHECK(Arrival(one.get(), early.flight).info.early_data == TKT_EARLY_REPLAY);

    // and the first one goes over to it
    host.server.tend();
    CHECK(Arrival(one.get(), early.flight).info.early_data == TKT_EARLY_FOREIGN);
    CHECK(Arrival(two.get(), Early(host.mint(one.get()).get()).flight).accepted());
  }

  TEST_CASE("a table that is garbled or cut off is replaced") {
    for (const bool cut : {false, true}) {
      CAPTURE(cut);
      Host host;
      SessionPtr session;
      {
        const auto ring = host.process();
        session = host.mint(attach(ring.get()).get());
      }
      const auto table = fs::directory_iterator(host.tables())->path();
      if (cut) {
        fs::resize_file(table, 100);
      } else {
        std::ofstream(table) << "garbled";
      }
      const auto ring = host.process();
      const auto context = attach(ring.get());
      CHECK(Arrival(context.get(), Early(session.get()).flight).info.early_data ==
            TKT_EARLY_FOREIGN);
      CHECK(Arrival(context.get(), Early(host.mint(context.get()).get()).flight).accepted());
    }
  }

  TEST_CASE("promise 14: a full table takes no more, and the handshake goes on") {
    Host host;
    auto options = once;
    options.early_data_capacity = 1;  // a cache line: eight
    const auto context = attach(host.server.ring.get(), options);
    const auto session = host.mint(context.get());
    int taken = 0;
    for (int i = 0; i < 12; ++i) {
      Early early(session.get());
      Arrival arrival(context.get(), early.flight);
      taken += arrival.accepted() ? 1 : 0;
      CHECK(arrival.info.early_data == (i < 8 ? TKT_EARLY_ACCEPTED : TKT_EARLY_FULL));
      CHECK(completes(early, arrival));
    }
    CHECK(taken == 8);
  }

  TEST_CASE("promise 14: threads of two processes race for flights, and one has each") {
    Host host;
    const auto ring = host.process();
    const auto one = attach(host.server.ring.get()), two = attach(ring.get());
    const auto session = host.mint(one.get());
    for (int round = 0; round < 20; ++round) {
      const Early early(session.get());
      std::atomic<int> taken{0}, ready{0};
      std::vector<std::jthread> threads;
      for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&, i] {
          ++ready;
          while (ready < 4) std::this_thread::yield();
          taken += Arrival(i % 2 == 0 ? one.get() : two.get(), early.flight).accepted() ? 1 : 0;
        });
      }
      threads.clear();
      CHECK(taken == 1);
    }
  }

  TEST_CASE("promise 14: where no file can be made each process takes its own tickets' alone") {
    Host host;
    fs::remove_all(host.tables());
    std::ofstream(host.tables()) << "no folder";
    const auto ring = host.process();
    const auto one = attach(host.server.ring.get()), two = attach(ring.get());
    REQUIRE_FALSE(host.server.said.empty());
    CHECK(host.server.said.back().find("recorded in each process by itself") != std::string::npos);
    const auto said = host.server.said.size();
    for (int i = 0; i < 3; ++i) host.server.tend();
    CHECK(host.server.said.size() == said);  // once
    const auto session = host.mint(one.get());
    const Early early(session.get());
    CHECK(Arrival(two.get(), early.flight).info.early_data == TKT_EARLY_FOREIGN);
    CHECK(Arrival(one.get(), early.flight).accepted());
    CHECK(Arrival(one.get(), early.flight).info.early_data == TKT_EARLY_REPLAY);
  }

  TEST_CASE(
      "promise 14: an embedded pool, in memory across a fork and in a file across processes") {
    const auto embed = [](const char* path) {
      tkt_embed_options options{};
      options.size = sizeof options;
      options.pool = "web";
      options.ring_path = path;
      options.no_thread = 1;
      tkt_ring* ring = nullptr;
      REQUIRE(tkt_ring_embed(&ring, &options) == TKT_OK);
      return RingPtr(ring);
    };
    const auto session_of = [](SSL_CTX* context) { return connect(context, {}).session; };

    const auto memory = embed(nullptr);
    const auto context = attach(memory.get());
    const auto session = session_of(context.get());
    const Early early(session.get());
    const auto child = fork();
    if (child == 0) _exit(Arrival(context.get(), early.flight).accepted() ? 7 : 1);
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(WEXITSTATUS(status) == 7);
    CHECK(Arrival(context.get(), early.flight).info.early_data == TKT_EARLY_REPLAY);

    const Folder folder;
    const auto path = (folder / "own.ring").string();
    const auto maker = embed(path.c_str()), other = embed(path.c_str());
    const auto one = attach(maker.get()), two = attach(other.get());
    const auto shared = session_of(one.get());
    const Early flight(shared.get());
    CHECK(Arrival(two.get(), flight.flight).accepted());
    CHECK(Arrival(one.get(), flight.flight).info.early_data == TKT_EARLY_REPLAY);
    CHECK(fs::exists(folder / "own.early"));
  }

  TEST_CASE("a table goes with its epoch, and is there before the next one seals") {
    Host host;
    const auto context = attach(host.server.ring.get());
    CHECK(files_in(host.tables()) == 1);
    host.clock.pass(59min + 30s);
    host.server.tend();
    CHECK(files_in(host.tables()) == 2);
    host.clock.pass(13h + 1min);  // the first opens nothing any more
    host.server.publish({{2, 1h, 20h, 30h}, {3, 20h, 21h, 31h}});
    host.server.tend();
    CHECK(files_in(host.tables()) == 1);
    CHECK(fs::directory_iterator(host.tables())->path().filename().string().starts_with("2-"));
  }

  TEST_CASE(
      "tickets without our attribution bring no early data, nor do those of before it was on") {
    Host host;
    const auto before = attach(host.server.ring.get(), {});
    const auto plain = host.mint(before.get());
    CHECK(SSL_SESSION_get_max_early_data(plain.get()) == 0);
    const auto context = attach(host.server.ring.get());
    const auto foreign_server = key_file_server();
    const auto foreign = host.mint(foreign_server.get());
    SSL_SESSION_set_max_early_data(plain.get(), 16384);  // a client that does not ask
    for (const auto* session : {plain.get(), foreign.get()}) {
      Early early(session);
      Arrival arrival(context.get(), early.flight);
      CHECK(arrival.data.empty());
      CHECK(arrival.info.early_data == TKT_EARLY_FOREIGN);
      CHECK(completes(early, arrival));
    }
  }

  TEST_CASE("off, early data is dropped, tickets stay the pool's, whatever the SSL_CTX says") {
    Host host;
    const auto context = attach(host.server.ring.get(), {});
    const auto taking = attach(host.server.ring.get());
    SSL_CTX_set_max_early_data(context.get(), 16384);
    const auto own = host.mint(context.get());
    CHECK(SSL_SESSION_get_max_early_data(own.get()) == 0);
    CHECK(connect(taking.get(), {.session = own.get()}).resumed);  // not in one server's memory
    const auto session = host.mint(taking.get());
    Early early(session.get());
    Arrival arrival(context.get(), early.flight);
    CHECK(arrival.data.empty());
    CHECK(arrival.info.early_data == TKT_EARLY_NONE);
    CHECK(completes(early, arrival));
  }

  TEST_CASE("promise 6: early data crosses neither name nor context, however hosts are chosen") {
    for (const auto how : {Switch::client_hello, Switch::servername}) {
      Host host;
      auto a = once, b = once;
      a.context = "a";
      b.context = "b";
      a.binding = b.binding = TKT_SAME_CONTEXT;
      const auto port = attach(host.server.ring.get(), a),
                 other = attach(host.server.ring.get(), b);
      auto same = a;
      const auto third = attach(host.server.ring.get(), same);
      switch_by_name(port.get(), how, {{"b.test", other.get()}, {"c.test", third.get()}});
      const auto session = host.mint(port.get());
      for (const char* name : {"b.test", "c.test"}) {
        CAPTURE(name);
        const Arrival arrival(port.get(), Early(session.get(), name).flight);
        CHECK(arrival.data.empty());
        CHECK(arrival.info.early_data != TKT_EARLY_ACCEPTED);
      }
      CHECK(Arrival(port.get(), Early(session.get()).flight).accepted());
    }
  }

  TEST_CASE("options that cannot be are refused, and said") {
    Host host;
    const auto context = attach(host.server.ring.get());
    const auto refused = [&](tkt_openssl_options options) {
      options.size = sizeof options;
      const auto other = server_context("a.test");
      return tkt_openssl_attach(other.get(), host.server.ring.get(), &options) == TKT_BAD_ARGUMENT;
    };
    auto folder = once, capacity = once, kind = once;
    folder.early_data_folder = "/elsewhere";
    capacity.early_data_capacity = 5;
    const unsigned none = 2;  // as a C program may write it
    std::memcpy(&kind.early_data, &none, sizeof none);
    CHECK(refused(folder));
    CHECK(host.server.said.back().find("one early_data_folder") != std::string::npos);
    CHECK(refused(capacity));
    CHECK(refused(kind));
    CHECK_FALSE(refused(once));
  }
}
