/*
 * Early data once per pool: the directive, and the folders in which workers share what
 * they have taken.
 */

#include <ngx_http.h>

#include "ngx_http_ticket.h"

#define NGX_HTTP_TICKET_FLIGHTS  100000

static char *ngx_http_ticket_early_option(ngx_conf_t *cf, ngx_ticket_conf_t *conf,
    ngx_str_t *value);
static ngx_int_t ngx_http_ticket_early_default(ngx_conf_t *cf, ngx_ticket_conf_t *conf);
static ngx_uint_t ngx_http_ticket_early_beside(ngx_str_t *folder, ngx_str_t *path);
static ngx_int_t ngx_http_ticket_early_folder(ngx_cycle_t *cycle, ngx_str_t *folder);


char *
ngx_http_ticket_early_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char                        *rv;
    ngx_str_t                   *value;
    ngx_uint_t                   i;
    ngx_http_ticket_srv_conf_t  *tscf = conf;

    (void) cmd;

    if (tscf->tickets.early_data != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0 && cf->args->nelts == 2) {
        tscf->tickets.early_data = TKT_EARLY_DATA_OFF;
        return NGX_CONF_OK;
    }

    if (ngx_strcmp(value[1].data, "once") != 0) {
        return "takes \"off\" or \"once [folder=PATH] [capacity=NUMBER]\"";
    }

    tscf->tickets.early_data = TKT_EARLY_DATA_ONCE;

    for (i = 2; i < cf->args->nelts; i++) {
        rv = ngx_http_ticket_early_option(cf, &tscf->tickets, &value[i]);
        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_ticket_early_option(ngx_conf_t *cf, ngx_ticket_conf_t *conf, ngx_str_t *value)
{
    ngx_int_t  capacity;

    if (ngx_strncmp(value->data, "folder=", 7) == 0 && value->len > 7) {
        conf->early_folder.data = value->data + 7;
        conf->early_folder.len = value->len - 7;

        return ngx_conf_full_name(cf->cycle, &conf->early_folder, 1) == NGX_OK
               ? NGX_CONF_OK : NGX_CONF_ERROR;
    }

    if (ngx_strncmp(value->data, "capacity=", 9) == 0) {
        capacity = ngx_atoi(value->data + 9, value->len - 9);
        if (capacity < 1 || capacity > 1000000000) {
            return "has a wrong number: capacity=1 to capacity=1000000000";
        }

        conf->early_capacity = capacity;
        return NGX_CONF_OK;
    }

    return "takes \"off\" or \"once [folder=PATH] [capacity=NUMBER]\"";
}


ngx_int_t
ngx_http_ticket_early_check(ngx_conf_t *cf, ngx_http_core_srv_conf_t *cscf)
{
    ngx_ticket_conf_t           *conf;
    ngx_ticket_ring_t           *ring;
    ngx_http_ssl_srv_conf_t     *sscf;
    ngx_http_ticket_srv_conf_t  *tscf;

    tscf = ngx_http_get_module_srv_conf(cscf->ctx, ngx_http_ticket_module);
    sscf = ngx_http_get_module_srv_conf(cscf->ctx, ngx_http_ssl_module);
    conf = &tscf->tickets;
    ring = conf->ring;

    if (ring == NULL) {
        if (conf->early_data == TKT_EARLY_DATA_ONCE && sscf->early_data) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "\"ticket_early_data once\" needs a ticket_ring in server \"%V\" in "
                          "%s:%ui: without one a flight is executed as often as it comes; give "
                          "it a ticket_ring or \"ssl_early_data off\"",
                          &cscf->server_name, cscf->file_name, cscf->line);
            return NGX_ERROR;
        }

        return NGX_OK;
    }

    if (conf->early_data == TKT_EARLY_DATA_OFF) {
        if (sscf->early_data) {
            /* each server of the pool would execute the same flight once more */
            SSL_CTX_set_max_early_data(sscf->ssl.ctx, 0);
            ngx_log_error(NGX_LOG_NOTICE, cf->log, 0,
                          "ssl_early_data is turned off in server \"%V\" in %s:%ui: "
                          "\"ticket_early_data off\"",
                          &cscf->server_name, cscf->file_name, cscf->line);
        }

        return NGX_OK;
    }

    if (!sscf->early_data) {
        conf->early_data = TKT_EARLY_DATA_OFF;
        ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                      "\"ticket_early_data once\" does nothing in server \"%V\" in %s:%ui: "
                      "it needs \"ssl_early_data on\"",
                      &cscf->server_name, cscf->file_name, cscf->line);
        return NGX_OK;
    }

    if (ngx_http_ticket_early_default(cf, conf) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_http_ticket_early_beside(&conf->early_folder, &ring->path)) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "the folder \"%V\" in \"ticket_early_data\" of server \"%V\" in %s:%ui is "
                      "that of its ticket_ring, which is the agent's: give one of its own",
                      &conf->early_folder, &cscf->server_name, cscf->file_name, cscf->line);
        return NGX_ERROR;
    }

    if (ring->early_folder.data == NULL) {
        ring->early_folder = conf->early_folder;
        ring->early_capacity = conf->early_capacity;
        return NGX_OK;
    }

    if (ring->early_capacity != conf->early_capacity
        || ngx_strcmp(ring->early_folder.data, conf->early_folder.data) != 0)
    {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "server \"%V\" in %s:%ui has another folder or capacity in "
                      "\"ticket_early_data\" than another server of ticket_ring \"%V\": give "
                      "all of them the same",
                      &cscf->server_name, cscf->file_name, cscf->line, &ring->path);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* OpenSSL takes early data or not by what the address's default server says. */

