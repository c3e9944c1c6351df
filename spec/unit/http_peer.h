/* SPDX-License-Identifier: Apache-2.0
 *
 * The HTTP server under test, on a worker thread with a small handler, and the client's
 * side of it: blocking sockets on the case's own thread.
 *
 * The handler knows:
 *   /hello    "hello", with an entity tag and ranges
 *   /bytes /memory /file   "0123456789" of that kind
 *   /echo     the request's body
 *   /ignore   "ignored", whatever body there is
 *   /held     answers at peer_release
 *   /stream   "one two three " of unknown size
 *   /short    9 of 10 bytes
 *   /empty    204
 *   /close    asks for the close
 *   /large    PEER_LARGE zeros, from memory
 */
#ifndef HTTP_PEER_H
#define HTTP_PEER_H

#include "http/http.h"
#include "spec/unit/unit.h"

#include <semaphore.h>

#define PEER_BUFFERS 64 /* in the pool */
#define PEER_LARGE (1024 * 1024)

struct peer {
    struct worker *worker;
    struct http_server *server;
    struct http_limits limits;
    struct front *front;
    sem_t began, gone, ended, drained, called;
    int rc; /* of the last body, then of the last end */
    int body_rc;
    char big[64]; /* path of the file behind /file */
};

/* Starts it; limits of 0 become 20 s. Log lines go nowhere. */
void peer_start(struct peer *p, struct http_limits limits);
/* Drains and stops it. */
void peer_stop(struct peer *p);
void peer_drain(struct peer *p);
void peer_abort(struct peer *p);
/* Gives the next requests to a handler of the case's own. */
void peer_use(struct peer *p, const struct http_handler *handler);
/* Has the held request answered. */
void peer_release(struct peer *p);
size_t peer_count(struct peer *p);

/* A connection to it; the case closes it. */
int peer_connect(struct peer *p);
void peer_send(int fd, const char *bytes, size_t n);
void peer_say(int fd, const char *text);
/* Reads one reply, its body as framed (none for HEAD); text is valid until the next call.
 * Fails the case when it is cut off. */
const char *peer_hear(int fd, bool head_only, size_t *n);
/* All bytes until the end of the stream. */
const char *peer_rest(int fd, size_t *n);
/* Hears one reply and compares status and body. Returns its text. */
const char *peer_expect(int fd, int status, const char *body);
/* The end of the stream is next. */
void peer_expect_end(int fd);
void peer_wait(sem_t *s);

#endif
