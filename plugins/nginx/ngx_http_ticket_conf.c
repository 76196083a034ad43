/* What the directives say, from nothing to one location's: made, read and inherited. */

#include <ngx_http.h>

#include "ngx_http_ticket.h"

#define NGX_HTTP_TICKET_TRACE_LINES  300


void *
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


void *
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


char *
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


void *
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


char *
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


char *
ngx_http_ticket_ring_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_ticket_srv_conf_t   *tscf = conf;
    ngx_http_ticket_main_conf_t  *tmcf;

    (void) cmd;

    tmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_ticket_module);

    return ngx_ticket_set_ring(cf, &tscf->tickets, &tmcf->rings);
}


char *
ngx_http_ticket_context_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_ticket_srv_conf_t  *tscf = conf;

    (void) cmd;

    return ngx_ticket_set_name(cf, &tscf->tickets.context, 255);
}


char *
ngx_http_ticket_sid_context_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_ticket_srv_conf_t  *tscf = conf;

    (void) cmd;

    return ngx_ticket_set_name(cf, &tscf->tickets.session_id_context,
                               SSL_MAX_SID_CTX_LENGTH);
}


char *
ngx_http_ticket_lifetime_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_ticket_srv_conf_t  *tscf = conf;

    (void) cmd;

    return ngx_ticket_set_lifetime(cf, &tscf->tickets);
}


char *
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

char *
ngx_http_ticket_mode_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_ticket_loc_conf_t  *tlcf = conf;

    tlcf->token_file = cf->conf_file->file.name.data;
    tlcf->token_line = cf->conf_file->line;

    return ngx_conf_set_enum_slot(cf, cmd, conf);
}


char *
ngx_http_ticket_token_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    return ngx_ticket_set_name(cf, (ngx_str_t *) ((char *) conf + cmd->offset), 255);
}


char *
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
