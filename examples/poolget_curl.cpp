// poolget with libcurl: the one line that is libticket's is marked.
#include <curl/curl.h>
#include <openssl/evp.h>

#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <ticket/client.hpp>

namespace {

constexpr char usage[] =
    "usage: poolget-curl [--manifest FILE] [--cache FILE] [--ca FILE] [--resolve NAME:PORT:ADDRESS]"
    "... URL...\n"
    "GETs URLs with libcurl; a session of one server resumes on every other of its pool.\n"
    "With --ca the cache is FILE.ca-HASH, another one for each content of the CA file.\n"
    "example: poolget-curl --manifest pools.json https://a.example https://b.example\n";

std::size_t drop(char*, std::size_t size, std::size_t count, void*) { return size * count; }

struct Transfer {
  CURL* curl;
  std::string how;  // its handshake was; empty = a full one
};

// Called with each header: libcurl shows a connection's SSL only while it is in use.
std::size_t look_at_session(char*, std::size_t size, std::size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const curl_tlssessioninfo* tls = nullptr;
  tkt_client_info info{};
  info.size = sizeof info;
  if (curl_easy_getinfo(transfer.curl, CURLINFO_TLS_SSL_PTR, &tls) == CURLE_OK &&
      tls->internals != nullptr &&
      tkt_client_info_read(static_cast<const SSL*>(tls->internals), &info) == TKT_OK &&
      info.resumed == 1) {
    transfer.how = std::string("resumed by a ticket of ") + info.ticket_of;
  }
  return size * count;
}

// A server that resumes shows no certificate, and all handles of a client share its sessions:
// so runs that trust other CAs keep theirs in other files.
std::string cache_of(const std::string& cache, const char* ca) {
  if (cache.empty() || ca == nullptr) return cache;
  std::ifstream file(ca, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  unsigned char digest[EVP_MAX_MD_SIZE];
  std::size_t size = 0;
  if (EVP_Q_digest(nullptr, "SHA256", nullptr, text.data(), text.size(), digest, &size) != 1) {
    return "";  // then nothing is kept
  }
  std::string name = cache + ".ca-";
  for (std::size_t i = 0; i < size; ++i) {
    char digits[3];
    std::snprintf(digits, sizeof digits, "%02x", static_cast<unsigned>(digest[i]));
    name += digits;
  }
  return name;
}

// Milliseconds from the end of TCP's handshake to that of TLS.
double handshake(CURL* curl) {
  curl_off_t connected = 0, done = 0;
  curl_easy_getinfo(curl, CURLINFO_CONNECT_TIME_T, &connected);
  curl_easy_getinfo(curl, CURLINFO_APPCONNECT_TIME_T, &done);
  return static_cast<double>(done - connected) / 1000;
}

}  // namespace

int main(int argc, char** argv) {
  ticket::ClientOptions options;
  const char* ca = nullptr;
  curl_slist* resolve = nullptr;
  int at = 1;
  for (; at + 1 < argc && argv[at][0] == '-'; at += 2) {
    if (std::strcmp(argv[at], "--manifest") == 0)
      options.manifest = argv[at + 1];
    else if (std::strcmp(argv[at], "--cache") == 0)
      options.cache = argv[at + 1];
    else if (std::strcmp(argv[at], "--ca") == 0)
      ca = argv[at + 1];
    else if (std::strcmp(argv[at], "--resolve") == 0)
      resolve = curl_slist_append(resolve, argv[at + 1]);
    else
      break;
  }
  if (at < argc && std::strcmp(argv[at], "--help") == 0) return std::fputs(usage, stdout) < 0;
  if (at >= argc || argv[at][0] == '-') return std::fputs(usage, stderr), 2;

  options.cache = cache_of(options.cache, ca);

  curl_global_init(CURL_GLOBAL_DEFAULT);
  int failed = 0;
  try {
    ticket::Client client(std::move(options));
    CURL* curl = curl_easy_init();
    tkt_client_curl(client.handle(), curl);  // libticket
    Transfer transfer{curl, ""};
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, look_at_session);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &transfer);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, drop);
    curl_easy_setopt(curl, CURLOPT_RESOLVE, resolve);
    curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, 1L);  // to see handshakes
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    if (ca != nullptr) curl_easy_setopt(curl, CURLOPT_CAINFO, ca);

    double sum = 0;
    for (; at < argc; ++at) {
      transfer.how.clear();
      curl_easy_setopt(curl, CURLOPT_URL, argv[at]);
      const auto result = curl_easy_perform(curl);
      if (result != CURLE_OK) {
        std::fprintf(stderr, "poolget-curl: %s: %s\n", argv[at], curl_easy_strerror(result));
        ++failed;
        continue;
      }
      const char* how = transfer.how.empty() ? "full" : transfer.how.c_str();
      std::printf("%s %s %.2f ms\n", argv[at], how, handshake(curl));
      sum += handshake(curl);
    }
    const auto counters = client.counters();
    std::printf("%llu handshakes: %llu resumed, %d failed; %.2f ms\n",
                static_cast<unsigned long long>(counters.prepared),
                static_cast<unsigned long long>(counters.resumed), failed, sum);
    curl_easy_cleanup(curl);
  } catch (const std::exception& wrong) {
    std::fprintf(stderr, "poolget-curl: %s\n", wrong.what());
    failed = 1;
  }
  curl_slist_free_all(resolve);
  curl_global_cleanup();
  return failed == 0 ? 0 : 1;
}
