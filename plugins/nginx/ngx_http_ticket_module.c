/*
 * Session tickets of a pool for nginx's http servers: directives, the context of a
 * connection, variables. docs/nginx.md tells each.
 */

#include <ngx_http.h>

#include "ngx_http_ticket.h"

static ngx_int_t ngx_http_ticket_add_variables(ngx_conf_t *cf);
static ngx_int_t ngx_http_ticket_check(ngx_conf_t *cf);
static ngx_int_t ngx_http_ticket_init_process(ngx_cycle_t *cycle);
static void *ngx_http_ticket_create_main_conf(ngx_conf_t *cf);
static void *ngx_http_ticket_create_srv_conf(ngx_conf_t *cf);
static char *ngx_http_ticket_merge_srv_conf(ngx_conf_t *cf, void *parent, void *child);
static void *ngx_http_ticket_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_ticket_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child);
static char *ngx_http_ticket_ring_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
static char *ngx_http_ticket_context_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
static char *ngx_http_ticket_sid_context_slot(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_ticket_trace_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

#define NGX_HTTP_TICKET_TRACE_LINES  300

/* "once" comes with the replay index */
static ngx_conf_enum_t  ngx_http_ticket_early_data[] = {
    { ngx_string("off"), 0 },
    { ngx_null_string, 0 }
};

static ngx_command_t  ngx_http_ticket_commands[] = {

    { ngx_string("ticket_ring"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_CONF_TAKE1,
      ngx_http_ticket_ring_slot,
      NGX_HTTP_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("ticket_context"),
      NGX_HTTP_SRV_CONF|NGX_CONF_TAKE1,
      ngx_http_ticket_context_slot,
      NGX_HTTP_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("ticket_session_id_context"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_CONF_TAKE1,
      ngx_http_ticket_sid_context_slot,
      NGX_HTTP_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("ticket_binding"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_enum_slot,
      NGX_HTTP_SRV_CONF_OFFSET,
      offsetof(ngx_http_ticket_srv_conf_t, tickets.binding),
      ngx_ticket_bindings },

    { ngx_string("ticket_early_data"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_enum_slot,
      NGX_HTTP_SRV_CONF_OFFSET,
      offsetof(ngx_http_ticket_srv_conf_t, early_data),
      ngx_http_ticket_early_data },

    { ngx_string("ticket_trace"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE12,
      ngx_http_ticket_trace_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};

static ngx_http_module_t  ngx_http_ticket_module_ctx = {
    ngx_http_ticket_add_variables,         /* preconfiguration */
    ngx_http_ticket_check,                 /* postconfiguration */

    ngx_http_ticket_create_main_conf,      /* create main configuration */
    NULL,                                  /* init main configuration */

    ngx_http_ticket_create_srv_conf,       /* create server configuration */
    ngx_http_ticket_merge_srv_conf,        /* merge server configuration */

    ngx_http_ticket_create_loc_conf,       /* create location configuration */
    ngx_http_ticket_merge_loc_conf         /* merge location configuration */
};

ngx_module_t  ngx_http_ticket_module = {
    NGX_MODULE_V1,
    &ngx_http_ticket_module_ctx,           /* module context */
    ngx_http_ticket_commands,              /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    ngx_http_ticket_init_process,          /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};

/* what nginx looks for in a dynamic module */
ngx_module_t  *ngx_modules[] = { &ngx_http_ticket_module, NULL };
char  *ngx_module_names[] = { "ngx_http_ticket_module", NULL };
char  *ngx_module_order[] = { NULL };


/* ---- the context of a connection ------------------------------------------- */

/*
 * The server block that nginx will choose for a name: as its own servername callback
 * does, which OpenSSL calls too late, after the ticket has been opened.
 */

static ngx_http_core_srv_conf_t *
ngx_http_ticket_find_server(ngx_http_connection_t *hc, ngx_str_t *name)
{
    ngx_uint_t                 key;
    ngx_http_core_srv_conf_t  *cscf;
    ngx_http_virtual_names_t  *names;
#if (NGX_PCRE)
    ngx_int_t                  n;
    ngx_uint_t                 i;
    ngx_http_server_name_t    *sn;
#endif

    names = hc->addr_conf->virtual_names;

    if (name->len == 0 || names == NULL) {
        return hc->addr_conf->default_server;
    }

    key = ngx_hash_key(name->data, name->len);
    cscf = ngx_hash_find_combined(&names->names, key, name->data, name->len);

    if (cscf) {
        return cscf;
    }

#if (NGX_PCRE)
    sn = names->regex;

    for (i = 0; i < names->nregex; i++) {
        n = ngx_regex_exec(sn[i].regex->regex, name, NULL, 0);

        if (n >= 0) {
            return sn[i].server;
        }

        if (n != NGX_REGEX_NO_MATCHED) {
            return NULL;
        }
    }
#endif

    return hc->addr_conf->default_server;
}


/* What nginx would cut off a name or not take for one gets no ticket. */

static ngx_int_t
ngx_http_ticket_clean_name(const char *server_name, ngx_str_t *name)
{
    size_t  i;

    name->data = (u_char *) server_name;
    name->len = server_name == NULL ? 0 : ngx_strlen(server_name);

    if (name->len > 1 && name->data[name->len - 1] == '.') {
        name->len--;
    }

    for (i = 0; i < name->len; i++) {
        if (name->data[i] <= 0x20 || name->data[i] == 0x7f
            || ngx_strchr(":/[]", name->data[i]) != NULL
            || (name->data[i] == '.' && i + 1 < name->len && name->data[i + 1] == '.'))
        {
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


static const char *
ngx_http_ticket_choose(void *user, SSL *ssl, const char *server_name)
{
    ngx_str_t                    name;
    ngx_connection_t            *c;
    ngx_http_core_srv_conf_t    *cscf;
    ngx_http_ticket_srv_conf_t  *tscf;

    c = ngx_ssl_get_connection(ssl);

    /* c->data is the ngx_http_connection_t as long as the handshake lasts */
    if (c == NULL || c->ssl == NULL || c->ssl->handshaked
        || ngx_http_ticket_clean_name(server_name, &name) != NGX_OK)
    {
        return NULL;
    }

    cscf = ngx_http_ticket_find_server(c->data, &name);
    if (cscf == NULL) {
        return NULL;
    }

    tscf = ngx_http_get_module_srv_conf(cscf->ctx, ngx_http_ticket_module);

    /* a ticket of the server's own ring would be looked for in the port's */
    return tscf->tickets.ring == user ? (char *) tscf->tickets.context.data : NULL;
}


/* ---- configuration ---------------------------------------------------------- */

static void *
ngx_http_ticket_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_ticket_main_conf_t  *tmcf;

    tmcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_ticket_main_conf_t));
    if (tmcf == NULL
        || ngx_array_init(&tmcf->rings, cf->pool, 1, sizeof(ngx_ticket_ring_t *)) != NGX_OK)
    {
        return NULL;
    }

    return tmcf;
}


static void *
ngx_http_ticket_create_srv_conf(ngx_conf_t *cf)
{
    ngx_http_ticket_srv_conf_t  *tscf;

    tscf = ngx_pcalloc(cf->pool, sizeof(ngx_http_ticket_srv_conf_t));
    if (tscf == NULL) {
        return NULL;
    }

    ngx_ticket_init_conf(&tscf->tickets);
    tscf->early_data = NGX_CONF_UNSET_UINT;

    return tscf;
}


static char *
ngx_http_ticket_merge_srv_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_ticket_srv_conf_t  *prev = parent;
    ngx_http_ticket_srv_conf_t  *conf = child;

    (void) cf;

    ngx_ticket_merge_conf(&conf->tickets, &prev->tickets);
    ngx_conf_merge_uint_value(conf->early_data, prev->early_data, 0);

    return NGX_CONF_OK;
}


static void *
ngx_http_ticket_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_ticket_loc_conf_t  *tlcf;

    tlcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_ticket_loc_conf_t));
    if (tlcf == NULL) {
        return NULL;
    }

    tlcf->lines = NGX_CONF_UNSET_UINT;

    return tlcf;
}


static char *
ngx_http_ticket_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_ticket_loc_conf_t  *conf = child;

    (void) cf;
    (void) parent;

    /* a handler is not inherited, nor is this */
    if (conf->lines == NGX_CONF_UNSET_UINT) {
        conf->lines = 0;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_ticket_ring_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_ticket_srv_conf_t   *tscf = conf;
    ngx_http_ticket_main_conf_t  *tmcf;

    (void) cmd;

    tmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_ticket_module);

    return ngx_ticket_set_ring(cf, &tscf->tickets, &tmcf->rings);
}


static char *
ngx_http_ticket_context_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_ticket_srv_conf_t  *tscf = conf;

    (void) cmd;

    return ngx_ticket_set_name(cf, &tscf->tickets.context, 255);
}


static char *
ngx_http_ticket_sid_context_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_ticket_srv_conf_t  *tscf = conf;

    (void) cmd;

    return ngx_ticket_set_name(cf, &tscf->tickets.session_id_context,
                               SSL_MAX_SID_CTX_LENGTH);
}


