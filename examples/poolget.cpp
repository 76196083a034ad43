// GETs URLs with sockets of its own, and says of each whether its TLS session resumed:
// <ticket/client.hpp> beside plain OpenSSL. What is libticket's is marked.
#include <arpa/inet.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <cxxopts.hpp>
#include <fstream>
#include <nlohmann/json.hpp>
#include <ticket/client.hpp>

namespace {

struct Url {
  std::string text, host, port = "443", path = "/";
};

struct Free {
  void operator()(SSL_CTX* ctx) const { SSL_CTX_free(ctx); }
  void operator()(SSL* ssl) const { SSL_free(ssl); }
  void operator()(addrinfo* found) const { freeaddrinfo(found); }
};

// "https://HOST[:PORT][/PATH]", or without the scheme.
Url parse_url(const std::string& text) {
  Url url;
  url.text = text;
  auto rest = text.substr(text.rfind("https://", 0) == 0 ? 8 : 0);
  if (const auto slash = rest.find('/'); slash != std::string::npos) {
    url.path = rest.substr(slash);
    rest.resize(slash);
  }
  const auto colon = rest.rfind(':');
  if (colon != std::string::npos && rest.find(']', colon) == std::string::npos) {
    url.port = rest.substr(colon + 1);
    rest.resize(colon);
  }
  if (rest.size() > 2 && rest.front() == '[') rest = rest.substr(1, rest.size() - 2);
  url.host = rest;
  if (url.host.empty() || url.port.empty() || url.port.size() > 5 ||
      url.port.find_first_not_of("0123456789") != std::string::npos) {
    throw std::runtime_error("not a URL: " + text);
  }
  return url;
}

// --resolve NAME:PORT:ADDRESS, as curl's: NAME and PORT are what is asked for; an ADDRESS
// may bring its own port, ADDRESS:PORT or [ADDRESS]:PORT.
using Addresses = std::map<std::string, std::pair<std::string, std::string>>;

Addresses parse_addresses(const std::vector<std::string>& rows) {
  Addresses addresses;
  for (const auto& row : rows) {
    const auto first = row.find(':'), second = row.find(':', first + 1);
    if (second == std::string::npos) throw std::runtime_error("not NAME:PORT:ADDRESS: " + row);
    auto address = row.substr(second + 1), port = row.substr(first + 1, second - first - 1);
    const auto colon = address.rfind(':');
    const bool own_port =
        colon != std::string::npos && (address.find(':') == colon || address[colon - 1] == ']');
    if (own_port) {
      port = address.substr(colon + 1);
      address.resize(colon);
    }
    if (address.size() > 2 && address.front() == '[') {
      address = address.substr(1, address.size() - 2);
    }
    addresses[row.substr(0, second)] = {address, port};
  }
  return addresses;
}

class Socket {
 public:
  Socket(const Url& url, const Addresses& known) {
    const auto row = known.find(url.host + ":" + url.port);
    const auto& [host, port] = row == known.end() ? std::pair(url.host, url.port) : row->second;
    addrinfo wanted{};
    wanted.ai_socktype = SOCK_STREAM;
    addrinfo* list = nullptr;
    if (const int wrong = getaddrinfo(host.c_str(), port.c_str(), &wanted, &list); wrong != 0) {
      throw std::runtime_error(host + ": " + gai_strerror(wrong));
    }
    const std::unique_ptr<addrinfo, Free> found(list);
    for (const auto* at = list; at != nullptr && number_ < 0; at = at->ai_next) {
      number_ = ::socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC, at->ai_protocol);
      if (number_ >= 0 && ::connect(number_, at->ai_addr, at->ai_addrlen) != 0) close();
    }
    if (number_ < 0) throw std::runtime_error(host + ":" + port + ": " + std::strerror(errno));
    const timeval patience{10, 0};
    ::setsockopt(number_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }
  ~Socket() { close(); }
  Socket(const Socket&) = delete;
  int number() const { return number_; }

 private:
  void close() {
    if (number_ < 0) return;
    const int error = errno;
    ::close(number_);
    errno = error;
    number_ = -1;
  }
  int number_ = -1;
};

struct Result {
  std::string url, ticket_of, version;
  bool resumed = false;
  double milliseconds = 0;  // of the handshake
};

[[noreturn]] void fail(const std::string& what, const SSL* ssl = nullptr) {
  const auto verified = ssl == nullptr ? X509_V_OK : SSL_get_verify_result(ssl);
  const char* reason = ERR_reason_error_string(ERR_get_error());
  throw std::runtime_error(what + ": " +
                           (verified != X509_V_OK ? X509_verify_cert_error_string(verified)
                            : reason != nullptr   ? reason
                                                  : "connection lost"));
}

bool is_address(const std::string& host) {
  unsigned char bytes[16];
  return inet_pton(AF_INET, host.c_str(), bytes) == 1 ||
         inet_pton(AF_INET6, host.c_str(), bytes) == 1;
}

void set_host(SSL* ssl, const std::string& host) {
  const int set = is_address(host)
                      ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str())
                      : SSL_set1_host(ssl, host.c_str());
  if (set != 1) fail(host);
}

