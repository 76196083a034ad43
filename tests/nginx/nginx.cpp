#include "nginx.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "crypto/digest.hpp"
#include "ring/derive.hpp"
#include "support/rings.hpp"
#include "support/s_client.hpp"

namespace nginx {

sys_seconds wall_clock() { return std::chrono::floor<seconds>(std::chrono::system_clock::now()); }

namespace {

void command(const std::vector<std::string>& argv) {
  const auto done = support::run(argv);
  if (done.code != 0) throw std::runtime_error(argv.front() + ": " + done.output);
}

}  // namespace

Certificates::Certificates(fs::path folder) : folder_(std::move(folder)) {
  fs::create_directories(folder_);
  command({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
           "-nodes", "-days", "2", "-subj", "/CN=test CA", "-keyout", folder_ / "ca.key", "-out",
           folder_ / "ca.pem"});
  for (const char* name : {"a.test", "b.test", "secure.test"}) {
    make(name, std::string("subjectAltName=DNS:") + name);
  }
  make("client", "extendedKeyUsage=clientAuth");
}

void Certificates::make(const std::string& name, const std::string& extension) const {
  const auto file = [&](const char* end) { return (folder_ / (name + end)).string(); };
  command({"openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
           "-subj", "/CN=" + name, "-keyout", file(".key"), "-out", file(".csr")});
  support::write_text(file(".ext"), extension + "\n");
  command({"openssl", "x509", "-req", "-in", file(".csr"), "-days", "2", "-CA", folder_ / "ca.pem",
           "-CAkey", folder_ / "ca.key", "-extfile", file(".ext"), "-out", file(".crt")});
  support::write_text(file(".pem"),
                      support::read_text(file(".crt")) + support::read_text(file(".key")));
}

std::string Certificates::of(const std::string& name) const {
  const auto base = (folder_ / name).string();
  return "ssl_certificate " + base + ".crt; ssl_certificate_key " + base + ".key;";
}

RingFile::RingFile(fs::path path, std::uint16_t member)
    : path_(std::move(path)), member_(member), writer_(path_, "web") {}

void RingFile::publish(const std::vector<Life>& lives,
                       const std::vector<ticket::ring::Revocation>& revocations) {
  const auto now = wall_clock();
  std::vector<ticket::ring::Epoch> epochs;
  for (const auto& life : lives) {
    auto epoch = ticket::test::epoch(life.number, now + life.seals_from);
    epoch.seals_until = now + life.seals_until;
    epoch.opens_until = now + life.opens_until;
    epochs.push_back(epoch);
  }
  auto ring = ticket::test::ring_of(epochs, ++generation_, member_);
  ring.issued_at = now;
  ring.revocations = revocations;
  if (!writer_.publish(ring, now)) throw std::runtime_error("publish");
  writer_.heartbeat(now);
}

// The ring file's head has the index of its slot at 16 and the size of one at 12; a slot
// has its index, its body's size and hash, and from 44 on the body.
void RingFile::plant(const std::vector<Life>& lives, const Spoil& spoil) const {
  const auto at = [](std::string& file, std::size_t offset, auto value) {
    std::memcpy(&value, file.data() + offset, sizeof value);
    return value;
  };
  const auto slot_at = [&](std::string& file, std::uint64_t index) {
    return 4096 + (index & 1) * at(file, 12, std::uint32_t());
  };
  const fs::path scratch = path_.string() + ".scratch";
  RingFile(scratch, member_).publish(lives);
  auto whole = support::read_text(scratch), file = support::read_text(path_);
  fs::remove(scratch);

  const auto from = slot_at(whole, at(whole, 16, std::uint64_t()));
  const auto body = std::string_view(whole).substr(from + 44, at(whole, from + 8, std::uint32_t()));
  auto slot = ticket::wire::parse_ring_slot(ticket::as_bytes(body));
  if (!slot) throw std::runtime_error("plant");
  spoil(*slot);
  const auto spoiled = ticket::wire::write_ring_slot(*slot);

  const auto index = at(file, 16, std::uint64_t()) + 1;
  const auto size = static_cast<std::uint32_t>(spoiled.size());
  std::string head(12, '\0');
  std::memcpy(head.data(), &index, 8);
  std::memcpy(head.data() + 8, &size, 4);
  head += ticket::as_text(ticket::crypto::sha256(spoiled.expose()));
  head += ticket::as_text(spoiled.expose());
  std::fstream out(path_, std::ios::in | std::ios::out | std::ios::binary);
  out.seekp(static_cast<std::streamoff>(slot_at(file, index)));
  out.write(head.data(), static_cast<std::streamsize>(head.size()));
  out.seekp(16);
  out.write(reinterpret_cast<const char*>(&index), sizeof index);
  if (!out.flush()) throw std::runtime_error("plant");
}

std::string ticket_key_of(std::uint32_t epoch, const std::string& context) {
  const auto ring = ticket::test::ring_of({ticket::test::epoch(epoch, wall_clock())});
  std::array<std::byte, 80> stek;
  ticket::ring::derive_stek(ring.secrets.expose(), ticket::ring::purpose::openssl, "web", context,
                            stek);
  return std::string(ticket::as_text(stek));
}

std::string hmac_key_of(std::uint32_t epoch, const std::string& context) {
  return ticket_key_of(epoch, context).substr(16, 32);
}

std::string Nginx::head(const fs::path& folder) {
  const auto modules = (support::build_root() / "plugins/nginx").string();
  return "load_module /usr/lib/nginx/modules/ngx_stream_module.so;\n"
         "load_module " +
         modules +
         "/ngx_http_ticket_module.so;\n"
         "load_module " +
         modules + "/ngx_stream_ticket_module.so;\n" + (geteuid() == 0 ? "user root;\n" : "") +
         "worker_processes 2; pid " + (folder / "nginx.pid").string() + ";\n" + "error_log " +
         (folder / "error.log").string() + " notice; events { }\n";
}

Nginx::Nginx(const fs::path& folder, const std::string& main, const std::vector<std::string>& under)
    : folder_(folder), under_(under) {
  fs::create_directories(folder_ / "temp");
  auto text = head(folder_) + main;
  if (main.starts_with("user ")) {
    if (const auto ours = text.find("user root;\n"); ours != std::string::npos) {
      text.erase(ours, 11);
    }
  }
  support::write_text(folder_ / "nginx.conf", text);
  start();
}

Nginx::~Nginx() {
  try {
    stop(SIGTERM);
  } catch (const std::exception&) {
    ::kill(master(), SIGKILL);
  }
}

// As a daemon: in the foreground nginx takes no upgrade.
void Nginx::start() {
  std::vector<std::string> argv = under_;
  argv.insert(argv.end(), {"/usr/sbin/nginx", "-p", folder_, "-c", folder_ / "nginx.conf", "-e",
                           folder_ / "error.log"});
  support::Outcome started{0, ""};
  if (under_.empty()) {
    started = support::run(argv, {}, 20s);
  } else {  // faketime waits for a daemon for ever
    argv.insert(argv.end(), {"-g", "daemon off;"});
    foreground_ = std::make_unique<support::Process>(argv);
  }
  const auto works = [&] { return children().size() >= 2; };
  if (started.code != 0 || !support::wait_until(works, 20s)) {
    throw std::runtime_error("nginx did not start: " + started.output + log());
  }
}

// It removes its pid file as it ends.
void Nginx::stop(int how) {
  const auto pid = master();
  if (pid <= 0) return;
  ::kill(pid, how);
  const auto gone = [&] { return !fs::exists(folder_ / "nginx.pid"); };
  if (!support::wait_until(gone, 10s)) throw std::runtime_error("nginx did not stop: " + log());
}

void Nginx::restart() {
  stop(SIGQUIT);
  start();
}

void Nginx::reload() {
  const auto old = children();
  ::kill(master(), SIGHUP);
  const auto all_new = [&] {
    const auto now = children();
    return now.size() == 2 && std::ranges::none_of(now, [&](pid_t pid) {
             return std::find(old.begin(), old.end(), pid) != old.end();
           });
  };
  if (!support::wait_until(all_new, 15s)) throw std::runtime_error("no reload: " + log());
}

// As nginx's manual has it: USR2 begins a second master, QUIT ends the first.
void Nginx::upgrade() {
  const auto old = master();
  ::kill(old, SIGUSR2);
  const auto taken_over = [&] { return master() != old && children().size() >= 2; };
  if (!support::wait_until(taken_over, 15s)) throw std::runtime_error("no upgrade: " + log());
  ::kill(old, SIGQUIT);
  const auto gone = [&] { return !fs::exists(folder_ / "nginx.pid.oldbin"); };
  if (!support::wait_until(gone, 10s)) throw std::runtime_error("the old nginx stays: " + log());
}

std::string Nginx::log() const {
  return fs::exists(folder_ / "error.log") ? support::read_text(folder_ / "error.log") : "";
}

pid_t Nginx::master() const {
  std::ifstream file(folder_ / "nginx.pid");
  pid_t pid = -1;
  file >> pid;
  return pid;
}

std::vector<pid_t> Nginx::children() const {
  const auto pid = std::to_string(master());
  std::ifstream file("/proc/" + pid + "/task/" + pid + "/children");
  std::vector<pid_t> found;
  for (pid_t child; file >> child;) found.push_back(child);
  return found;
}

support::Outcome Nginx::test(const fs::path& folder, const std::string& main) {
  fs::create_directories(folder / "temp");
  support::write_text(folder / "nginx.conf", head(folder) + main);
  return support::run(
      {"/usr/sbin/nginx", "-t", "-p", folder, "-c", folder / "nginx.conf", "-e", "stderr"});
}

std::string http_block(const fs::path& folder, const std::string& servers) {
  std::string text = "http {\n access_log off; ssl_protocols TLSv1.2 TLSv1.3;\n";
  for (const std::string kind : {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"}) {
    text += " " + kind + "_temp_path " + (folder / "temp" / kind).string() + ";\n";
  }
  return text + servers + "}\n";
}

Shake connect(int port, const Client& client) {
  support::Client how{.address = "127.0.0.1:" + std::to_string(port),
                      .version = client.version == 12 ? support::Tls::v1_2 : support::Tls::v1_3,
                      .name = client.name,
                      .keep = client.keep,
                      .offer = client.offer,
                      .path = client.path,
                      .more = client.more};
  if (!client.certificate.empty()) {
    how.more.insert(how.more.end(), {"-cert", client.certificate, "-key", client.certificate});
  }
  const auto seen = support::connect(how);
  const auto& text = seen.output;
  Shake shake{seen.ok, seen.reused, seen.key_name, "", text};
  // behind the head: what s_client shows of a ticket has "<<" by chance
  if (const auto at = text.find("<<", text.find("HTTP/1.1 ")); at != std::string::npos) {
    shake.body = text.substr(at + 2, text.find(">>", at) - at - 2);
  }
  return shake;
}

}  // namespace nginx
