/*
 * ticket_trace: a client asks about its own connection, and gets a JSON object a
 * line, one a second, until it leaves or has had as many as the location allows.
 */

#include <ngx_http.h>

#include "ngx_http_ticket.h"
#include "ngx_http_ticket_tcp.h"

#define NGX_HTTP_TICKET_LINE  1024  /* bytes that a line has at most */

typedef struct {
    ngx_http_request_t  *request;
    ngx_event_t          timer;
    ngx_uint_t           left;   /* lines */
    ngx_buf_t            buf;
    u_char               text[NGX_HTTP_TICKET_LINE];
} ngx_http_ticket_trace_t;

static void ngx_http_ticket_trace_tick(ngx_event_t *ev);
static ngx_int_t ngx_http_ticket_trace_line(ngx_http_ticket_trace_t *trace);
static void ngx_http_ticket_trace_write(ngx_http_request_t *r);
static ngx_int_t ngx_http_ticket_trace_wait(ngx_http_request_t *r);
static void ngx_http_ticket_trace_cleanup(void *data);


ngx_int_t
ngx_http_ticket_trace(ngx_http_request_t *r)
{
    ngx_int_t                    rc;
    ngx_table_elt_t             *h;
    ngx_http_cleanup_t          *cln;
    ngx_http_ticket_trace_t     *trace;
    ngx_http_ticket_loc_conf_t  *tlcf;

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    /* of the request's own connection, which a subrequest has not */
    if (r != r->main) {
        return NGX_HTTP_NOT_FOUND;
    }

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    trace = ngx_pcalloc(r->pool, sizeof(ngx_http_ticket_trace_t));
    cln = ngx_http_cleanup_add(r, 0);
    h = ngx_list_push(&r->headers_out.headers);
    if (trace == NULL || cln == NULL || h == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    tlcf = ngx_http_get_module_loc_conf(r, ngx_http_ticket_module);
    trace->request = r;
    trace->left = tlcf->lines;
    trace->timer.handler = ngx_http_ticket_trace_tick;
    trace->timer.data = trace;
    trace->timer.log = r->connection->log;
    cln->handler = ngx_http_ticket_trace_cleanup;
    cln->data = trace;

    ngx_str_set(&h->key, "Cache-Control");
    ngx_str_set(&h->value, "no-store");
    h->hash = 1;

    r->headers_out.status = NGX_HTTP_OK;
    ngx_str_set(&r->headers_out.content_type, "application/x-ndjson");
    r->headers_out.content_type_len = r->headers_out.content_type.len;

    rc = ngx_http_send_header(r);
    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    rc = ngx_http_ticket_trace_line(trace);
    if (rc == NGX_ERROR || trace->left == 0) {
        return rc;
    }

    if (ngx_http_ticket_trace_wait(r) != NGX_OK) {
        return NGX_ERROR;
    }

    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_http_ticket_trace_write;
    ngx_http_set_ctx(r, trace, ngx_http_ticket_module);
    ngx_add_timer(&trace->timer, 1000);
    r->main->count++;

    return NGX_DONE;
}


static void
ngx_http_ticket_trace_tick(ngx_event_t *ev)
{
    ngx_int_t                 rc;
    ngx_connection_t         *c;
    ngx_http_request_t       *r;
    ngx_http_ticket_trace_t  *trace;

    trace = ev->data;
    r = trace->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    /* a worker that is to end waits for this timer */
    if (ngx_exiting) {
        trace->left = 1;
    }

    /* the last line is still under way to one who does not read: it waits */
    if (ngx_buf_size(&trace->buf) != 0) {
        ngx_add_timer(&trace->timer, 1000);
        return;
    }

    rc = ngx_http_ticket_trace_line(trace);

    if (rc == NGX_ERROR || trace->left == 0) {
        ngx_http_finalize_request(r, rc);

    } else if (ngx_http_ticket_trace_wait(r) != NGX_OK) {
        ngx_http_finalize_request(r, NGX_ERROR);

    } else {
        ngx_add_timer(&trace->timer, 1000);
    }

    ngx_http_run_posted_requests(c);
}


/* Goes on with what the socket did not take at once. */

static void
ngx_http_ticket_trace_write(ngx_http_request_t *r)
{
    if (r->connection->write->timedout) {
        r->connection->timedout = 1;
        ngx_http_finalize_request(r, NGX_HTTP_REQUEST_TIME_OUT);
        return;
    }

    if (ngx_http_output_filter(r, NULL) == NGX_ERROR
        || ngx_http_ticket_trace_wait(r) != NGX_OK)
    {
        ngx_http_finalize_request(r, NGX_ERROR);
    }
}


/* Who does not read is waited for, as long as send_timeout allows. */

static ngx_int_t
ngx_http_ticket_trace_wait(ngx_http_request_t *r)
{
    ngx_event_t               *wev;
    ngx_http_core_loc_conf_t  *clcf;

    wev = r->connection->write;

    if (!r->buffered && !r->postponed && !r->connection->buffered) {
        if (wev->timer_set && !wev->delayed) {
            ngx_del_timer(wev);
        }
        return NGX_OK;
    }

    clcf = ngx_http_get_module_loc_conf(r->main, ngx_http_core_module);

    if (!wev->timer_set) {
        ngx_add_timer(wev, clcf->send_timeout);
    }

    return ngx_handle_write_event(wev, clcf->send_lowat);
}


static u_char *
ngx_http_ticket_trace_ticket(ngx_http_request_t *r, u_char *p, u_char *last)
{
    ngx_str_t           pool;
    tkt_ring_info       ring_info;
    tkt_openssl_info    info;
    ngx_ticket_ring_t  *ring;

    if (ngx_http_ticket_info(r, &info) != NGX_OK) {
        return ngx_slprintf(p, last, ",\"ticket\":null");
    }

    p = ngx_slprintf(p, last, ",\"ticket\":\"%s\"", ngx_ticket_status(&info));

    ring = ngx_http_ticket_ring(r);
    ngx_memzero(&ring_info, sizeof(ring_info));
    ring_info.size = sizeof(ring_info);

    if (ring != NULL && tkt_ring_info_read(ring->ring, &ring_info) == TKT_OK) {
        pool.data = (u_char *) ring_info.pool;
        pool.len = ngx_strlen(ring_info.pool);
        p = ngx_slprintf(p, last, ",\"pool\":\"");
        if (pool.len + ngx_escape_json(NULL, pool.data, pool.len) < (size_t) (last - p)) {
            p = (u_char *) ngx_escape_json(p, pool.data, pool.len);
        }
        p = ngx_slprintf(p, last, "\"");
    }

    if (info.epoch != 0) {
        p = ngx_slprintf(p, last, ",\"epoch\":%uD", info.epoch);
    }

    if (info.minter != 0) {
        p = ngx_slprintf(p, last, ",\"minter\":%ui", (ngx_uint_t) info.minter);
    }

    if (info.sealed != 0) {
        p = ngx_slprintf(p, last, ",\"ticket_age\":%T",
                         (time_t) ngx_max(ngx_time() - info.sealed, 0));
    }

    return p;
}


/* Sends a line; NGX_ERROR, or what the output filter answered. */

static ngx_int_t
ngx_http_ticket_trace_line(ngx_http_ticket_trace_t *trace)
{
    u_char                 *p, *last;
    ngx_chain_t             out;
    ngx_http_request_t     *r;
    ngx_http_ticket_tcp_t   tcp;

    r = trace->request;
    p = trace->text;
    last = p + NGX_HTTP_TICKET_LINE - 2;

    p = ngx_slprintf(p, last, "{\"time\":%T,\"protocol\":\"%s\"", ngx_time(),
                     r->connection->ssl == NULL
                     ? "none" : SSL_get_version(r->connection->ssl->connection));

    p = ngx_http_ticket_trace_ticket(r, p, last);

    if (ngx_http_ticket_tcp_info(r->connection->fd, &tcp) == 0) {
        p = ngx_slprintf(p, last, ",\"rtt_us\":%uD,\"rtt_var_us\":%uD,\"sent_bytes\":%uL,"
                         "\"received_bytes\":%uL,\"retransmits\":%uD",
                         tcp.rtt, tcp.rttvar, (uint64_t) tcp.sent, (uint64_t) tcp.received,
                         tcp.retransmits);
    }

    *p++ = '}';
    *p++ = '\n';

    trace->left--;

    ngx_memzero(&trace->buf, sizeof(ngx_buf_t));
    trace->buf.pos = trace->text;
    trace->buf.last = p;
    trace->buf.memory = 1;
    trace->buf.flush = 1;
    trace->buf.last_buf = trace->left == 0;
    trace->buf.last_in_chain = 1;

    out.buf = &trace->buf;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}


static void
ngx_http_ticket_trace_cleanup(void *data)
{
    ngx_http_ticket_trace_t  *trace = data;

    if (trace->timer.timer_set) {
        ngx_del_timer(&trace->timer);
    }
}
