#include "ngx_ticket.h"

#define NGX_TICKET_TEND  250  /* milliseconds: a burned key is gone within a second */

static void ngx_ticket_detach(SSL_CTX *ctx);
static int ngx_ticket_no_key(SSL *ssl, u_char *name, u_char *iv, EVP_CIPHER_CTX *cipher,
    EVP_MAC_CTX *mac, int enc);
static void ngx_ticket_tend(ngx_event_t *ev);
static void ngx_ticket_log(void *user, tkt_log_level level, const char *text);
static void ngx_ticket_free(void *data);


ngx_conf_enum_t  ngx_ticket_bindings[] = {
    { ngx_string("name"), TKT_SAME_NAME },
    { ngx_string("context"), TKT_SAME_CONTEXT },
    { ngx_null_string, 0 }
};


char *
ngx_ticket_set_ring(ngx_conf_t *cf, ngx_ticket_conf_t *conf, ngx_array_t *rings)
{
    ngx_str_t           *value, path;
    ngx_uint_t           i;
    ngx_file_info_t      info;
    ngx_ticket_ring_t   *ring, **slot;
    ngx_pool_cleanup_t  *cln;

    if (conf->ring != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {
        conf->ring = NULL;
        return NGX_CONF_OK;
    }

    path = value[1];

    if (path.len == 0) {
        return "needs the path of a ring file, or \"off\"";
    }

    if (ngx_conf_full_name(cf->cycle, &path, 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    slot = rings->elts;
    for (i = 0; i < rings->nelts; i++) {
        if (slot[i]->path.len == path.len
            && ngx_strncmp(slot[i]->path.data, path.data, path.len) == 0)
        {
            conf->ring = slot[i];
            return NGX_CONF_OK;
        }
    }

    if (ngx_file_info(path.data, &info) == NGX_FILE_ERROR) {
        if (ngx_test_config) {
            ngx_conf_log_error(NGX_LOG_WARN, cf, ngx_errno,
                               "ticket_ring \"%V\" is not there yet: without it servers "
                               "send no tickets", &path);
        }

    } else if (!ngx_is_file(&info)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "ticket_ring \"%V\" is not a file", &path);
        return NGX_CONF_ERROR;
    }

    ring = ngx_pcalloc(cf->pool, sizeof(ngx_ticket_ring_t));
    slot = ngx_array_push(rings);
    /* before any SSL_CTX of this configuration has its cleanup: run after them */
    cln = ngx_pool_cleanup_add(cf->cycle->pool, 0);
    if (ring == NULL || slot == NULL || cln == NULL) {
        return NGX_CONF_ERROR;
    }

    ring->path = path;
    ngx_rbtree_init(&ring->contexts, &ring->sentinel, ngx_str_rbtree_insert_value);
    cln->handler = ngx_ticket_free;
    cln->data = ring;
    *slot = ring;
    conf->ring = ring;

    return NGX_CONF_OK;
}


char *
ngx_ticket_set_name(ngx_conf_t *cf, ngx_str_t *field, size_t longest)
{
    ngx_str_t  *value;

    if (field->data != NULL) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (value[1].len == 0 || value[1].len > longest) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"%V\" needs 1 to %uz bytes",
                           &value[0], longest);
        return NGX_CONF_ERROR;
    }

    *field = value[1];

    return NGX_CONF_OK;
}