static char *
ngx_http_ticket_trace_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_int_t                    lines;
    ngx_str_t                   *value;
    ngx_http_core_loc_conf_t    *clcf;
    ngx_http_ticket_loc_conf_t  *tlcf = conf;

    (void) cmd;

    if (tlcf->lines != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0 && cf->args->nelts == 2) {
        tlcf->lines = 0;
        return NGX_CONF_OK;
    }

    if (ngx_strcmp(value[1].data, "on") != 0) {
        return "takes \"on\", \"on lines=NUMBER\" or \"off\"";
    }

    lines = NGX_HTTP_TICKET_TRACE_LINES;

    if (cf->args->nelts == 3) {
        if (ngx_strncmp(value[2].data, "lines=", 6) != 0) {
            return "takes \"on\", \"on lines=NUMBER\" or \"off\"";
        }

        lines = ngx_atoi(value[2].data + 6, value[2].len - 6);
        if (lines < 1 || lines > 86400) {
            return "has a wrong number: lines=1 to lines=86400, one a second";
        }
    }

    tlcf->lines = lines;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = ngx_http_ticket_trace;

    return NGX_CONF_OK;
}


static SSL_CTX *
ngx_http_ticket_ssl(ngx_http_core_srv_conf_t *cscf)
{
    ngx_http_ssl_srv_conf_t  *sscf;

    sscf = ngx_http_get_module_srv_conf(cscf->ctx, ngx_http_ssl_module);

    return sscf == NULL ? NULL : sscf->ssl.ctx;
}


