#include "http_client.hpp"

#include <curl/curl.h>

#include <algorithm>
#include <cstring>

#include "command.hpp"
#include "text.hpp"

namespace ticketctl {

using ticket::BytesView;

namespace {

constexpr std::size_t largest_body = 1 << 20;
constexpr const char* protocols = "http,https";

struct Free {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
  void operator()(char* text) const { curl_free(text); }
};
using Url = std::unique_ptr<CURLU, Free>;

// Lines for libcurl, which copies them: what was secret in a copy is wiped.
class Lines {
 public:
  ~Lines() {
    for (auto* line = first_; line != nullptr; line = line->next) {
      sodium_memzero(line->data, std::strlen(line->data));
    }
    curl_slist_free_all(first_);
  }
  Lines() = default;
  Lines(const Lines&) = delete;

  void add(const char* line) {
    auto* more = curl_slist_append(first_, line);
    if (more == nullptr) throw std::bad_alloc();
    first_ = more;
  }
  curl_slist* get() const { return first_; }

 private:
  curl_slist* first_ = nullptr;
};

void add_bearer(Lines& lines, BytesView secret) {
  constexpr std::string_view start = "Authorization: Bearer ";
  ticket::SecretBytes line(start.size() + secret.size() + 1);  // and a zero
  std::ranges::copy(ticket::as_bytes(start), line.fill().begin());
  std::ranges::copy(secret, line.fill().begin() + start.size());
  lines.add(reinterpret_cast<const char*>(line.expose().data()));
}

std::size_t take_body(char* bytes, std::size_t, std::size_t size, void* answer) {
  auto& body = static_cast<HttpAnswer*>(answer)->body;
  if (body.size() + size > largest_body) return 0;  // ends the transfer
  const auto* more = reinterpret_cast<const std::byte*>(bytes);
  body.insert(body.end(), more, more + size);
  return size;
}

// All fields of that name, joined with commas.
std::string header(CURL* handle, const char* name) {
  std::string joined;
  curl_header* field = nullptr;
  for (std::size_t i = 0; curl_easy_header(handle, name, i, CURLH_HEADER, -1, &field) == CURLHE_OK;
       ++i) {
    joined += (i == 0 ? "" : ", ") + std::string(field->value);
  }
  return joined;
}

std::string way_out(CURLcode code) {
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
      return "; --connect-to HOST:PORT:ADDRESS:PORT says where it is, if not there";
    case CURLE_PEER_FAILED_VERIFICATION:
      return "; --ca FILE names the CA that its certificate is by";
    case CURLE_SSL_CONNECT_ERROR:
      return "; if it speaks plain HTTP, say http:// (on loopback only)";
    case CURLE_WRITE_ERROR:
      return "; its answer is larger than 1 MiB";
    default:
      return "";
  }
}

[[noreturn]] void fail(const HttpRequest& request, CURLcode code, const char* detail) {
  const bool file = code == CURLE_SSL_CERTPROBLEM || code == CURLE_SSL_CACERT_BADFILE;
  const bool url = code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL;
  throw CommandError(
      file || url ? exit_usage : exit_unreachable,
      printable(request.url + ": " + (*detail != '\0' ? detail : curl_easy_strerror(code))) +
          way_out(code));
}

}  // namespace

struct HttpClient::Handle {
  Lines connect_to;  // outlives the handle that reads it
  std::unique_ptr<CURL, Free> curl{curl_easy_init()};
  char error[CURL_ERROR_SIZE] = "";

  template <class Value>
  void set(CURLoption option, Value value) {
    if (curl_easy_setopt(curl.get(), option, value) != CURLE_OK) throw std::bad_alloc();
  }
  void set_file(CURLoption option, const std::string& path) {
    if (!path.empty()) set(option, path.c_str());
  }
};

