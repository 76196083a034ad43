/* A TLS client that resumes across the servers of a pool: plain OpenSSL. The session
 * that one server gave is offered to the next; see usage below.
 *
 * A resumed session skips the certificate: who it was shown to once is trusted again,
 * by whatever name. So offer a session only to servers that you know to be of the same
 * pool (who else could not resume it, but would learn that you were there), under the
 * name it was made for, and over TLS 1.3 once. */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: ticket-resume-client [--ca FILE] [--name NAME] [--tls1.2] HOST:PORT...\n"
    "  --ca FILE     whom to trust; default: as the system does\n"
    "  --name NAME   the name that the servers share; default: the first HOST\n"
    "Connects to each server in turn, and offers it the session of the one before.\n"
    "Prints a line for each: HOST:PORT, \"full\" or \"resumed\", the version of TLS.\n"
    "example: ticket-resume-client --name www.example.org 192.0.2.1:443 192.0.2.2:443\n";

static void fail(const char *what)
{
    fprintf(stderr, "ticket-resume-client: %s\n", what);
    ERR_print_errors_fp(stderr);
    exit(1);
}

/* One connection. Frees the session that it offers and returns the one that it got. */
static SSL_SESSION *visit(SSL_CTX *ctx, const char *server, const char *name, SSL_SESSION *offered)
{
    char text[4096];
    BIO *connection = BIO_new_ssl_connect(ctx);
    SSL *ssl = NULL;
    BIO_get_ssl(connection, &ssl);
    BIO_set_conn_hostname(connection, server);
    if (!SSL_set_tlsext_host_name(ssl, name) || !SSL_set1_host(ssl, name)) fail(name);
    if (offered != NULL) SSL_set_session(ssl, offered);
    if (BIO_do_connect(connection) != 1 || BIO_do_handshake(connection) != 1) fail(server);

    printf("%s %s %s\n", server, SSL_session_reused(ssl) ? "resumed" : "full", SSL_get_version(ssl));
    BIO_printf(connection, "GET / HTTP/1.0\r\nHost: %s\r\n\r\n", name);
    while (BIO_read(connection, text, sizeof text) > 0) {
        /* TLS 1.3 tickets come with what is read */
    }
    SSL_SESSION *session = SSL_get1_session(ssl); /* the newest */
    if (session == offered && SSL_version(ssl) == TLS1_3_VERSION) {
        SSL_SESSION_free(session); /* none came: that one has gone its one time */
        session = NULL;
    }
    SSL_SESSION_free(offered);
    SSL_shutdown(ssl); /* or OpenSSL takes the session for broken */
    BIO_free_all(connection);
    return session;
}

int main(int argc, char **argv)
{
    const char *ca = NULL, *name = NULL;
    char host[256];
    int at = 1, version = 0;
    for (; at < argc && argv[at][0] == '-'; at++) {
        if (!strcmp(argv[at], "--help")) return fputs(usage, stdout) < 0;
        if (!strcmp(argv[at], "--tls1.2")) version = TLS1_2_VERSION;
        else if (!strcmp(argv[at], "--ca") && at + 1 < argc) ca = argv[++at];
        else if (!strcmp(argv[at], "--name") && at + 1 < argc) name = argv[++at];
        else at = argc;
    }
    if (at >= argc) {
        fputs(usage, stderr);
        return 2;
    }
    snprintf(host, sizeof host, "%.*s", (int) strcspn(argv[at], ":"), argv[at]);

    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_max_proto_version(ctx, version);
    if (ca != NULL ? SSL_CTX_load_verify_file(ctx, ca) != 1 : !SSL_CTX_set_default_verify_paths(ctx)) {
        fail(ca != NULL ? ca : "the system's certificates");
    }
    SSL_SESSION *session = NULL;
    for (; at < argc; at++) session = visit(ctx, argv[at], name != NULL ? name : host, session);
    SSL_SESSION_free(session);
    SSL_CTX_free(ctx);
    return 0;
}
