/*
 * Session tickets of a pool for nginx's stream servers. A module of its own, so that
 * the http one loads where stream is not.
 */

#include <ngx_stream.h>

#include "ngx_ticket.h"

typedef struct {
    ngx_array_t  rings;  /* of ngx_ticket_ring_t pointers */
} ngx_stream_ticket_main_conf_t;

static ngx_int_t ngx_stream_ticket_init(ngx_conf_t *cf);
static ngx_int_t ngx_stream_ticket_init_process(ngx_cycle_t *cycle);
static void *ngx_stream_ticket_create_main_conf(ngx_conf_t *cf);
static void *ngx_stream_ticket_create_srv_conf(ngx_conf_t *cf);
static char *ngx_stream_ticket_merge_srv_conf(ngx_conf_t *cf, void *parent, void *child);
static char *ngx_stream_ticket_ring_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
static char *ngx_stream_ticket_context_slot(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_stream_ticket_sid_context_slot(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_stream_ticket_lifetime_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

static ngx_command_t  ngx_stream_ticket_commands[] = {

    { ngx_string("ticket_ring"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_stream_ticket_ring_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("ticket_context"),
      NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_stream_ticket_context_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("ticket_session_id_context"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_stream_ticket_sid_context_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("ticket_binding"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_enum_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_ticket_conf_t, binding),
      ngx_ticket_bindings },

    { ngx_string("ticket_lifetime"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_stream_ticket_lifetime_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};

static ngx_stream_module_t  ngx_stream_ticket_module_ctx = {
    NULL,                                  /* preconfiguration */
    ngx_stream_ticket_init,                /* postconfiguration */

    ngx_stream_ticket_create_main_conf,    /* create main configuration */
    NULL,                                  /* init main configuration */

    ngx_stream_ticket_create_srv_conf,     /* create server configuration */
    ngx_stream_ticket_merge_srv_conf       /* merge server configuration */
};

ngx_module_t  ngx_stream_ticket_module = {
    NGX_MODULE_V1,
    &ngx_stream_ticket_module_ctx,         /* module context */
    ngx_stream_ticket_commands,            /* module directives */
    NGX_STREAM_MODULE,                     /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    ngx_stream_ticket_init_process,        /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};

/* what nginx looks for in a dynamic module */
ngx_module_t  *ngx_modules[] = { &ngx_stream_ticket_module, NULL };
char  *ngx_module_names[] = { "ngx_stream_ticket_module", NULL };
char  *ngx_module_order[] = { NULL };


static void *
ngx_stream_ticket_create_main_conf(ngx_conf_t *cf)
{
    ngx_stream_ticket_main_conf_t  *tmcf;

    tmcf = ngx_pcalloc(cf->pool, sizeof(ngx_stream_ticket_main_conf_t));
    if (tmcf == NULL
        || ngx_array_init(&tmcf->rings, cf->pool, 1, sizeof(ngx_ticket_ring_t *)) != NGX_OK)
    {
        return NULL;
    }

    return tmcf;
}


static void *
ngx_stream_ticket_create_srv_conf(ngx_conf_t *cf)
{
    ngx_ticket_conf_t  *tscf;

    tscf = ngx_pcalloc(cf->pool, sizeof(ngx_ticket_conf_t));
    if (tscf == NULL) {
        return NULL;
    }

    ngx_ticket_init_conf(tscf);

    return tscf;
}


static char *
ngx_stream_ticket_merge_srv_conf(ngx_conf_t *cf, void *parent, void *child)
{
    (void) cf;

    ngx_ticket_merge_conf(child, parent);

    return NGX_CONF_OK;
}


static char *
ngx_stream_ticket_ring_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_stream_ticket_main_conf_t  *tmcf;

    (void) cmd;

    tmcf = ngx_stream_conf_get_module_main_conf(cf, ngx_stream_ticket_module);

    return ngx_ticket_set_ring(cf, conf, &tmcf->rings);
}


static char *
ngx_stream_ticket_context_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_ticket_conf_t  *tscf = conf;

    (void) cmd;

    return ngx_ticket_set_name(cf, &tscf->context, 255);
}


static char *
ngx_stream_ticket_sid_context_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_ticket_conf_t  *tscf = conf;

    (void) cmd;

    return ngx_ticket_set_name(cf, &tscf->session_id_context, SSL_MAX_SID_CTX_LENGTH);
}


static char *
ngx_stream_ticket_lifetime_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    (void) cmd;

    return ngx_ticket_set_lifetime(cf, conf);
}


/* What a worker could not do, and what goes for nothing. */

static ngx_int_t
ngx_stream_ticket_init(ngx_conf_t *cf)
{
    ngx_int_t                      rc;
    ngx_uint_t                     i;
    ngx_ticket_conf_t             *tscf;
    ngx_stream_ssl_conf_t         *sscf;
    ngx_stream_core_srv_conf_t   **cscf;
    ngx_stream_core_main_conf_t   *cmcf;

    cmcf = ngx_stream_conf_get_module_main_conf(cf, ngx_stream_core_module);
    cscf = cmcf->servers.elts;

    for (i = 0; i < cmcf->servers.nelts; i++) {
        tscf = cscf[i]->ctx->srv_conf[ngx_stream_ticket_module.ctx_index];
        sscf = cscf[i]->ctx->srv_conf[ngx_stream_ssl_module.ctx_index];

        if (tscf->ring == NULL || sscf->ssl.ctx == NULL) {
            continue;
        }

        rc = ngx_ticket_count_context(cf, tscf);

        if (rc == NGX_DECLINED) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "stream server in %s:%ui has one ticket_context too many: a ring "
                          "takes %d, and servers before it have as many with ticket_ring "
                          "\"%V\"", cscf[i]->file_name, cscf[i]->line, NGX_TICKET_CONTEXTS,
                          &tscf->ring->path);
        }

        if (rc != NGX_OK) {
            return NGX_ERROR;
        }

        if (sscf->session_timeout != NGX_TICKET_TIMEOUT && tscf->lifetime == NGX_CONF_UNSET) {
            ngx_log_error(NGX_LOG_NOTICE, cf->log, 0,
                          "\"ssl_session_timeout\" goes for nothing in the stream server in "
                          "%s:%ui: tickets live as long as their pool says; for less say "
                          "\"ticket_lifetime\"", cscf[i]->file_name, cscf[i]->line);
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_stream_ticket_init_process(ngx_cycle_t *cycle)
{
    ngx_uint_t                       i;
    ngx_ticket_conf_t               *tscf;
    ngx_stream_ssl_conf_t           *sscf;
    ngx_stream_core_srv_conf_t     **cscf;
    ngx_stream_core_main_conf_t     *cmcf;
    ngx_stream_ticket_main_conf_t   *tmcf;

    if (ngx_get_conf(cycle->conf_ctx, ngx_stream_module) == NULL || !ngx_ticket_serves()) {
        return NGX_OK;
    }

    tmcf = ngx_stream_cycle_get_module_main_conf(cycle, ngx_stream_ticket_module);
    cmcf = ngx_stream_cycle_get_module_main_conf(cycle, ngx_stream_core_module);

    ngx_ticket_start(cycle, &tmcf->rings);

    cscf = cmcf->servers.elts;

    for (i = 0; i < cmcf->servers.nelts; i++) {
        tscf = cscf[i]->ctx->srv_conf[ngx_stream_ticket_module.ctx_index];
        sscf = cscf[i]->ctx->srv_conf[ngx_stream_ssl_module.ctx_index];

        tscf->demands = sscf->verify == 1;

        /* a stream server has one SSL_CTX, whatever name is asked for */
        if (tscf->ring != NULL && sscf->ssl.ctx != NULL) {
            ngx_ticket_use(cycle, sscf->ssl.ctx, tscf, NULL, NULL);
        }
    }

    return NGX_OK;
}
