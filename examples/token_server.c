/* An HTTP server whose one page opens once for each token of its pool. What is libticket's
 * is answer() and three calls in main(). One connection at a time, no TLS, to keep it
 * short: put it behind what has. */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <ticket/ticket.h>
#include <unistd.h>

static const char usage[] =
    "usage: ticket-token-server RING ORIGIN [PORT]\n"
    "  RING     the ring file that keyd's agent writes\n"
    "  ORIGIN   whose tokens are taken: one of the pool's `origins`\n"
    "  PORT     of 127.0.0.1; 0, the default: any\n"
    "example: ticket-token-server /run/ticket/web.ring a.test 8080\n";

static void fail(const char *what)
{
    fprintf(stderr, "ticket-token-server: %s\n", what);
    exit(1);
}

static void say(void *user, tkt_log_level level, const char *text)
{
    fprintf(user, "ticket-token-server: %s%s\n", level <= TKT_LOG_WARNING ? "warning: " : "", text);
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

/* The value of the Authorization header of a request's head, cut out; "" when it has none. */
static char *authorization(char *head)
{
    static char none[] = "";
    for (char *line = head; (line = strstr(line, "\r\n")) != NULL;) {
        line += 2;
        if (strncasecmp(line, "authorization:", 14) != 0) continue;
        line += 14 + strspn(line + 14, " ");
        line[strcspn(line, "\r")] = '\0';
        return line;
    }
    return none;
}

static int answer(tkt_verifier *verifier, const char *origin, char *head, char *text, size_t room)
{
    static char challenge[16384];
    size_t size = sizeof challenge;
    const char *value = authorization(head);
    tkt_status status = tkt_verifier_redeem(verifier, value, strlen(value), origin);
    printf("token: %s\n", tkt_status_text(status));
    fflush(stdout);
    if (status == TKT_OK)
        return snprintf(text, room, "HTTP/1.0 200 OK\r\n\r\nthe door is open\n");
    if (status > 0 && status != TKT_UNKNOWN &&
        tkt_verifier_challenge(verifier, origin, challenge, &size) == TKT_OK)
        return snprintf(text, room, "HTTP/1.0 401 Unauthorized\r\nWWW-Authenticate: %s\r\n\r\n",
                        challenge);
    return snprintf(text, room, "HTTP/1.0 503 Service Unavailable\r\nRetry-After: 1\r\n\r\n");
}

/* Up to the empty line that ends a request's head; 0 when it does not come. */
static int read_head(int client, char *head, size_t room)
{
    for (size_t size = 0; size + 1 < room;) {
        ssize_t more = recv(client, head + size, room - 1 - size, 0);
        if (more <= 0) return 0;
        size += (size_t) more;
        head[size] = '\0';
        if (strstr(head, "\r\n\r\n") != NULL) return 1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    static char head[16384], text[20000];
    int help = argc > 1 && strcmp(argv[1], "--help") == 0;
    if (help || argc < 3 || argc > 4) {
        fputs(usage, help ? stdout : stderr);
        return help ? 0 : 2;
    }
    signal(SIGPIPE, SIG_IGN);
    tkt_ring *ring;
    tkt_ring_options follow = {
        .size = sizeof follow, .ring_path = argv[1], .log = say, .log_user = stderr};
    if (tkt_ring_open(&ring, &follow) != TKT_OK) fail("no ring");
    tkt_verifier *verifier;
    tkt_verifier_options options = {.size = sizeof options};
    if (tkt_verifier_open(&verifier, ring, &options) != TKT_OK) fail("no verifier");
    int listener = listen_on(argc == 4 ? atoi(argv[3]) : 0);
    for (int client; (client = accept(listener, NULL, NULL)) >= 0; close(client)) {
        struct timeval patience = {.tv_sec = 5};
        setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        if (!read_head(client, head, sizeof head)) continue;
        int size = answer(verifier, argv[2], head, text, sizeof text);
        send(client, text, (size_t) size, 0);
        shutdown(client, SHUT_WR);
    }
    tkt_verifier_free(verifier); /* before the ring that it is of */
    tkt_ring_free(ring);
    return 1;
}
