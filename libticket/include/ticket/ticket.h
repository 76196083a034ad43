/* The C door to libticket: a pool's keys in one process.
 *
 * A pool is a number of servers that share the keys of their TLS session tickets,
 * so that a session which began on one of them resumes on every other. The keys
 * are short-lived; a ring is what a process knows of them at a moment. It comes
 *   - from keyd: its agent writes a ring file, tkt_ring_open follows it; or
 *   - from the process itself, on a single host: tkt_ring_embed.
 *
 * A ring is put to use by a TLS stack's own header and library, such as
 * <ticket/openssl.h> of libticket-openssl, or directly by tkt_seal and tkt_open.
 *
 *     tkt_ring_options options = {.size = sizeof options, .ring_path = "/run/ticket/web.ring"};
 *     tkt_ring *ring;
 *     if (tkt_ring_open(&ring, &options) != TKT_OK) exit(1);
 *     tkt_openssl_attach(ctx, ring, NULL);
 *     ...
 *     SSL_CTX_free(ctx);
 *     tkt_ring_free(ring);
 *
 * What holds for all of it:
 *
 * Ownership. Objects are opaque; free each with its own _free, which accepts NULL.
 * The caller owns every buffer and every string passed in; strings are copied.
 *
 * Results. A function that can fail returns a tkt_status: TKT_OK, a rejection (> 0,
 * an ordinary outcome), or a failure (< 0, the caller or the machine). Nothing here
 * throws, logs on its own account, installs signal handlers or exits.
 *
 * Structs begin with `size`. Options: set it, zero the rest, zero is the default. Results:
 * set it before the call. So programs and libraries of different releases agree.
 *
 * Threads. Any function from any thread, unless it says otherwise; sealing and
 * opening take no lock and never wait. A ring has one thread of its own (all
 * signals blocked), unless `no_thread`.
 *
 * Fork. A forked child may go on using a ring, but has no thread of ours: it must
 * call tkt_ring_tend about once a second, or ended keys stay in an idle child's
 * memory. Better: open the ring in each child.
 *
 * Times are Unix seconds.
 *
 * Memory, core dumps, file modes and the rest that an embedder should know: see
 * docs/hardening.md. */
#ifndef TICKET_TICKET_H
#define TICKET_TICKET_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TKT_API __attribute__((visibility("default")))

typedef struct tkt_ring tkt_ring;

/* ---- results ------------------------------------------------------------------ */

typedef enum {
    TKT_OK = 0,

    /* Rejections: an ordinary outcome, the peer falls back to a full handshake. */
    TKT_MALFORMED = 1,   /* the bytes do not parse */
    TKT_UNKNOWN_KEY = 2, /* no key of the ring has this key name */
    TKT_CONTEXT = 3,     /* known, but to another context of this ring */
    TKT_EXPIRED = 4,     /* past its lifetime or its key's opens_until */
    TKT_FORGED = 5,      /* the tag does not verify */
    TKT_LINEAGE = 6,     /* its full handshake is longer ago than `lineage` */
    TKT_REVOKED = 7,     /* its minter's tickets of that time were revoked */
    TKT_NAME = 8,        /* made for another server name */
    TKT_NO_KEY = 9,      /* no key may seal now: no ticket is sent */

    /* Of one-time tokens alone, beside TKT_MALFORMED, TKT_UNKNOWN_KEY, TKT_EXPIRED and
       TKT_FORGED: the client is asked for another token. */
    TKT_MISSING = 10,  /* none was presented */
    TKT_AUDIENCE = 11, /* for another origin, pool or type of token */
    TKT_EARLY = 12,    /* its epoch has yet to begin */
    TKT_REPLAY = 13,   /* spent before */
    TKT_UNKNOWN = 14,  /* cannot be told now, which is not the client's fault: 503 */
    TKT_CLAIM = 15,    /* not decided: the pool's record is to be asked */

    /* Failures: the caller or the machine is at fault. */
    TKT_BUFFER_TOO_SMALL = -1,
    TKT_BAD_ARGUMENT = -2,
    TKT_OUT_OF_MEMORY = -3,
    TKT_INTERNAL = -4 /* a bug in libticket; please report it */
} tkt_status;

