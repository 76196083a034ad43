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

static ngx_http_ticket_gate_t *ngx_http_ticket_token_gate(ngx_conf_t *cf,
    ngx_http_ticket_loc_conf_t *conf, ngx_ticket_ring_t *ring);
static ngx_int_t ngx_http_ticket_token_agent(ngx_conf_t *cf, ngx_str_t *agent,
    ngx_ticket_ring_t *ring);
static void ngx_http_ticket_token_close(void *data);
static ngx_http_ticket_token_t *ngx_http_ticket_token_find(ngx_http_request_t *r);
static ngx_http_ticket_token_t *ngx_http_ticket_token_create(ngx_http_request_t *r);
static void ngx_http_ticket_token_mark(void *data);
static void ngx_http_ticket_token_cleanup(void *data);
static ngx_uint_t ngx_http_ticket_token_same(ngx_http_ticket_loc_conf_t *one,
    ngx_http_ticket_loc_conf_t *two);
static void ngx_http_ticket_token_look(ngx_http_request_t *r,
    ngx_http_ticket_token_t *token);
static void ngx_http_ticket_token_settled(ngx_http_ticket_claim_t *claim, u_char *answer);
static void ngx_http_ticket_token_wait(ngx_http_request_t *r);
static ngx_int_t ngx_http_ticket_token_answer(ngx_http_request_t *r,
    ngx_http_ticket_loc_conf_t *tlcf, tkt_status status);
static ngx_int_t ngx_http_ticket_token_challenge(ngx_http_request_t *r,
    ngx_http_ticket_loc_conf_t *tlcf);
static ngx_int_t ngx_http_ticket_token_unavailable(ngx_http_request_t *r);
static const char *ngx_http_ticket_token_text(tkt_status status);

ngx_conf_enum_t  ngx_http_ticket_token_modes[] = {
    { ngx_string("off"), NGX_HTTP_TICKET_TOKEN_OFF },
    { ngx_string("on"), NGX_HTTP_TICKET_TOKEN_ON },
    { ngx_string("optional"), NGX_HTTP_TICKET_TOKEN_OPTIONAL },
    { ngx_null_string, 0 }
};


/* ---- configuration ---------------------------------------------------------- */

char *
ngx_http_ticket_token_merge(ngx_conf_t *cf, ngx_http_ticket_loc_conf_t *conf,
    ngx_http_ticket_loc_conf_t *prev)
{
    ngx_http_ticket_srv_conf_t  *tscf;

    if (conf->token == NGX_CONF_UNSET_UINT) {
        conf->token_file = prev->token_file;
        conf->token_line = prev->token_line;
    }

    ngx_conf_merge_uint_value(conf->token, prev->token, NGX_HTTP_TICKET_TOKEN_OFF);
    ngx_conf_merge_str_value(conf->token_origin, prev->token_origin, "");
    ngx_conf_merge_str_value(conf->token_tables, prev->token_tables, "");
    ngx_conf_merge_str_value(conf->token_agent, prev->token_agent, "");
    ngx_conf_merge_msec_value(conf->token_timeout, prev->token_timeout, 100);

    if (conf->token == NGX_HTTP_TICKET_TOKEN_OFF) {
        return NGX_CONF_OK;
    }

    tscf = ngx_http_conf_get_module_srv_conf(cf, ngx_http_ticket_module);

    if (tscf->tickets.ring == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"ticket_token\" in %s:%ui needs the server's \"ticket_ring\": the "
                      "pool's token keys are there", conf->token_file, conf->token_line);
        return NGX_CONF_ERROR;
    }

    if (conf->token_origin.len == 0) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"ticket_token\" in %s:%ui needs \"ticket_token_origin\": the name that "
                      "tokens are for, one of the pool's \"origins\"",
                      conf->token_file, conf->token_line);
        return NGX_CONF_ERROR;
    }

    if (conf->token_timeout == 0) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"ticket_token\" in %s:%ui needs a \"ticket_token_timeout\" longer than "
                      "0: no agent answers in no time", conf->token_file, conf->token_line);
        return NGX_CONF_ERROR;
    }

    conf->gate = ngx_http_ticket_token_gate(cf, conf, tscf->tickets.ring);

    return conf->gate == NULL ? NGX_CONF_ERROR : NGX_CONF_OK;
}


/* The same ring, tables and agent are one gate. */

