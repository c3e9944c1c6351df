/* SPDX-License-Identifier: Apache-2.0
 *
 * What proxies in front say of a request in its head: X-Forwarded-For, or Forwarded (RFC
 * 7239). Each proxy appends the address that it was asked from, so only what stands to
 * the right of the first one that is not ours can be believed. Pure.
 */
#ifndef HTTP_FORWARDED_H
#define HTTP_FORWARDED_H

#include "base/net.h"
#include "http/parse.h"

/* Only one of them is read: a proxy that knows the one may let a client's other pass. */
enum forwarded { FORWARDED_NONE, FORWARDED_X, FORWARDED_RFC };

/* *from is the address that the request came from; while it is one of those that are
 * trusted, it becomes the next one to the left. */
void forwarded_for(const struct http_head *head, enum forwarded which,
                   const struct net_range *trust, size_t n_trust, struct net_addr *from);
/* What the last proxy says it was asked by: "http" or "https", else *secure stays. */
void forwarded_proto(const struct http_head *head, enum forwarded which, bool *secure);

#endif
