/* libticket for OpenSSL 3: one call attaches a ring to an SSL_CTX.
 *
 *     tkt_openssl_options options = {.size = sizeof options, .context = "www"};
 *     if (tkt_openssl_attach(ctx, ring, &options) != TKT_OK) exit(1);
 *
 * Link with libticket-openssl and libticket (pkg-config libticket-openssl). What
 * <ticket/ticket.h> says of results, structs, threads and fork holds here too.
 *
 * From then on ctx seals its session tickets under the pool's current key and
 * opens those of every server of the pool. A ticket that does not open is a
 * full handshake, never an alert.
 *
 * Which SSL_CTX to attach to. OpenSSL asks the SSL_CTX that a connection began
 * with (the port's), never the one it was switched to:
 *   - one SSL_CTX for the port: attach to it with a `context`.
 *   - SSL_CTX chosen in the client-hello callback: attach to each of them, each
 *     with its own `context`, the port's first one too.
 *   - SSL_CTX chosen in the servername callback: the ticket is opened before
 *     that callback runs, so the port's SSL_CTX must be told which context a
 *     name belongs to: give it `names` or `choose`.
 * When in doubt attach to all of them with the same `names`: right in each case.
 *
 * What holds a connection that switches. Its context is looked up again when its
 * next ticket is sealed. Should it have resumed in one context and be served in
 * another, or lack the client certificate that is demanded there, the handshake
 * ends with an alert and the log callback hears what to configure. That look is
 * taken at every TLS 1.3 resumption. (Without tickets to seal there is none: then
 * only names that have a row, or by `choose`, resume.) TLS 1.2 seals nothing when it resumes, so
 * there a connection gets a new ticket, and the look, only if its name has no row
 * (and `choose` is not used) while SSL_CTXs with other contexts are attached in
 * this process, or with TKT_ANY_NAME, where no name keeps apart two hosts of one
 * context. Left to the application, in TLS 1.2: that `names` and `choose`
 * tell the truth, and that its servername callback turns off no tickets.
 * (With TKT_ANY_NAME, SSL_get_servername() of a TLS 1.2 resumption tells the
 * ticket's name, not the client's: the connection stays where that name leads.)
 *
 * An SSL that is used again, after SSL_clear, begins where it was switched to: give it back
 * the port's SSL_CTX (SSL_set_SSL_CTX) first, or good tickets of other hosts are refused.
 *
 * Client certificates. Where they are asked for, a session, with one or without, resumes
 * only where the same CAs vouch for clients, and under the server name it was made for,
 * whatever the binding (in TLS 1.3, once a servername callback had OpenSSL keep the name, to
 * the letter); one with a certificate nowhere else. The CAs are the certificates in the
 * SSL_CTX's store for verifying (SSL_CTX_set1_verify_cert_store, else its certificate store)
 * and its client CA list, as they are when it is attached or named as a `host`: attach to it
 * again, and to the port, when they change. Not seen are a folder of CAs (CApath) and
 * what a verify callback or a connection of its own settings believes: such hosts need a
 * context of their own. What a host asks for is known from its SSL_CTX: where the servername
 * callback switches to another one, `names` or `choose` must tell which (`host`), or its
 * sessions are all full handshakes. Tickets without attribution tell nothing of this: their
 * context must be enough. A certificate may be asked for after the handshake (TLS 1.3).
 *
 * Early data (0-RTT) is off unless the options say TKT_EARLY_DATA_ONCE; leave
 * SSL_CTX_set_max_early_data and SSL_OP_NO_ANTI_REPLAY to them. It is for requests that
 * do no harm when they come again all the same: a client that was refused sends them again
 * by itself. */
#ifndef TICKET_OPENSSL_H
#define TICKET_OPENSSL_H

