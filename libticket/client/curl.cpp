#include "client/curl.hpp"

#include <dlfcn.h>

#include <charconv>
#include <string>

namespace ticket::client {

namespace {

// libcurl's ABI, from <curl/curl.h>: these numbers do not change.
constexpr int info_effective_url = 0x100000 + 1;
constexpr int option_ssl_ctx_data = 10000 + 109;
constexpr int option_ssl_ctx_function = 20000 + 108;
constexpr int option_ssl_sessionid_cache = 150;

template <class Function>
Function loaded(const char* name) {
  return reinterpret_cast<Function>(::dlsym(RTLD_DEFAULT, name));
}

constexpr struct {
  std::string_view scheme;
  unsigned port;
} schemes[] = {{"https", 443}, {"wss", 443},   {"ftps", 990}, {"smtps", 465},
               {"imaps", 993}, {"pop3s", 995}, {"ldaps", 636}};

std::optional<Server> server_of_url(std::string_view url) {
  const auto colon = url.find("://");
  if (colon == std::string_view::npos) return std::nullopt;
  std::string scheme(url.substr(0, colon));
  for (char& c : scheme) c = static_cast<char>(c | 0x20);
  url.remove_prefix(colon + 3);
  url = url.substr(0, url.find_first_of("/?#"));
  if (const auto at = url.rfind('@'); at != std::string_view::npos) url.remove_prefix(at + 1);
  for (const auto& known : schemes) {
    if (scheme != known.scheme) continue;
    const auto server = Server::parse(url);
    return server ? server : Server::from(url, known.port);
  }
  return std::nullopt;
}

}  // namespace

std::optional<Server> server_of_transfer(void* curl) {
  static const auto getinfo = loaded<int (*)(void*, int, ...)>("curl_easy_getinfo");
  const char* url = nullptr;
  if (getinfo == nullptr || getinfo(curl, info_effective_url, &url) != 0 || url == nullptr) {
    return std::nullopt;
  }
  return server_of_url(url);
}

bool set_curl_callback(void* curl, CurlCallback callback, void* user) {
  static const auto setopt = loaded<int (*)(void*, int, ...)>("curl_easy_setopt");
  return setopt != nullptr && setopt(curl, option_ssl_ctx_function, callback) == 0 &&
         setopt(curl, option_ssl_ctx_data, user) == 0 &&
         setopt(curl, option_ssl_sessionid_cache, 0L) == 0;
}

}  // namespace ticket::client
