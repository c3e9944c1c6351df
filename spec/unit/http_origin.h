/* SPDX-License-Identifier: Apache-2.0
 *
 * What the client's cases ask: our own server on a worker of its own, a server that says
 * what it is told to, and trials, which are fetches that collect the answer's body.
 *
 * The origin knows:
 *   /hello   "hello", with X-Two sent twice      /echo    the request's body
 *   /show    the request's head as text          /big     ORIGIN_BIG bytes of the pattern
 *   /stream  the same, of unknown size           /short   fewer bytes than announced
 *   /drip    a byte and then no more             /held    nothing, until we leave
 *   /early   413, without reading the body       /to?URL  302 there
 *   /empty   204
 */
#ifndef HTTP_ORIGIN_H
#define HTTP_ORIGIN_H

#include "http/client.h"
#include "http/http.h"
#include "stream/memory.h"
#include "spec/unit/stream_toy.h"
#include "spec/unit/unit.h"

#include <semaphore.h>
#include <stdatomic.h>

#define ORIGIN_BIG (UINT64_C(48) << 20)

struct origin {
    struct worker *worker;
    struct http_server *server;
    struct acceptor *acceptor;
    struct http_limits limits;
    struct front *front;
    char base[64]; /* "http://127.0.0.1:4711" */
    atomic_int connections, requests, gone;
    atomic_uint_fast64_t given; /* bytes that the sources of answers gave */
    void (*began)(void);        /* on the origin's thread; may be NULL */
    void (*ended)(void);
    sem_t ready;
};

/* Starts it, the pool, the buffers, and the worker of the trials; stall 0 is 20 s. */
void origin_start(struct origin *o, uint64_t stall);
void origin_stop(struct origin *o);

struct trial {
    struct fetch fetch; /* trial_init fills it in, the case may change it */
    char url[1024];
    void (*answered)(
        struct trial *t); /* instead of collecting; then it calls trial_end */
    struct memory_sink sink;
    struct pipe pipe;
    int body_rc;
    int dones;
    char head[512]; /* X-Two, Content-Type and Location of the answer, a line each */
};

/* GET of a path at the origin, or of a whole URL. */
void trial_init(struct trial *t, const struct origin *o, const char *path);
/* Runs n of them until all have ended. */
void trials_run(struct trial *t, size_t n);
/* One; then its outcome is compared, and text with the body unless NULL. */
void trial_expect(struct trial *t, int rc, int status, const char *text);
/* The worker that trials run on. */
struct worker *trial_worker(void);
/* For cases that do not collect: this one is over. Closes the body. */
void trial_end(struct trial *t);
void trial_fini(struct trial *t);

/* A server for one connection: hears a request's head and answers with text, byte for
 * byte. Its URL is written to url. */
struct canned;
struct canned *canned_start(const char *text, char url[64]);
/* Waits for its end; the request's head as it came, owned. */
char *canned_stop(struct canned *c);

#endif