/* tkt_status_text names a status in English; static storage, never NULL. */
TKT_API const char *tkt_status_text(int status);

/* tkt_version is the version of the library that is running, "0.1.0". */
TKT_API const char *tkt_version(void);

/* ---- log and clock ------------------------------------------------------------ */

typedef enum { TKT_LOG_ERROR = 0, TKT_LOG_WARNING = 1, TKT_LOG_INFO = 2, TKT_LOG_DEBUG = 3 } tkt_log_level;

/* Called from any thread that uses the ring, its own among them, and perhaps with
 * its locks held: do not call back into the ring, and do not wait. `text` is one
 * line without its end, valid during the call. No secret is ever in it, but paths
 * and server names are. */
typedef void (*tkt_log_callback)(void *user, tkt_log_level level, const char *text);

/* The time for a ring: *steady decides what seals, the later of the two what still
 * opens. Called at every handshake, from any thread. For tests and simulations: the
 * machine's clocks, which are the default, cannot be set back by whoever sets the
 * wall clock. */
typedef void (*tkt_clock_callback)(void *user, int64_t *steady, int64_t *wall);

/* ---- a ring ------------------------------------------------------------------- */

typedef struct {
    size_t size;               /* sizeof(tkt_ring_options) */
    const char *ring_path;     /* the file that keyd's agent writes; needed */
    const char *counters_path; /* NULL: ring_path with .ring replaced by .counters */
    int no_thread;             /* 1: no thread of ours; the caller tends by its own timer */
    tkt_log_callback log;      /* NULL: silent */
    void *log_user;
    tkt_clock_callback clock;  /* NULL: the machine's clocks */
    void *clock_user;
} tkt_ring_options;

/* tkt_ring_open follows a ring file that keyd's agent writes.
 *
 * A file that is missing or unusable is no error: handshakes go on without tickets,
 * tkt_ring_info_read and the log say why, and the ring is taken up within a second of
 * its appearing. TKT_BAD_ARGUMENT without a ring_path, TKT_OUT_OF_MEMORY,
 * TKT_INTERNAL when no thread can be made. On TKT_OK the caller owns *out; on
 * anything else *out is NULL. */
TKT_API tkt_status tkt_ring_open(tkt_ring **out, const tkt_ring_options *options);

typedef struct {
    size_t size;               /* sizeof(tkt_embed_options) */
    const char *pool;          /* the pool's name, 1-255 bytes; needed */
    const char *ring_path;     /* NULL: keys in this process's memory alone */
    const char *counters_path; /* as in tkt_ring_options; only with ring_path */
    uint32_t rotate_every;     /* seconds an epoch seals; 0: 3600 */
    uint32_t lifetime;         /* seconds a ticket is good for; 0: 43200, at most 604800 */
    uint32_t lineage;          /* seconds after the full handshake that nothing resumes
                                  later than; 0: 86400 */
    int no_thread;             /* as in tkt_ring_options, as what follows */
    tkt_log_callback log;
    void *log_user;
    tkt_clock_callback clock;
    void *clock_user;
} tkt_embed_options;

