#include "ngx_http_ticket_claims.h"

/* claims that a worker has under way at most; a power of two */
#define NGX_HTTP_TICKET_CLAIMS    4096
#define NGX_HTTP_TICKET_ANSWERS   512   /* that are read at once */

struct ngx_http_ticket_claims_s {
    ngx_str_t                  path;
    struct sockaddr_un         sockaddr;
    ngx_connection_t          *connection;  /* NULL: there is none */
    ngx_uint_t                 serial;      /* of the connection */

    /* by the lower bits of their number; the upper ones tell a claim from those that had
       its place before */
    ngx_http_ticket_claim_t   *under_way[NGX_HTTP_TICKET_CLAIMS];
    ngx_uint_t                 count;
    uint32_t                   next;

    u_char                     out[NGX_HTTP_TICKET_CLAIMS * TKT_CLAIM_SIZE];
    size_t                     out_start, out_end;

    u_char                     in[NGX_HTTP_TICKET_ANSWERS * TKT_CLAIM_ANSWER_SIZE];
    size_t                     in_size;
};

static ngx_int_t ngx_http_ticket_claims_place(ngx_http_ticket_claims_t *claims,
    ngx_http_ticket_claim_t *claim);
static ngx_int_t ngx_http_ticket_claims_append(ngx_http_ticket_claims_t *claims,
    ngx_http_ticket_claim_t *claim);
static ngx_int_t ngx_http_ticket_claims_connect(ngx_http_ticket_claims_t *claims);
static void ngx_http_ticket_claims_close(ngx_http_ticket_claims_t *claims);
static void ngx_http_ticket_claims_lost(ngx_http_ticket_claims_t *claims);
static void ngx_http_ticket_claims_read(ngx_event_t *rev);
static void ngx_http_ticket_claims_answers(ngx_http_ticket_claims_t *claims);
static void ngx_http_ticket_claims_write(ngx_event_t *wev);
static ngx_int_t ngx_http_ticket_claims_flush(ngx_http_ticket_claims_t *claims);
static void ngx_http_ticket_claims_timeout(ngx_event_t *ev);
static void ngx_http_ticket_claims_done(ngx_http_ticket_claim_t *claim, u_char *answer);


ngx_http_ticket_claims_t *
ngx_http_ticket_claims_create(ngx_pool_t *pool, ngx_str_t *path)
{
    ngx_http_ticket_claims_t  *claims;

    claims = ngx_pcalloc(pool, sizeof(ngx_http_ticket_claims_t));
    if (claims == NULL) {
        return NULL;
    }

    claims->path = *path;
    claims->sockaddr.sun_family = AF_UNIX;
    ngx_memcpy(claims->sockaddr.sun_path, path->data, path->len);

    return claims;
}


ngx_int_t
ngx_http_ticket_claims_send(ngx_http_ticket_claims_t *claims, ngx_http_ticket_claim_t *claim,
    ngx_msec_t timeout)
{
    if (claims->connection == NULL && ngx_http_ticket_claims_connect(claims) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_http_ticket_claims_place(claims, claim) != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "ticket_token: %d claims are under way to %V, no more fit",
                      NGX_HTTP_TICKET_CLAIMS, &claims->path);
        return NGX_ERROR;
    }

    claim->timer.handler = ngx_http_ticket_claims_timeout;
    claim->timer.data = claim;
    claim->timer.log = ngx_cycle->log;
    ngx_add_timer(&claim->timer, timeout);

    if (ngx_http_ticket_claims_append(claims, claim) != NGX_OK) {
        /* an agent that takes nothing */
        ngx_http_ticket_claims_forget(claim);
        return NGX_ERROR;
    }

    if (ngx_http_ticket_claims_flush(claims) != NGX_OK) {
        /* an agent that is gone: not here, where others might be answered */
        ngx_post_event(claims->connection->write, &ngx_posted_events);
    }

    return NGX_AGAIN;
}


void
ngx_http_ticket_claims_forget(ngx_http_ticket_claim_t *claim)
{
    ngx_http_ticket_claims_t  *claims;

    claims = claim->claims;

    if (claims == NULL) {
        return;
    }

    claims->under_way[claim->number % NGX_HTTP_TICKET_CLAIMS] = NULL;
    claims->count--;
    claim->claims = NULL;

    if (claim->timer.timer_set) {
        ngx_del_timer(&claim->timer);
    }

    /* a worker that is to end does not wait for the connection */
    if (claims->count == 0 && ngx_exiting && claims->connection != NULL) {
        ngx_http_ticket_claims_close(claims);
    }
}