static ngx_uint_t
ngx_http_ticket_verify(ngx_http_core_srv_conf_t *cscf)
{
    ngx_http_ssl_srv_conf_t  *sscf;

    sscf = ngx_http_get_module_srv_conf(cscf->ctx, ngx_http_ssl_module);

    return sscf->verify;
}


/* Server blocks of one context where one demands a certificate and another does not. */

static void
ngx_http_ticket_check_contexts(ngx_conf_t *cf, ngx_array_t *servers)
{
    ngx_uint_t                    i, k;
    ngx_ticket_conf_t            *a, *b;
    ngx_http_core_srv_conf_t    **cscf;
    ngx_http_ticket_srv_conf_t   *tscf;

    cscf = servers->elts;

    for (i = 0; i < servers->nelts; i++) {
        tscf = ngx_http_get_module_srv_conf(cscf[i]->ctx, ngx_http_ticket_module);
        a = &tscf->tickets;

        if (a->ring == NULL || ngx_http_ticket_ssl(cscf[i]) == NULL
            || ngx_http_ticket_verify(cscf[i]) != 1)
        {
            continue;
        }

        for (k = 0; k < servers->nelts; k++) {
            tscf = ngx_http_get_module_srv_conf(cscf[k]->ctx, ngx_http_ticket_module);
            b = &tscf->tickets;

            if (b->ring != a->ring || ngx_http_ticket_ssl(cscf[k]) == NULL
                || ngx_http_ticket_verify(cscf[k]) == 1
                || a->context.len != b->context.len
                || ngx_strncmp(a->context.data, b->context.data, a->context.len) != 0)
            {
                continue;
            }

            ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                          "server \"%V\" in %s:%ui demands client certificates and shares "
                          "the ticket context \"%V\" with server \"%V\" in %s:%ui, which "
                          "does not: give it a ticket_context of its own",
                          &cscf[i]->server_name, cscf[i]->file_name, cscf[i]->line,
                          &a->context,
                          &cscf[k]->server_name, cscf[k]->file_name, cscf[k]->line);
            return;
        }
    }
}


/* OpenSSL asks the port's default server for the key, whatever name is wanted. */

