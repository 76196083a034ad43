/*
 * One-time tokens: what a location is configured to, and the verifiers of a worker.
 */

#include <ngx_http.h>

#include "ngx_http_ticket.h"

static ngx_http_ticket_gate_t *ngx_http_ticket_token_gate(ngx_conf_t *cf,
    ngx_http_ticket_loc_conf_t *conf, ngx_ticket_ring_t *ring);
static ngx_int_t ngx_http_ticket_token_agent(ngx_conf_t *cf, ngx_str_t *agent,
    ngx_ticket_ring_t *ring);
static void ngx_http_ticket_token_close(void *data);

ngx_conf_enum_t  ngx_http_ticket_token_modes[] = {
    { ngx_string("off"), NGX_HTTP_TICKET_TOKEN_OFF },
    { ngx_string("on"), NGX_HTTP_TICKET_TOKEN_ON },
    { ngx_string("optional"), NGX_HTTP_TICKET_TOKEN_OPTIONAL },
    { ngx_null_string, 0 }
};


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


/* A location whose verifier cannot be opened answers 503: as when it cannot be told. */

void
ngx_http_ticket_token_start(ngx_cycle_t *cycle, ngx_array_t *gates)
{
    tkt_status                status;
    ngx_uint_t                i;
    tkt_verifier_options      options;
    ngx_http_ticket_gate_t  **gate;

    gate = gates->elts;

    for (i = 0; i < gates->nelts; i++) {

        if (gate[i]->ring->ring == NULL) {
            continue;
        }

        ngx_memzero(&options, sizeof(options));
        options.size = sizeof(options);
        options.tables_path = gate[i]->tables.len ? (char *) gate[i]->tables.data : NULL;

        status = tkt_verifier_open(&gate[i]->verifier, gate[i]->ring->ring, &options);

        if (status != TKT_OK) {
            ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                          "ticket_token of \"%V\": %s: no token is checked in this worker",
                          &gate[i]->ring->path, tkt_status_text(status));
        }
    }
}


static void
ngx_http_ticket_token_close(void *data)
{
    ngx_http_ticket_gate_t  *gate = data;

    tkt_verifier_free(gate->verifier);
    gate->verifier = NULL;
}
