/* libticket for clients on OpenSSL 3: a session of one server of a pool resumes on
 * every other one, because the client knows which servers form a pool.
 *
 *     tkt_client_options options = {.size = sizeof options};
 *     tkt_client *client;
 *     if (tkt_client_open(&client, &options) != TKT_OK) exit(1);
 *     tkt_client_manifest_file(client, "/etc/ticket/pools.json", NULL, 0);
 *     tkt_client_attach(client, ctx, NULL);                  // once for each SSL_CTX
 *     ...
 *     SSL *ssl = SSL_new(ctx);
 *     SSL_set1_host(ssl, "a.example");                       // whatever else you set, first
 *     tkt_client_prepare(client, ssl, "a.example", 443);     // before SSL_connect
 *
 * Link with libticket-client (pkg-config libticket-client). What <ticket/ticket.h> says
 * of ownership, results, structs and threads holds here too. docs/client.md has more.
 *
 * A server's pool is what the manifest says, else what DNS says (if asked to look there),
 * else the server is a pool of its own, by host and port.
 *
 * When is a session offered under another name than its own? Only when a server of that
 * name is of the same pool, and: it is of TLS 1.3; the certificate of its own full
 * handshake is good for that name, was verified by OpenSSL then, and has not expired; the
 * connection verifies its server (SSL_VERIFY_PEER), with the same settings and without a
 * verify callback, whose yes may be for one name; it shows the same client certificate;
 * cipher, version and ALPN suit. A TLS 1.3 session is offered once. Early data never goes
 * under another name. Whatever manifest or DNS say, the worst that comes of it is a full
 * handshake. A server that ends a handshake where it should refuse a ticket costs that one,
 * and then is on its own for ten minutes at least. One that is silent there costs two, if
 * the application waits for two seconds or more before it gives up, and is then offered
 * nothing for as long.
 *
 * What OpenSSL lets nobody compare, keep apart by partitions: SSL_CTXs that trust other
 * CAs or have other CRLs, connections with another purpose, trust, policies or signature
 * algorithms, clients of other users, whatever must not be linked to each other. Also an
 * SSL_CTX with SSL_CTX_set_cert_verify_callback: one that answers 1 counts as verified.
 * With DANE, DTLS, a demand for stapled OCSP, or a verify store of the SSL's own, nothing
 * is offered or kept.
 *
 * Fork: open a client in each child. One that was opened before offers and keeps nothing
 * in a child, takes no manifest and leaves its cache file alone. Close it in each child
 * all the same: tkt_client_close frees no memory there, but lets go of the file's lock. */
#ifndef TICKET_CLIENT_H
#define TICKET_CLIENT_H

#include <openssl/ssl.h>
#include <ticket/ticket.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tkt_client tkt_client;

/* ---- opening ------------------------------------------------------------------ */

typedef struct {
    size_t size;               /* sizeof(tkt_client_options) */
    const char *cache_path;    /* a file in which sessions outlive the process; NULL: none. It
                                  holds secrets: 0600, in a folder that only its user may
                                  write to; FILE.lock stands beside it. One process at a time:
                                  others keep their sessions in memory */
    uint32_t sessions;         /* the most that are kept; 0: 8192. The pool that was used
                                  least recently goes first */
    uint32_t sessions_a_name;  /* of these, for one server name in a pool; 0: 4 */
    int any_name;              /* 1: TLS 1.2 too resumes under other names, for closed fleets
                                  whose servers allow it (TKT_ANY_NAME): RFC 6066, section 3,
                                  forbids it to servers */
    int doubt_after;           /* so many tickets of other servers in a row that a server answers
                                  with full handshakes take it out of its pool for 10 minutes,
                                  then longer, at most a day; 0: 3; -1: never. One that it ends
                                  the handshake at does so always */
    int dns;                   /* 1: look for _tls-pool.NAME TXT "v=1 pool=ID" of servers that the
                                  manifest lacks, in the background, for the next connection.
                                  Starts two threads; without it there are none */
    const char *dns_server;    /* ADDRESS@PORT of the resolver to ask; NULL: /etc/resolv.conf */
    uint32_t dns_wait_ms;      /* wait so long in tkt_client_prepare for what is not known yet;
                                  0: do not */
    tkt_log_callback log;      /* NULL: silent. May be called with locks held: must not call back */
    void *log_user;
    tkt_clock_callback clock;  /* NULL: the machine's. The later of its two times counts */
    void *clock_user;
    uint32_t lineage;          /* seconds after its full handshake in which a session, and what
                                  comes of resuming it, is offered; 0: 86400, at most 604800 */
} tkt_client_options;

