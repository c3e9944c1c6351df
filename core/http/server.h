/* SPDX-License-Identifier: Apache-2.0
 *
 * The HTTP server of one worker: its connections, from accept to close. Keep-alive,
 * pipelining (one request at a time, in order), 100-continue, drain of unread bodies,
 * lingering close.
 */
#ifndef HTTP_SERVER_H
#define HTTP_SERVER_H

#include "http/front.h"
#include "http/request.h"

/* Times in ns. Each is a bound on one wait; every wait of a connection has one. */
struct http_limits {
    uint64_t head;     /* from the first byte of a head to its end */
    uint64_t idle;     /* between requests */
    uint64_t stall;    /* without a byte of a body, either way */
    uint64_t response; /* for the whole response once its head is ready; 0 for no bound */
};

struct http_server;

/* One per worker, made on its thread. The handler is borrowed. Returns an owned server.
 */
struct http_server *http_server_new(struct worker *w, const struct http_limits *limits,
                                    const struct http_handler *handler);
/* From now on requests begin with this handler, borrowed, and waits are bound by these
 * limits. A request that has begun keeps its handler to its end. */
void http_server_use(struct http_server *s, const struct http_limits *limits,
                     const struct http_handler *handler);
/* Gives it a connected socket, on its worker. Takes fd; the connection counts front. */
void http_server_take(struct http_server *s, int fd, const char *peer,
                      struct front *front, struct party *guest);
/* No new requests: idle connections close now, others after their reply. drained(arg) is
 * called once, from the run queue, when none is left. */
void http_server_drain(struct http_server *s, void (*drained)(void *), void *arg);
/* Ends every connection now; handlers are told by gone. */
void http_server_abort(struct http_server *s);
/* No connection may be left. */
void http_server_free(struct http_server *s);
size_t http_server_count(const struct http_server *s);

#endif
