// The key that the state is sealed under, from where the operator keeps it.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "state.hpp"

namespace keyd {

// `source` is a path (43 characters of base64url), "credential:NAME" (a file of
// that kind in $CREDENTIALS_DIRECTORY, as systemd's LoadCredential= makes it) or
// "passphrase:FILE" (Argon2id; the salt stands in the state's head, or is drawn
// for a first state). `head` is what the stored state says, if there is one.
// Throws std::runtime_error naming the source, what is wrong and the way out.
StateKey load_state_key(const std::string& source, const std::optional<StateHead>& head);

}  // namespace keyd
