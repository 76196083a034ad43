/*
 * One-time tokens: a request that carries an unspent one passes the access phase, any
 * other gets the challenge of RFC 9577, section 2.1.
 */

#include <ngx_http.h>

#include "ngx_http_ticket.h"

/* What was decided on a request's token. It outlives internal redirects, which clear
 * a request's contexts: the token was spent for the same request. */
typedef struct {
    ngx_http_request_t          *request;
    ngx_http_ticket_loc_conf_t  *tlcf;     /* where it was decided */
    tkt_status                   status;   /* TKT_CLAIM while the agent is asked */
    ngx_http_ticket_claim_t      claim;
} ngx_http_ticket_token_t;

static ngx_uint_t ngx_http_ticket_token_same(ngx_http_ticket_loc_conf_t *one,
    ngx_http_ticket_loc_conf_t *two);
static void ngx_http_ticket_token_look(ngx_http_request_t *r,
    ngx_http_ticket_token_t *token);
static void ngx_http_ticket_token_settled(ngx_http_ticket_claim_t *claim, u_char *answer);
static void ngx_http_ticket_token_wait(ngx_http_request_t *r);
static ngx_http_ticket_token_t *ngx_http_ticket_token_find(ngx_http_request_t *r);
static ngx_http_ticket_token_t *ngx_http_ticket_token_create(ngx_http_request_t *r);
static void ngx_http_ticket_token_mark(void *data);
static void ngx_http_ticket_token_cleanup(void *data);


ngx_int_t
ngx_http_ticket_token_handler(ngx_http_request_t *r)
{
    ngx_http_ticket_token_t     *token;
    ngx_http_ticket_loc_conf_t  *tlcf;

    tlcf = ngx_http_get_module_loc_conf(r, ngx_http_ticket_module);

    if (tlcf->gate == NULL || r != r->main) {
        return NGX_DECLINED;
    }

    token = ngx_http_ticket_token_find(r);

    if (token == NULL) {
        token = ngx_http_ticket_token_create(r);
        if (token == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    /* a redirect to where other tokens are asked for begins anew */
    if (token->tlcf == NULL
        || (token->status != TKT_CLAIM && !ngx_http_ticket_token_same(token->tlcf, tlcf)))
    {
        token->tlcf = tlcf;
        ngx_http_ticket_token_look(r, token);
    }

    if (token->status == TKT_CLAIM) {
        return NGX_AGAIN;
    }

    return ngx_http_ticket_token_answer(r, tlcf, token->status);
}


static ngx_uint_t
ngx_http_ticket_token_same(ngx_http_ticket_loc_conf_t *one, ngx_http_ticket_loc_conf_t *two)
{
    return one->gate == two->gate
           && one->token_origin.len == two->token_origin.len
           && ngx_strncmp(one->token_origin.data, two->token_origin.data,
                          one->token_origin.len) == 0;
}


/* What the verifier says there and then; or the agent is asked. */

static void
ngx_http_ticket_token_look(ngx_http_request_t *r, ngx_http_ticket_token_t *token)
{
    ngx_str_t                value;
    tkt_verifier            *verifier;
    ngx_http_ticket_gate_t  *gate;

    gate = token->tlcf->gate;
    verifier = gate->verifier;
    ngx_str_null(&value);

    if (r->headers_in.authorization != NULL) {
        value = r->headers_in.authorization->value;
    }

    token->status = tkt_verifier_check(verifier, (char *) value.data, value.len,
                                       (char *) token->tlcf->token_origin.data,
                                       token->claim.bytes);

    if (token->status != TKT_CLAIM) {
        return;
    }

    token->claim.handler = ngx_http_ticket_token_settled;
    token->claim.data = token;

    if (ngx_http_ticket_claims_send(gate->claims, &token->claim, token->tlcf->token_timeout)
        != NGX_AGAIN)
    {
        token->status = tkt_verifier_settle(verifier, token->claim.bytes, NULL);
        return;
    }

    /* a client that leaves is noticed; nothing else happens until there is an answer */
    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_http_ticket_token_wait;
}


static void
ngx_http_ticket_token_wait(ngx_http_request_t *r)
{
    (void) r;
}


static void
ngx_http_ticket_token_settled(ngx_http_ticket_claim_t *claim, u_char *answer)
{
    ngx_connection_t         *c;
    ngx_http_request_t       *r;
    ngx_http_ticket_token_t  *token;

    token = claim->data;
    r = token->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    token->status = tkt_verifier_settle(token->tlcf->gate->verifier, claim->bytes, answer);

    r->read_event_handler = ngx_http_block_reading;
    r->write_event_handler = ngx_http_core_run_phases;

    ngx_http_core_run_phases(r);
    ngx_http_run_posted_requests(c);
}


/* ---- what is kept of it ------------------------------------------------------- */

/* By a cleanup of the request's pool: contexts go with an internal redirect. */

static ngx_http_ticket_token_t *
ngx_http_ticket_token_find(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t  *cln;

    for (cln = r->main->pool->cleanup; cln; cln = cln->next) {
        if (cln->handler == ngx_http_ticket_token_mark) {
            return cln->data;
        }
    }

    return NULL;
}


static ngx_http_ticket_token_t *
ngx_http_ticket_token_create(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t       *mark;
    ngx_http_cleanup_t       *cln;
    ngx_http_ticket_token_t  *token;

    token = ngx_pcalloc(r->pool, sizeof(ngx_http_ticket_token_t));
    mark = ngx_pool_cleanup_add(r->pool, 0);
    cln = ngx_http_cleanup_add(r, 0);
    if (token == NULL || mark == NULL || cln == NULL) {
        return NULL;
    }

    token->request = r;
    mark->handler = ngx_http_ticket_token_mark;
    mark->data = token;
    cln->handler = ngx_http_ticket_token_cleanup;
    cln->data = token;

    return token;
}


static void
ngx_http_ticket_token_mark(void *data)
{
    (void) data;
}


static void
ngx_http_ticket_token_cleanup(void *data)
{
    ngx_http_ticket_token_t  *token = data;

    ngx_http_ticket_claims_forget(&token->claim);
}


ngx_int_t
ngx_http_ticket_token_variable(ngx_http_request_t *r, ngx_http_variable_value_t *v,
    uintptr_t data)
{
    ngx_http_ticket_token_t  *token;

    (void) data;

    token = ngx_http_ticket_token_find(r);

    if (token == NULL || token->tlcf == NULL || token->status == TKT_CLAIM) {
        v->not_found = 1;
        return NGX_OK;
    }

    return ngx_http_ticket_say(r, v, ngx_http_ticket_token_text(token->status));
}
