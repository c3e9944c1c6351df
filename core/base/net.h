/* SPDX-License-Identifier: Apache-2.0
 *
 * Addresses of the internet as values, and ranges of them. Pure.
 */
#ifndef BASE_NET_H
#define BASE_NET_H

#include "base/span.h"

#define NET_TEXT_SIZE 46 /* bytes of the longest text, its NUL included */

struct net_addr {
    uint8_t ip[16]; /* IPv4 as ::ffff:a.b.c.d */
    bool local;     /* a unix socket's end, which has none */
};

struct net_range {
    struct net_addr first;
    unsigned bits; /* of first.ip that count */
};

/* "192.0.2.1", "192.0.2.1:80", "2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:80" or
 * "unix". Numbers only, no blanks, no zone. 0 or E_INVALID. */
int net_parse(struct span text, struct net_addr *out);
/* An address without a port, or one with the number of bits that count, "10.0.0.0/8",
 * "2001:db8::/32"; those behind must be zero. 0 or E_INVALID. */
int net_range_parse(struct span text, struct net_range *out);
/* Is it in one of the n ranges? */
bool net_in(const struct net_range *ranges, size_t n, const struct net_addr *a);
/* Without a port and brackets; "unix". */
void net_text(const struct net_addr *a, char out[NET_TEXT_SIZE]);
/* From what `net_parse` takes, the part without port and brackets; other text as it is.
 */
struct span net_host(struct span text);

#endif
