// A ticket as people come by one: in a client's session file, or by itself.
#pragma once

#include <optional>
#include <string>
#include <tl/expected.hpp>

#include "base/bytes.hpp"
#include "base/clock.hpp"

namespace ticketctl {

constexpr std::size_t largest_ticket_file = 256 << 10;

// What the client wrote beside the ticket. The session's secret stays behind.
struct ClientSession {
  std::string protocol, cipher;  // "TLSv1.3", "TLS_AES_256_GCM_SHA384"
  std::string server_name;       // empty = none that OpenSSL kept
  ticket::sys_seconds received;
  ticket::seconds lifetime_hint{0};  // as the server said; 0 = it did not say
};

struct TicketFile {
  enum class Form { session, raw, base64, hex };
  Form form = Form::raw;
  ticket::Bytes ticket;
  std::optional<ClientSession> session;
};
const char* to_text(TicketFile::Form form);

// PEM of an SSL session (openssl s_client -sess_out), the ticket's bytes, or these
// in base64 (either alphabet) or hex. An error in words says why it is none.
tl::expected<TicketFile, std::string> parse_ticket_file(ticket::BytesView content);

// RFC 5077, section 4: views into the ticket.
struct TicketParts {
  ticket::BytesView key_name, iv, sealed_state, mac;
  ticket::BytesView authenticated;  // all but the mac
};
// nullopt for a length that no such ticket has.
std::optional<TicketParts> ticket_parts(ticket::BytesView ticket);

}  // namespace ticketctl
