// Whose ticket is it, what is in it, and would it resume? The keys of a ring
// and the rules of its servers, without a server.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ring/ring.hpp"
#include "ticket_file.hpp"

namespace ticketctl {

// What the ring tells of a ticket, as far as it got.
struct Finding {
  // The key: nothing when no epoch of the ring, in none of the contexts, has it.
  const ticket::ring::Epoch* epoch = nullptr;  // of the ring
  std::string state;                           // announced, sealing, opening, wiped, burned
  std::string context;

  // What was inside; nothing when it did not open.
  bool opened = false;
  std::optional<ticket::wire::Attribution> attribution;  // none: HAProxy's have none
  ticket::sys_seconds made, expires;                     // of the session
  std::string server_name;  // that the session was made under; empty = not kept in it
  std::optional<ticket::sys_seconds> lineage_ends;

  // Why it would be a full handshake; nullopt: it would resume, for a client that
  // names the same server and shows what is demanded of it.
  std::optional<ticket::Rejection> objection;
};

// `ring` with its secrets. The session's own secrets are wiped before it returns.
Finding inspect(ticket::BytesView ticket, const ticket::ring::Ring& ring,
                const std::vector<std::string>& contexts, ticket::Moment now);

}  // namespace ticketctl