/* tkt_ring_embed makes a pool's keys in this very process: for one host, without
 * keyd. The ring is used as any other. A key seals for rotate_every, opens for
 * `lifetime` more, and is wiped; the next is made rotate_every ahead.
 *
 *     tkt_embed_options options = {
 *         .size = sizeof options, .pool = "web", .ring_path = "/run/myserver/web.ring"};
 *     tkt_ring *ring;
 *     if (tkt_ring_embed(&ring, &options) != TKT_OK) exit(1);
 *
 * Without ring_path the keys die with the process: after a restart, clients begin
 * with full handshakes. A forked child goes on with the keys that stood at the fork,
 * makes none, and in the end sends no tickets: a server of several processes needs
 * a ring_path.
 *
 * With ring_path the keys are kept in that file (mode 0640; put it on a tmpfs, in a
 * folder that only the server's user may write to), and are there after a restart.
 * All processes of the host that embed a pool at the same path share its keys: one
 * makes them, the others follow, and the first to notice that it has gone carries
 * on, within a second. Give all of them the same options; whoever makes the keys does
 * it by its own. keyd's agent must not write there.
 *
 * A file that cannot be written is no error, and never answered with keys that the
 * others lack: what stands in it is used to its end, then no tickets are sent;
 * tkt_ring_info_read says why, and it is tried again several times a second.
 *
 * TKT_BAD_ARGUMENT for a policy that cannot be, such as more than 64 keys at once;
 * the log callback hears which field and what is allowed. Otherwise as
 * tkt_ring_open. */
TKT_API tkt_status tkt_ring_embed(tkt_ring **out, const tkt_embed_options *options);

/* tkt_ring_free ends the ring's thread and wipes its keys. Whatever was attached to
 * it, and its contexts, must not be used any more. Not from the log callback. */
TKT_API void tkt_ring_free(tkt_ring *ring);

/* tkt_ring_tend takes over a changed ring, wipes what has ended and writes the
 * counters: what the ring's own thread does four times a second.
 *
 * *next, if not NULL, becomes the time at which to call again at the latest; call at
 * least every second to follow changes promptly. Only needed with no_thread, and in
 * forked children. May read and write files, so keep it off the handshake path. When
 * another thread is at it already, returns at once. */
TKT_API tkt_status tkt_ring_tend(tkt_ring *ring, int64_t *next);

typedef enum {
    TKT_RING_OK = 0,        /* seals and opens */
    TKT_RING_STRETCHED = 1, /* nothing newer came: the last epoch seals beyond its time */
    TKT_RING_STOPPED = 2,   /* no epoch may seal: no tickets are sent */
    TKT_RING_NONE = 3       /* no ring; see why */
} tkt_ring_state;

typedef struct {
    size_t size; /* sizeof(tkt_ring_info), set by the caller */
    tkt_ring_state state;
    uint64_t generation;
    uint32_t sealing_epoch;  /* number; 0 = none */
    uint32_t epochs;         /* living ones */
    uint16_t member;         /* this host's member number */
    int64_t heartbeat;       /* when whoever makes or brings the keys last lived; 0 = never */
    int64_t next_change;     /* by the clock alone */
    char pool[256];
    char why[64];            /* for people; "ok" when all is well */
} tkt_ring_info;

/* tkt_ring_info_read tells what the ring is at, for a status page or a health check.
 * Takes a lock. */
TKT_API tkt_status tkt_ring_info_read(tkt_ring *ring, tkt_ring_info *info);

/* What this process did with tickets since it opened the ring: those sealed, those
 * that no key could seal, those taken by the state of their key, and those not taken
 * by reason. What all processes of the host did stands in the counters file. */
typedef struct {
    size_t size; /* sizeof(tkt_counters), set by the caller */
    uint64_t sealed, not_sealed;
    uint64_t resumed_announced, resumed_sealing, resumed_opening; /* by the key's state */
    uint64_t unknown_key, context, expired, forged, malformed, lineage, revoked, name;
} tkt_counters;

/* tkt_counters_read takes no lock. */
TKT_API tkt_status tkt_counters_read(const tkt_ring *ring, tkt_counters *counters);

