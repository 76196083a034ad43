#include "ticket_file.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <memory>

#include "wire/layout.hpp"

namespace ticketctl {

using namespace ticket;

namespace {

constexpr std::string_view session_mark = "-----BEGIN SSL SESSION PARAMETERS-----";
constexpr std::size_t block_size = 16;  // AES

tl::unexpected<std::string> refuse(std::string why) {
  return tl::unexpected<std::string>(std::move(why));
}

struct Free {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(SSL_SESSION* session) const { SSL_SESSION_free(session); }  // wipes it
};

ClientSession read_session(const SSL_SESSION* session) {
  ClientSession read;
  const auto* cipher = SSL_SESSION_get0_cipher(session);
  const auto* name = SSL_SESSION_get0_hostname(session);
  const int version = SSL_SESSION_get_protocol_version(session);
  read.protocol = version == TLS1_3_VERSION   ? "TLSv1.3"
                  : version == TLS1_2_VERSION ? "TLSv1.2"
                                              : "TLS version " + std::to_string(version);
  read.cipher = cipher == nullptr ? "unknown cipher" : SSL_CIPHER_get_name(cipher);
  if (name != nullptr) read.server_name = name;
  read.received = sys_seconds(seconds(SSL_SESSION_get_time(session)));
  read.lifetime_hint = seconds(SSL_SESSION_get_ticket_lifetime_hint(session));
  return read;
}

tl::expected<TicketFile, std::string> parse_session(std::string_view text) {
  const std::unique_ptr<BIO, Free> bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  // An encrypted PEM would ask for a password: none is known.
  const auto no_password = [](char*, int, int, void*) { return -1; };
  const std::unique_ptr<SSL_SESSION, Free> session(
      PEM_read_bio_SSL_SESSION(bio.get(), nullptr, no_password, nullptr));
  ERR_clear_error();
  if (!session) return refuse("its SSL session does not parse");
  const unsigned char* ticket = nullptr;
  std::size_t size = 0;
  SSL_SESSION_get0_ticket(session.get(), &ticket, &size);
  if (size == 0) return refuse("its SSL session has no ticket: the server sent none");
  return TicketFile{TicketFile::Form::session, to_bytes(std::as_bytes(std::span(ticket, size))),
                    read_session(session.get())};
}

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

// Without spaces; nullopt when there is something that no text has.
std::optional<std::string> packed(std::string_view content) {
  std::string text;
  for (const char c : content) {
    if (is_space(c)) continue;
    if (c <= ' ' || c > '~') return std::nullopt;
    text += c;
  }
  return text;
}

// RFC 4648, sections 4 and 5, with or without padding.
std::optional<Bytes> from_any_base64(std::string text) {
  while (text.ends_with('=')) text.pop_back();
  std::ranges::replace(text, '+', '-');
  std::ranges::replace(text, '/', '_');
  return from_base64url(text);
}

}  // namespace

const char* to_text(TicketFile::Form form) {
  constexpr const char* texts[] = {"session", "raw", "base64", "hex"};
  return texts[static_cast<std::size_t>(form)];
}

tl::expected<TicketFile, std::string> parse_ticket_file(BytesView content) {
  if (content.empty()) return refuse("it is empty");
  if (content.size() > largest_ticket_file) return refuse("it is larger than 256 KiB");
  const auto whole = as_text(content);
  if (whole.find(session_mark) != std::string_view::npos) return parse_session(whole);
  if (whole.find("-----BEGIN ") != std::string_view::npos) {
    return refuse("its PEM is no SSL session (openssl s_client -sess_out writes one)");
  }

  TicketFile file;
  if (const auto text = packed(whole)) {
    auto bytes = from_hex(*text);
    file.form = TicketFile::Form::hex;
    if (!bytes) {
      bytes = from_any_base64(*text);
      file.form = TicketFile::Form::base64;
    }
    if (!bytes) return refuse("its text is neither hex nor base64");
    file.ticket = *std::move(bytes);
  } else {
    file.ticket = to_bytes(content);
  }
  if (!ticket_parts(file.ticket)) {
    return refuse("its " + std::to_string(file.ticket.size()) +
                  " bytes are no ticket of RFC 5077, which has 64 and a multiple of 16");
  }
  return file;
}

std::optional<TicketParts> ticket_parts(BytesView ticket) {
  constexpr auto around = wire::key_name_size + wire::iv_size + wire::mac_size;
  if (ticket.size() < around + block_size || (ticket.size() - around) % block_size != 0) {
    return std::nullopt;
  }
  const auto sealed = ticket.size() - around;
  const auto head = wire::key_name_size + wire::iv_size;
  return TicketParts{
      ticket.first(wire::key_name_size), ticket.subspan(wire::key_name_size, wire::iv_size),
      ticket.subspan(head, sealed), ticket.last(wire::mac_size), ticket.first(head + sealed)};
}

}  // namespace ticketctl
