// Debian's nginx with our modules, in a temporary folder, and `openssl s_client`
// as its client.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "ring/ring_file.hpp"
#include "support/process.hpp"
#include "wire/ring_slot.hpp"

namespace nginx {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using support::Milliseconds;
using ticket::seconds;
using ticket::sys_seconds;

sys_seconds wall_clock();

// Certificates of a.test, b.test and secure.test, a CA, and a client's.
class Certificates {
 public:
  explicit Certificates(fs::path folder);
  // The two directives of a server block.
  std::string of(const std::string& name) const;
  std::string client_ca() const { return folder_ / "ca.pem"; }
  std::string client() const { return folder_ / "client.pem"; }

 private:
  void make(const std::string& name, const std::string& extension) const;
  fs::path folder_;
};

// Times of an epoch, counted from now.
struct Life {
  std::uint32_t number;
  seconds seals_from, seals_until, opens_until;
};

// A ring file, as keyd's agent writes it.
class RingFile {
 public:
  explicit RingFile(fs::path path, std::uint16_t member = 1);
  // Secrets follow from an epoch's number, so files of one pool agree.
  void publish(const std::vector<Life>& lives,
               const std::vector<ticket::ring::Revocation>& revocations = {});
  // The same spoiled, whole and with its checksum, by a writer that refuses nothing.
  using Spoil = std::function<void(ticket::wire::RingSlot&)>;
  void plant(const std::vector<Life>& lives, const Spoil& spoil) const;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
  std::uint16_t member_;
  ticket::ring::RingWriter writer_;
  std::uint64_t generation_ = 0;
};

// What tickets of an epoch and context are sealed with: name 16 | HMAC key 32 | AES key 32.
std::string ticket_key_of(std::uint32_t epoch, const std::string& context);
// A key that tickets of an epoch and context are signed with, to be looked for where it
// should not be.
std::string hmac_key_of(std::uint32_t epoch, const std::string& context);

// A running nginx. `main` stands at the top level of its configuration; it may begin with
// `user` for workers that are not root's.
class Nginx {
 public:
  Nginx(const fs::path& folder, const std::string& main,
        const std::vector<std::string>& under = {});
  ~Nginx();

  void reload();   // SIGHUP; returns when new workers serve
  void restart();  // stops, starts
  void upgrade();  // a new binary takes over the sockets
  std::string log() const;
  pid_t master() const;
  std::vector<pid_t> children() const;

  // What `nginx -t` says of a configuration.
  static support::Outcome test(const fs::path& folder, const std::string& main);
  // The lines in front of every configuration.
  static std::string head(const fs::path& folder);

 private:
  void start();
  void stop(int how);

  fs::path folder_;
  std::vector<std::string> under_;  // a program that runs it, such as faketime
  std::unique_ptr<support::Process> foreground_;
};

// An http block: where nginx may write, then `servers`.
std::string http_block(const fs::path& folder, const std::string& servers);

struct Client {
  std::string name = "a.test";
  int version = 13;             // 12: TLS 1.2
  std::string keep{}, offer{};  // files of sessions
  std::string certificate{};    // with its key in one file
  std::string path = "/";
  std::vector<std::string> more{};  // of s_client's options
};

struct Shake {
  bool ok;  // the handshake and a response of 200
  bool reused;
  std::string key_name;  // of the ticket that it kept, in hex
  std::string body;
  std::string output;
};

Shake connect(int port, const Client& client);

}  // namespace nginx