static void
ngx_http_ticket_claims_done(ngx_http_ticket_claim_t *claim, u_char *answer)
{
    ngx_http_ticket_claims_forget(claim);

    claim->handler(claim, answer);
}


static ngx_int_t
ngx_http_ticket_claims_place(ngx_http_ticket_claims_t *claims, ngx_http_ticket_claim_t *claim)
{
    uint32_t    number;
    ngx_uint_t  i;

    if (claims->count == NGX_HTTP_TICKET_CLAIMS) {
        return NGX_ERROR;
    }

    for (i = 0; i < NGX_HTTP_TICKET_CLAIMS; i++) {
        number = claims->next++;

        if (claims->under_way[number % NGX_HTTP_TICKET_CLAIMS] == NULL) {
            claims->under_way[number % NGX_HTTP_TICKET_CLAIMS] = claim;
            claims->count++;
            claim->claims = claims;
            claim->number = number;
            claim->sent = 0;
            claim->bytes[0] = (u_char) (number >> 24);
            claim->bytes[1] = (u_char) (number >> 16);
            claim->bytes[2] = (u_char) (number >> 8);
            claim->bytes[3] = (u_char) number;
            return NGX_OK;
        }
    }

    return NGX_ERROR;
}


static ngx_int_t
ngx_http_ticket_claims_append(ngx_http_ticket_claims_t *claims, ngx_http_ticket_claim_t *claim)
{
    if (claims->out_start > 0 && sizeof(claims->out) - claims->out_end < TKT_CLAIM_SIZE) {
        ngx_memmove(claims->out, claims->out + claims->out_start,
                    claims->out_end - claims->out_start);
        claims->out_end -= claims->out_start;
        claims->out_start = 0;
    }

    if (sizeof(claims->out) - claims->out_end < TKT_CLAIM_SIZE) {
        return NGX_ERROR;
    }

    ngx_memcpy(claims->out + claims->out_end, claim->bytes, TKT_CLAIM_SIZE);
    claims->out_end += TKT_CLAIM_SIZE;
    claim->sent++;

    return NGX_OK;
}


/* ---- the connection --------------------------------------------------------- */

static ngx_int_t
ngx_http_ticket_claims_connect(ngx_http_ticket_claims_t *claims)
{
    ngx_int_t               rc;
    ngx_connection_t       *c;
    ngx_peer_connection_t   peer;

    ngx_memzero(&peer, sizeof(peer));
    peer.sockaddr = (struct sockaddr *) &claims->sockaddr;
    peer.socklen = sizeof(claims->sockaddr);
    peer.name = &claims->path;
    peer.get = ngx_event_get_peer;
    peer.log = ngx_cycle->log;
    peer.log_error = NGX_ERROR_ERR;

    /* of a Unix socket it says at once whether somebody listens */
    rc = ngx_event_connect_peer(&peer);

    if (rc != NGX_OK && rc != NGX_AGAIN) {
        if (peer.connection != NULL) {
            ngx_close_connection(peer.connection);
        }
        return NGX_ERROR;
    }

    c = peer.connection;
    c->data = claims;
    c->read->handler = ngx_http_ticket_claims_read;
    c->write->handler = ngx_http_ticket_claims_write;
    c->idle = 1;  /* read with c->close set when the worker is to end */

    claims->connection = c;
    claims->serial++;
    claims->out_start = 0;
    claims->out_end = 0;
    claims->in_size = 0;

    return NGX_OK;
}


static void
ngx_http_ticket_claims_close(ngx_http_ticket_claims_t *claims)
{
    ngx_close_connection(claims->connection);
    claims->connection = NULL;
}


/*
 * What is under way goes over another connection once more, which is no second claim. An
 * agent that fails these too gets them no third time.
 */

