/* A TLS server whose sessions resume on every server of its pool. What is libticket's
 * is open_ring() and a call in main(). One connection at a time, to keep it short. */
#include <arpa/inet.h>
#include <openssl/err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <ticket/openssl.h>
#include <unistd.h>

static const char usage[] =
    "usage: ticket-c-server [--ring FILE | --keep FILE] CERTIFICATE KEY [PORT]\n"
    "  --ring FILE   the keys that keyd's agent writes there\n"
    "  --keep FILE   keys of our own, kept there and so shared on this host; neither: in memory\n"
    "  PORT          of 127.0.0.1; 0, the default: any\n"
    "example: ticket-c-server --keep /run/web.ring cert.pem key.pem 8443\n";

static void fail(const char *what)
{
    fprintf(stderr, "ticket-c-server: %s\n", what);
    ERR_print_errors_fp(stderr);
    exit(1);
}

static void say(void *user, tkt_log_level level, const char *text)
{
    fprintf(user, "ticket-c-server: %s%s\n", level == TKT_LOG_ERROR ? "error: " : "", text);
}

static tkt_ring *open_ring(const char *how, const char *file)
{
    tkt_ring *ring;
    tkt_ring_options follow = {
        .size = sizeof follow, .ring_path = file, .log = say, .log_user = stderr};
    tkt_embed_options embed = {
        .size = sizeof embed, .pool = "example", .ring_path = file, .log = say, .log_user = stderr};
    int given = how != NULL && strcmp(how, "--ring") == 0;
    tkt_status status = given ? tkt_ring_open(&ring, &follow) : tkt_ring_embed(&ring, &embed);
    if (status != TKT_OK) fail(tkt_status_text(status));
    return ring;
}

static int listen_on(int port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t) port)};
    socklen_t size = sizeof at;
    int one = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *) &at, size) != 0 || listen(listener, 64) != 0 ||
        getsockname(listener, (struct sockaddr *) &at, &size) != 0) fail("is the port taken?");
    printf("listening on 127.0.0.1:%d\n", ntohs(at.sin_port));
    fflush(stdout);
    return listener;
}

static void serve(SSL *ssl)
{
    char request[4096], text[256];
    tkt_openssl_info info = {.size = sizeof info};
    if (SSL_accept(ssl) != 1 || SSL_read(ssl, request, sizeof request) <= 0) return;
    tkt_openssl_info_read(ssl, &info);
    int size = snprintf(text, sizeof text, "HTTP/1.0 200 OK\r\n\r\nresumed: %s\nticket: %s\n",
                        info.resumed ? "yes" : "no",
                        info.offered ? tkt_status_text(info.reason) : "none");
    SSL_write(ssl, text, size);
    SSL_shutdown(ssl); /* or OpenSSL takes the session for broken */
}

int main(int argc, char **argv)
{
    int options = argc > 2 && (!strcmp(argv[1], "--ring") || !strcmp(argv[1], "--keep")) ? 2 : 0;
    int help = argc > 1 && strcmp(argv[1], "--help") == 0;
    char **files = argv + 1 + options;
    if (help || argc - options < 3 || argc - options > 4 || (!options && argv[1][0] == '-')) {
        fputs(usage, help ? stdout : stderr);
        return help ? 0 : 2;
    }
    signal(SIGPIPE, SIG_IGN);
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    if (SSL_CTX_use_certificate_chain_file(ctx, files[0]) != 1) fail(files[0]);
    if (SSL_CTX_use_PrivateKey_file(ctx, files[1], SSL_FILETYPE_PEM) != 1) fail(files[1]);
    tkt_ring *ring = open_ring(options ? argv[1] : NULL, options ? argv[2] : NULL);
    if (tkt_openssl_attach(ctx, ring, NULL) != TKT_OK) fail("no tickets");
    int listener = listen_on(argc - options == 4 ? atoi(files[2]) : 0);
    for (int client; (client = accept(listener, NULL, NULL)) >= 0; close(client)) {
        struct timeval patience = {.tv_sec = 5};
        setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        SSL *ssl = SSL_new(ctx);
        SSL_set_fd(ssl, client);
        serve(ssl);
        SSL_free(ssl);
    }
    SSL_CTX_free(ctx); /* before the ring that is attached to it */
    tkt_ring_free(ring);
    return 1;
}