#include <openssl/ssl.h>
#include <ticket/ticket.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One row of a table: a server name in lower case, or "*.example.org" for one
 * label below it, and its context (at most 255 bytes). A whole name goes before a
 * pattern; the order of rows does not matter.
 *
 *     const tkt_openssl_name names[] = {
 *         {"www.example.org", "www"}, {"*.example.org", "www"}, {"pay.example.org", "pay"}};
 *     options.names = names;
 *     options.names_count = 3;
 *
 * Contexts keep apart what must not meet: hosts with other certificates' owners, or
 * of which one demands client certificates. Equal names on every server of the pool.
 *
 * `host` is the SSL_CTX that serves the name, to be given where the servername callback
 * switches to it and it asks for client certificates; NULL: as the one that is attached to.
 * Looked at by tkt_openssl_attach, which keeps what it saw with it; need not live on. Not in
 * use by other threads when it is first named. */
typedef struct {
    const char *name;
    const char *context;
    const SSL_CTX *host;
} tkt_openssl_name;

/* Chooses the context of a connection, where a table will not do.
 *
 *   user         choose_user of the options
 *   ssl          the connection, in the middle of its handshake: look, do not change
 *   server_name  in lower case, or NULL when the client sent none
 *   host         may be set to the SSL_CTX that will serve the connection, where that is
 *                another one than it has now (see tkt_openssl_name). One that nobody attached
 *                to is looked at in each handshake, which takes longer
 *
 * Called on the thread of the handshake when a ticket is presented, when early data comes
 * with it and when a ticket is sealed (not behind early data that was taken); must answer alike. Returns a string of at most 255 bytes that lives until the
 * same thread's next call, or NULL: no tickets for this connection. A ring takes 1024
 * contexts; beyond them the answer counts as NULL. */
typedef const char *(*tkt_openssl_choose)(void *user, SSL *ssl, const char *server_name,
                                          const SSL_CTX **host);

typedef enum {
    TKT_SAME_NAME = 0,    /* a ticket resumes only under the server name it was made for */
    TKT_SAME_CONTEXT = 1, /* TLS 1.3: under any name of its context; TLS 1.2: the same name
                             (RFC 6066, section 3) */
    TKT_ANY_NAME = 2      /* TLS 1.2 too: only for closed fleets. Hosts that demand a client
                             certificate are best given a context of their own: a handshake
                             that comes to them with a session without one ends */
} tkt_openssl_binding;

/* Early data (RFC 8446, 2.3) can be replayed by whoever has seen it on the wire: byte for
 * byte, to any server that opens its ticket.
 *
 * TKT_EARLY_DATA_ONCE: a flight is taken at most once by all servers of the pool together:
 * by the host that sealed its ticket, and by that host once, by whichever of its processes
 * and however often these restart. Elsewhere, again, or when it cannot be told, early data
 * is refused and the handshake goes on without it (1-RTT), never an alert.
 *
 * The host's processes share tables of the flights that they took, files in
 * early_data_folder: one for each epoch, 12 bytes a flight, as long as its tickets open;
 * full, they refuse. The folder is made when it is missing; nobody but these servers may
 * be able to write there (whoever can may have flights forgotten), and tmpfs is best: a
 * table of before the machine's last boot is never used. Where no file can be made the log
 * callback says so, and each process takes only flights with tickets of its own.
 *
 * An application takes early data by SSL_read_early_data(), as ever. */
typedef enum { TKT_EARLY_DATA_OFF = 0, TKT_EARLY_DATA_ONCE = 1 } tkt_openssl_early_data;

typedef struct {
    size_t size;                   /* sizeof(tkt_openssl_options) */
    const char *context;           /* for names that no row has; NULL: "default" */
    const tkt_openssl_name *names; /* copied; NULL: none */
    size_t names_count;
    tkt_openssl_choose choose;     /* before names and context; NULL: none */
    void *choose_user;
    tkt_openssl_binding binding;
    const char *session_id_context; /* at most 32 bytes; NULL: "libticket"; the same on every
                                       server of a pool */
    uint32_t lifetime;              /* seconds a ticket is good for; 0: the pool's policy; never more */
    int tickets;                    /* TLS 1.3 tickets after a full handshake; 0: 2, -1: none, and
                                       then only names with a row, or by `choose`, resume */
    int require_attribution;        /* 1: refuse tickets without it (HAProxy's), as the
                                       pool's policy may do for all its servers */
    tkt_openssl_early_data early_data;
    uint32_t early_data_size;       /* bytes of it that a client may send; 0: 16384 */
    const char *early_data_folder;  /* as the next, one for all that a ring is attached to; NULL:
                                       web.early beside web.ring, memory where there is no file */
    uint32_t early_data_capacity;   /* flights of one epoch; 0: 100000 */
    int demand_certificate;         /* 1: nothing is served here without a client certificate,
                                       though OpenSSL lets the handshake end (SSL_VERIFY_PEER
                                       alone): sessions without one do not resume */
} tkt_openssl_options;

