/* SPDX-License-Identifier: Apache-2.0
 *
 * http: HTTP/1.1 as a server and as a client. Knows connections and streams, no store and
 * no Lua: a handler is three function pointers.
 *
 *   parse.h    the strict head parser: pure, no allocation
 *   chunked.h  the chunked body decoder: pure
 *   chars.h    which byte may stand where: one table for the three
 *   fields.h   Range, If-None-Match, dates, checks of names and values: pure
 *   request.h  one request: head, body source, reply
 *   front.h    what a listener says about its connections
 *   proxy.h, forwarded.h   what proxies in front say of a client: pure
 *   server.h   connections, keep-alive, limits
 *   client.h   requests to other servers, on libcurl
 */
#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include "http/request.h"
#include "http/server.h"

#endif