char *
ngx_ticket_set_lifetime(ngx_conf_t *cf, ngx_ticket_conf_t *conf)
{
    ngx_str_t  *value;

    if (conf->lifetime != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    value = cf->args->elts;
    conf->lifetime = ngx_parse_time(&value[1], 1);

    if (conf->lifetime == (time_t) NGX_ERROR || conf->lifetime > NGX_TICKET_LIFETIME) {
        return "takes a time of at most 7d, or 0: the pool's lifetime";
    }

    return NGX_CONF_OK;
}


void
ngx_ticket_init_conf(ngx_ticket_conf_t *conf)
{
    conf->ring = NGX_CONF_UNSET_PTR;
    conf->binding = NGX_CONF_UNSET_UINT;
    conf->lifetime = NGX_CONF_UNSET;
}


void
ngx_ticket_merge_conf(ngx_ticket_conf_t *conf, ngx_ticket_conf_t *prev)
{
    ngx_conf_merge_ptr_value(conf->ring, prev->ring, NULL);
    ngx_conf_merge_str_value(conf->context, prev->context, "default");
    ngx_conf_merge_str_value(conf->session_id_context, prev->session_id_context, "libticket");
    ngx_conf_merge_uint_value(conf->binding, prev->binding, TKT_SAME_NAME);
    ngx_conf_merge_sec_value(conf->lifetime, prev->lifetime, NGX_CONF_UNSET);
}


ngx_int_t
ngx_ticket_count_context(ngx_conf_t *cf, ngx_ticket_conf_t *conf)
{
    uint32_t         hash;
    ngx_str_node_t  *node;

    hash = ngx_crc32_long(conf->context.data, conf->context.len);

    if (ngx_str_rbtree_lookup(&conf->ring->contexts, &conf->context, hash) != NULL) {
        return NGX_OK;
    }

    if (conf->ring->ncontexts == NGX_TICKET_CONTEXTS) {
        return NGX_DECLINED;
    }

    node = ngx_pcalloc(cf->pool, sizeof(ngx_str_node_t));
    if (node == NULL) {
        return NGX_ERROR;
    }

    node->node.key = hash;
    node->str = conf->context;
    ngx_rbtree_insert(&conf->ring->contexts, &node->node);
    conf->ring->ncontexts++;

    return NGX_OK;
}


ngx_uint_t
ngx_ticket_serves(void)
{
    return ngx_process != NGX_PROCESS_HELPER;
}


/*
 * Nothing that befalls a worker here was seen by the test of the configuration, nor does
 * it end the worker: it would be made again, and end again, and nobody would be served.
 */

void
ngx_ticket_start(ngx_cycle_t *cycle, ngx_array_t *rings)
{
    ngx_uint_t           i;
    tkt_status           status;
    tkt_ring_options     options;
    ngx_ticket_ring_t  **ring;

    ring = rings->elts;

    for (i = 0; i < rings->nelts; i++) {

        ngx_memzero(&options, sizeof(options));
        options.size = sizeof(options);
        options.ring_path = (char *) ring[i]->path.data;
        options.no_thread = 1;
        options.log = ngx_ticket_log;

        status = tkt_ring_open(&ring[i]->ring, &options);

        if (status != TKT_OK) {
            ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                          "ticket_ring \"%V\": %s: its servers go without tickets in this "
                          "worker", &ring[i]->path, tkt_status_text(status));
            continue;
        }

        ring[i]->timer.handler = ngx_ticket_tend;
        ring[i]->timer.data = ring[i];
        ring[i]->timer.log = cycle->log;
        ring[i]->timer.cancelable = 1;  /* a worker that is to end does not wait for it */

        /* at once: then the contexts that are attached below have their keys */
        ngx_add_timer(&ring[i]->timer, 1);
    }
}


void
ngx_ticket_use(ngx_cycle_t *cycle, SSL_CTX *ctx, ngx_ticket_conf_t *conf,
    tkt_openssl_choose choose, void *user)
{
    if (conf->ring->ring == NULL) {
        ngx_ticket_detach(ctx);

    } else if (ngx_ticket_attach(cycle, ctx, conf, choose, user) != NGX_OK) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                      "ticket_context \"%V\" goes without tickets in this worker",
                      &conf->context);
        ngx_ticket_detach(ctx);
    }
}


/*
 * Nor has it nginx's own tickets, sessions and early data. The callback is for connections
 * that the servername callback moves to another SSL_CTX, whose options it takes over: they
 * still ask this one for the key.
 */

static void
ngx_ticket_detach(SSL_CTX *ctx)
{
    SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(ctx, 0);
    SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, ngx_ticket_no_key);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_sess_set_get_cb(ctx, NULL);  /* OpenSSL asks it also then */
    SSL_CTX_sess_set_new_cb(ctx, NULL);
    SSL_CTX_sess_set_remove_cb(ctx, NULL);
    SSL_CTX_set_max_early_data(ctx, 0);
}