/* tkt_client_open makes a client. A cache file that is missing, torn, foreign or in use is
 * no error: the log says why it was not read. TKT_BAD_ARGUMENT for options that cannot be
 * or a resolver that cannot; the log says which. On TKT_OK the caller owns *out; on
 * anything else *out is NULL. `options` may be NULL. */
TKT_API tkt_status tkt_client_open(tkt_client **out, const tkt_client_options *options);

/* tkt_client_close writes the cache file and lets go of all sessions. SSL_CTXs that are
 * still attached go on with full handshakes. Not while another thread is in a function of
 * this client or in a handshake of its connections. NULL is fine. */
TKT_API void tkt_client_close(tkt_client *client);

/* tkt_client_save writes the cache file now. What is offered afterwards removes it again,
 * or the next process would offer it twice. TKT_INTERNAL, and a line in the log, when it
 * cannot be written: what stood there is untouched. */
TKT_API tkt_status tkt_client_save(tkt_client *client);

/* ---- which servers are one pool ------------------------------------------------- */

/* tkt_client_manifest_text takes a manifest (docs/client-manifest.md), in place of the one
 * there was: `size` bytes, need not end in NUL. TKT_MALFORMED when it is none or
 * contradicts itself, TKT_EXPIRED when its time is over: then the one there was stays, and
 * `why`, if not NULL, holds a line for people (cut to why_size, always ended), as the log
 * does. Once a manifest's time is over, it says nothing. */
TKT_API tkt_status tkt_client_manifest_text(tkt_client *client, const char *text, size_t size,
                                            char *why, size_t why_size);

/* tkt_client_manifest_file reads it from a file. Call again when it has changed.
 * TKT_BAD_ARGUMENT when it cannot be read, otherwise as tkt_client_manifest_text. */
TKT_API tkt_status tkt_client_manifest_file(tkt_client *client, const char *path, char *why,
                                            size_t why_size);

/* ---- connections ----------------------------------------------------------------- */

/* tkt_client_attach joins a client's SSL_CTX to the cache.
 *
 *   ctx        before connections are made of it. Its session callback and its info
 *              callback are taken, once; those that were there are called too. One that is
 *              set later must call the one it found; it goes on being called for an ssl that
 *              is prepared. After SSL_set_SSL_CTX the session callback that the new
 *              SSL_CTX had is called, where OpenSSL would call the old one's. OpenSSL's own
 *              cache is off from here on
 *   partition  at most 255 bytes; sessions of one partition are never offered in another;
 *              NULL: ""
 *
 * ctx may outlive the client. TKT_BAD_ARGUMENT, TKT_OUT_OF_MEMORY. */
TKT_API tkt_status tkt_client_attach(tkt_client *client, SSL_CTX *ctx, const char *partition);

/* tkt_client_prepare gives a connection a session to offer, if there is one that may be.
 *
 *   ssl   of an SSL_CTX that this client is attached to, not connected yet, set up: what
 *         it verifies, its versions, ciphers and certificate are looked at here
 *   host  name or address as the application knows it; becomes the server name (SNI)
 *         unless the application set one, in which case that one counts. One that was
 *         set here, for an ssl that is used again, is replaced
 *   port  other than 0
 *
 * Checks no certificate and sets no host to check: SSL_set1_host is the application's. A
 * session that was set before is replaced, and the ssl's session id context is that of the
 * session. Does not wait (but see dns_wait_ms). Also for an ssl that is used again, after
 * SSL_clear: which otherwise offers and keeps nothing. The ssl's info callback is taken, as
 * that of its SSL_CTX: one that is set later must call the one it found, or nothing of what
 * follows is kept. What is changed afterwards is looked at again when the handshake starts,
 * and what was given is then taken back if it no longer fits. A TLS 1.3 session that was
 * given is spent, whether it goes or not: prepare when the connection is there.
 *
 * TKT_BAD_ARGUMENT for a host that is none, or an SSL_CTX without this client;
 * TKT_OUT_OF_MEMORY. A connection is fine also then. Any thread, one at a time for an ssl. */
