#include "tls_client.hpp"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "base/bytes.hpp"
#include "command.hpp"
#include "dial.hpp"

namespace ticketctl {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using Outcome = Shake::Outcome;

const char* to_text(TlsVersion version) { return version == TlsVersion::v1_2 ? "1.2" : "1.3"; }

namespace {

// How long to wait for tickets and the answer, which may never come: not every
// TLS server speaks HTTP.
constexpr auto patience_for_first_ticket = 2000ms;
constexpr auto patience_for_more_tickets = 250ms;
constexpr auto patience_after_resuming = 500ms;

// name | iv | one block | mac is the least that a ticket with a key name can be
// (RFC 5077, section 4). OpenSSL's stateful ones are session ids of 32 bytes.
constexpr std::size_t smallest_sealed_ticket = 16 + 16 + 16 + 32;

std::string openssl_reason() {
  const char* reason = ERR_reason_error_string(ERR_peek_last_error());
  return reason != nullptr ? reason : "unknown";
}

CommandError unusable(const std::filesystem::path& path, const char* wanted) {
  return bad_input(path.string() + ": " + openssl_reason() + "; wanted is " + wanted);
}

// What the callbacks of one connection note down.
struct Notes {
  std::vector<Session> sessions;
  Clock::time_point last_session;
  int alert = -1;
  bool asked = false;
};

Notes& notes_of(const SSL* ssl) { return *static_cast<Notes*>(SSL_get_app_data(ssl)); }

int note_session(SSL* ssl, SSL_SESSION* session) {
  // TLS 1.2: fetched after the handshake, because a renewal does not come by here
  if (SSL_version(ssl) < TLS1_3_VERSION) return 0;
  notes_of(ssl).sessions.emplace_back(SSL_SESSION_dup(session));
  notes_of(ssl).last_session = Clock::now();
  return 0;
}

void note_alert(const SSL* ssl, int where, int value) {
  if ((where & SSL_CB_READ_ALERT) == SSL_CB_READ_ALERT) notes_of(ssl).alert = value & 0xff;
}

int note_certificate_request(SSL*, void* notes) {
  static_cast<Notes*>(notes)->asked = true;
  return 1;
}

bool fatal(int alert) { return alert > SSL_AD_CLOSE_NOTIFY && alert != SSL_AD_USER_CANCELLED; }

std::string alert_text(int alert) {
  // of RFC 8446 only; OpenSSL 3.0 has no words for it
  const std::string words = alert == TLS13_AD_CERTIFICATE_REQUIRED
                                ? "certificate required"
                                : SSL_alert_desc_string_long(alert);
  return "alert " + std::to_string(alert) + " (" + words + ")";
}

Outcome outcome_of_alert(int alert, bool asked) {
  switch (alert) {
    case SSL_AD_PROTOCOL_VERSION:
      return Outcome::not_offered;
    case SSL_AD_UNRECOGNIZED_NAME:
      return Outcome::no_such_name;
    case TLS13_AD_CERTIFICATE_REQUIRED:
      return Outcome::client_certificate;
    // TLS 1.2 has no alert of its own for a missing one
    case SSL_AD_HANDSHAKE_FAILURE:
    case SSL_AD_BAD_CERTIFICATE:
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
    case SSL_AD_CERTIFICATE_REVOKED:
    case SSL_AD_CERTIFICATE_EXPIRED:
    case SSL_AD_CERTIFICATE_UNKNOWN:
    case SSL_AD_UNKNOWN_CA:
      return asked ? Outcome::client_certificate : Outcome::alert;
    default:
      return Outcome::alert;
  }
}

// One connection from here on.
class Connection {
 public:
  Connection(SSL_CTX* context, Socket socket, Deadline deadline)
      : socket_(std::move(socket)), deadline_(deadline), ssl_(SSL_new(context)) {
    SSL_set_fd(ssl_.get(), socket_.file());
    SSL_set_app_data(ssl_.get(), &notes_);
    SSL_set_info_callback(ssl_.get(), note_alert);
    SSL_set_cert_cb(ssl_.get(), note_certificate_request, &notes_);
  }
  // Without it OpenSSL marks the session, which we keep, as not resumable.
  ~Connection() { SSL_set_shutdown(ssl_.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN); }
  Connection(const Connection&) = delete;

  SSL* ssl() const { return ssl_.get(); }
  Notes& notes() { return notes_; }