/* ---- tickets whose payload is yours ------------------------------------------
 *
 * For TLS stacks that libticket has no library for, and for what is not TLS at
 * all: cookies, tokens, anything that one server of the pool hands out and any
 * other must be able to read. Format: RFC 5077, section 4 (key name, IV,
 * AES-256-CBC, HMAC-SHA256). The ticket tells its reader nothing but its size and
 * which key sealed it; nobody without the pool's keys can read or make one. It is
 * no secret to whoever holds it and can be shown twice: libticket does not
 * remember what was opened.
 *
 *     tkt_context *logins;
 *     if (tkt_ring_context(ring, "cookie", "logins", &logins) != TKT_OK) return;
 *
 *     unsigned char ticket[512];
 *     size_t size = sizeof ticket;
 *     if (tkt_seal(logins, ticket, &size, "alice", 5, NULL) == TKT_OK) send(ticket, size);
 *
 *     unsigned char payload[512];
 *     size_t payload_size = sizeof payload;
 *     tkt_opened opened = {.size = sizeof opened};
 *     tkt_status status = tkt_open(logins, payload, &payload_size, ticket, size, &opened);
 *     if (status > 0) ...   // not taken; tkt_status_text says why: begin anew
 *     if (opened.renew) ... // seal again, with born = opened.born
 */

/* What keeps tickets apart within a pool: a ticket opens in the context that it
 * was sealed for, and in no other, whatever ring of the pool it is shown to. */
typedef struct tkt_context tkt_context;

/* tkt_ring_context gives the context of a purpose and a name, made known to the
 * ring on first use.
 *
 *   purpose  what the payload is: "cookie", "session of mystack 2". Payloads that
 *            are not read alike need purposes of their own. 1-250 bytes; NULL:
 *            "ticket". Never meets the tickets of a TLS stack's library.
 *   name     which of them, such as a virtual host. 1-255 bytes; NULL: "default".
 *   *out     the ring's own, good until the ring is freed; the same for the same
 *            purpose and name. NULL on failure.
 *
 * TKT_BAD_ARGUMENT for names too long and when the ring has 1024 contexts already
 * (those of attached SSL_CTXs among them); the ring's log callback says so. Takes
 * a lock: ask once, at the start. */
TKT_API tkt_status tkt_ring_context(tkt_ring *ring, const char *purpose, const char *name,
                                    tkt_context **out);

/* The most bytes that a payload may have, so that its ticket fits the 65,535 that
 * TLS allows one. */
#define TKT_PAYLOAD_MAX 65420

/* Bytes that a ticket has at most beside its payload; for buffers on the stack. */
#define TKT_SEAL_OVERHEAD 115

/* tkt_seal_size is the size of a ticket with this much payload: payload_size + 100
 * to payload_size + 115. 0 for a payload beyond TKT_PAYLOAD_MAX. */
TKT_API size_t tkt_seal_size(size_t payload_size);

/* tkt_open_size is the room that a payload needs which is opened from a ticket of
 * this size: up to 15 bytes more than it turns out to have, and less than
 * ticket_size. 0 for a size that no ticket has; opening it gives TKT_MALFORMED. */
TKT_API size_t tkt_open_size(size_t ticket_size);

typedef struct {
    size_t size;       /* sizeof(tkt_seal_options) */
    int64_t born;      /* tkt_opened.born of the ticket that this one replaces, so that the
                          lineage goes on and ends; 0: a lineage begins here and now */
    uint32_t lifetime; /* seconds the ticket is good for; 0: the pool's policy; never more */
} tkt_seal_options;

/* tkt_seal makes a ticket.
 *
 *   ticket, *ticket_size    where it goes, and the room there: tkt_seal_size() of the
 *                           payload. On return the ticket's size; 0 when there is none.
 *   payload, payload_size   what it carries; may be empty, must not overlap the ticket
 *   options                 may be NULL
 *
 * TKT_OK; TKT_NO_KEY when no key may seal now (as after a long outage of keyd) or
 * when the ticket would be good for no time; TKT_LINEAGE when `born` is longer ago
 * than a lineage may last: authenticate anew. Beside these TKT_BAD_ARGUMENT,
 * TKT_OUT_OF_MEMORY, and TKT_BUFFER_TOO_SMALL, which changes nothing but
 * *ticket_size, to the room that is needed.
 *
 * The ticket is good until the earliest of: its lifetime is over, its key opens no
 * more, its lineage ends. Any thread; takes no lock, and once a thread has sealed
 * under a key allocates nothing. */
