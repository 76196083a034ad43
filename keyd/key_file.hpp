// Keys in files: 32 bytes as 43 characters of base64url and a newline. A secret
// one that other users can read is refused.
#pragma once

#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "base/secret.hpp"
#include "crypto/signature.hpp"

namespace keyd {

struct KeyFileError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Throws KeyFileError naming the file, what is wrong and the way out.
ticket::Secret<32> read_key_file(const std::filesystem::path& path);

// Mode 0600; atomically in the place of what stood there. Throws std::system_error.
void write_key_file(const std::filesystem::path& path, const ticket::Secret<32>& key);

// nullopt for anything but 43 characters of base64url; white space around them is fine.
std::optional<ticket::crypto::SignerPublic> read_public_key(std::string_view text);

// Why a file of secrets cannot be used (it is missing, not a file, or other
// users can read it), with the command to type; nullopt when it can.
std::optional<std::string> secret_file_problem(const std::filesystem::path& path);

// A secret file whole, at most `limit` bytes. Throws KeyFileError.
ticket::SecretBytes read_secret_file(const std::filesystem::path& path, std::size_t limit);

}  // namespace keyd
