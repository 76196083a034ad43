/*
 * Session tickets of a pool for nginx's http servers: the module, its directives, and
 * what a worker does as it begins. docs/nginx.md tells each directive.
 */

#include <ngx_http.h>

#include "ngx_http_ticket.h"

static ngx_int_t ngx_http_ticket_init(ngx_conf_t *cf);
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
static char *ngx_http_ticket_lifetime_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
static char *ngx_http_ticket_trace_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
static char *ngx_http_ticket_mode_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
static char *ngx_http_ticket_token_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
static char *ngx_http_ticket_path_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

#define NGX_HTTP_TICKET_TRACE_LINES  300

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


/* ---- configuration ---------------------------------------------------------- */

static void *
ngx_http_ticket_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_ticket_main_conf_t  *tmcf;

    tmcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_ticket_main_conf_t));
    if (tmcf == NULL
        || ngx_array_init(&tmcf->rings, cf->pool, 1, sizeof(ngx_ticket_ring_t *)) != NGX_OK
        || ngx_array_init(&tmcf->gates, cf->pool, 1, sizeof(ngx_http_ticket_gate_t *))
           != NGX_OK)
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
    tscf->tickets.early_data = NGX_CONF_UNSET_UINT;

    return tscf;
}


static char *
ngx_http_ticket_merge_srv_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_ticket_srv_conf_t  *prev = parent;
    ngx_http_ticket_srv_conf_t  *conf = child;

    (void) cf;

    ngx_ticket_merge_conf(&conf->tickets, &prev->tickets);

    if (conf->tickets.early_data == NGX_CONF_UNSET_UINT) {
        conf->tickets.early_data = prev->tickets.early_data;
        conf->tickets.early_folder = prev->tickets.early_folder;
        conf->tickets.early_capacity = prev->tickets.early_capacity;
    }

    ngx_conf_init_uint_value(conf->tickets.early_data, TKT_EARLY_DATA_OFF);

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
    tlcf->token = NGX_CONF_UNSET_UINT;
    tlcf->token_timeout = NGX_CONF_UNSET_MSEC;

    return tlcf;
}


static char *
ngx_http_ticket_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_ticket_loc_conf_t  *prev = parent;
    ngx_http_ticket_loc_conf_t  *conf = child;

    /* a handler is not inherited, nor is this */
    if (conf->lines == NGX_CONF_UNSET_UINT) {
        conf->lines = 0;
    }

    return ngx_http_ticket_token_merge(cf, conf, prev);
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
ngx_http_ticket_lifetime_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_ticket_srv_conf_t  *tscf = conf;

    (void) cmd;

    return ngx_ticket_set_lifetime(cf, &tscf->tickets);
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


/* What is wrong with it shows only once all is read. */

static char *
ngx_http_ticket_mode_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_ticket_loc_conf_t  *tlcf = conf;

    tlcf->token_file = cf->conf_file->file.name.data;
    tlcf->token_line = cf->conf_file->line;

    return ngx_conf_set_enum_slot(cf, cmd, conf);
}


static char *
ngx_http_ticket_token_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    return ngx_ticket_set_name(cf, (ngx_str_t *) ((char *) conf + cmd->offset), 255);
}


static char *
ngx_http_ticket_path_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char       *wrong;
    ngx_str_t  *field;

    field = (ngx_str_t *) ((char *) conf + cmd->offset);
    wrong = ngx_ticket_set_name(cf, field, NGX_MAX_PATH);

    if (wrong != NGX_CONF_OK) {
        return wrong;
    }

    return ngx_conf_full_name(cf->cycle, field, 1) == NGX_OK ? NGX_CONF_OK : NGX_CONF_ERROR;
}


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