TKT_API tkt_status tkt_seal(tkt_context *context, void *ticket, size_t *ticket_size,
                            const void *payload, size_t payload_size,
                            const tkt_seal_options *options);

/* What a ticket says of itself. Of one that was not taken, as much as was read;
 * 0 = not known. */
typedef struct {
    size_t size;     /* sizeof(tkt_opened), set by the caller */
    uint32_t epoch;  /* number of the epoch that sealed it */
    uint16_t minter; /* member that sealed it */
    int renew;       /* 1: a newer epoch seals, so the ticket's days are counted: make another */
    int64_t born;    /* when its lineage began */
    int64_t sealed;  /* when it was sealed */
    int64_t expires; /* it opens before, not from then on */
} tkt_opened;

/* tkt_open reads a ticket.
 *
 *   payload, *payload_size  where the payload goes, and the room there: tkt_open_size()
 *                           of the ticket (ticket_size is always enough). On return the
 *                           payload's size; 0 when there is none.
 *   ticket, ticket_size     anything at all, as a client presented it; must not overlap
 *                           the payload
 *   opened                  may be NULL
 *
 * TKT_OK, or why the ticket is not taken, which is for the log and the counters, not
 * for the client: TKT_MALFORMED, TKT_UNKNOWN_KEY, TKT_CONTEXT, TKT_EXPIRED,
 * TKT_FORGED, TKT_LINEAGE, TKT_REVOKED. Nothing is then written to the payload.
 * TKT_BUFFER_TOO_SMALL changes nothing but *payload_size, to the room that is needed.
 * Otherwise as tkt_seal. */
TKT_API tkt_status tkt_open(tkt_context *context, void *payload, size_t *payload_size,
                            const void *ticket, size_t ticket_size, tkt_opened *opened);

/* ---- one-time tokens -----------------------------------------------------------
 *
 * A client that the pool's issuer trusts gets tokens that nobody can link to it, and
 * spends one a request (Privacy Pass, RFC 9577). A verifier lets each pass once, in all
 * processes and on all hosts of the pool; docs/tokens.md tells how. It takes the pool's
 * keys from a ring, and is tended with it. keyd's agent must run on the host.
 *
 *     tkt_verifier *verifier;
 *     tkt_verifier_options options = {.size = sizeof options};
 *     if (tkt_verifier_open(&verifier, ring, &options) != TKT_OK) exit(1);
 *
 *     // for each request: the value of its Authorization header, if it has one
 *     tkt_status status = tkt_verifier_redeem(verifier, value, strlen(value), "a.test");
 *     if (status == TKT_OK) serve();
 *     else if (status > 0 && status != TKT_UNKNOWN &&
 *              tkt_verifier_challenge(verifier, "a.test", text, &size) == TKT_OK)
 *         answer(401, "WWW-Authenticate", text);     // the same, whatever the reason
 *     else answer(503, "Retry-After", "1");
 *
 * tkt_verifier_redeem waits for the agent where the pool's hosts share a record. A server
 * with an event loop does not wait:
 *
 *     unsigned char claim[TKT_CLAIM_SIZE];
 *     status = tkt_verifier_check(verifier, value, size, "a.test", claim);
 *     if (status == TKT_CLAIM) ...  // write claim to the agent's socket, go on with others;
 *                                   // TKT_CLAIM_ANSWER_SIZE bytes come, any time, any order
 *     status = tkt_verifier_settle(verifier, claim, answer);
 *
 * Threads: any function from any. Fork: open a verifier in each child. */

typedef struct tkt_verifier tkt_verifier;

typedef struct {
    size_t size;             /* sizeof(tkt_verifier_options) */
    const char *tables_path; /* the folder of the host's tables; NULL: the ring's path with
                                .ring replaced by .spent */
    const char *claims_path; /* the agent's socket; NULL: .claims in place of .ring */
    uint32_t timeout;        /* milliseconds that tkt_verifier_redeem waits; 0: 100 */
} tkt_verifier_options;

