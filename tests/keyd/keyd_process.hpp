// The real keyd in a folder of its own: started, asked by curl, which nobody
// here wrote, and over its admin socket.
#pragma once

#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

#include "fixture.hpp"
#include "key_file.hpp"
#include "ring/ring_file.hpp"
#include "support/process.hpp"

namespace test {

using support::Process;
using support::TempFolder;

inline sys_seconds wall_clock() {
  return std::chrono::floor<seconds>(std::chrono::system_clock::now());
}

inline Wish valid_now(Wish wish) {
  wish.from = wall_clock() - 1h;
  wish.until = wall_clock() + 24h;
  return wish;
}

struct Folder : TempFolder {
  Folder() {
    write("ca.pem", pem_of(ca.certificate.get()));
    write("mail-ca.pem", pem_of(mail_ca.certificate.get()));
    keyd::write_key_file(*this / "authority.key", signer_seed());
    keyd::write_key_file(*this / "state.key", state_key().key);
    identity("keyd", "URI:ticket:keyd,IP:127.0.0.1");
    identity("web1", "URI:ticket:member:web:web1");
    identity("mail1", "URI:ticket:member:mail:mail1", &mail_ca);
    identity("spy", "URI:ticket:member:web:web1", &mail_ca);
    identity("relay", "URI:ticket:relay:edge");
    configure("");
  }

  void write(const std::string& name, const std::string& text) const {
    support::write_text(*this / name, text);
    std::filesystem::permissions(*this / name, std::filesystem::perms(0600));
  }

  void identity(const std::string& name, const std::string& names,
                const test::Authority* issuer = nullptr) const {
    const auto key = p256_key();
    Wish wish;
    wish.name = name;
    wish.extensions.push_back({NID_subject_alt_name, names});
    write(name + ".pem",
          pem_of((issuer == nullptr ? ca : *issuer).sign(key.get(), valid_now(wish)).get()));
    write(name + ".key", pem_of(key.get()));
  }

  // `more` belongs to each pool, `authority` to [authority].
  void configure(const std::string& more, const std::string& authority = "") const {
    std::string text =
        "[authority]\nlisten = [\"127.0.0.1:0\"]\ncertificate = \"keyd.pem\"\nkey = \"keyd.key\"\n"
        "signing_key = \"authority.key\"\nstate = \"state/keyd.state\"\nstate_key = \"state.key\"\n"
        "admin = \"keyd.sock\"\nadmin_users = [\"nobody\"]\n" +
        authority;
    text += "[[pool]]\nname = \"web\"\nmembers_ca = \"ca.pem\"\n" + more;
    text += "[[pool]]\nname = \"mail\"\nmembers_ca = \"mail-ca.pem\"\n" + more;
    write("keyd.toml", text);
  }

  test::Authority ca{valid_now(ca_wish("test CA"))};
  test::Authority mail_ca{valid_now(ca_wish("mail CA"))};
};

struct Keyd {
  explicit Keyd(const Folder& in, const support::ProcessOptions& options = {})
      : folder(in),
        process({(support::build_root() / "keyd/keyd").string(), "authority", "--config",
                 (in / "keyd.toml").string(), "--port-file", (in / "port").string()},
                options) {}

  bool serves() {
    return support::wait_until(
        [&] { return process.output().find("ready: listening on") != std::string::npos; }, 20s);
  }
  std::string port() const {
    auto text = support::read_text(folder / "port");
    text.pop_back();
    return text;
  }
  // "STATUS BODY" of a request by the bearer of a certificate ("": of none).
  std::string ask(const std::string& path, const std::string& as,
                  const std::vector<std::string>& more = {"--tlsv1.3"}) const {
    std::vector<std::string> call{"curl", "-s",           "-S",
                                  "-w",   "%{http_code}", "-o",
                                  "-",    "--cacert",     (folder / "ca.pem").string()};
    if (!as.empty()) {
      call.insert(call.end(), {"--cert", (folder / (as + ".pem")).string(), "--key",
                               (folder / (as + ".key")).string()});
    }
    call.insert(call.end(), more.begin(), more.end());
    call.push_back("https://127.0.0.1:" + port() + path);
    return support::run(call).output;
  }
  json order(const json& request) const {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, (folder / "keyd.sock").c_str());
    const ring::Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    REQUIRE(::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    keyd::send_frame(socket.get(), request.dump(), keyd::admin_frame_limit);
    return json::parse(*keyd::receive_frame(socket.get(), keyd::admin_frame_limit));
  }
  bool says(const std::string& text) {
    return support::wait_until([&] { return process.output().find(text) != std::string::npos; },
                               10s);
  }

  const Folder& folder;
  Process process;
};

inline std::string status_of(const std::string& answer) {
  return answer.size() < 3 ? answer : answer.substr(answer.size() - 3);
}

inline pid_t front_of(const Keyd& keyd) {
  const auto children =
      support::read_text("/proc/" + std::to_string(keyd.process.pid()) + "/task/" +
                         std::to_string(keyd.process.pid()) + "/children");
  return static_cast<pid_t>(std::stol(children));
}

}  // namespace test