TKT_API tkt_status tkt_client_prepare(tkt_client *client, SSL *ssl, const char *host,
                                      unsigned port);

/* tkt_client_set_alpn is SSL_set_alpn_protos for a connection that is then prepared: OpenSSL
 * tells nobody what was set, and so a session of a protocol which is not among these is not
 * offered. Without it that is not looked at, which costs nothing: the protocol is agreed on
 * anew in every handshake (RFC 7301, 3.1). */
TKT_API tkt_status tkt_client_set_alpn(SSL *ssl, const unsigned char *protocols, unsigned size);

typedef struct {
    size_t size;      /* sizeof(tkt_client_info), set by the caller */
    int offered;      /* 1: a session was given to the connection */
    int resumed;      /* 1: and taken */
    int ended;        /* 1: the handshake has ended, well or not */
    char ticket_of[280]; /* "HOST:PORT" of the server whose ticket was offered; "" = none */
    char pool[280];   /* "manifest:ID", "dns:ID", or "host:HOST:PORT" of one that stands alone */
    char why[64];     /* why nothing was offered, for people: "no session", "expired",
                         "certificate of another name" ...; "offered" */
} tkt_client_info;

/* tkt_client_info_read tells of a connection that was prepared. TKT_BAD_ARGUMENT for any
 * other. On the thread that uses ssl. */
TKT_API tkt_status tkt_client_info_read(const SSL *ssl, tkt_client_info *info);

/* ---- counters -------------------------------------------------------------------- */

typedef struct {
    size_t size; /* sizeof(tkt_client_counters), set by the caller */
    uint64_t prepared;
    uint64_t offered, resumed;             /* of those prepared, once their handshake has ended */
    uint64_t offered_other, resumed_other; /* of these: with another server's ticket */
    uint64_t refused;                      /* offered, and a full handshake came of it */
    uint64_t failed;                       /* offered, and no handshake came to its end */
    uint64_t stored, dropped;              /* sessions kept; dropped for want of room */
    uint64_t doubted;                      /* times that a server was taken out of its pool */
    uint64_t dns_queries, dns_answers, dns_failures;
    uint64_t dns_ignored;                  /* TXT records that are malformed or too many */
    uint64_t sessions, manifest_size;      /* now: sessions kept; names and servers */
} tkt_client_counters;

TKT_API tkt_status tkt_client_counters_read(const tkt_client *client, tkt_client_counters *counters);

typedef struct {
    size_t size;      /* of what is handed out */
    const char *pool; /* "manifest:ID" or "dns:ID"; valid during the call */
    uint64_t offered, resumed, refused, failed;
} tkt_client_pool_counters;

/* tkt_client_pools_read calls `each` for every pool whose sessions were offered, on this
 * thread. At most 4096 are told apart. */
TKT_API tkt_status tkt_client_pools_read(const tkt_client *client,
                                         void (*each)(void *user, const tkt_client_pool_counters *),
                                         void *user);

/* ---- libcurl --------------------------------------------------------------------- */

/* tkt_client_curl lets a libcurl handle (CURL *) use the client's sessions, in partition "":
 * the one call that a program needs, before curl_easy_perform.
 *
 *     tkt_client_curl(client, curl);
 *
 * It sets CURLOPT_SSL_CTX_FUNCTION and CURLOPT_SSL_CTX_DATA, and switches libcurl's own
 * session cache off (CURLOPT_SSL_SESSIONID_CACHE), which offers a TLS 1.3 ticket more than
 * once. libcurl must be one that uses the same OpenSSL, as Debian's. The client must outlive
 * the handle. TKT_BAD_ARGUMENT when the program has no libcurl, or one without OpenSSL. */
TKT_API tkt_status tkt_client_curl(tkt_client *client, void *curl);

/* tkt_client_curl_ssl_ctx is what CURLOPT_SSL_CTX_FUNCTION becomes, with the client as
 * CURLOPT_SSL_CTX_DATA; for programs that have such a function already: call it there with
 * the same arguments. Always 0 (CURLE_OK): a transfer does not fail for want of a session. */
TKT_API unsigned tkt_client_curl_ssl_ctx(void *curl, void *ssl_ctx, void *client);

#ifdef __cplusplus
}
#endif
#endif
