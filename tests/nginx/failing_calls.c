/* Preloaded into nginx: calls of libticket that find no memory. $TICKET_FAIL names one:
 * ring, verifier, or attach and behind it a context. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <ticket/openssl.h>

static const char* failing = "";

/* nginx drops what is in its environment. */
__attribute__((constructor)) static void begin(void) {
    const char* named = getenv("TICKET_FAIL");
    if (named != NULL) failing = strdup(named);
}

tkt_status tkt_ring_open(tkt_ring** out, const tkt_ring_options* options) {
    tkt_status (*real)(tkt_ring**, const tkt_ring_options*);
    if (strcmp(failing, "ring") == 0) return TKT_OUT_OF_MEMORY;
    *(void**) &real = dlsym(RTLD_NEXT, "tkt_ring_open");
    return real(out, options);
}

tkt_status tkt_verifier_open(tkt_verifier** out, tkt_ring* ring,
                             const tkt_verifier_options* options) {
    tkt_status (*real)(tkt_verifier**, tkt_ring*, const tkt_verifier_options*);
    if (strcmp(failing, "verifier") == 0) return TKT_OUT_OF_MEMORY;
    *(void**) &real = dlsym(RTLD_NEXT, "tkt_verifier_open");
    return real(out, ring, options);
}

tkt_status tkt_openssl_attach(SSL_CTX* ctx, tkt_ring* ring, const tkt_openssl_options* options) {
    tkt_status (*real)(SSL_CTX*, tkt_ring*, const tkt_openssl_options*);
    if (strncmp(failing, "attach ", 7) == 0 && strcmp(failing + 7, options->context) == 0) {
        return TKT_OUT_OF_MEMORY;
    }
    *(void**) &real = dlsym(RTLD_NEXT, "tkt_openssl_attach");
    return real(ctx, ring, options);
}
