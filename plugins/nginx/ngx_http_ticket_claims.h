/*
 * A worker's connection to the agent's claims socket: claims go out one after the other,
 * answers come in any order, nobody waits.
 */

#ifndef _NGX_HTTP_TICKET_CLAIMS_H_INCLUDED_
#define _NGX_HTTP_TICKET_CLAIMS_H_INCLUDED_

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_event_connect.h>

#include <ticket/ticket.h>

typedef struct ngx_http_ticket_claim_s  ngx_http_ticket_claim_t;
typedef struct ngx_http_ticket_claims_s  ngx_http_ticket_claims_t;

/* A claim that is under way; the caller's memory. */
struct ngx_http_ticket_claim_s {
    u_char                      bytes[TKT_CLAIM_SIZE];
    ngx_http_ticket_claims_t   *claims;   /* NULL: none is under way */
    uint32_t                    number;
    ngx_uint_t                  sent;     /* how often: over another connection once more */
    ngx_event_t                 timer;

    /* called once: with the agent's answer, or NULL when there will be none */
    void                      (*handler)(ngx_http_ticket_claim_t *claim, u_char *answer);
    void                       *data;
};

ngx_http_ticket_claims_t *ngx_http_ticket_claims_create(ngx_pool_t *pool, ngx_str_t *path);

/*
 * Sends a claim. NGX_AGAIN: the handler will be called, within `timeout` milliseconds;
 * NGX_ERROR: it was not sent, and will not.
 */
ngx_int_t ngx_http_ticket_claims_send(ngx_http_ticket_claims_t *claims,
    ngx_http_ticket_claim_t *claim, ngx_msec_t timeout);

/* Nobody wants the answer any more. */
void ngx_http_ticket_claims_forget(ngx_http_ticket_claim_t *claim);

#endif /* _NGX_HTTP_TICKET_CLAIMS_H_INCLUDED_ */