ngx_int_t
ngx_http_ticket_early_port(ngx_conf_t *cf, ngx_http_conf_addr_t *addr)
{
    ngx_uint_t                    i;
    ngx_http_ssl_srv_conf_t      *sscf;
    ngx_http_core_srv_conf_t    **cscf, *first;
    ngx_http_ticket_srv_conf_t   *tscf;

    first = addr->default_server;
    tscf = ngx_http_get_module_srv_conf(first->ctx, ngx_http_ticket_module);
    sscf = ngx_http_get_module_srv_conf(first->ctx, ngx_http_ssl_module);

    if (tscf->tickets.ring != NULL || !sscf->early_data || !ngx_http_ticket_tls(addr)) {
        return NGX_OK;
    }

    cscf = addr->servers.elts;

    for (i = 0; i < addr->servers.nelts; i++) {
        tscf = ngx_http_get_module_srv_conf(cscf[i]->ctx, ngx_http_ticket_module);

        if (cscf[i] == first) {
            continue;
        }

        if (tscf->tickets.early_data == TKT_EARLY_DATA_ONCE) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "\"ticket_early_data once\" cannot hold in server \"%V\" in %s:%ui: "
                          "on %V early data is taken by the default server, in %s:%ui, which "
                          "has no ticket_ring; give that one the ticket_ring, too, or "
                          "\"ssl_early_data off\"",
                          &cscf[i]->server_name, cscf[i]->file_name, cscf[i]->line,
                          &addr->opt.addr_text, first->file_name, first->line);
            return NGX_ERROR;
        }

        if (tscf->tickets.ring != NULL) {
            ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                          "server \"%V\" in %s:%ui has early data on %V all the same, as "
                          "often as it comes: the default server there, in %s:%ui, has "
                          "\"ssl_early_data on\" and no ticket_ring",
                          &cscf[i]->server_name, cscf[i]->file_name, cscf[i]->line,
                          &addr->opt.addr_text, first->file_name, first->line);
        }
    }

    return NGX_OK;
}


/* web.early beside web.ring */

