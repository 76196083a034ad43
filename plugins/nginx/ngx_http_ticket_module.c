/*
 * Session tickets of a pool for nginx's http servers: the module, the table of its
 * directives, and what a worker does as it begins. docs/nginx.md tells each directive.
 */

#include <ngx_http.h>

#include "ngx_http_ticket.h"

static ngx_int_t ngx_http_ticket_init(ngx_conf_t *cf);
static ngx_int_t ngx_http_ticket_init_process(ngx_cycle_t *cycle);

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

    { ngx_string("ticket_lifetime"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_CONF_TAKE1,
      ngx_http_ticket_lifetime_slot,
      NGX_HTTP_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("ticket_early_data"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_CONF_TAKE123,
      ngx_http_ticket_early_slot,
      NGX_HTTP_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("ticket_trace"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE12,
      ngx_http_ticket_trace_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("ticket_token"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_ticket_mode_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_ticket_loc_conf_t, token),
      ngx_http_ticket_token_modes },

    { ngx_string("ticket_token_origin"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_ticket_token_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_ticket_loc_conf_t, token_origin),
      NULL },

    { ngx_string("ticket_token_agent"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_ticket_path_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_ticket_loc_conf_t, token_agent),
      NULL },

    { ngx_string("ticket_token_tables"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_ticket_path_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_ticket_loc_conf_t, token_tables),
      NULL },

    { ngx_string("ticket_token_timeout"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_ticket_loc_conf_t, token_timeout),
      NULL },

      ngx_null_command
};

static ngx_http_module_t  ngx_http_ticket_module_ctx = {
    ngx_http_ticket_add_variables,         /* preconfiguration */
    ngx_http_ticket_init,                  /* postconfiguration */

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
    ngx_http_ticket_early_folders,         /* init module */
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


static ngx_int_t
ngx_http_ticket_init(ngx_conf_t *cf)
{
    ngx_http_handler_pt          *handler;
    ngx_http_core_main_conf_t    *cmcf;
    ngx_http_ticket_main_conf_t  *tmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);
    tmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_ticket_module);

    if (tmcf->gates.nelts != 0) {
        handler = ngx_array_push(&cmcf->phases[NGX_HTTP_ACCESS_PHASE].handlers);
        if (handler == NULL) {
            return NGX_ERROR;
        }

        *handler = ngx_http_ticket_token_handler;
    }

    return ngx_http_ticket_check(cf);
}


/* ---- a worker ----------------------------------------------------------------- */

static ngx_int_t
ngx_http_ticket_init_process(ngx_cycle_t *cycle)
{
    SSL_CTX                       *ctx;
    ngx_uint_t                     i;
    ngx_http_ssl_srv_conf_t       *sscf;
    ngx_http_core_srv_conf_t     **cscf;
    ngx_http_core_main_conf_t     *cmcf;
    ngx_http_ticket_srv_conf_t    *tscf;
    ngx_http_ticket_main_conf_t   *tmcf;

    if (ngx_get_conf(cycle->conf_ctx, ngx_http_module) == NULL || !ngx_ticket_serves()) {
        return NGX_OK;
    }

    tmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_ticket_module);
    cmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_core_module);

    ngx_ticket_start(cycle, &tmcf->rings);
    ngx_http_ticket_token_start(cycle, &tmcf->gates);

    cscf = cmcf->servers.elts;

    for (i = 0; i < cmcf->servers.nelts; i++) {
        tscf = ngx_http_get_module_srv_conf(cscf[i]->ctx, ngx_http_ticket_module);
        ctx = ngx_http_ticket_ssl(cscf[i]);

        if (tscf->tickets.ring != NULL && ctx != NULL) {
            sscf = ngx_http_get_module_srv_conf(cscf[i]->ctx, ngx_http_ssl_module);
            tscf->tickets.demands = sscf->verify == 1;

            ngx_ticket_use(cycle, ctx, &tscf->tickets, ngx_http_ticket_choose,
                           tscf->tickets.ring);
        }
    }

    return NGX_OK;
}


ngx_uint_t
ngx_http_ticket_tls(ngx_http_conf_addr_t *addr)
{
    ngx_http_ssl_srv_conf_t  *sscf;

    sscf = ngx_http_get_module_srv_conf(addr->default_server->ctx, ngx_http_ssl_module);

    return addr->opt.ssl || (sscf != NULL && sscf->enable == 1);
}


SSL_CTX *
ngx_http_ticket_ssl(ngx_http_core_srv_conf_t *cscf)
{
    ngx_http_ssl_srv_conf_t  *sscf;

    sscf = ngx_http_get_module_srv_conf(cscf->ctx, ngx_http_ssl_module);

    return sscf == NULL ? NULL : sscf->ssl.ctx;
}
