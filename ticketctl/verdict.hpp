// Why a ticket of one server does not resume at another, from what a client saw of
// both. A client sees no key: these are the likely reasons, in the order in which
// they explain the most.
#pragma once

#include <string>

#include "shake.hpp"

namespace ticketctl {

enum class Verdict {
  resumes,
  // of the tickets
  other_key,          // the two seal under different key names
  behind,             // as other_key, but the other way around it resumes
  other_cipher,       // the cipher suites have different hashes (TLS 1.3)
  other_policy,       // same key name; one asks for client certificates, one does not
  other_certificate,  // same key name, another certificate
  other_context,      // same key name, same certificate
  tickets_off,        // one of the two sends none
  misdirected,        // resumed, then 421: the server found the ticket made for another host
  ticket_alert,       // the ticket does not cost a full handshake, but the connection
  // of a server, whatever ticket it is offered (as Shake::Outcome)
  unreachable,
  silent,
  closed,
  not_tls,
  not_offered,
  client_certificate,
  no_such_name,
  untrusted,
  alert,
};

Verdict verdict_of(Shake::Outcome failure);

struct Offer {
  const Shake& source;     // a full handshake where the ticket is from
  const Shake& target;     // a full handshake where it is offered
  const Shake* offered;    // the handshake with the ticket; null: there was none to offer
  bool other_way = false;  // a ticket of the target resumes at the source
};
Verdict judge(const Offer& offer, TlsVersion version);

// What became of a ticket that was offered under another server name.
enum class Apart {
  yes,      // a full handshake
  refused,  // an alert, or 421
  no,       // it resumed
  unknown,  // the ticket does not resume there under its own name either
};
Apart judge_apart(const Shake* offered, bool resumes_under_own_name);

const char* to_text(Verdict verdict);                      // "other_key", for programs
const char* to_cell(Verdict verdict);                      // "other key", for a table
std::string explain(Verdict verdict, TlsVersion version);  // a sentence, with the way out
bool is_of_server(Verdict verdict);                        // rather than of two servers' tickets

const char* to_text(Apart apart);
std::string explain(Apart apart);

}  // namespace ticketctl
