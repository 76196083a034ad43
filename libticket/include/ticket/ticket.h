/* The C door to libticket: a pool's ring in one process.
 *
 * Objects are opaque; free each with its own _free, which accepts NULL. The
 * caller owns every buffer. Nothing here throws, logs on its own account or
 * exits. A tkt_ring may be shared between threads; sealing and opening never
 * block. Times are Unix seconds. Option structs begin with their size and grow
 * at the end: set size, zero the rest, zero is the default.
 *
 * TLS stacks attach to a ring through their own header and library, such as
 * <ticket/openssl.h> of libticket-openssl. */
#ifndef TICKET_TICKET_H
#define TICKET_TICKET_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TKT_API __attribute__((visibility("default")))

typedef struct tkt_ring tkt_ring;

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

    /* Failures: the caller or the machine is at fault. */
    TKT_BUFFER_TOO_SMALL = -1,
    TKT_BAD_ARGUMENT = -2,
    TKT_OUT_OF_MEMORY = -3,
    TKT_INTERNAL = -4 /* a bug in libticket; please report it */
} tkt_status;

/* tkt_status_text names a status in English; static storage, never NULL. */
TKT_API const char *tkt_status_text(tkt_status status);

/* tkt_version is the version of the library that is running, "0.1.0". */
TKT_API const char *tkt_version(void);

typedef enum { TKT_LOG_ERROR = 0, TKT_LOG_WARNING = 1, TKT_LOG_INFO = 2, TKT_LOG_DEBUG = 3 } tkt_log_level;

/* Called from any thread that uses the ring; text is a line without its end.
 * No secret is ever in it. */
typedef void (*tkt_log_callback)(void *user, tkt_log_level level, const char *text);

/* The time for a ring: *steady decides what seals, the later of the two what
 * still opens. Both Unix seconds. For tests and simulations. */
typedef void (*tkt_clock_callback)(void *user, int64_t *steady, int64_t *wall);

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

/* tkt_ring_open watches a ring file. A file that is missing or unusable is no
 * error: handshakes go on without tickets, tkt_ring_info_read says why, and the
 * ring is taken up when it appears. On TKT_OK the caller owns *out; on anything
 * else *out is NULL. */
TKT_API tkt_status tkt_ring_open(tkt_ring **out, const tkt_ring_options *options);

/* Frees the ring and wipes its keys. Whatever was attached to it must be gone. */
TKT_API void tkt_ring_free(tkt_ring *ring);

/* tkt_ring_tend takes over a changed ring file and wipes what has ended. *next,
 * if not NULL, becomes the time at which to call again at the latest; call at
 * least every second to follow changes promptly. Only needed with no_thread. */
TKT_API tkt_status tkt_ring_tend(tkt_ring *ring, int64_t *next);

typedef enum {
    TKT_RING_OK = 0,        /* seals and opens */
    TKT_RING_STRETCHED = 1, /* nothing newer came: the last epoch seals beyond its time */
    TKT_RING_STOPPED = 2,   /* no epoch may seal: no tickets are sent */
    TKT_RING_NONE = 3       /* no usable ring file; see why */
} tkt_ring_state;

typedef struct {
    size_t size; /* sizeof(tkt_ring_info), set by the caller */
    tkt_ring_state state;
    uint64_t generation;
    uint32_t sealing_epoch;  /* number; 0 = none */
    uint32_t epochs;         /* living ones */
    uint16_t member;         /* this host's member number */
    int64_t heartbeat;       /* when the agent last lived; 0 = never */
    int64_t next_change;     /* by the clock alone */
    char pool[256];
    char why[64];            /* for people; "ok" when all is well */
} tkt_ring_info;

TKT_API tkt_status tkt_ring_info_read(tkt_ring *ring, tkt_ring_info *info);

/* What this process did with tickets since it opened the ring. */
typedef struct {
    size_t size; /* sizeof(tkt_counters), set by the caller */
    uint64_t sealed, not_sealed;
    uint64_t resumed_announced, resumed_sealing, resumed_opening; /* by the key's state */
    uint64_t unknown_key, context, expired, forged, malformed, lineage, revoked, name;
} tkt_counters;

TKT_API tkt_status tkt_counters_read(const tkt_ring *ring, tkt_counters *counters);

#ifdef __cplusplus
}
#endif
#endif
