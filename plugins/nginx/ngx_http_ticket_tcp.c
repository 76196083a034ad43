/*
 * The kernel's struct tcp_info has the bytes, glibc's has not, and one unit cannot
 * include both: so this is a unit of its own, without nginx's headers.
 */

#include "ngx_http_ticket_tcp.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>


int
ngx_http_ticket_tcp_info(int fd, ngx_http_ticket_tcp_t *tcp)
{
    socklen_t        len;
    struct tcp_info  info;

    memset(&info, 0, sizeof(info));
    len = sizeof(info);

    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0
        || len < offsetof(struct tcp_info, tcpi_bytes_received) + 8)
    {
        return -1;
    }

    tcp->rtt = info.tcpi_rtt;
    tcp->rttvar = info.tcpi_rttvar;
    tcp->sent = info.tcpi_bytes_acked;
    tcp->received = info.tcpi_bytes_received;
    tcp->retransmits = info.tcpi_total_retrans;

    return 0;
}