  bool handshake(Shake& shake) {
    const int error = drive([this] { return SSL_connect(ssl()); }, deadline_);
    shake.asks_certificate = notes_.asked;
    if (error != SSL_ERROR_NONE) name_failure(shake, error);
    return error == SSL_ERROR_NONE;
  }

  // Sends a request and reads the answer as far as its head, and the tickets on the way.
  void talk(const std::string& host, bool resumed, Shake& shake) {
    const std::string request =
        "HEAD / HTTP/1.0\r\nHost: " + host + "\r\nUser-Agent: ticketctl\r\n\r\n";
    const auto size = static_cast<int>(request.size());
    drive([&] { return SSL_write(ssl(), request.data(), size); }, deadline_);
    const auto start = Clock::now();
    int error = SSL_ERROR_NONE;
    std::string answer;
    while (answer.size() < 4096 && answer.find("\r\n\r\n") == std::string::npos) {
      char bytes[1024];
      int got = 0;
      error = drive([&] { return got = SSL_read(ssl(), bytes, sizeof bytes); },
                    enough_at(start, resumed));
      if (error != SSL_ERROR_NONE) break;
      answer.append(bytes, static_cast<std::size_t>(got));
    }
    if (answer.starts_with("HTTP/1.") && answer.size() > 12) {
      std::from_chars(answer.data() + 9, answer.data() + 12, shake.http_status);
    }
    judge_end(error, shake);
  }

 private:
  // Runs one of OpenSSL's operations to its end; SSL_ERROR_WANT_READ: time is up.
  template <class Operation>
  int drive(Operation operation, Deadline deadline) {
    for (;;) {
      ERR_clear_error();
      errno = 0;
      const int result = operation();
      if (result > 0) return SSL_ERROR_NONE;
      system_error_ = errno;
      const int error = SSL_get_error(ssl(), result);
      if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) return error;
      // A ticket that came meanwhile may have shortened the wait: look again soon.
      const auto slice = std::min(deadline, Clock::now() + patience_for_more_tickets);
      if (!wait_for(socket_.file(), error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, slice) &&
          (Clock::now() >= deadline || !notes_.sessions.empty())) {
        return SSL_ERROR_WANT_READ;
      }
    }
  }

  Deadline enough_at(Deadline start, bool resumed) const {
    if (resumed) return std::min(deadline_, start + patience_after_resuming);
    if (notes_.sessions.empty()) return std::min(deadline_, start + patience_for_first_ticket);
    return std::min(deadline_, notes_.last_session + patience_for_more_tickets);
  }

  void name_failure(Shake& shake, int error) {
    const int reason = ERR_GET_REASON(ERR_peek_last_error());
    if (fatal(notes_.alert)) {
      shake.outcome = outcome_of_alert(notes_.alert, notes_.asked);
      shake.detail = alert_text(notes_.alert);
    } else if (error == SSL_ERROR_WANT_READ) {
      shake.outcome = Outcome::silent;
    } else if (error == SSL_ERROR_SYSCALL || error == SSL_ERROR_ZERO_RETURN ||
               reason == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
      shake.outcome = Outcome::closed;
      if (system_error_ != 0) shake.detail = std::strerror(system_error_);
    } else if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED) {
      shake.outcome = Outcome::untrusted;
      shake.detail = X509_verify_cert_error_string(SSL_get_verify_result(ssl()));
    } else if (reason == SSL_R_UNSUPPORTED_PROTOCOL) {
      shake.outcome = Outcome::not_offered;
      shake.detail = openssl_reason();
    } else {
      // a record that is none; anything else that we refuse is told in OpenSSL's words
      shake.outcome = reason == SSL_R_WRONG_VERSION_NUMBER ? Outcome::not_tls : Outcome::alert;
      shake.detail = openssl_reason();
    }
  }

  // In TLS 1.3 a server judges the client's certificate after the handshake is over
  // for the client.
  void judge_end(int error, Shake& shake) {
    const bool ended = error == SSL_ERROR_SSL || error == SSL_ERROR_SYSCALL;
    const bool unanswered = shake.http_status == 0 && notes_.sessions.empty();
    if (fatal(notes_.alert)) {
      name_failure(shake, error);
    } else if (ended && unanswered && notes_.asked && SSL_version(ssl()) == TLS1_3_VERSION) {
      // the alert was lost with a reset
      shake.outcome = Outcome::client_certificate;
      shake.detail = "it closed the connection after it had asked for one";
    }
  }