static void
ngx_http_ticket_check_port(ngx_conf_t *cf, ngx_http_conf_addr_t *addr)
{
    ngx_uint_t                    i;
    ngx_http_core_srv_conf_t    **cscf, *first;
    ngx_http_ssl_srv_conf_t      *sscf;
    ngx_http_ticket_srv_conf_t   *of_first, *tscf;

    first = addr->default_server;
    of_first = ngx_http_get_module_srv_conf(first->ctx, ngx_http_ticket_module);
    cscf = addr->servers.elts;

    for (i = 0; i < addr->servers.nelts; i++) {
        tscf = ngx_http_get_module_srv_conf(cscf[i]->ctx, ngx_http_ticket_module);

        if (tscf->tickets.ring == NULL || !addr->opt.ssl) {
            continue;
        }

        if (tscf->tickets.ring != of_first->tickets.ring) {
            ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                          "server \"%V\" in %s:%ui gets no tickets of its ticket_ring on %V: "
                          "the default server there, in %s:%ui, has another one or none",
                          &cscf[i]->server_name, cscf[i]->file_name, cscf[i]->line,
                          &addr->opt.addr_text, first->file_name, first->line);
            continue;
        }

        sscf = ngx_http_get_module_srv_conf(first->ctx, ngx_http_ssl_module);

        if (sscf->session_tickets == 0) {
            ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                          "server \"%V\" in %s:%ui gets no tickets on %V: the default server "
                          "there, in %s:%ui, has \"ssl_session_tickets off\"",
                          &cscf[i]->server_name, cscf[i]->file_name, cscf[i]->line,
                          &addr->opt.addr_text, first->file_name, first->line);
        }
    }
}


static ngx_int_t
ngx_http_ticket_check(ngx_conf_t *cf)
{
    ngx_uint_t                    i, k;
    ngx_http_conf_port_t         *port;
    ngx_http_conf_addr_t         *addr;
    ngx_http_ssl_srv_conf_t      *sscf;
    ngx_http_core_srv_conf_t    **cscf;
    ngx_http_core_main_conf_t    *cmcf;
    ngx_http_ticket_srv_conf_t   *tscf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);
    cscf = cmcf->servers.elts;

    for (i = 0; i < cmcf->servers.nelts; i++) {
        tscf = ngx_http_get_module_srv_conf(cscf[i]->ctx, ngx_http_ticket_module);
        sscf = ngx_http_get_module_srv_conf(cscf[i]->ctx, ngx_http_ssl_module);

        if (tscf->tickets.ring == NULL || ngx_http_ticket_ssl(cscf[i]) == NULL) {
            continue;
        }

        if (sscf->session_ticket_keys != NULL) {
            ngx_log_error(NGX_LOG_NOTICE, cf->log, 0,
                          "ticket_ring goes before ssl_session_ticket_key in server \"%V\" "
                          "in %s:%ui",
                          &cscf[i]->server_name, cscf[i]->file_name, cscf[i]->line);
        }

        if (sscf->early_data) {
            /* each server of the pool would execute the same flight once more */
            SSL_CTX_set_max_early_data(sscf->ssl.ctx, 0);
            ngx_log_error(NGX_LOG_NOTICE, cf->log, 0,
                          "ssl_early_data is turned off in server \"%V\" in %s:%ui: "
                          "\"ticket_early_data off\"",
                          &cscf[i]->server_name, cscf[i]->file_name, cscf[i]->line);
        }
    }

    ngx_http_ticket_check_contexts(cf, &cmcf->servers);

    if (cmcf->ports == NULL) {
        return NGX_OK;
    }

    port = cmcf->ports->elts;

    for (i = 0; i < cmcf->ports->nelts; i++) {
        addr = port[i].addrs.elts;

        for (k = 0; k < port[i].addrs.nelts; k++) {
            ngx_http_ticket_check_port(cf, &addr[k]);
        }
    }

    return NGX_OK;
}


/* ---- a worker ----------------------------------------------------------------- */