void get(SSL* ssl, const Url& url) {
  const auto request =
      "GET " + url.path + " HTTP/1.0\r\nHost: " + url.host + "\r\nConnection: close\r\n\r\n";
  SSL_write(ssl, request.data(), static_cast<int>(request.size()));
  char text[4096];
  while (SSL_read(ssl, text, sizeof text) > 0) {
    // TLS 1.3 tickets come with what is read
  }
  SSL_shutdown(ssl);
}

Result visit(ticket::Client& client, SSL_CTX* ctx, const Url& url, const Addresses& known) {
  const Socket socket(url, known);
  const std::unique_ptr<SSL, Free> ssl(SSL_new(ctx));
  if (!ssl || SSL_set_fd(ssl.get(), socket.number()) != 1) fail(url.text);
  set_host(ssl.get(), url.host);
  client.prepare(ssl.get(), url.host, static_cast<unsigned>(std::stoul(url.port)));  // libticket
  const auto began = std::chrono::steady_clock::now();
  if (SSL_connect(ssl.get()) != 1) fail(url.text, ssl.get());
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - began;
  const auto info = ticket::Client::info(ssl.get());  // libticket
  const Result result{url.text, info.ticket_of, SSL_get_version(ssl.get()), info.resumed == 1,
                      took.count()};
  get(ssl.get(), url);
  return result;
}

void print(const Result& result, bool json) {
  if (json) {
    const nlohmann::json line = {{"url", result.url},
                                 {"resumed", result.resumed},
                                 {"ticket_of", result.ticket_of},
                                 {"version", result.version},
                                 {"handshake_ms", result.milliseconds}};
    std::puts(line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
    return;
  }
  const auto how = !result.resumed            ? std::string("full")
                   : result.ticket_of.empty() ? "resumed"
                                              : "resumed by a ticket of " + result.ticket_of;
  std::printf("%s %s %s %.2f ms\n", result.url.c_str(), result.version.c_str(), how.c_str(),
              result.milliseconds);
}

struct Sum {
  std::size_t visits = 0, resumed = 0, failed = 0;
  double milliseconds = 0;  // of all handshakes

  void add(const Result& result) {
    ++visits;
    resumed += result.resumed ? 1 : 0;
    milliseconds += result.milliseconds;
  }
};

void print(const Sum& sum, bool json) {
  const auto full = sum.visits - sum.resumed;
  if (json) {
    std::puts(nlohmann::json{{"handshakes", sum.visits},
                             {"full", full},
                             {"resumed", sum.resumed},
                             {"failed", sum.failed},
                             {"handshake_ms", sum.milliseconds}}
                  .dump()
                  .c_str());
    return;
  }
  std::printf("%zu handshakes: %zu full, %zu resumed, %zu failed; %.2f ms\n", sum.visits, full,
              sum.resumed, sum.failed, sum.milliseconds);
}

cxxopts::Options options() {
  cxxopts::Options options(
      "poolget", "GETs URLs; a session of one server resumes on every other of its pool.");
  options.add_options()  //
      ("manifest", "which servers form a pool (docs/client-manifest.md)",
       cxxopts::value<std::string>()->default_value(""), "FILE")  //
      ("dns", "ask DNS for pools; by ADDRESS@PORT, or as the system does",
       cxxopts::value<std::string>()->implicit_value("system"), "SERVER")  //
      ("cache", "keep sessions for the next run; they are secrets",
       cxxopts::value<std::string>()->default_value(""), "FILE")  //
      ("ca", "whom to trust, PEM; else as the system does",
       cxxopts::value<std::string>()->default_value(""), "FILE")  //
      ("resolve", "where NAME:PORT is: NAME:PORT:ADDRESS or NAME:PORT:ADDRESS:PORT; again for more",
       cxxopts::value<std::vector<std::string>>()->default_value(""), "ROW")  //
      ("tls1.2", "no newer version of TLS")                                   //
      ("rounds", "all of it so often, each time from nothing: to measure",
       cxxopts::value<unsigned>()->default_value("1"), "N")        //
      ("json", "a JSON object for each URL, and one for the sum")  //
      ("help", "this text")                                        //
      ("urls", "", cxxopts::value<std::vector<std::string>>());
  options.parse_positional({"urls"});
  options.positional_help("URL...");
  return options;
}

ticket::ClientOptions client_options(const cxxopts::ParseResult& given) {
  ticket::ClientOptions options;
  options.manifest = given["manifest"].as<std::string>();
  options.cache = given["cache"].as<std::string>();
  if (given.count("dns") != 0) {
    options.dns = true;
    options.dns_wait_ms = 1000;  // a program of one run has no next time
    const auto server = given["dns"].as<std::string>();
    if (server != "system") options.dns_server = server;
  }
  options.log = [](tkt_log_level, std::string_view text) {
    std::fprintf(stderr, "poolget: %.*s\n", static_cast<int>(text.size()), text.data());
  };
  return options;
}

std::unique_ptr<SSL_CTX, Free> make_context(const cxxopts::ParseResult& given) {
  std::unique_ptr<SSL_CTX, Free> ctx(SSL_CTX_new(TLS_client_method()));
  const auto ca = given["ca"].as<std::string>();
  SSL_CTX_set_verify(ctx.get(), SSL_VERIFY_PEER, nullptr);
  if (given.count("tls1.2") != 0) SSL_CTX_set_max_proto_version(ctx.get(), TLS1_2_VERSION);
  if ((ca.empty() ? SSL_CTX_set_default_verify_paths(ctx.get())
                  : SSL_CTX_load_verify_file(ctx.get(), ca.c_str())) != 1) {
    fail(ca.empty() ? "the system's certificates" : ca);
  }
  return ctx;
}

std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string sha256(const std::string& text) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  std::size_t size = 0;
  if (EVP_Q_digest(nullptr, "SHA256", nullptr, text.data(), text.size(), digest, &size) != 1) {
    fail("SHA-256");
  }
  std::string hex;
  for (std::size_t i = 0; i < size; ++i) {
    char digits[3];
    std::snprintf(digits, sizeof digits, "%02x", static_cast<unsigned>(digest[i]));
    hex += digits;
  }
  return hex;
}

