/*
 * What the http and the stream module share: the rings of a configuration, each
 * opened and tended by every worker for itself, and directives' checks.
 */

#ifndef _NGX_TICKET_H_INCLUDED_
#define _NGX_TICKET_H_INCLUDED_

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <ticket/openssl.h>
#include <ticket/ticket.h>

#define NGX_TICKET_CONTEXTS  1024    /* that a ring takes */
#define NGX_TICKET_LIFETIME  604800  /* seconds, at most (RFC 8446, 4.6.1) */
#define NGX_TICKET_TIMEOUT   300     /* of ssl_session_timeout, when nothing is said */

typedef struct {
    ngx_str_t           path;
    ngx_str_t           early_folder;    /* of its tables of early data; empty: it keeps none */
    ngx_uint_t          early_capacity;
    ngx_rbtree_t        contexts;  /* of the server blocks that have it, to be counted */
    ngx_rbtree_node_t   sentinel;
    ngx_uint_t          ncontexts;
    tkt_ring           *ring;   /* NULL but in a worker: the master holds no keys */
    ngx_event_t         timer;
} ngx_ticket_ring_t;

/* What a server block of either kind is configured to. */
typedef struct {
    ngx_ticket_ring_t  *ring;       /* NULL: none; NGX_CONF_UNSET_PTR before merging */
    ngx_str_t           context;
    ngx_str_t           session_id_context;
    ngx_uint_t          binding;    /* tkt_openssl_binding */
    ngx_uint_t          demands;    /* 1: "ssl_verify_client on"; set as a worker starts */
    time_t              lifetime;   /* of tickets; NGX_CONF_UNSET, also after merging, or 0: the
                                       pool's */
    ngx_uint_t          early_data; /* tkt_openssl_early_data, as the next two: http alone */
    ngx_str_t           early_folder;
    ngx_uint_t          early_capacity;
} ngx_ticket_conf_t;

extern ngx_conf_enum_t  ngx_ticket_bindings[];

/* Directives. cmd->offset leads to the ngx_ticket_conf_t of a block; `rings` is an
 * array of ngx_ticket_ring_t pointers of this configuration. */
char *ngx_ticket_set_ring(ngx_conf_t *cf, ngx_ticket_conf_t *conf, ngx_array_t *rings);
char *ngx_ticket_set_name(ngx_conf_t *cf, ngx_str_t *field, size_t longest);
char *ngx_ticket_set_lifetime(ngx_conf_t *cf, ngx_ticket_conf_t *conf);

void ngx_ticket_init_conf(ngx_ticket_conf_t *conf);
void ngx_ticket_merge_conf(ngx_ticket_conf_t *conf, ngx_ticket_conf_t *prev);

/* Of a server block that has a ring and TLS; NGX_DECLINED when the ring takes no more
 * contexts. */
ngx_int_t ngx_ticket_count_context(ngx_conf_t *cf, ngx_ticket_conf_t *conf);

/* Whether this process has connections: the cache manager and loader have none. */
ngx_uint_t ngx_ticket_serves(void);

/* In a worker: opens the rings and begins to tend them. One that cannot be opened is
 * logged, and its server blocks go without tickets. */
void ngx_ticket_start(ngx_cycle_t *cycle, ngx_array_t *rings);

/* In a worker: has an SSL_CTX use a ring; where that fails, it has no tickets. */
void ngx_ticket_use(ngx_cycle_t *cycle, SSL_CTX *ctx, ngx_ticket_conf_t *conf,
    tkt_openssl_choose choose, void *user);
ngx_int_t ngx_ticket_attach(ngx_cycle_t *cycle, SSL_CTX *ctx, ngx_ticket_conf_t *conf,
    tkt_openssl_choose choose, void *user);

/* "accepted", or why early data was refused; NULL when none came. */
const char *ngx_ticket_early(tkt_openssl_info *info);

/* "new", "resumed", or why a ticket was not taken. */
const char *ngx_ticket_status(tkt_openssl_info *info);

#endif /* _NGX_TICKET_H_INCLUDED_ */
