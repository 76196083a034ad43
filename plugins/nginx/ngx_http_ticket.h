/* The http module's own: see ngx_http_ticket_module.c and ngx_http_ticket_trace.c. */

#ifndef _NGX_HTTP_TICKET_H_INCLUDED_
#define _NGX_HTTP_TICKET_H_INCLUDED_

#include <ngx_http.h>

#include "ngx_ticket.h"

typedef struct {
    ngx_array_t        rings;  /* of ngx_ticket_ring_t pointers */
} ngx_http_ticket_main_conf_t;

typedef struct {
    ngx_ticket_conf_t  tickets;
    ngx_uint_t         early_data;
} ngx_http_ticket_srv_conf_t;

typedef struct {
    ngx_uint_t         lines;  /* a trace has at most; 0 = no trace here */
} ngx_http_ticket_loc_conf_t;

extern ngx_module_t  ngx_http_ticket_module;

/* What became of the ticket of the request's connection; NGX_DECLINED when it has
 * no TLS or no ring. */
ngx_int_t ngx_http_ticket_info(ngx_http_request_t *r, tkt_openssl_info *info);

/* The ring that a connection's port looks in; NULL when none. */
ngx_ticket_ring_t *ngx_http_ticket_ring(ngx_http_request_t *r);

/* A location where a client asks about its own connection. */
ngx_int_t ngx_http_ticket_trace(ngx_http_request_t *r);

#endif /* _NGX_HTTP_TICKET_H_INCLUDED_ */
