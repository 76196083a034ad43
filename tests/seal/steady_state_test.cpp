// The handshake path in steady state makes no system call, no allocation of ours
// and takes no lock: counted by standing in for malloc and pthread's locks, and
// shown by a seccomp filter that kills whoever makes a system call.
//
// "Ours" is whatever libcrypto and libssl do not do themselves.
#include <dlfcn.h>
#include <link.h>
#include <openssl/bio.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <seccomp.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <functional>
#include <mutex>

#include "callbacks.hpp"
#include "capi/core.h"
#include "ring/derive.hpp"
#include "seal/host.hpp"
#include "stacks/pool.hpp"

namespace {

struct Range {
  std::uintptr_t from = 0, to = 0;
};
Range openssl_text[2];

int find_openssl(dl_phdr_info* object, std::size_t, void*) {
  const std::string_view name = object->dlpi_name;
  const int at = name.find("libcrypto") != name.npos ? 0 : name.find("libssl") != name.npos ? 1 : 2;
  for (int i = 0; at < 2 && i < object->dlpi_phnum; ++i) {
    const auto& header = object->dlpi_phdr[i];
    if (header.p_type != PT_LOAD || (header.p_flags & PF_X) == 0) continue;
    openssl_text[at] = {object->dlpi_addr + header.p_vaddr,
                        object->dlpi_addr + header.p_vaddr + header.p_memsz};
  }
  return 0;
}

std::atomic<bool> counting{false};
std::atomic<int> allocations{0}, locks{0}, of_openssl{0};

void note(std::atomic<int>& what, const void* caller) {
  if (!counting) return;
  const auto address = reinterpret_cast<std::uintptr_t>(caller);
  bool theirs = false;
  for (const auto& range : openssl_text) theirs |= range.from <= address && address < range.to;
  ++(theirs ? of_openssl : what);
}

template <class Function>
Function next(Function& known, const char* name) {
  if (known == nullptr) known = reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
  return known;
}

}  // namespace

extern "C" {

void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* old, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);