  Socket socket_;
  Deadline deadline_;
  int system_error_ = 0;
  Notes notes_;
  std::unique_ptr<SSL, Free> ssl_;
};

std::string fingerprint(const SSL* ssl) {
  const X509* certificate = SSL_get0_peer_certificate(ssl);
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (certificate == nullptr || X509_digest(certificate, EVP_sha256(), digest, &size) != 1) {
    return "";
  }
  return ticket::hex(std::as_bytes(std::span(digest, size)));
}

std::string digest_of(const SSL* ssl) {
  const SSL_CIPHER* cipher = SSL_get_current_cipher(ssl);
  const EVP_MD* digest = cipher != nullptr ? SSL_CIPHER_get_handshake_digest(cipher) : nullptr;
  return digest != nullptr ? EVP_MD_get0_name(digest) : "";
}

void look_at_tickets(const std::vector<Session>& sessions, Shake& shake) {
  for (const auto& session : sessions) {
    const unsigned char* bytes = nullptr;
    std::size_t size = 0;
    SSL_SESSION_get0_ticket(session.get(), &bytes, &size);
    if (size == 0) continue;
    ++shake.tickets;
    shake.lifetime_hint =
        static_cast<std::uint32_t>(SSL_SESSION_get_ticket_lifetime_hint(session.get()));
    if (size >= smallest_sealed_ticket) {
      shake.key_name = ticket::hex(std::as_bytes(std::span(bytes, 16)));
    }
  }
}

}  // namespace

TlsClient::TlsClient(TlsVersion version, const ClientOptions& options)
    : version_(version), options_(options), context_(SSL_CTX_new(TLS_client_method())) {
  auto* context = context_.get();
  const int number = version == TlsVersion::v1_2 ? TLS1_2_VERSION : TLS1_3_VERSION;
  SSL_CTX_set_min_proto_version(context, number);
  SSL_CTX_set_max_proto_version(context, number);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context, note_session);
  ERR_clear_error();
  if (!options.ca.empty()) {
    if (SSL_CTX_load_verify_file(context, options.ca.c_str()) != 1) {
      throw unusable(options.ca, "a PEM file of CA certificates");
    }
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  }
  if (options.certificate.empty()) return;
  if (SSL_CTX_use_certificate_chain_file(context, options.certificate.c_str()) != 1) {
    throw unusable(options.certificate, "a PEM certificate, then its chain");
  }
  if (SSL_CTX_use_PrivateKey_file(context, options.key.c_str(), SSL_FILETYPE_PEM) != 1) {
    throw unusable(options.key, "the PEM key of --cert, without a passphrase");
  }
}

TlsClient::Visit TlsClient::visit(const Endpoint& server, const std::string& name,
                                  SSL_SESSION* offered) const {
  Visit visit;
  auto& shake = visit.shake;
  const auto deadline = Clock::now() + options_.timeout;
  auto socket = dial(server, deadline);
  if (!socket) {
    shake.detail = socket.error();
    return visit;
  }
  Connection connection(context_.get(), *std::move(socket), deadline);
  auto* ssl = connection.ssl();
  const auto host = name.empty() ? server.host : name;
  if (!name.empty()) SSL_set_tlsext_host_name(ssl, name.c_str());
  if (!options_.ca.empty()) {
    if (is_ip_address(host)) X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str());
    if (!is_ip_address(host)) SSL_set1_host(ssl, host.c_str());
  }
  if (offered != nullptr) {
    const Session copy(SSL_SESSION_dup(offered));  // a session is changed by its use
    SSL_set_session(ssl, copy.get());
  }

  if (!connection.handshake(shake)) return visit;
  shake.outcome = Outcome::ok;
  shake.resumed = SSL_session_reused(ssl) == 1;
  shake.digest = digest_of(ssl);
  shake.certificate = fingerprint(ssl);
  if (version_ == TlsVersion::v1_2) {
    const Session session(SSL_get1_session(ssl));
    if (SSL_SESSION_is_resumable(session.get()) == 1) {
      connection.notes().sessions.emplace_back(SSL_SESSION_dup(session.get()));
      connection.notes().last_session = Clock::now();
    }
  }
  connection.talk(host, shake.resumed, shake);
  visit.sessions = std::move(connection.notes().sessions);
  look_at_tickets(visit.sessions, shake);
  return visit;
}

}  // namespace ticketctl