static void
ngx_http_ticket_claims_lost(ngx_http_ticket_claims_t *claims)
{
    ngx_uint_t                i;
    ngx_http_ticket_claim_t  *claim;

    ngx_http_ticket_claims_close(claims);

    if (claims->count == 0) {
        return;
    }

    (void) ngx_http_ticket_claims_connect(claims);

    for (i = 0; i < NGX_HTTP_TICKET_CLAIMS; i++) {
        claim = claims->under_way[i];

        if (claim == NULL) {
            continue;
        }

        if (claims->connection == NULL || claim->sent > 1
            || ngx_http_ticket_claims_append(claims, claim) != NGX_OK)
        {
            ngx_http_ticket_claims_done(claim, NULL);
        }
    }

    if (claims->connection != NULL && ngx_http_ticket_claims_flush(claims) != NGX_OK) {
        ngx_post_event(claims->connection->write, &ngx_posted_events);
    }
}


static void
ngx_http_ticket_claims_read(ngx_event_t *rev)
{
    ssize_t                    n;
    ngx_uint_t                 serial;
    ngx_connection_t          *c;
    ngx_http_ticket_claims_t  *claims;

    c = rev->data;
    claims = c->data;
    serial = claims->serial;

    if (c->close && claims->count == 0) {
        ngx_http_ticket_claims_close(claims);
        return;
    }

    for ( ;; ) {
        n = c->recv(c, claims->in + claims->in_size, sizeof(claims->in) - claims->in_size);

        if (n == NGX_AGAIN) {
            break;
        }

        if (n == NGX_ERROR || n == 0) {
            ngx_http_ticket_claims_lost(claims);
            return;
        }

        claims->in_size += n;
        ngx_http_ticket_claims_answers(claims);

        /* answering a request may have closed it, and opened another */
        if (claims->connection == NULL || claims->serial != serial) {
            return;
        }
    }

    if (ngx_handle_read_event(rev, 0) != NGX_OK) {
        ngx_http_ticket_claims_lost(claims);
    }
}


static void
ngx_http_ticket_claims_answers(ngx_http_ticket_claims_t *claims)
{
    size_t                    at;
    u_char                   *p;
    uint32_t                  number;
    ngx_uint_t                serial;
    ngx_http_ticket_claim_t  *claim;

    serial = claims->serial;

    for (at = 0; at + TKT_CLAIM_ANSWER_SIZE <= claims->in_size; at += TKT_CLAIM_ANSWER_SIZE) {
        p = claims->in + at;
        number = (uint32_t) p[0] << 24 | (uint32_t) p[1] << 16 | (uint32_t) p[2] << 8 | p[3];
        claim = claims->under_way[number % NGX_HTTP_TICKET_CLAIMS];

        /* an answer that comes too late is nobody's */
        if (claim != NULL && claim->number == number) {
            ngx_http_ticket_claims_done(claim, p);
        }

        if (claims->connection == NULL || claims->serial != serial) {
            return;
        }
    }

    claims->in_size -= at;
    ngx_memmove(claims->in, claims->in + at, claims->in_size);
}


static void
ngx_http_ticket_claims_write(ngx_event_t *wev)
{
    ngx_connection_t          *c;
    ngx_http_ticket_claims_t  *claims;

    c = wev->data;
    claims = c->data;

    if (ngx_http_ticket_claims_flush(claims) != NGX_OK) {
        ngx_http_ticket_claims_lost(claims);
    }
}


static ngx_int_t
ngx_http_ticket_claims_flush(ngx_http_ticket_claims_t *claims)
{
    ssize_t            n;
    ngx_connection_t  *c;

    c = claims->connection;

    while (claims->out_start < claims->out_end) {

        if (!c->write->ready) {
            break;
        }

        n = c->send(c, claims->out + claims->out_start, claims->out_end - claims->out_start);

        if (n == NGX_AGAIN) {
            break;
        }

        if (n == NGX_ERROR) {
            return NGX_ERROR;
        }

        claims->out_start += n;
    }

    if (claims->out_start == claims->out_end) {
        claims->out_start = 0;
        claims->out_end = 0;
    }

    return ngx_handle_write_event(c->write, 0);
}


static void
ngx_http_ticket_claims_timeout(ngx_event_t *ev)
{
    ngx_http_ticket_claim_t  *claim;

    claim = ev->data;

    ngx_log_error(NGX_LOG_ERR, ev->log, NGX_ETIMEDOUT,
                  "ticket_token: no answer of %V to a claim", &claim->claims->path);

    ngx_http_ticket_claims_done(claim, NULL);
}
