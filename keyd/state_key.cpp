#include "state_key.hpp"

#include <cstdlib>
#include <stdexcept>

#include "key_file.hpp"

namespace keyd {

using namespace ticket;

namespace {

constexpr std::string_view credential_prefix = "credential:";
constexpr std::string_view passphrase_prefix = "passphrase:";
constexpr std::size_t longest_passphrase = 4096;

std::filesystem::path credential_path(const std::string& name) {
  const char* folder = std::getenv("CREDENTIALS_DIRECTORY");
  if (folder == nullptr) {
    throw std::runtime_error("state_key = \"credential:" + name +
                             "\": $CREDENTIALS_DIRECTORY is not set; start keyd by systemd with "
                             "LoadCredential=" +
                             name + ":FILE");
  }
  if (name.empty() || name.find('/') != std::string::npos) {
    throw std::runtime_error("state_key: a credential's name has no '/'");
  }
  return std::filesystem::path(folder) / name;
}

BytesView without_newline(BytesView text) {
  while (!text.empty() && (text.back() == std::byte('\n') || text.back() == std::byte('\r'))) {
    text = text.first(text.size() - 1);
  }
  return text;
}

StateKey from_passphrase(const std::filesystem::path& path, const std::optional<StateHead>& head) {
  const auto file = read_secret_file(path, longest_passphrase);
  const auto passphrase = without_newline(file.expose());
  if (passphrase.size() < 8) {
    throw std::runtime_error(path.string() + ": a passphrase has at least 8 characters");
  }
  StateKey key;
  key.kdf = Kdf::argon2id;
  if (head) {
    key.salt = head->salt;
  } else {
    randombytes_buf(key.salt.data(), key.salt.size());
  }
  static_assert(sizeof(Salt) == crypto_pwhash_SALTBYTES);
  if (crypto_pwhash(raw(key.key.fill()), 32, reinterpret_cast<const char*>(raw(passphrase)),
                    passphrase.size(), raw(BytesView(key.salt)), crypto_pwhash_OPSLIMIT_MODERATE,
                    crypto_pwhash_MEMLIMIT_MODERATE, crypto_pwhash_ALG_ARGON2ID13) != 0) {
    throw std::runtime_error("Argon2id needs 256 MiB of memory to open the state");
  }
  return key;
}

StateKey read_key(const std::string& source, const std::optional<StateHead>& head) {
  if (source.starts_with(passphrase_prefix)) {
    return from_passphrase(source.substr(passphrase_prefix.size()), head);
  }
  StateKey key;
  key.key = source.starts_with(credential_prefix)
                ? read_key_file(credential_path(source.substr(credential_prefix.size())))
                : read_key_file(source);
  return key;
}

const char* kind(Kdf kdf) { return kdf == Kdf::none ? "a key" : "a passphrase"; }

}  // namespace

StateKey load_state_key(const std::string& source, const std::optional<StateHead>& head) {
  auto key = read_key(source, head);
  if (head && head->kdf != key.kdf) {
    throw std::runtime_error(std::string("the state was sealed with ") + kind(head->kdf) +
                             ", but state_key names " + kind(key.kdf));
  }
  if (all_zero(key.key.expose())) throw std::runtime_error("state_key: the key is all zero");
  return key;
}

}  // namespace keyd