HttpClient::HttpClient(HttpOptions options)
    : options_(std::move(options)), handle_(std::make_unique<Handle>()) {
  auto& handle = *handle_;
  if (!handle.curl) throw std::bad_alloc();
  for (const auto& line : options_.connect_to) handle.connect_to.add(line.c_str());
  handle.set(CURLOPT_NOSIGNAL, 1L);
  handle.set(CURLOPT_ERRORBUFFER, handle.error);
  handle.set(CURLOPT_PROTOCOLS_STR, protocols);
  handle.set(CURLOPT_USERAGENT, "ticketctl");
  handle.set(CURLOPT_TIMEOUT_MS, static_cast<long>(options_.timeout.count()));
  handle.set(CURLOPT_WRITEFUNCTION, take_body);
  handle.set(CURLOPT_CONNECT_TO, handle.connect_to.get());
  handle.set_file(CURLOPT_CAINFO, options_.ca);
  handle.set_file(CURLOPT_SSLCERT, options_.certificate);
  handle.set_file(CURLOPT_SSLKEY, options_.key);
  handle.set_file(CURLOPT_UNIX_SOCKET_PATH, options_.unix_socket);
}

HttpClient::~HttpClient() = default;

HttpAnswer HttpClient::send(const HttpRequest& request) {
  auto& handle = *handle_;
  const auto parts = url_parts(request.url);
  Lines headers;
  for (const auto& line : request.headers) headers.add(line.c_str());
  if (request.bearer != nullptr) add_bearer(headers, request.bearer->expose());
  HttpAnswer answer;
  handle.error[0] = '\0';
  handle.set(CURLOPT_URL, request.url.c_str());
  // what is not encrypted stays on this machine
  handle.set(CURLOPT_NOPROXY, parts.scheme == "http" ? "*" : nullptr);
  handle.set(CURLOPT_HTTPHEADER, headers.get());
  handle.set(CURLOPT_WRITEDATA, &answer);
  if (request.body != nullptr) {
    handle.set(CURLOPT_POSTFIELDSIZE, static_cast<long>(request.body->size()));
    handle.set(CURLOPT_POSTFIELDS, reinterpret_cast<const char*>(request.body->data()));
  } else {
    handle.set(CURLOPT_HTTPGET, 1L);
  }
  const auto code = curl_easy_perform(handle.curl.get());
  handle.set<curl_slist*>(CURLOPT_HTTPHEADER, nullptr);
  if (code != CURLE_OK) fail(request, code, handle.error);
  long status = 0;
  curl_easy_getinfo(handle.curl.get(), CURLINFO_RESPONSE_CODE, &status);
  answer.status = static_cast<int>(status);
  answer.authenticate = header(handle.curl.get(), "WWW-Authenticate");
  answer.retry_after = printable(header(handle.curl.get(), "Retry-After"));
  answer.token_outcome = printable(header(handle.curl.get(), "X-Ticket-Token"));
  return answer;
}

namespace {

std::string part(const Url& url, CURLUPart which, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url.get(), which, &text, flags) != CURLUE_OK) return "";
  const std::unique_ptr<char, Free> owned(text);
  return text;
}

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return text;
}

Url parsed(const std::string& text, const std::string& base = "") {
  constexpr unsigned flags = CURLU_DISALLOW_USER;  // no password belongs into an argument
  Url url(curl_url());
  if (!url) throw std::bad_alloc();
  const bool good =
      (base.empty() || curl_url_set(url.get(), CURLUPART_URL, base.c_str(), flags) == CURLUE_OK) &&
      curl_url_set(url.get(), CURLUPART_URL, text.c_str(), flags) == CURLUE_OK;
  const auto scheme = good ? part(url, CURLUPART_SCHEME) : "";
  if (scheme != "http" && scheme != "https") {
    throw bad_input(printable(text) + " is no URL to ask: take https://HOST[:PORT]/PATH");
  }
  return url;
}

}  // namespace

UrlParts url_parts(const std::string& text) {
  const auto url = parsed(text);
  return {part(url, CURLUPART_SCHEME), lower(part(url, CURLUPART_HOST)),
          part(url, CURLUPART_PORT, CURLU_DEFAULT_PORT)};
}

std::string resolved_url(const std::string& base, const std::string& reference) {
  return part(parsed(reference, base), CURLUPART_URL);
}

}  // namespace ticketctl
