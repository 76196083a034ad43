/* The public headers are C11, and a C program can use them. */
#include <ticket/openssl.h>
#include <ticket/ticket.h>

#include <stdio.h>
#include <string.h>

static int failures;

static void expect(int holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "does not hold: %s\n", what);
        failures++;
    }
}

static void texts(void)
{
    int status, other;

    for (status = TKT_INTERNAL; status <= TKT_CLAIM; status++) {
        const char *text = tkt_status_text(status);
        expect(text != NULL && *text != '\0', "every status has a text");
        expect(strcmp(text, "no such status") != 0, "a status of its own");
        for (other = TKT_INTERNAL; other < status; other++) {
            expect(strcmp(text, tkt_status_text(other)) != 0, "texts differ");
        }
    }
    expect(strcmp(tkt_status_text(16), "no such status") == 0, "16 is no status");
}

static void bad_arguments(void)
{
    tkt_ring *ring = (tkt_ring *) &failures;
    tkt_ring_options options = {.size = sizeof options};

    expect(tkt_ring_open(NULL, &options) == TKT_BAD_ARGUMENT, "out is needed");
    expect(tkt_ring_open(&ring, NULL) == TKT_BAD_ARGUMENT, "options are needed");
    expect(ring == NULL, "on failure *out is NULL");
    expect(tkt_ring_open(&ring, &options) == TKT_BAD_ARGUMENT, "a path is needed");
    options.ring_path = "/nonexistent/x.ring";
    options.size = 0;
    expect(tkt_ring_open(&ring, &options) == TKT_BAD_ARGUMENT, "a size is needed");
    expect(tkt_ring_tend(NULL, NULL) == TKT_BAD_ARGUMENT, "a ring is needed");
    expect(tkt_ring_info_read(NULL, NULL) == TKT_BAD_ARGUMENT, "a ring is needed");
    expect(tkt_counters_read(NULL, NULL) == TKT_BAD_ARGUMENT, "a ring is needed");
    tkt_ring_free(NULL);
}

static void a_ring_without_a_file(void)
{
    tkt_ring *ring;
    tkt_ring_options options = {.size = sizeof options, .ring_path = "/nonexistent/x.ring"};
    tkt_ring_info info = {.size = sizeof info};
    tkt_counters counters = {.size = sizeof counters};
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    int64_t next = 0;

    expect(tkt_ring_open(&ring, &options) == TKT_OK, "a missing file is no error");
    expect(tkt_ring_info_read(ring, &info) == TKT_OK, "info is read");
    expect(info.state == TKT_RING_NONE, "there is no ring");
    expect(strcmp(info.why, "ring file missing") == 0, "and why");
    expect(tkt_counters_read(ring, &counters) == TKT_OK, "counters are read");
    expect(counters.sealed == 0 && counters.not_sealed == 0, "nothing was counted");
    expect(tkt_openssl_attach(ctx, ring, NULL) == TKT_OK, "it can be attached");
    SSL_CTX_free(ctx);
    expect(tkt_ring_tend(ring, &next) == TKT_OK && next != 0, "it can be tended");
    tkt_ring_free(ring);
}

static void a_pool_of_our_own(void)
{
    tkt_ring *ring;
    tkt_context *logins;
    tkt_embed_options options = {.size = sizeof options, .pool = "web", .no_thread = 1};
    tkt_opened opened = {.size = sizeof opened};
    unsigned char ticket[5 + TKT_SEAL_OVERHEAD], payload[sizeof ticket];
    size_t size = sizeof ticket, payload_size = sizeof payload;

    expect(tkt_ring_embed(&ring, &options) == TKT_OK, "a pool is embedded");
    expect(tkt_ring_context(ring, "cookie", "logins", &logins) == TKT_OK, "a context is named");
    expect(tkt_seal(logins, ticket, &size, "alice", 5, NULL) == TKT_OK, "a ticket is sealed");
    expect(size == tkt_seal_size(5), "of the size that was told");
    expect(tkt_open(logins, payload, &payload_size, ticket, size, &opened) == TKT_OK, "it opens");
    expect(payload_size == 5 && memcmp(payload, "alice", 5) == 0, "to what was sealed");
    expect(opened.epoch == 1 && opened.renew == 0, "and tells of itself");
    ticket[size - 1] ^= 1;
    payload_size = sizeof payload;
    expect(tkt_open(logins, payload, &payload_size, ticket, size, NULL) == TKT_FORGED, "forged");
    expect(payload_size == 0, "there is no payload then");
    tkt_ring_free(ring);
}

int main(void)
{
    texts();
    bad_arguments();
    a_ring_without_a_file();
    a_pool_of_our_own();
    expect(strcmp(tkt_version(), VERSION) == 0, "the version is the build's");
    return failures == 0 ? 0 : 1;
}