/* tkt_verifier_open makes a verifier of a ring, which must outlive it.
 *
 * A pool without tokens, a table that is missing or an agent that does not answer is no
 * error: no token passes (TKT_UNKNOWN), the ring's log says why, and what was missing is
 * taken up within a second of its appearing. TKT_BAD_ARGUMENT without a ring; otherwise as
 * tkt_ring_open. */
TKT_API tkt_status tkt_verifier_open(tkt_verifier **out, tkt_ring *ring,
                                     const tkt_verifier_options *options);

/* tkt_verifier_free forgets the pool's keys. What it recorded stays recorded. */
TKT_API void tkt_verifier_free(tkt_verifier *verifier);

/* What goes to the agent's socket, a stream, and what comes back. The first 4 bytes of both
 * are the same and tell the answers of a connection apart: put there what you like. */
#define TKT_CLAIM_SIZE 68
#define TKT_CLAIM_ANSWER_SIZE 5

/* tkt_verifier_check looks at a token, and never waits.
 *
 *   authorization, size  the value of the request's Authorization header; NULL or empty when
 *                        it has none. Anything at all, of any size.
 *   origin               who is asked, as the pool's `origins` name it. Yours to say: never
 *                        what the client calls you.
 *   claim                written for TKT_CLAIM alone
 *
 * TKT_OK: it is spent now, and passes. TKT_CLAIM: genuine, and not known to be spent; ask
 * the agent, then call tkt_verifier_settle. TKT_UNKNOWN: 503. Any other rejection, which is
 * for the log and the counters, not for the client: 401. A replay that this host knows of
 * costs a microsecond, a genuine token some 25. */
TKT_API tkt_status tkt_verifier_check(tkt_verifier *verifier, const char *authorization,
                                      size_t size, const char *origin,
                                      unsigned char claim[TKT_CLAIM_SIZE]);

/* tkt_verifier_settle decides a claim by the agent's answer: TKT_OK, TKT_REPLAY or
 * TKT_UNKNOWN. `answer` is NULL when none came in time. TKT_BAD_ARGUMENT for the answer to
 * another claim. Call it once for each claim. */
TKT_API tkt_status tkt_verifier_settle(tkt_verifier *verifier,
                                       const unsigned char claim[TKT_CLAIM_SIZE],
                                       const unsigned char answer[TKT_CLAIM_ANSWER_SIZE]);

/* tkt_verifier_redeem is the two together: asks the agent where it must, over connections
 * that it keeps, and waits at most `timeout` for it. */
TKT_API tkt_status tkt_verifier_redeem(tkt_verifier *verifier, const char *authorization,
                                       size_t size, const char *origin);

/* tkt_verifier_challenge writes the value of a WWW-Authenticate header that asks for a token
 * of this origin.
 *
 *   value, *size  where it goes, and the room there; on return its length. A NUL follows,
 *                 for which there must be room too.
 *
 * TKT_OK; TKT_BUFFER_TOO_SMALL changes nothing but *size, to the room that is needed;
 * TKT_UNKNOWN, with *size 0, when there is nothing to ask for: the pool has no tokens that
 * are issued now, or none of this origin. Answer 503 then. */
TKT_API tkt_status tkt_verifier_challenge(tkt_verifier *verifier, const char *origin, char *value,
                                          size_t *size);

/* What became of the tokens that this verifier decided on. What all processes of the host
 * did stands in the ring's counters file. */
typedef struct {
    size_t size; /* sizeof(tkt_verifier_counters), set by the caller */
    uint64_t ok, missing, malformed, wrong_audience, early, expired, unknown_key, invalid, replay,
        unknown;
} tkt_verifier_counters;

/* tkt_verifier_counters_read takes no lock. */
TKT_API tkt_status tkt_verifier_counters_read(const tkt_verifier *verifier,
                                              tkt_verifier_counters *counters);

#ifdef __cplusplus
}
#endif
#endif