static ngx_http_ticket_gate_t *
ngx_http_ticket_token_gate(ngx_conf_t *cf, ngx_http_ticket_loc_conf_t *conf,
    ngx_ticket_ring_t *ring)
{
    ngx_str_t                      agent;
    ngx_uint_t                     i;
    ngx_pool_cleanup_t            *cln;
    ngx_http_ticket_gate_t        *gate, **slot;
    ngx_http_ticket_main_conf_t   *tmcf;

    agent = conf->token_agent;

    if (ngx_http_ticket_token_agent(cf, &agent, ring) != NGX_OK) {
        return NULL;
    }

    if (agent.len >= sizeof(((struct sockaddr_un *) 0)->sun_path)) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"ticket_token\" in %s:%ui: the path of the agent's socket \"%V\" is too "
                      "long: give a \"ticket_token_agent\" of at most %uz bytes",
                      conf->token_file, conf->token_line, &agent,
                      sizeof(((struct sockaddr_un *) 0)->sun_path) - 1);
        return NULL;
    }

    tmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_ticket_module);
    slot = tmcf->gates.elts;

    for (i = 0; i < tmcf->gates.nelts; i++) {
        if (slot[i]->ring == ring
            && slot[i]->agent.len == agent.len
            && ngx_strncmp(slot[i]->agent.data, agent.data, agent.len) == 0
            && slot[i]->tables.len == conf->token_tables.len
            && ngx_strncmp(slot[i]->tables.data, conf->token_tables.data,
                           conf->token_tables.len) == 0)
        {
            return slot[i];
        }
    }

    gate = ngx_pcalloc(cf->pool, sizeof(ngx_http_ticket_gate_t));
    slot = ngx_array_push(&tmcf->gates);
    /* after that of its ring: run before it */
    cln = ngx_pool_cleanup_add(cf->cycle->pool, 0);
    if (gate == NULL || slot == NULL || cln == NULL) {
        return NULL;
    }

    gate->ring = ring;
    gate->agent = agent;
    gate->tables = conf->token_tables;
    gate->claims = ngx_http_ticket_claims_create(cf->pool, &agent);
    if (gate->claims == NULL) {
        return NULL;
    }

    cln->handler = ngx_http_ticket_token_close;
    cln->data = gate;
    *slot = gate;

    return gate;
}


/* The agent's socket: the ring's path with another ending, if nothing was said. */

static ngx_int_t
ngx_http_ticket_token_agent(ngx_conf_t *cf, ngx_str_t *agent, ngx_ticket_ring_t *ring)
{
    size_t   len;
    u_char  *p;

    if (agent->len != 0) {
        return NGX_OK;
    }

    len = ring->path.len;

    if (len > 5 && ngx_strncmp(ring->path.data + len - 5, ".ring", 5) == 0) {
        len -= 5;
    }

    p = ngx_pnalloc(cf->pool, len + sizeof(".claims"));
    if (p == NULL) {
        return NGX_ERROR;
    }

    agent->data = p;
    agent->len = len + sizeof(".claims") - 1;
    p = ngx_cpymem(p, ring->path.data, len);
    ngx_memcpy(p, ".claims", sizeof(".claims"));

    return NGX_OK;
}


/* ---- a worker ----------------------------------------------------------------- */

ngx_int_t
ngx_http_ticket_token_start(ngx_cycle_t *cycle, ngx_array_t *gates)
{
    tkt_status                status;
    ngx_uint_t                i;
    tkt_verifier_options      options;
    ngx_http_ticket_gate_t  **gate;

    gate = gates->elts;

    for (i = 0; i < gates->nelts; i++) {

        ngx_memzero(&options, sizeof(options));
        options.size = sizeof(options);
        options.tables_path = gate[i]->tables.len ? (char *) gate[i]->tables.data : NULL;

        status = tkt_verifier_open(&gate[i]->verifier, gate[i]->ring->ring, &options);

        if (status != TKT_OK) {
            ngx_log_error(NGX_LOG_EMERG, cycle->log, 0, "ticket_token of \"%V\": %s",
                          &gate[i]->ring->path, tkt_status_text(status));
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static void
ngx_http_ticket_token_close(void *data)
{
    ngx_http_ticket_gate_t  *gate = data;

    tkt_verifier_free(gate->verifier);
    gate->verifier = NULL;
}


/* ---- a request ---------------------------------------------------------------- */

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


static ngx_int_t
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


/* ---- $ticket_token -------------------------------------------------------------- */

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


static const char *
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
