/*
 * The variables $ticket_status, $ticket_pool, $ticket_epoch, $ticket_minter, $ticket_age
 * and $ticket_early_data: what became of the ticket of the request's connection.
 * ($ticket_token is of ngx_http_ticket_token.c.)
 */

#include <ngx_http.h>

#include "ngx_http_ticket.h"

static ngx_int_t ngx_http_ticket_status_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_ticket_pool_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_ticket_early_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_ticket_number_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);

static ngx_http_variable_t  ngx_http_ticket_variables[] = {

    { ngx_string("ticket_status"), NULL, ngx_http_ticket_status_variable, 0, 0, 0 },
    { ngx_string("ticket_pool"), NULL, ngx_http_ticket_pool_variable, 0, 0, 0 },
    { ngx_string("ticket_early_data"), NULL, ngx_http_ticket_early_variable, 0, 0, 0 },
    { ngx_string("ticket_epoch"), NULL, ngx_http_ticket_number_variable, 'e', 0, 0 },
    { ngx_string("ticket_minter"), NULL, ngx_http_ticket_number_variable, 'm', 0, 0 },
    { ngx_string("ticket_age"), NULL, ngx_http_ticket_number_variable, 'a', 0, 0 },
    { ngx_string("ticket_token"), NULL, ngx_http_ticket_token_variable, 0,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

      ngx_http_null_variable
};


ngx_int_t
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


static ngx_int_t
ngx_http_ticket_early_variable(ngx_http_request_t *r, ngx_http_variable_value_t *v,
    uintptr_t data)
{
    const char        *early;
    tkt_openssl_info   info;

    (void) data;

    early = ngx_http_ticket_info(r, &info) == NGX_OK ? ngx_ticket_early(&info) : NULL;

    if (early == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    return ngx_http_ticket_say(r, v, early);
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


ngx_int_t
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
