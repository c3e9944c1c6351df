/* SPDX-License-Identifier: Apache-2.0
 *
 * The header of the PROXY protocol, versions 1 and 2 (haproxy's doc/proxy-protocol.txt):
 * what a proxy in front says of a connection before its first byte. Pure.
 */
#ifndef HTTP_PROXY_H
#define HTTP_PROXY_H

#include "base/net.h"

#include <sys/types.h>

#define PROXY_HEADER_MAX 4096 /* bytes, with all that version 2 may append */

struct proxy_header {
    bool told;            /* false: it speaks for itself, or does not know */
    struct net_addr from; /* the client's address */
};

/* Returns the bytes of the header (> 0), E_MORE, E_INVALID, or E_TOO_LARGE. */
ssize_t proxy_parse(const char *p, size_t n, struct proxy_header *out);

#endif
