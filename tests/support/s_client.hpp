// `openssl s_client`, a client that nobody here wrote: a handshake, one HTTP request,
// and the session that it was given.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace support {

enum class Tls { v1_2, v1_3 };
const char* to_text(Tls version);

// How s_client comes.
struct Client {
  std::string address;  // "127.0.0.1:8443"
  Tls version = Tls::v1_3;
  std::string name = "a.test";            // empty: it names no server in its hello
  std::filesystem::path ca{};             // it insists on a certificate of; empty: takes any
  std::filesystem::path keep{}, offer{};  // files of sessions
  std::string path = "/";
  std::vector<std::string> more{};  // of s_client's options
};

// What it saw.
struct Shake {
  bool ok;               // the handshake, and a response of 200
  bool reused;           // the server took the session that was offered
  std::string key_name;  // of the ticket that it kept, in hex; empty when there was none
  std::string output;
};

// Bounded by 20 s.
Shake connect(const Client& client);

}  // namespace support
