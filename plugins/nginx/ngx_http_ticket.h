/* The http module's own: what its files share. */

#ifndef _NGX_HTTP_TICKET_H_INCLUDED_
#define _NGX_HTTP_TICKET_H_INCLUDED_

#include <ngx_http.h>

#include "ngx_http_ticket_claims.h"
#include "ngx_ticket.h"

/* What checks tokens of one pool in a worker. */
typedef struct {
    ngx_ticket_ring_t         *ring;
    ngx_str_t                  tables;    /* folder; empty: beside the ring */
    ngx_str_t                  agent;     /* socket */
    tkt_verifier              *verifier;  /* NULL but in a worker */
    ngx_http_ticket_claims_t  *claims;
} ngx_http_ticket_gate_t;

typedef struct {
    ngx_array_t        rings;  /* of ngx_ticket_ring_t pointers */
    ngx_array_t        gates;  /* of ngx_http_ticket_gate_t pointers */
} ngx_http_ticket_main_conf_t;

typedef struct {
    ngx_ticket_conf_t  tickets;
} ngx_http_ticket_srv_conf_t;

#define NGX_HTTP_TICKET_TOKEN_OFF       0
#define NGX_HTTP_TICKET_TOKEN_ON        1
#define NGX_HTTP_TICKET_TOKEN_OPTIONAL  2

typedef struct {
    ngx_uint_t               lines;  /* a trace has at most; 0 = no trace here */

    ngx_uint_t               token;
    u_char                  *token_file;  /* where ticket_token was said */
    ngx_uint_t               token_line;
    ngx_str_t                token_origin;
    ngx_str_t                token_tables;
    ngx_str_t                token_agent;
    ngx_msec_t               token_timeout;
    ngx_http_ticket_gate_t  *gate;  /* NULL: no tokens here */
} ngx_http_ticket_loc_conf_t;

extern ngx_module_t  ngx_http_ticket_module;

/* The SSL_CTX of a server block; NULL when it has no TLS. */
SSL_CTX *ngx_http_ticket_ssl(ngx_http_core_srv_conf_t *cscf);

/* Whether connections to an address begin with TLS. */
ngx_uint_t ngx_http_ticket_tls(ngx_http_conf_addr_t *addr);

/* The context of a connection whose client asks for a name, as a tkt_openssl_choose;
 * `user` is the ring that the ticket will be looked for in. */
const char *ngx_http_ticket_choose(void *user, SSL *ssl, const char *server_name,
    const SSL_CTX **host);

/* The ring that a connection's port looks in; NULL when none. */
ngx_ticket_ring_t *ngx_http_ticket_ring(ngx_http_request_t *r);

/* The settings of main, server and location, and the directives that read them. */
void *ngx_http_ticket_create_main_conf(ngx_conf_t *cf);
void *ngx_http_ticket_create_srv_conf(ngx_conf_t *cf);
char *ngx_http_ticket_merge_srv_conf(ngx_conf_t *cf, void *parent, void *child);
void *ngx_http_ticket_create_loc_conf(ngx_conf_t *cf);
char *ngx_http_ticket_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child);
char *ngx_http_ticket_ring_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_ticket_context_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_ticket_sid_context_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_ticket_lifetime_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_ticket_trace_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_ticket_mode_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_ticket_token_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_ticket_path_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/* After the configuration was read: warns of what it cannot do, and settles who takes
 * early data. */
ngx_int_t ngx_http_ticket_check(ngx_conf_t *cf);

/* The directive; what a ring's tables are to be, for each server block that has TLS; before
 * that, whether an address may take early data otherwise than they say; in the master the
 * tables' folders. */
char *ngx_http_ticket_early_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
ngx_int_t ngx_http_ticket_early_check(ngx_conf_t *cf, ngx_http_core_srv_conf_t *cscf);
ngx_int_t ngx_http_ticket_early_port(ngx_conf_t *cf, ngx_http_conf_addr_t *addr);
ngx_int_t ngx_http_ticket_early_folders(ngx_cycle_t *cycle);

/* One-time tokens: the handler of the access phase; what the client gets for an outcome,
 * and its name; a location's settings, and what goes wrong with them; in a worker, the
 * verifiers; $ticket_token. */
ngx_int_t ngx_http_ticket_token_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_ticket_token_answer(ngx_http_request_t *r,
    ngx_http_ticket_loc_conf_t *tlcf, tkt_status status);
const char *ngx_http_ticket_token_text(tkt_status status);
char *ngx_http_ticket_token_merge(ngx_conf_t *cf, ngx_http_ticket_loc_conf_t *conf,
    ngx_http_ticket_loc_conf_t *prev);
void ngx_http_ticket_token_start(ngx_cycle_t *cycle, ngx_array_t *gates);
ngx_int_t ngx_http_ticket_token_variable(ngx_http_request_t *r, ngx_http_variable_value_t *v,
    uintptr_t data);
extern ngx_conf_enum_t  ngx_http_ticket_token_modes[];

/* A variable's value. */
ngx_int_t ngx_http_ticket_say(ngx_http_request_t *r, ngx_http_variable_value_t *v,
    const char *text);

/* Before the configuration is read. */
ngx_int_t ngx_http_ticket_add_variables(ngx_conf_t *cf);

/* What became of the ticket of the request's connection; NGX_DECLINED when it has
 * no TLS or no ring. */
ngx_int_t ngx_http_ticket_info(ngx_http_request_t *r, tkt_openssl_info *info);

/* A location where a client asks about its own connection. */
ngx_int_t ngx_http_ticket_trace(ngx_http_request_t *r);

#endif /* _NGX_HTTP_TICKET_H_INCLUDED_ */