static ngx_int_t
ngx_http_ticket_init_process(ngx_cycle_t *cycle)
{
    SSL_CTX                       *ctx;
    ngx_uint_t                     i;
    ngx_http_core_srv_conf_t     **cscf;
    ngx_http_core_main_conf_t     *cmcf;
    ngx_http_ticket_srv_conf_t    *tscf;
    ngx_http_ticket_main_conf_t   *tmcf;

    if (ngx_get_conf(cycle->conf_ctx, ngx_http_module) == NULL) {
        return NGX_OK;
    }

    tmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_ticket_module);
    cmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_core_module);

    if (ngx_ticket_start(cycle, &tmcf->rings) != NGX_OK) {
        return NGX_ERROR;
    }

    cscf = cmcf->servers.elts;

    for (i = 0; i < cmcf->servers.nelts; i++) {
        tscf = ngx_http_get_module_srv_conf(cscf[i]->ctx, ngx_http_ticket_module);
        ctx = ngx_http_ticket_ssl(cscf[i]);

        if (tscf->tickets.ring == NULL || ctx == NULL) {
            continue;
        }

        if (ngx_ticket_attach(cycle, ctx, &tscf->tickets, ngx_http_ticket_choose,
                              tscf->tickets.ring)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* ---- variables ---------------------------------------------------------------- */

ngx_int_t
ngx_http_ticket_info(ngx_http_request_t *r, tkt_openssl_info *info)
{
    ngx_ssl_connection_t  *ssl;

    ssl = r->connection->ssl;

    ngx_memzero(info, sizeof(*info));
    info->size = sizeof(*info);

    if (ssl == NULL || tkt_openssl_info_read(ssl->connection, info) != TKT_OK) {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


ngx_ticket_ring_t *
ngx_http_ticket_ring(ngx_http_request_t *r)
{
    ngx_http_core_srv_conf_t    *cscf;
    ngx_http_ticket_srv_conf_t  *tscf;

    cscf = r->http_connection->addr_conf->default_server;
    tscf = ngx_http_get_module_srv_conf(cscf->ctx, ngx_http_ticket_module);

    return tscf->tickets.ring;
}


static ngx_int_t
ngx_http_ticket_say(ngx_http_request_t *r, ngx_http_variable_value_t *v, const char *text)
{
    v->len = ngx_strlen(text);
    v->data = ngx_pnalloc(r->pool, v->len);
    if (v->data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(v->data, text, v->len);
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}


static ngx_int_t
ngx_http_ticket_status_variable(ngx_http_request_t *r, ngx_http_variable_value_t *v,
    uintptr_t data)
{
    tkt_openssl_info  info;

    (void) data;

    if (ngx_http_ticket_info(r, &info) != NGX_OK) {
        v->not_found = 1;
        return NGX_OK;
    }

    return ngx_http_ticket_say(r, v, ngx_ticket_status(&info));
}


static ngx_int_t
ngx_http_ticket_pool_variable(ngx_http_request_t *r, ngx_http_variable_value_t *v,
    uintptr_t data)
{
    tkt_ring_info       info;
    ngx_ticket_ring_t  *ring;

    (void) data;

    ring = ngx_http_ticket_ring(r);
    ngx_memzero(&info, sizeof(info));
    info.size = sizeof(info);

    if (r->connection->ssl == NULL || ring == NULL || ring->ring == NULL
        || tkt_ring_info_read(ring->ring, &info) != TKT_OK || info.pool[0] == '\0')
    {
        v->not_found = 1;
        return NGX_OK;
    }

    return ngx_http_ticket_say(r, v, info.pool);
}


/* Numbers of the ticket that was offered. */

static ngx_int_t
ngx_http_ticket_number_variable(ngx_http_request_t *r, ngx_http_variable_value_t *v,
    uintptr_t data)
{
    int64_t           number;
    u_char            text[NGX_INT64_LEN + 1];
    tkt_openssl_info  info;

    if (ngx_http_ticket_info(r, &info) != NGX_OK) {
        v->not_found = 1;
        return NGX_OK;
    }

    switch (data) {
    case 'e':
        number = info.epoch == 0 ? -1 : (int64_t) info.epoch;
        break;
    case 'm':
        number = info.minter == 0 ? -1 : info.minter;
        break;
    default:
        number = info.sealed == 0 ? -1 : ngx_max(ngx_time() - info.sealed, 0);
        break;
    }

    if (number < 0) {
        v->not_found = 1;
        return NGX_OK;
    }

    *ngx_sprintf(text, "%L", number) = '\0';

    return ngx_http_ticket_say(r, v, (char *) text);
}


static ngx_http_variable_t  ngx_http_ticket_variables[] = {

    { ngx_string("ticket_status"), NULL, ngx_http_ticket_status_variable, 0, 0, 0 },
    { ngx_string("ticket_pool"), NULL, ngx_http_ticket_pool_variable, 0, 0, 0 },
    { ngx_string("ticket_epoch"), NULL, ngx_http_ticket_number_variable, 'e', 0, 0 },
    { ngx_string("ticket_minter"), NULL, ngx_http_ticket_number_variable, 'm', 0, 0 },
    { ngx_string("ticket_age"), NULL, ngx_http_ticket_number_variable, 'a', 0, 0 },

      ngx_http_null_variable
};


static ngx_int_t
ngx_http_ticket_add_variables(ngx_conf_t *cf)
{
    ngx_http_variable_t  *var, *v;

    for (v = ngx_http_ticket_variables; v->name.len; v++) {
        var = ngx_http_add_variable(cf, &v->name, v->flags);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    return NGX_OK;
}
