#include "tls_servers.hpp"

#include <random>
#include <stdexcept>

#include "support/listens.hpp"

namespace servers {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

std::string address(std::uint16_t port) { return "127.0.0.1:" + std::to_string(port); }

}  // namespace

Lab::Lab() { make_certificate("a"); }

void Lab::make_certificate(const std::string& name) const {
  const auto made = support::run(
      {"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
       "-subj", "/CN=" + name + ".test", "-addext", "subjectAltName=DNS:" + name + ".test", "-days",
       "2", "-keyout", path(name + ".key"), "-out", path(name + ".pem")});
  if (made.code != 0) throw std::runtime_error(made.output);
  // HAProxy wants both in one file
  support::write_text(path(name + ".both.pem"), support::read_text(path(name + ".pem")) +
                                                    support::read_text(path(name + ".key")));
}

void Lab::make_ticket_key(const std::string& file) const {
  std::random_device random;
  std::string key;
  for (int i = 0; i < 48; ++i) key += static_cast<char>(random());
  support::write_text(path(file), key);
}

std::string Lab::new_folder() {
  const auto folder = folder_ / ("server" + std::to_string(++folders_));
  fs::create_directories(folder);
  return folder;
}

std::string Lab::keep(std::vector<std::string> argv, std::uint16_t port) {
  processes_.emplace_back(argv);
  if (!support::listens(port, processes_.back())) {
    throw std::runtime_error(argv[0] + " does not start: " + processes_.back().output());
  }
  return address(port);
}

std::string Lab::run_nginx(const std::string& blocks, std::uint16_t port, const char* modules) {
  const auto folder = new_folder();
  support::write_text(folder + "/nginx.conf",
                      std::string(modules) + "daemon off; master_process off; pid " + folder +
                          "/pid; error_log " + folder +
                          "/error.log; events { worker_connections 64; }\n" + blocks);
  return keep(
      {"/usr/sbin/nginx", "-e", folder + "/error.log", "-p", folder, "-c", folder + "/nginx.conf"},
      port);
}

namespace {

// What every server of ours has unless its lines say otherwise (nginx 1.22 offers no
// TLS 1.3 by itself).
std::string with_usual_lines(const Lab& lab, std::string lines) {
  if (lines.find("ssl_certificate ") == std::string::npos) {
    lines += " ssl_certificate " + lab.path("a.pem") + "; ssl_certificate_key " +
             lab.path("a.key") + ";";
  }
  if (lines.find("ssl_protocols") == std::string::npos) {
    lines += " ssl_protocols TLSv1.2 TLSv1.3;";
  }
  return lines;
}

}  // namespace

std::string Lab::nginx(const std::string& lines, const std::string& more) {
  const auto port = support::unused_port();
  std::string paths;
  for (const auto* what : {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"}) {
    paths += std::string(what) + "_temp_path " + path(what) + "; ";
  }
  std::string blocks;
  // `more` are the lines of another server at the same port
  for (const auto& block : {with_usual_lines(*this, lines), more}) {
    if (block.empty()) continue;
    blocks += "server { listen " + address(port) + " ssl; " + block + " return 204; }\n";
  }
  return run_nginx("http { access_log off; " + paths + blocks + "}\n", port, "");
}

std::string Lab::nginx_stream(const std::string& lines) {
  const auto port = support::unused_port();
  return run_nginx("stream { server { listen " + address(port) + " ssl; " +
                       with_usual_lines(*this, lines) + " return hello; } }\n",
                   port, "load_module /usr/lib/nginx/modules/ngx_stream_module.so;\n");
}

std::string Lab::haproxy(const std::string& bind) {
  const auto port = support::unused_port();
  const auto folder = new_folder();
  support::write_text(folder + "/haproxy.cfg",
                      "defaults\n mode http\n timeout client 10s\n timeout server 10s\n timeout "
                      "connect 10s\nfrontend f\n bind " +
                          address(port) + " ssl crt " + path("a.both.pem") + " " + bind +
                          "\n http-request return status 204\n");
  return keep({"/usr/sbin/haproxy", "-db", "-f", folder + "/haproxy.cfg"}, port);
}

std::string Lab::balancer(const std::vector<std::string>& behind) {
  const auto port = support::unused_port();
  const auto folder = new_folder();
  std::string servers;
  for (std::size_t i = 0; i < behind.size(); ++i) {
    servers += " server s" + std::to_string(i) + " " + behind[i] + "\n";
  }
  support::write_text(folder + "/haproxy.cfg",
                      "defaults\n mode tcp\n timeout client 10s\n timeout server 10s\n timeout "
                      "connect 10s\nlisten f\n bind " +
                          address(port) + "\n balance roundrobin\n" + servers);
  return keep({"/usr/sbin/haproxy", "-db", "-f", folder + "/haproxy.cfg"}, port);
}

std::string Lab::s_server(const std::vector<std::string>& options) {
  const auto port = support::unused_port();
  std::vector<std::string> argv = {"openssl",     "s_server", "-quiet",      "-www", "-accept",
                                   address(port), "-cert",    path("a.pem"), "-key", path("a.key")};
  argv.insert(argv.end(), options.begin(), options.end());
  return keep(argv, port);
}

std::string Lab::example(const std::string& ring, const std::vector<std::string>& hosts) {
  const auto port = support::unused_port();
  std::vector<std::string> argv = {support::build_root() / "examples/ticket-example-server",
                                   "--listen", address(port), "--ring", ring};
  for (const auto& host : hosts) {
    argv.push_back("--host");
    argv.push_back(host);
  }
  return keep(argv, port);
}

std::string Lab::pretender(const std::string& code) {
  const auto port = support::unused_port();
  return keep({"/usr/bin/python3", "-c",
               "import socket, time\n"
               "listener = socket.create_server(('127.0.0.1', " +
                   std::to_string(port) +
                   "))\nkept = []\nwhile True:\n connection = listener.accept()[0]\n " + code},
              port);
}

std::string Lab::nobody() { return address(support::unused_port()); }

}  // namespace servers