/* tkt_openssl_attach makes ctx use the ring's keys.
 *
 *   ctx      a server's SSL_CTX, before connections are made of it. Attaching again
 *            replaces, but not while ctx has handshakes under way.
 *   ring     must outlive ctx and all its connections; may be attached to many
 *   options  may be NULL; copied
 *
 * Takes the ticket key callback, the session ticket callback, the early data callback and
 * limit, the session-id context, the number of tickets, and the session cache of ctx with
 * its callbacks: resumption is by ticket alone. (Under SSL_OP_NO_TICKET nothing resumes; in
 * TLS 1.3 OpenSSL then sends names of sessions in a cache.) Leaves the client-hello and the
 * servername callback, and SSL_OP_NO_TICKET, to the application.
 *
 * TKT_BAD_ARGUMENT without ctx or ring and for options that cannot be; of a wrong name
 * and of too many contexts the ring's log callback says which. TKT_OUT_OF_MEMORY,
 * TKT_INTERNAL when OpenSSL fails. Not from two threads on one ctx at once. */
TKT_API tkt_status tkt_openssl_attach(SSL_CTX *ctx, tkt_ring *ring, const tkt_openssl_options *options);

/* What became of a connection's early data. */
typedef enum {
    TKT_EARLY_NONE = 0,     /* none came, or OpenSSL itself refused it: too old, another ALPN */
    TKT_EARLY_ACCEPTED = 1,
    TKT_EARLY_REPLAY = 2,   /* this flight was taken before */
    TKT_EARLY_FOREIGN = 3,  /* with a ticket of another host, name or context, or of a table that is gone */
    TKT_EARLY_FULL = 4      /* the epoch's table has no room left */
} tkt_openssl_early;

/* What became of the ticket of a connection: the answer to "why did it not resume?".
 * `reason` may be any rejection of tkt_open, and TKT_NAME. */
typedef struct {
    size_t size;         /* sizeof(tkt_openssl_info), set by the caller */
    int resumed;         /* 1: this handshake resumed a session */
    int offered;         /* 1: the client presented a ticket */
    tkt_status reason;   /* why an offered ticket was not taken; TKT_OK otherwise */
    uint32_t epoch;      /* of the ticket offered, as the next three: number of the epoch that
                            sealed it; 0 = unknown */
    uint16_t minter;     /* member that sealed it; 0 = unknown */
    int64_t born;        /* when the lineage's full handshake was; 0 = unknown */
    int64_t sealed;      /* when the ticket was sealed; 0 = unknown */
    char context[256];   /* of the connection; empty = none */
    tkt_openssl_early early_data;
} tkt_openssl_info;

/* tkt_openssl_info_read tells of a server's connection. Valid after the handshake,
 * until ssl is freed, on the thread that uses ssl.
 *
 *     tkt_openssl_info info = {.size = sizeof info};
 *     if (tkt_openssl_info_read(ssl, &info) == TKT_OK && info.offered && !info.resumed)
 *         log("full handshake: %s", tkt_status_text(info.reason));
 *
 * TKT_BAD_ARGUMENT for a connection that began with an SSL_CTX without a ring. */
TKT_API tkt_status tkt_openssl_info_read(const SSL *ssl, tkt_openssl_info *info);

#ifdef __cplusplus
}
#endif
#endif
