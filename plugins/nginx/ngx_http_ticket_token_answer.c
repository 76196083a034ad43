/*
 * One-time tokens: what a client gets for each outcome, and the outcomes' names.
 */

#include <ngx_http.h>

#include "ngx_http_ticket.h"

static ngx_int_t ngx_http_ticket_token_challenge(ngx_http_request_t *r,
    ngx_http_ticket_loc_conf_t *tlcf);
static ngx_int_t ngx_http_ticket_token_unavailable(ngx_http_request_t *r);


ngx_int_t
ngx_http_ticket_token_answer(ngx_http_request_t *r, ngx_http_ticket_loc_conf_t *tlcf,
    tkt_status status)
{
    if (status == TKT_OK) {
        return NGX_OK;
    }

    if (status < 0) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0, "token not checked: %s",
                      tkt_status_text(status));
    }

    if (tlcf->token == NGX_HTTP_TICKET_TOKEN_OPTIONAL) {
        return NGX_DECLINED;
    }

    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0, "ticket_token \"%V\": %s",
                  &tlcf->token_origin, ngx_http_ticket_token_text(status));

    /* the same to every client whose token is not taken, whatever the reason */
    if (status > 0 && status != TKT_UNKNOWN) {
        return ngx_http_ticket_token_challenge(r, tlcf);
    }

    return ngx_http_ticket_token_unavailable(r);
}


static ngx_int_t
ngx_http_ticket_token_challenge(ngx_http_request_t *r, ngx_http_ticket_loc_conf_t *tlcf)
{
    char             *value;
    size_t            size;
    tkt_status        status;
    ngx_table_elt_t  *h;

    size = 0;
    value = NULL;
    status = tkt_verifier_challenge(tlcf->gate->verifier, (char *) tlcf->token_origin.data,
                                    NULL, &size);

    if (status == TKT_BUFFER_TOO_SMALL) {
        value = ngx_pnalloc(r->pool, size);
        if (value == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        status = tkt_verifier_challenge(tlcf->gate->verifier,
                                        (char *) tlcf->token_origin.data, value, &size);
    }

    if (status != TKT_OK) {
        /* nothing that a client could come back with */
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "ticket_token: no token of origin \"%V\" is issued now, or the pool's "
                      "are not for it", &tlcf->token_origin);
        return ngx_http_ticket_token_unavailable(r);
    }

    h = r->headers_out.www_authenticate;

    if (h == NULL) {
        h = ngx_list_push(&r->headers_out.headers);
        if (h == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        r->headers_out.www_authenticate = h;
    }

    h->hash = 1;
    ngx_str_set(&h->key, "WWW-Authenticate");
    h->value.data = (u_char *) value;
    h->value.len = size;

    return NGX_HTTP_UNAUTHORIZED;
}


static ngx_int_t
ngx_http_ticket_token_unavailable(ngx_http_request_t *r)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    h->hash = 1;
    ngx_str_set(&h->key, "Retry-After");
    ngx_str_set(&h->value, "1");

    return NGX_HTTP_SERVICE_UNAVAILABLE;
}


const char *
ngx_http_ticket_token_text(tkt_status status)
{
    switch (status) {
    case TKT_OK:
        return "ok";
    case TKT_MISSING:
        return "missing";
    case TKT_MALFORMED:
        return "malformed";
    case TKT_AUDIENCE:
        return "wrong_audience";
    case TKT_EARLY:
        return "early";
    case TKT_EXPIRED:
        return "expired";
    case TKT_UNKNOWN_KEY:
        return "unknown_key";
    case TKT_FORGED:
        return "invalid";
    case TKT_REPLAY:
        return "replay";
    default:
        return "unknown";
    }
}