void* malloc(std::size_t size) {
  note(allocations, __builtin_return_address(0));
  return __libc_malloc(size);
}
void* calloc(std::size_t count, std::size_t size) {
  note(allocations, __builtin_return_address(0));
  return __libc_calloc(count, size);
}
void* realloc(void* old, std::size_t size) {
  note(allocations, __builtin_return_address(0));
  return __libc_realloc(old, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) {
  note(allocations, __builtin_return_address(0));
  return __libc_memalign(alignment, size);
}
int posix_memalign(void** out, std::size_t alignment, std::size_t size) {
  note(allocations, __builtin_return_address(0));
  *out = __libc_memalign(alignment, size);
  return *out == nullptr ? ENOMEM : 0;
}

#define STAND_IN(name, type)                  \
  int name(type* lock) {                      \
    static int (*real)(type*) = nullptr;      \
    note(locks, __builtin_return_address(0)); \
    return next(real, #name)(lock);           \
  }
STAND_IN(pthread_mutex_lock, pthread_mutex_t)
STAND_IN(pthread_mutex_trylock, pthread_mutex_t)
STAND_IN(pthread_rwlock_rdlock, pthread_rwlock_t)
STAND_IN(pthread_rwlock_tryrdlock, pthread_rwlock_t)
STAND_IN(pthread_rwlock_wrlock, pthread_rwlock_t)
STAND_IN(pthread_rwlock_trywrlock, pthread_rwlock_t)
#undef STAND_IN

}  // extern "C"

namespace {

using namespace seal_test;
using Work = std::function<bool()>;

struct Counted {
  int allocations, locks, of_openssl;

  Counted& operator+=(const Counted& other) {
    allocations += other.allocations;
    locks += other.locks;
    of_openssl += other.of_openssl;
    return *this;
  }
};

class Counting {
 public:
  Counting() {
    allocations = locks = of_openssl = 0;
    counting = true;
  }
  Counted stop() {
    counting = false;
    return {allocations, locks, of_openssl};
  }
  ~Counting() { counting = false; }
};

// How a forked child ended that does `work` `times` times with every system call
// forbidden but the one that ends it. 0 is well; a system call is SIGSYS.
int under_seccomp(const Work& work, int times) {
  const pid_t child = fork();
  if (child == 0) {
    // a forked child begins anew once; only what comes after is steady
    if (!work()) _exit(2);
    auto* filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
    seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(exit_group), 0);
    if (seccomp_load(filter) != 0) _exit(3);
    for (int i = 0; i < times; ++i) {
      if (!work()) _exit(1);
    }
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

// Sealing and opening through the public door.
class OwnTickets {
 public:
  explicit OwnTickets(tkt_ring* ring) {
    REQUIRE(tkt_ring_context(ring, nullptr, nullptr, &context_) == TKT_OK);
  }
  bool operator()() {
    std::size_t size = sizeof ticket_, length = sizeof payload_;
    return tkt_seal(context_, ticket_, &size, "alice", 5, nullptr) == TKT_OK &&
           tkt_open(context_, payload_, &length, ticket_, size, nullptr) == TKT_OK && length == 5;
  }

 private:
  tkt_context* context_ = nullptr;
  unsigned char ticket_[256], payload_[256];
};

// What OpenSSL calls of ours in a handshake that resumes and sends a ticket.
class Callbacks {
 public:
  explicit Callbacks(tkt_ring* ring) : context_(pool::server_context("a.test")) {
    REQUIRE(tkt_openssl_attach(context_.get(), ring, nullptr) == TKT_OK);
    ssl_.reset(SSL_new(context_.get()));
    SSL_set_accept_state(ssl_.get());
    session_.reset(SSL_SESSION_new());
    SSL_set_session(ssl_.get(), session_.get());
  }
  ~Callbacks() {
    EVP_CIPHER_CTX_free(cipher_);
    EVP_MAC_CTX_free(mac_);
    EVP_MAC_free(hmac_);
  }
  bool operator()() {
    using namespace ticket::openssl;
    return prepare_ticket(ssl_.get(), nullptr) == 1 &&
           seal_key(ssl_.get(), name_, iv_, cipher_, mac_) == 1 &&
           open_key(ssl_.get(), name_, iv_, cipher_, mac_) != 0 &&
           judge_ticket(ssl_.get(), session_.get(), name_, sizeof name_, SSL_TICKET_SUCCESS,
                        nullptr) == SSL_TICKET_RETURN_USE;
  }

 private:
  pool::ContextPtr context_;
  pool::SslPtr ssl_;
  pool::SessionPtr session_;
  EVP_MAC* hmac_ = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
  EVP_MAC_CTX* mac_ = EVP_MAC_CTX_new(hmac_);
  EVP_CIPHER_CTX* cipher_ = EVP_CIPHER_CTX_new();
  unsigned char name_[16], iv_[16];
};

RingPtr open_by_the_machines_clock(const Host& host) {
  const auto path = host.path.string();
  tkt_ring_options options{};
  options.size = sizeof options;
  options.ring_path = path.c_str();
  options.no_thread = 1;
  tkt_ring* ring = nullptr;
  REQUIRE(tkt_ring_open(&ring, &options) == TKT_OK);
  return RingPtr(ring);
}

// A pool at the machine's time, and both ways of using it.
struct Setting {
  Clock clock;
  Host host{clock};
  RingPtr ring;

  Setting() {
    dl_iterate_phdr(find_openssl, nullptr);
    REQUIRE(openssl_text[0].to > openssl_text[0].from);
    REQUIRE(openssl_text[1].to > openssl_text[1].from);
    const auto now = ticket::SystemClock().now().steady;
    host.publish(hourly(1, 4, now - 10min));
    ring = open_by_the_machines_clock(host);
  }
};

// The server's part of a handshake in memory, counted; the client keeps a session.
class Server {
 public:
  Server(tkt_ring* ring, int version)
      : server_(pool::server_context("a.test")), client_(SSL_CTX_new(TLS_client_method())) {
    REQUIRE(tkt_openssl_attach(server_.get(), ring, nullptr) == TKT_OK);
    SSL_CTX_set_min_proto_version(client_.get(), version);
    SSL_CTX_set_max_proto_version(client_.get(), version);
  }
  Counted handshake(bool resume) {
    Counting birth;
    pool::SslPtr server(SSL_new(server_.get()));
    Counted sum = birth.stop();
    pool::SslPtr client(SSL_new(client_.get()));
    BIO *near = nullptr, *far = nullptr;
    BIO_new_bio_pair(&near, 0, &far, 0);
    SSL_set_bio(server.get(), near, near);
    SSL_set_bio(client.get(), far, far);
    SSL_set_accept_state(server.get());
    SSL_set_connect_state(client.get());
    SSL_set_tlsext_host_name(client.get(), "a.test");
    if (resume) SSL_set_session(client.get(), session_.get());
    for (int flight = 0; flight < 4; ++flight) {
      SSL_do_handshake(client.get());
      Counting window;
      SSL_do_handshake(server.get());
      sum += window.stop();
    }
    char byte = 0;
    SSL_read(client.get(), &byte, 1);  // takes TLS 1.3's tickets
    CHECK((SSL_session_reused(server.get()) == 1) == resume);
    session_.reset(SSL_get1_session(client.get()));
    SSL_shutdown(client.get());
    Counting end;
    server.reset();
    sum += end.stop();
    return sum;
  }

 private:
  pool::ContextPtr server_, client_;
  pool::SessionPtr session_;
};

}  // namespace

TEST_SUITE("steady state") {
  TEST_CASE("the stand-ins count, and the filter kills") {
    Setting setting;
    std::atomic<char*> kept;
    std::mutex mutex;
    Counting window;
    kept = new char[100];
    mutex.lock();
    mutex.unlock();
    const auto counted = window.stop();
    delete[] kept.load();

    CHECK(counted.allocations == 1);
    CHECK(counted.locks == 1);
    CHECK(under_seccomp([] { return getppid() != 0; }, 1) == 128 + SIGSYS);
    CHECK(under_seccomp([] { return true; }, 1) == 0);
  }

  TEST_CASE("tkt_seal and tkt_open: no allocation, no lock, OpenSSL's included; no system call") {
    Setting setting;
    OwnTickets work(setting.ring.get());
    REQUIRE(work());
    tkt_ring_tend(setting.ring.get(), nullptr);

    Counting window;
    bool well = true;
    for (int i = 0; i < 20'000; ++i) well &= work();
    const auto counted = window.stop();

    CHECK(well);
    CHECK(counted.allocations == 0);
    CHECK(counted.locks == 0);
    CHECK(counted.of_openssl == 0);
    tkt_ring_tend(setting.ring.get(), nullptr);
    CHECK(under_seccomp([&] { return work(); }, 20'000) == 0);
  }

  TEST_CASE("OpenSSL's ticket callbacks, and tkt_core_*: none of ours, and no system call") {
    Setting setting;
    Callbacks work(setting.ring.get());
    REQUIRE(work());
    tkt_ring_tend(setting.ring.get(), nullptr);

    Counting window;
    bool well = true;
    for (int i = 0; i < 5'000; ++i) well &= work();
    const auto counted = window.stop();

    CHECK(well);
    CHECK(counted.allocations == 0);
    CHECK(counted.locks == 0);
    CHECK(counted.of_openssl > 0);  // it copies contexts: the stand-ins do see them
    tkt_ring_tend(setting.ring.get(), nullptr);
    CHECK(under_seccomp([&] { return work(); }, 5'000) == 0);
  }

  TEST_CASE("a whole resumption at the server: no allocation and no lock of ours") {
    Setting setting;
    for (const int version : pool::both_versions) {
      CAPTURE(version);
      Server server(setting.ring.get(), version);
      server.handshake(false);
      server.handshake(true);
      tkt_ring_tend(setting.ring.get(), nullptr);

      for (int i = 0; i < 20; ++i) {
        const auto counted = server.handshake(true);

        CHECK(counted.allocations == 0);
        CHECK(counted.locks == 0);
        CHECK(counted.of_openssl > 0);
      }
    }
  }
}