std::string environment_or(const char* name, const char* otherwise) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : otherwise;
}

// Sessions of servers that one CA vouches for are not for a run that trusts another: a server
// that resumes shows no certificate. Named by what is in the file; without --ca by OpenSSL's
// own file and folder, which SSL_CERT_FILE and SSL_CERT_DIR replace.
std::string partition_of(const std::string& ca) {
  if (!ca.empty()) return "ca:" + sha256(content_of(ca));
  const auto file = environment_or(X509_get_default_cert_file_env(), X509_get_default_cert_file());
  const auto folder = environment_or(X509_get_default_cert_dir_env(), X509_get_default_cert_dir());
  return "system:" + sha256(folder + '\0' + content_of(file));
}

int run(const cxxopts::ParseResult& given) {
  std::vector<Url> urls;
  for (const auto& text : given["urls"].as<std::vector<std::string>>()) {
    urls.push_back(parse_url(text));
  }
  auto rows = given["resolve"].as<std::vector<std::string>>();
  std::erase(rows, "");
  const auto known = parse_addresses(rows);

  const auto ctx = make_context(given);
  const auto trusted = partition_of(given["ca"].as<std::string>());
  const bool json = given.count("json") != 0;
  Sum sum;
  for (auto rounds = given["rounds"].as<unsigned>(); rounds > 0; --rounds) {
    ticket::Client client(client_options(given));  // libticket
    client.attach(ctx.get(), trusted);             // libticket
    for (const auto& url : urls) {
      try {
        const auto result = visit(client, ctx.get(), url, known);
        print(result, json);
        sum.add(result);
      } catch (const std::exception& failure) {
        std::fprintf(stderr, "poolget: %s\n", failure.what());
        ++sum.failed;
      }
    }
  }
  print(sum, json);
  return sum.failed == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  try {
    auto known = options();
    const auto given = known.parse(argc, argv);
    if (given.count("help") != 0) {
      std::printf(
          "%s\nexample: poolget --manifest pools.json https://a.example https://b.example\n",
          known.help().c_str());
      return 0;
    }
    if (given.count("urls") == 0) {
      std::fputs(known.help().c_str(), stderr);
      return 2;
    }
    return run(given);
  } catch (const cxxopts::exceptions::exception& wrong) {
    std::fprintf(stderr, "poolget: %s; see poolget --help\n", wrong.what());
    return 2;
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "poolget: %s\n", failure.what());
    return 1;
  }
}