static ngx_int_t
ngx_http_ticket_early_default(ngx_conf_t *cf, ngx_ticket_conf_t *conf)
{
    u_char     *p;
    ngx_str_t  *path;
    size_t      len;

    if (conf->early_capacity == 0) {
        conf->early_capacity = NGX_HTTP_TICKET_FLIGHTS;
    }

    if (conf->early_folder.data != NULL) {
        return NGX_OK;
    }

    path = &conf->ring->path;
    len = path->len;

    if (len > 5 && ngx_strncmp(path->data + len - 5, ".ring", 5) == 0) {
        len -= 5;
    }

    conf->early_folder.len = len + sizeof(".early") - 1;
    conf->early_folder.data = ngx_pnalloc(cf->pool, conf->early_folder.len + 1);
    if (conf->early_folder.data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(conf->early_folder.data, path->data, len);
    ngx_memcpy(p, ".early", sizeof(".early"));

    return NGX_OK;
}


/* Whether a folder is the one where a file is. */

static ngx_uint_t
ngx_http_ticket_early_beside(ngx_str_t *folder, ngx_str_t *path)
{
    size_t       len, parent;
    u_char       name[NGX_MAX_PATH + 1];
    struct stat  one, two;

    for (parent = path->len; parent > 1 && path->data[parent - 1] != '/'; parent--) {
        /* void */
    }

    while (parent > 1 && path->data[parent - 1] == '/') {
        parent--;
    }

    for (len = folder->len; len > 1 && folder->data[len - 1] == '/'; len--) {
        /* void */
    }

    if (len == parent && ngx_strncmp(folder->data, path->data, len) == 0) {
        return 1;
    }

    if (parent > NGX_MAX_PATH) {
        return 0;
    }

    *ngx_cpymem(name, path->data, parent) = '\0';

    return stat((char *) folder->data, &one) == 0 && stat((char *) name, &two) == 0
           && one.st_dev == two.st_dev && one.st_ino == two.st_ino;
}


/* In the master, which may do what workers may not: make a folder for them. A test of
 * the configuration looks at what is there. */

ngx_int_t
ngx_http_ticket_early_folders(ngx_cycle_t *cycle)
{
    ngx_uint_t                     i;
    ngx_ticket_ring_t            **ring;
    ngx_http_ticket_main_conf_t   *tmcf;

    if (ngx_get_conf(cycle->conf_ctx, ngx_http_module) == NULL
        || (ngx_test_config && geteuid() != 0))  /* whose nginx has another user, maybe */
    {
        return NGX_OK;
    }

    tmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_ticket_module);
    ring = tmcf->rings.elts;

    for (i = 0; i < tmcf->rings.nelts; i++) {
        if (ring[i]->early_folder.data != NULL
            && ngx_http_ticket_early_folder(cycle, &ring[i]->early_folder) == NGX_DECLINED)
        {
            /* tables in memory alone */
            ngx_str_set(&ring[i]->early_folder, "");
        }
    }

    return NGX_OK;
}


/*
 * A folder of the workers alone: made here, and only then given to them. NGX_DECLINED: it
 * is somebody else's, or others may write there and have flights forgotten.
 */

static ngx_int_t
ngx_http_ticket_early_folder(ngx_cycle_t *cycle, ngx_str_t *folder)
{
    uid_t             owner;
    ngx_fd_t          fd;
    ngx_uint_t        made, usable;
    struct stat       info;
    ngx_core_conf_t  *ccf;

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);
    owner = geteuid() == 0 ? (uid_t) ccf->user : geteuid();
    made = !ngx_test_config && ngx_create_dir(folder->data, 0700) != NGX_FILE_ERROR;

    if (!made && !ngx_test_config && ngx_errno != NGX_EEXIST) {
        /* workers try for themselves, and say so */
        ngx_log_error(NGX_LOG_WARN, cycle->log, ngx_errno,
                      "ticket_early_data: " ngx_create_dir_n " \"%V\" failed", folder);
        return NGX_OK;
    }

    fd = open((char *) folder->data, O_RDONLY|O_DIRECTORY|O_NOFOLLOW|O_CLOEXEC);

    if (fd == NGX_INVALID_FILE && ngx_test_config && ngx_errno == NGX_ENOENT) {
        return NGX_OK;
    }

    if (fd != NGX_INVALID_FILE) {
        usable = fstat(fd, &info) == 0
                 && (made ? info.st_uid == geteuid()
                            && (info.st_uid == owner || fchown(fd, owner, ccf->group) == 0)
                          : info.st_uid == owner && (info.st_mode & (S_IWGRP|S_IWOTH)) == 0);
        (void) close(fd);

        if (usable) {
            return NGX_OK;
        }
    }

    ngx_log_error(NGX_LOG_WARN, cycle->log, 0,
                  "ticket_early_data: folder \"%V\" is not of the workers' user alone: each "
                  "worker takes only flights with tickets of its own; remove the folder, which "
                  "is then made anew, or give it that owner and mode 0700", folder);

    return NGX_DECLINED;
}
