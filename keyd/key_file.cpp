#include "key_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "atomic_file.hpp"
#include "ring/ring_file.hpp"

namespace keyd {
namespace {

using ticket::ring::Fd;

constexpr std::size_t key_characters = 43;  // 32 bytes of base64url without padding

bool is_space(std::byte c) {
  return c == std::byte(' ') || c == std::byte('\n') || c == std::byte('\r') ||
         c == std::byte('\t');
}

ticket::BytesView trimmed(ticket::BytesView text) {
  while (!text.empty() && is_space(text.front())) text = text.subspan(1);
  while (!text.empty() && is_space(text.back())) text = text.first(text.size() - 1);
  return text;
}

// Straight from locked memory to locked memory, without a std::string between.
bool decode_key(ticket::BytesView text, std::span<std::byte, 32> out) {
  std::size_t size = 0;
  const char* end = nullptr;
  const int failed = sodium_base642bin(
      ticket::raw(out), out.size(), reinterpret_cast<const char*>(text.data()), text.size(),
      nullptr, &size, &end, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
  return failed == 0 && size == out.size() &&
         end == reinterpret_cast<const char*>(text.data()) + text.size();
}

[[noreturn]] void fail(const std::filesystem::path& path, const std::string& why) {
  throw KeyFileError(path.string() + ": " + why);
}

std::size_t read_some(int fd, std::span<std::byte> out) {
  std::size_t filled = 0;
  while (filled < out.size()) {
    const auto got = ::read(fd, out.data() + filled, out.size() - filled);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    filled += static_cast<std::size_t>(got);
  }
  return filled;
}

}  // namespace

ticket::Secret<32> read_key_file(const std::filesystem::path& path) {
  const auto content = read_secret_file(path, 256);
  const auto text = trimmed(content.expose());
  ticket::Secret<32> key;
  if (text.size() != key_characters || !decode_key(text, key.fill())) {
    fail(path, "not a key; a key file holds 43 characters of base64url and a newline");
  }
  return key;
}

void write_key_file(const std::filesystem::path& path, const ticket::Secret<32>& key) {
  ticket::SecretBytes text(key_characters + 1);  // the last one: sodium's NUL, then our newline
  sodium_bin2base64(reinterpret_cast<char*>(text.fill().data()), text.size(),
                    ticket::raw(key.expose()), key.expose().size(),
                    sodium_base64_VARIANT_URLSAFE_NO_PADDING);
  text.fill().back() = std::byte('\n');
  write_atomically(path, text.expose(), 0600);
}

std::optional<ticket::crypto::SignerPublic> read_public_key(std::string_view text) {
  const auto key = trimmed(ticket::as_bytes(text));
  ticket::crypto::SignerPublic signer{};
  if (key.size() != key_characters || !decode_key(key, signer)) return std::nullopt;
  return signer;
}

std::optional<std::string> secret_file_problem(const std::filesystem::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return path.string() + ": " + std::strerror(errno);
  if (!S_ISREG(status.st_mode)) return path.string() + ": not a file";
  if ((status.st_mode & S_IRWXO) != 0) {
    return path.string() + ": other users can read or change it; type: chmod 0600 " + path.string();
  }
  if (::access(path.c_str(), R_OK) != 0) return path.string() + ": " + std::strerror(errno);
  return std::nullopt;
}

ticket::SecretBytes read_secret_file(const std::filesystem::path& path, std::size_t limit) {
  if (const auto problem = secret_file_problem(path)) throw KeyFileError(*problem);
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) fail(path, std::strerror(errno));
  ticket::SecretBytes buffer(limit + 1);
  const auto size = read_some(file.get(), buffer.fill());
  if (size > limit) fail(path, "larger than " + std::to_string(limit) + " bytes");
  return ticket::SecretBytes::copy_of(buffer.expose().first(size));
}

}  // namespace keyd
