// <ticket/openssl.h>.
#include <ticket/openssl.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <new>
#include <stdexcept>

#include "attachment.hpp"
#include "callbacks.hpp"

namespace ticket::openssl {
namespace {

constexpr int tickets_by_default = 2;
// What a session is given before its ticket is prepared; never what a ticket has.
constexpr long longest_lifetime = 604800;  // RFC 8446, 4.6.1
constexpr std::size_t flights_by_default = 100'000;

// An option struct of another release: see the same in capi/door.hpp.
bool take_options(const tkt_openssl_options* from, tkt_openssl_options* to) {
  if (from == nullptr) return true;
  if (from->size < sizeof(std::size_t)) return false;
  const auto* bytes = reinterpret_cast<const unsigned char*>(from);
  for (std::size_t i = sizeof *to; i < from->size; ++i) {
    if (bytes[i] != 0) return false;
  }
  std::memcpy(to, from, std::min(from->size, sizeof *to));
  return true;
}

// As the caller wrote it: read as its enum, another value than the enum's is undefined.
template <class Enum>
unsigned number_in(const Enum& from) {
  static_assert(sizeof from == sizeof(unsigned));
  unsigned number = 0;
  std::memcpy(&number, &from, sizeof number);
  return number;
}

bool valid(const tkt_openssl_options& options) {
  const std::size_t id_size =
      options.session_id_context == nullptr ? 0 : std::strlen(options.session_id_context);
  return id_size <= SSL_MAX_SID_CTX_LENGTH && number_in(options.binding) <= TKT_ANY_NAME &&
         options.tickets >= -1 && number_in(options.early_data) <= TKT_EARLY_DATA_ONCE &&
         (options.names != nullptr || options.names_count == 0);
}

int key_callback(SSL* ssl, unsigned char* key_name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                 EVP_MAC_CTX* mac, int encrypting) {
  return encrypting == 1 ? seal_key(ssl, key_name, iv, cipher, mac)
                         : open_key(ssl, key_name, iv, cipher, mac);
}

// Resumption is by ticket alone: what one server's memory holds is no use to a
// pool, and would pass by contexts and lineage.
bool take_sessions(SSL_CTX* ctx, const tkt_openssl_options& options) {
  const char* id = options.session_id_context == nullptr ? "libticket" : options.session_id_context;
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_SERVER | SSL_SESS_CACHE_NO_INTERNAL);
  // nor by an application's own cache, nginx's ssl_session_cache for one
  SSL_CTX_sess_set_get_cb(ctx, nullptr);
  SSL_CTX_sess_set_new_cb(ctx, nullptr);
  SSL_CTX_sess_set_remove_cb(ctx, nullptr);
  SSL_CTX_set_timeout(ctx, options.lifetime == 0 ? longest_lifetime : long(options.lifetime));
  const int tickets = options.tickets == 0 ? tickets_by_default : std::max(options.tickets, 0);
  return SSL_CTX_set_session_id_context(ctx, reinterpret_cast<const unsigned char*>(id),
                                        unsigned(std::strlen(id))) == 1 &&
         SSL_CTX_set_num_tickets(ctx, std::size_t(tickets)) == 1;
}

// OpenSSL's own guard against replays makes tickets that one server alone knows.
bool take_early_data(SSL_CTX* ctx, std::uint32_t size) {
  if (size != 0) SSL_CTX_set_options(ctx, SSL_OP_NO_ANTI_REPLAY);
  // what is refused must be skipped, also when it was promised before this server's restart
  const std::uint32_t skipped = std::max<std::uint32_t>(size, SSL3_RT_MAX_PLAIN_LENGTH);
  return SSL_CTX_set_max_early_data(ctx, size) == 1 &&
         SSL_CTX_set_recv_max_early_data(ctx, skipped) == 1;
}

bool take_callbacks(SSL_CTX* ctx) {
  SSL_CTX_set_allow_early_data_cb(ctx, allow_early_data, nullptr);
  return SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, key_callback) == 1 &&
         SSL_CTX_set_session_ticket_cb(ctx, prepare_ticket, judge_ticket, nullptr) == 1;
}

tkt_status attach(SSL_CTX* ctx, tkt_ring* ring, const tkt_openssl_options& options) {
  auto attachment = std::make_unique<Attachment>(ring, options);
  const std::uint32_t early = attachment->early_data();
  if (early != 0) {
    const std::size_t capacity =
        options.early_data_capacity == 0 ? flights_by_default : options.early_data_capacity;
    const tkt_status kept = tkt_core_keep_flights(ring, options.early_data_folder, capacity);
    if (kept != TKT_OK) return kept;
  }
  const auto record = keep_record(ctx);
  record->demand(options.demand_certificate != 0);
  const bool attached = register_notes() && give_attachment(ctx, std::move(attachment)) &&
                        take_sessions(ctx, options) && take_early_data(ctx, early) &&
                        take_callbacks(ctx);
  return attached ? TKT_OK : TKT_INTERNAL;
}

tkt_openssl_info read_info(const SSL* ssl, const Note& note) {
  tkt_openssl_info info{};
  const Offer& offer = note.offer;
  info.resumed = SSL_session_reused(ssl);
  info.offered = offer.presented ? 1 : 0;
  info.reason = offer.reason;
  info.epoch = offer.epoch.number;
  info.minter = offer.attribution.minter;
  info.born = offer.attribution.born;
  info.sealed = offer.attribution.sealed;
  info.early_data = info.resumed != 0 ? note.early : TKT_EARLY_NONE;
  std::memcpy(info.context, note.context.data(), sizeof info.context);
  return info;
}

// Nothing was noted: no ticket was offered, none was made.
tkt_openssl_info no_ticket(const SSL* ssl) {
  tkt_openssl_info info{};
  info.resumed = SSL_session_reused(ssl);
  return info;
}

}  // namespace
}  // namespace ticket::openssl

using namespace ticket::openssl;

tkt_status tkt_openssl_attach(SSL_CTX* ctx, tkt_ring* ring, const tkt_openssl_options* given) {
  tkt_openssl_options options{};
  if (ctx == nullptr || ring == nullptr || !take_options(given, &options) || !valid(options)) {
    return TKT_BAD_ARGUMENT;
  }
  try {
    return attach(ctx, ring, options);
  } catch (const std::invalid_argument& wrong) {
    tkt_core_log(ring, TKT_LOG_ERROR, wrong.what());
    return TKT_BAD_ARGUMENT;
  } catch (const std::bad_alloc&) {
    return TKT_OUT_OF_MEMORY;
  } catch (...) {
    return TKT_INTERNAL;
  }
}

tkt_status tkt_openssl_info_read(const SSL* ssl, tkt_openssl_info* info) {
  if (ssl == nullptr || info == nullptr || info->size < sizeof(std::size_t)) {
    return TKT_BAD_ARGUMENT;
  }
  const Note* note = note_of(ssl);
  if (note == nullptr) return TKT_BAD_ARGUMENT;
  const std::size_t size = info->size;
  const tkt_openssl_info known = note->is_of(ssl) ? read_info(ssl, *note) : no_ticket(ssl);
  std::memcpy(info, &known, std::min(size, sizeof known));
  info->size = size;
  return TKT_OK;
}