static int
ngx_ticket_no_key(SSL *ssl, u_char *name, u_char *iv, EVP_CIPHER_CTX *cipher,
    EVP_MAC_CTX *mac, int enc)
{
    (void) ssl;
    (void) name;
    (void) iv;
    (void) cipher;
    (void) mac;
    (void) enc;

    return 0;
}


ngx_int_t
ngx_ticket_attach(ngx_cycle_t *cycle, SSL_CTX *ctx, ngx_ticket_conf_t *conf,
    tkt_openssl_choose choose, void *user)
{
    tkt_status           status;
    tkt_openssl_options  options;

    ngx_memzero(&options, sizeof(options));
    options.size = sizeof(options);
    options.context = (char *) conf->context.data;
    options.session_id_context = (char *) conf->session_id_context.data;
    options.binding = conf->binding;
    options.demand_certificate = conf->demands;
    options.lifetime = ngx_max(conf->lifetime, 0);
    options.choose = choose;
    options.choose_user = user;
    options.early_data = conf->early_data;

    if (conf->early_data == TKT_EARLY_DATA_ONCE) {
        options.early_data_folder = (char *) conf->ring->early_folder.data;
        options.early_data_capacity = conf->ring->early_capacity;
    }

    status = tkt_openssl_attach(ctx, conf->ring->ring, &options);

    if (status != TKT_OK) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, 0, "ticket_ring \"%V\", context \"%V\": %s",
                      &conf->ring->path, &conf->context, tkt_status_text(status));
        return NGX_ERROR;
    }

    return NGX_OK;
}


const char *
ngx_ticket_early(tkt_openssl_info *info)
{
    switch (info->early_data) {
    case TKT_EARLY_ACCEPTED:
        return "accepted";
    case TKT_EARLY_REPLAY:
        return "replay";
    case TKT_EARLY_FOREIGN:
        return "foreign";
    case TKT_EARLY_FULL:
        return "full";
    default:
        return NULL;
    }
}


const char *
ngx_ticket_status(tkt_openssl_info *info)
{
    if (info->resumed) {
        return "resumed";
    }

    if (!info->offered) {
        return "new";
    }

    switch (info->reason) {
    case TKT_MALFORMED:
        return "malformed";
    case TKT_CONTEXT:
        return "context";
    case TKT_EXPIRED:
        return "expired";
    case TKT_FORGED:
        return "forged";
    case TKT_LINEAGE:
        return "lineage";
    case TKT_REVOKED:
        return "revoked";
    case TKT_NAME:
        return "name";
    case TKT_UNKNOWN_KEY:
        return "unknown_key";
    default:
        /* opened, and OpenSSL began anew: another protocol, cipher or
           session-id context */
        return "session";
    }
}


static void
ngx_ticket_tend(ngx_event_t *ev)
{
    ngx_ticket_ring_t  *ring = ev->data;

    (void) tkt_ring_tend(ring->ring, NULL);

    ngx_add_timer(ev, NGX_TICKET_TEND);
}


static void
ngx_ticket_log(void *user, tkt_log_level level, const char *text)
{
    ngx_uint_t  priority;

    (void) user;

    priority = level == TKT_LOG_ERROR ? NGX_LOG_ERR
             : level == TKT_LOG_WARNING ? NGX_LOG_WARN
             : level == TKT_LOG_INFO ? NGX_LOG_NOTICE : NGX_LOG_DEBUG;

    /* what befalls the ring befalls all workers: the first one tells */
    if (ngx_worker != 0 && level >= TKT_LOG_WARNING) {
        priority = NGX_LOG_DEBUG;
    }

    ngx_log_error(priority, ngx_cycle->log, 0, "ticket_ring: %s", text);
}


static void
ngx_ticket_free(void *data)
{
    ngx_ticket_ring_t  *ring = data;

    if (ring->ring == NULL) {
        return;
    }

    if (ring->timer.timer_set) {
        ngx_del_timer(&ring->timer);
    }

    tkt_ring_free(ring->ring);
    ring->ring = NULL;
}
