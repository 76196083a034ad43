#include "verdict.hpp"

namespace ticketctl {

using Outcome = Shake::Outcome;

Verdict verdict_of(Outcome failure) {
  switch (failure) {
    case Outcome::ok:
      return Verdict::resumes;
    case Outcome::unreachable:
      return Verdict::unreachable;
    case Outcome::silent:
      return Verdict::silent;
    case Outcome::closed:
      return Verdict::closed;
    case Outcome::not_tls:
      return Verdict::not_tls;
    case Outcome::not_offered:
      return Verdict::not_offered;
    case Outcome::client_certificate:
      return Verdict::client_certificate;
    case Outcome::no_such_name:
      return Verdict::no_such_name;
    case Outcome::untrusted:
      return Verdict::untrusted;
    case Outcome::alert:
      return Verdict::alert;
  }
  return Verdict::alert;
}

namespace {

constexpr int misdirected_request = 421;  // RFC 9110, section 15.5.20

// It was a full handshake.
Verdict judge_refused(const Offer& offer, TlsVersion version) {
  const auto &source = offer.source, &target = offer.target;
  if (source.key_name.empty()) return Verdict::tickets_off;  // an id in the server's own cache
  // A resumption keeps the hash (RFC 8446, section 4.6.1).
  if (version == TlsVersion::v1_3 && source.digest != target.digest) return Verdict::other_cipher;
  if (target.key_name.empty()) return Verdict::tickets_off;
  if (source.key_name != target.key_name) {
    return offer.other_way ? Verdict::behind : Verdict::other_key;
  }
  if (source.asks_certificate != target.asks_certificate) return Verdict::other_policy;
  if (source.certificate != target.certificate) return Verdict::other_certificate;
  return Verdict::other_context;
}

}  // namespace

Verdict judge(const Offer& offer, TlsVersion version) {
  if (!offer.source.ok()) return verdict_of(offer.source.outcome);
  if (!offer.target.ok()) return verdict_of(offer.target.outcome);
  if (offer.offered == nullptr) return Verdict::tickets_off;
  if (offer.offered->outcome == Outcome::alert) return Verdict::ticket_alert;
  if (!offer.offered->ok()) return verdict_of(offer.offered->outcome);
  if (!offer.offered->resumed) return judge_refused(offer, version);
  const bool misdirected = offer.offered->http_status == misdirected_request &&
                           offer.target.http_status != misdirected_request;
  return misdirected ? Verdict::misdirected : Verdict::resumes;
}

Apart judge_apart(const Shake* offered, bool resumes_under_own_name) {
  if (offered != nullptr && offered->ok() && offered->resumed) {
    return offered->http_status == misdirected_request ? Apart::refused : Apart::no;
  }
  if (offered == nullptr || !resumes_under_own_name) return Apart::unknown;
  if (offered->ok()) return Apart::yes;
  const bool alert =
      offered->outcome == Outcome::alert || offered->outcome == Outcome::client_certificate;
  return alert ? Apart::refused : Apart::unknown;
}

const char* to_text(Verdict verdict) {
  static constexpr const char* texts[] = {
      "resumes",      "other_key",         "behind",        "other_cipher",
      "other_policy", "other_certificate", "other_context", "tickets_off",
      "misdirected",  "ticket_alert",      "unreachable",   "silent",
      "closed",       "not_tls",           "not_offered",   "client_certificate",
      "no_such_name", "untrusted",         "alert"};
  return texts[static_cast<int>(verdict)];
}

const char* to_cell(Verdict verdict) {
  static constexpr const char* cells[] = {
      "resumes",     "other key",    "behind",     "cipher", "client policy",
      "certificate", "context",      "no tickets", "421",    "ALERT",
      "unreachable", "silent",       "closed",     "no TLS", "not offered",
      "client cert", "unknown name", "untrusted",  "alert"};
  return cells[static_cast<int>(verdict)];
}

bool is_of_server(Verdict verdict) { return verdict >= Verdict::unreachable; }

std::string explain(Verdict verdict, TlsVersion version) {
  switch (verdict) {
    case Verdict::resumes:
      return "the session resumes";
    case Verdict::other_key:
      return "the key names differ: the ticket's key is not there. Not one pool, or a key that "
             "changed this moment (check again), or several servers behind one address";
    case Verdict::behind:
      return "the key names differ, and the other way around it resumes: the server that refuses "
             "lacks the newer key. Is its agent running, its key file as new as the others'?";
    case Verdict::other_cipher:
      return "the cipher suites have different hashes, and a ticket is tied to its own: give the "
             "servers the same order of cipher suites";
    case Verdict::other_policy:
      return "same key name, but one of the two asks for client certificates and the other does "
             "not: rightly kept apart. Make it the same, or put them in different pools";
    case Verdict::other_certificate:
      return "same key name, other certificate: nginx and newer HAProxy take it into the "
             "session-id context. Use the same certificate, or set the context yourself (libticket "
             "does)";
    case Verdict::other_context:
      return "same key name, same certificate: the session-id contexts differ (another kind of "
             "server, another list of client CAs), or other key bytes go under one name";
    case Verdict::tickets_off:
      return "one of the two sends no tickets: they are off there (at most it remembers sessions "
             "by "
             "itself), or no key may seal at the moment";
    case Verdict::misdirected:
      return "it resumed, and the request was answered with 421: the server holds that the session "
             "was made for another of its hosts";
    case Verdict::ticket_alert:
      return "the ticket broke the connection with an alert, where it should cost a full handshake "
             "at most: clients fail here";
    case Verdict::unreachable:
      return "no connection";
    case Verdict::silent:
      return "it accepts the connection and does not answer in time (--timeout)";
    case Verdict::closed:
      return "it closed the connection during the handshake";
    case Verdict::not_tls:
      return "it does not speak TLS at this port";
    case Verdict::not_offered:
      return std::string("it does not offer TLS ") + to_text(version);
    case Verdict::client_certificate:
      return "it demands a client certificate that it trusts: --cert FILE --key FILE";
    case Verdict::no_such_name:
      return "it does not serve this server name: --name";
    case Verdict::untrusted:
      return "its certificate did not verify with --ca";
    case Verdict::alert:
      return "it ended the handshake";
  }
  return "";
}

const char* to_text(Apart apart) {
  static constexpr const char* texts[] = {"apart", "refused", "resumes", "unknown"};
  return texts[static_cast<int>(apart)];
}

std::string explain(Apart apart) {
  switch (apart) {
    case Apart::yes:
      return "a full handshake, as it should be";
    case Apart::refused:
      return "refused with an alert or 421: apart, but a client that tries it fails";
    case Apart::no:
      return "the session of one name resumes under another: a certificate or client-certificate "
             "policy of one does not protect the other. Give each its context, or its pool";
    case Apart::unknown:
      return "cannot be told: the ticket does not resume there under its own name either";
  }
  return "";
}

}  // namespace ticketctl
