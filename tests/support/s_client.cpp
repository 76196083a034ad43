#include "support/s_client.hpp"

#include <regex>

#include "support/process.hpp"

namespace support {

namespace fs = std::filesystem;

namespace {

std::vector<std::string> command_of(const Client& client) {
  std::vector<std::string> argv = {"openssl",  "s_client",
                                   "-connect", client.address,
                                   "-ign_eof", client.version == Tls::v1_2 ? "-tls1_2" : "-tls1_3"};
  const auto add = [&argv](std::initializer_list<std::string> options) {
    argv.insert(argv.end(), options);
  };
  if (client.name.empty()) {
    add({"-noservername"});
  } else {
    add({"-servername", client.name});
  }
  if (!client.ca.empty()) add({"-CAfile", client.ca, "-verify_return_error"});
  if (!client.offer.empty()) add({"-sess_in", client.offer});
  if (!client.keep.empty()) add({"-sess_out", client.keep});
  argv.insert(argv.end(), client.more.begin(), client.more.end());
  return argv;
}

std::string request_of(const Client& client) {
  const auto host = client.name.empty() ? "a.test" : client.name;
  return "GET " + client.path + " HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n\r\n";
}

// The first 16 bytes of the ticket, which a session file shows as a dump:
// "0000 - 5b 1f ... 9c-00 ...".
std::string key_name_of(const fs::path& session) {
  if (!fs::exists(session)) return "";
  const auto text = run({"openssl", "sess_id", "-in", session, "-noout", "-text"}).output;
  static const std::regex dump("TLS session ticket:\\s+0000 - ((?:[0-9a-f]{2}[ -]){16})");
  std::smatch match;
  return std::regex_search(text, match, dump) ? match[1].str() : "";
}

}  // namespace

const char* to_text(Tls version) { return version == Tls::v1_2 ? "TLS 1.2" : "TLS 1.3"; }

Shake connect(const Client& client) {
  if (!client.keep.empty()) fs::remove(client.keep);
  const auto done = run(command_of(client), {.input = request_of(client)}, 20s);
  // not at the head of a line: s_client's own output is buffered, the response is not
  return {.ok = done.output.find("HTTP/1.1 200 ") != std::string::npos,
          .reused = done.output.find("Reused, TLSv1.") != std::string::npos,
          .key_name = client.keep.empty() ? "" : key_name_of(client.keep),
          .output = done.output};
}

}  // namespace support
