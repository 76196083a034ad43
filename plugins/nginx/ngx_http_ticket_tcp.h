/* What the kernel knows of a TCP connection. No nginx header here: see the .c file. */

#ifndef _NGX_HTTP_TICKET_TCP_H_INCLUDED_
#define _NGX_HTTP_TICKET_TCP_H_INCLUDED_

typedef struct {
    unsigned            rtt;          /* microseconds, smoothed */
    unsigned            rttvar;       /* its mean deviation */
    unsigned long long  sent;         /* bytes that were acknowledged */
    unsigned long long  received;
    unsigned            retransmits;  /* segments */
} ngx_http_ticket_tcp_t;

/* 0, or -1 for a socket of another kind. */
int ngx_http_ticket_tcp_info(int fd, ngx_http_ticket_tcp_t *tcp);

#endif /* _NGX_HTTP_TICKET_TCP_H_INCLUDED_ */
