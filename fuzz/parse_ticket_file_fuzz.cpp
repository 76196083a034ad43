// Whatever parses is a ticket or a session's; what is inspected without its key
// opens nothing.
#include "fuzz.hpp"
#include "inspection.hpp"

FUZZ_TARGET(data, size) {
  static const auto ring = [] {
    ticket::ring::Ring made;
    made.pool = "web";
    made.epochs.resize(1);
    made.epochs[0].opens_until = ticket::sys_seconds(ticket::seconds(2'000'000'000));
    made.secrets = ticket::SecretBytes(32);
    return made;
  }();
  const auto file = ticketctl::parse_ticket_file(bytes_of(data, size));
  if (!file) {
    holds(!file.error().empty());
    return 0;
  }
  holds(!file->ticket.empty() && file->ticket.size() <= size);
  holds(file->session.has_value() == (file->form == ticketctl::TicketFile::Form::session));
  const auto parts = ticketctl::ticket_parts(file->ticket);
  holds(file->session || parts);
  if (parts) {
    holds(parts->key_name.size() + parts->iv.size() + parts->sealed_state.size() +
              parts->mac.size() ==
          file->ticket.size());
  }
  const auto finding = ticketctl::inspect(file->ticket, ring, {"default"},
                                          ticket::sys_seconds(ticket::seconds(1'790'000'000)));
  holds(!finding.opened && finding.objection);
  return 0;
}
