/*
 * Which context a connection's tickets belong to: that of the server block which nginx
 * will choose for the client's name, found before nginx itself chooses.
 */

#include <ngx_http.h>

#include "ngx_http_ticket.h"

static ngx_http_core_srv_conf_t *ngx_http_ticket_find_server(ngx_http_connection_t *hc,
    ngx_str_t *name);
static ngx_int_t ngx_http_ticket_clean_name(const char *server_name, ngx_str_t *name);


const char *
ngx_http_ticket_choose(void *user, SSL *ssl, const char *server_name,
    const SSL_CTX **host)
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
    *host = ngx_http_ticket_ssl(cscf);

    /* a ticket of the server's own ring would be looked for in the port's */
    return tscf->tickets.ring == user ? (char *) tscf->tickets.context.data : NULL;
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
