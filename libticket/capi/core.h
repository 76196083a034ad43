/* The versioned private door between libticket and the stack libraries of the
 * same release (libticket-openssl, ...). Not installed; symbols carry the
 * version node LIBTICKET_PRIVATE and may change in any release.
 *
 * Everything here is lock-free in the steady state and allocates nothing. */
#ifndef TICKET_CAPI_CORE_H
#define TICKET_CAPI_CORE_H

#include <openssl/evp.h>
#include <ticket/ticket.h>

#ifdef __cplusplus
extern "C" {
#endif

/* As ring::Counter. */
typedef enum {
    TKT_COUNT_SEALED, TKT_COUNT_NOT_SEALED,
    TKT_COUNT_RESUMED_ANNOUNCED, TKT_COUNT_RESUMED_SEALING, TKT_COUNT_RESUMED_OPENING,
    TKT_COUNT_UNKNOWN_KEY, TKT_COUNT_CONTEXT, TKT_COUNT_EXPIRED, TKT_COUNT_FORGED,
    TKT_COUNT_MALFORMED, TKT_COUNT_LINEAGE, TKT_COUNT_REVOKED, TKT_COUNT_NAME
} tkt_core_counter;

typedef struct {
    int64_t steady, latest;
} tkt_core_time;

/* What of an epoch and its pool's policy a stack needs. */
typedef struct {
    uint32_t number;     /* 0 = none */
    int sealing;         /* this epoch is the one that seals now */
    int announced;       /* it has not begun to seal by this clock */
    int64_t opens_until;
    uint32_t lifetime;   /* policy, seconds */
    uint32_t lineage;    /* policy, seconds */
    int attributed_only; /* policy: a ticket without attribution is refused */
    uint16_t member;     /* this host */
} tkt_core_epoch;

/* Reads the ring's clock and takes over a changed ring if one is due. */
TKT_API tkt_core_time tkt_core_now(tkt_ring *ring);

/* The number of a context, made known on first use (that may lock); its keys are
 * there after the next tkt_core_now. -1 when there are too many. */
TKT_API int tkt_core_context(tkt_ring *ring, const char *purpose, const char *context);

/* The epoch to seal with now: TKT_OK or TKT_NO_KEY. */
TKT_API tkt_status tkt_core_sealing(tkt_ring *ring, int context, tkt_core_time now, tkt_core_epoch *epoch);

/* Draws an IV, writes key name and IV (16 bytes each) and keys the two contexts
 * with the key of epoch `number`. TKT_NO_KEY when it is gone meanwhile. */
TKT_API tkt_status tkt_core_seal(tkt_ring *ring, int context, uint32_t number, unsigned char *key_name,
                                 unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac);

/* Finds the key and keys the two contexts: TKT_OK, TKT_UNKNOWN_KEY, TKT_CONTEXT
 * or TKT_EXPIRED. */
TKT_API tkt_status tkt_core_open(tkt_ring *ring, int context, tkt_core_time now,
                                 const unsigned char *key_name, const unsigned char *iv,
                                 EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, tkt_core_epoch *epoch);

/* wire::TicketData. */
#define TKT_CORE_ATTRIBUTION_SIZE 35
typedef struct {
    uint16_t minter;
    int64_t born, sealed;
    unsigned char name_hash[8];
    unsigned char table[8]; /* where flights with it are recorded; zero: no early data */
} tkt_core_attribution;

/* Gives how many bytes it wrote. */
TKT_API size_t tkt_core_attribution_write(const tkt_core_attribution *attribution,
                                          unsigned char out[TKT_CORE_ATTRIBUTION_SIZE]);
/* TKT_OK or TKT_MALFORMED. */
TKT_API tkt_status tkt_core_attribution_parse(const unsigned char *bytes, size_t size,
                                              tkt_core_attribution *attribution);
/* The hash of what a ticket is made for, under the name key of epoch `number`: TKT_OK, or
 * TKT_NO_KEY when that is gone. */
TKT_API tkt_status tkt_core_name_hash(tkt_ring *ring, int context, uint32_t number,
                                      const unsigned char *text, size_t size, unsigned char out[8]);
/* Whether a hash is that of a text under the name key of any epoch, `number` first: who knows
 * nothing of attributions (HAProxy) seals under a new key what was written under another. */
TKT_API int tkt_core_is_name_hash(tkt_ring *ring, int context, uint32_t number,
                                  const unsigned char *text, size_t size,
                                  const unsigned char hash[8]);

/* Lineage and revocations: TKT_OK, TKT_LINEAGE or TKT_REVOKED. */
TKT_API tkt_status tkt_core_check(tkt_ring *ring, tkt_core_time now, const tkt_core_attribution *attribution);

/* Has the ring keep tables of the flights whose early data was taken (replay/flights.hpp).
 * folder: NULL: beside the ring file. This one allocates and locks. TKT_BAD_ARGUMENT when
 * it keeps others already. */
TKT_API tkt_status tkt_core_keep_flights(tkt_ring *ring, const char *folder, size_t capacity);

/* The table that a ticket of an epoch is to name; 0: none. */
TKT_API int tkt_core_flight_table(tkt_ring *ring, uint32_t epoch, unsigned char out[8]);

/* As replay::FlightVerdict. */
typedef enum {
    TKT_FLIGHT_FRESH, TKT_FLIGHT_REPLAY, TKT_FLIGHT_FOREIGN, TKT_FLIGHT_UNKNOWN
} tkt_core_flight;

/* Records a flight, whose ticket of an epoch names a table, and answers in one step. */
TKT_API tkt_core_flight tkt_core_claim_flight(tkt_ring *ring, uint32_t epoch,
                                              const unsigned char table[8],
                                              const unsigned char *flight, size_t size);

TKT_API void tkt_core_count(tkt_ring *ring, tkt_core_counter counter);
TKT_API void tkt_core_log(tkt_ring *ring, tkt_log_level level, const char *text);

#ifdef __cplusplus
}
#endif
#endif
