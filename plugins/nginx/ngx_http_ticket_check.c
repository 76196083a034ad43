/*
 * What a configuration says that works otherwise than it reads: warnings, as nginx
 * starts or tests it.
 */

#include <ngx_http.h>

#include "ngx_http_ticket.h"

static ngx_int_t ngx_http_ticket_count_context(ngx_conf_t *cf,
    ngx_http_core_srv_conf_t *cscf);
static void ngx_http_ticket_check_contexts(ngx_conf_t *cf, ngx_array_t *servers);
static void ngx_http_ticket_check_port(ngx_conf_t *cf, ngx_http_conf_addr_t *addr);
static ngx_uint_t ngx_http_ticket_verify(ngx_http_core_srv_conf_t *cscf);


ngx_int_t
ngx_http_ticket_check(ngx_conf_t *cf)
{
    ngx_uint_t                    i, k, nports;
    ngx_http_conf_port_t         *port;
    ngx_http_conf_addr_t         *addr;
    ngx_http_ssl_srv_conf_t      *sscf;
    ngx_http_core_srv_conf_t    **cscf;
    ngx_http_core_main_conf_t    *cmcf;
    ngx_http_ticket_srv_conf_t   *tscf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);
    cscf = cmcf->servers.elts;
    port = cmcf->ports == NULL ? NULL : cmcf->ports->elts;
    nports = cmcf->ports == NULL ? 0 : cmcf->ports->nelts;

    /* first: what a server block cannot do is turned off below */
    for (i = 0; i < nports; i++) {
        addr = port[i].addrs.elts;

        for (k = 0; k < port[i].addrs.nelts; k++) {
            if (ngx_http_ticket_early_port(cf, &addr[k]) != NGX_OK) {
                return NGX_ERROR;
            }
        }
    }

    for (i = 0; i < cmcf->servers.nelts; i++) {
        tscf = ngx_http_get_module_srv_conf(cscf[i]->ctx, ngx_http_ticket_module);
        sscf = ngx_http_get_module_srv_conf(cscf[i]->ctx, ngx_http_ssl_module);

        if (ngx_http_ticket_ssl(cscf[i]) == NULL) {
            continue;
        }

        if (tscf->tickets.ring != NULL && sscf->session_ticket_keys != NULL) {
            ngx_log_error(NGX_LOG_NOTICE, cf->log, 0,
                          "ticket_ring goes before ssl_session_ticket_key in server \"%V\" "
                          "in %s:%ui",
                          &cscf[i]->server_name, cscf[i]->file_name, cscf[i]->line);
        }

        if (tscf->tickets.ring != NULL && sscf->session_timeout != NGX_TICKET_TIMEOUT
            && tscf->tickets.lifetime == NGX_CONF_UNSET)
        {
            ngx_log_error(NGX_LOG_NOTICE, cf->log, 0,
                          "\"ssl_session_timeout\" goes for nothing in server \"%V\" in %s:%ui: "
                          "tickets live as long as their pool says; for less say "
                          "\"ticket_lifetime\"",
                          &cscf[i]->server_name, cscf[i]->file_name, cscf[i]->line);
        }

        if (ngx_http_ticket_count_context(cf, cscf[i]) != NGX_OK
            || ngx_http_ticket_early_check(cf, cscf[i]) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    ngx_http_ticket_check_contexts(cf, &cmcf->servers);

    for (i = 0; i < nports; i++) {
        addr = port[i].addrs.elts;

        for (k = 0; k < port[i].addrs.nelts; k++) {
            ngx_http_ticket_check_port(cf, &addr[k]);
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_ticket_count_context(ngx_conf_t *cf, ngx_http_core_srv_conf_t *cscf)
{
    ngx_int_t                    rc;
    ngx_http_ticket_srv_conf_t  *tscf;

    tscf = ngx_http_get_module_srv_conf(cscf->ctx, ngx_http_ticket_module);

    if (tscf->tickets.ring == NULL) {
        return NGX_OK;
    }

    rc = ngx_ticket_count_context(cf, &tscf->tickets);

    if (rc == NGX_DECLINED) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "server \"%V\" in %s:%ui has one ticket_context too many: a ring takes "
                      "%d, and server blocks before it have as many with ticket_ring \"%V\"",
                      &cscf->server_name, cscf->file_name, cscf->line, NGX_TICKET_CONTEXTS,
                      &tscf->tickets.ring->path);
    }

    return rc;
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

    if (!ngx_http_ticket_tls(addr)) {
        return;
    }

    first = addr->default_server;
    of_first = ngx_http_get_module_srv_conf(first->ctx, ngx_http_ticket_module);
    cscf = addr->servers.elts;

    for (i = 0; i < addr->servers.nelts; i++) {
        tscf = ngx_http_get_module_srv_conf(cscf[i]->ctx, ngx_http_ticket_module);

        if (tscf->tickets.ring == NULL) {
            if (of_first->tickets.ring != NULL) {
                ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                              "server \"%V\" in %s:%ui gets no tickets on %V, neither of a "
                              "ticket_ring nor nginx's own: the default server there, in "
                              "%s:%ui, has a ticket_ring and it has none",
                              &cscf[i]->server_name, cscf[i]->file_name, cscf[i]->line,
                              &addr->opt.addr_text, first->file_name, first->line);
            }

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

        if (tscf->tickets.early_data == TKT_EARLY_DATA_ONCE
            && of_first->tickets.early_data != TKT_EARLY_DATA_ONCE)
        {
            ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                          "server \"%V\" in %s:%ui gets no early data on %V: the default "
                          "server there, in %s:%ui, takes none",
                          &cscf[i]->server_name, cscf[i]->file_name, cscf[i]->line,
                          &addr->opt.addr_text, first->file_name, first->line);
        }
    }
}


static ngx_uint_t
ngx_http_ticket_verify(ngx_http_core_srv_conf_t *cscf)
{
    ngx_http_ssl_srv_conf_t  *sscf;

    sscf = ngx_http_get_module_srv_conf(cscf->ctx, ngx_http_ssl_module);

    return sscf->verify;
}
