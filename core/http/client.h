/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests to other servers: HTTP/1.1 over TCP or TLS, on libcurl, one multi handle per
 * worker. A fetch is embedded by the caller like a store's op: fill it in, start it; done
 * runs exactly once, from the run queue of the worker that started it, never inside the
 * starting call.
 *
 *   fetch_init -> fetch_start -> done: the answer's head, and its body as a source
 *
 * The body is read with backpressure: what nobody pulls stays in the socket and in at
 * most one receive buffer. Closing it early drops the connection; one that was read to
 * its end keeps the connection for the next request.
 *
 * The request's body has left, or was given up, when done runs: its source is closed by
 * then. An answer of 300 or more that comes early ends the sending; an earlier one waits.
 *
 * What is decided here: http and https only; no user name in a URL; certificates are
 * verified; nothing of the environment counts (no http_proxy, no .netrc); bodies come as
 * they were sent, Content-Encoding and all; the path is sent as it is written. Neither
 * header values nor paths, which may be secret, are ever logged.
 */
#ifndef HTTP_CLIENT_H
#define HTTP_CLIENT_H

#include "http/parse.h"
#include "loop/worker.h"
#include "stream/source.h"

#define FETCH_MAGIC 0xFE7C4000U
#define FETCH_URL_MAX 8192
#define FETCH_HEADERS_MAX 100      /* of a request, and of an answer */
#define FETCH_HEAD_MAX (64 * 1024) /* bytes of an answer's header lines */
#define FETCH_CAUSE_SIZE 256
#define FETCH_FOLLOW_MAX 10

struct fetch {
    unsigned magic;
    void (*done)(struct fetch *f);

    /* The request. What is pointed to is lent until done; only source is taken. */
    const char *method; /* "GET" */
    const char *url;
    const struct http_header *headers;
    size_t n_headers;
    bool has_body; /* bytes, or the source if there is one */
    struct span bytes;
    struct source *source; /* chunked when its size is unknown */
    const char *ca;        /* file of certificates to trust; NULL: the system's */
    const char *proxy;     /* "http://host:port"; NULL: none */
    uint64_t connect;      /* ns, to a connection that can be used, TLS included */
    uint64_t stall;        /* ns, waiting for the other side without a byte moving */
    uint64_t whole;        /* ns, from the start to the last byte of the answer's body */
    uint64_t limit;        /* bytes of the answer's body; SIZE_UNKNOWN for none */
    /* Redirects to follow, of a GET or HEAD without a body. One that cannot be followed
     * is the answer: one too many, one from https to http, one to another scheme. To
     * another scheme, host or port only headers go along that are known to hold no
     * credentials. */
    unsigned follow;

    /* The outcome. 0, E_UPSTREAM, E_LATE, E_TOO_LARGE (a size past the limit),
     * E_CANCELLED, E_INVALID (the request cannot be sent), E_UNSUPPORTED (there is no
     * libcurl), E_IO (the CA file), or what the request's source failed with. The body
     * then fails with the first four of them. */
    int rc;
    char cause[FETCH_CAUSE_SIZE]; /* why, for the operator: may name addresses */
    /* Of a success. The spans live until the body is closed. */
    int status;
    const struct http_header *answer;
    size_t n_answer;
    struct source *body; /* never NULL; the caller's: it closes it */

    struct transfer *transfer; /* its own */
};

/* Fills in defaults: connect 10 s, stall 30 s, whole 1 h, no limit, nothing followed. */
void fetch_init(struct fetch *f, const char *method, const char *url,
                void (*done)(struct fetch *));
/* On a worker's thread. done follows. */
void fetch_start(struct fetch *f);
/* Asks it to end: done follows soon, with E_CANCELLED unless it was over. Harmless after
 * done: then the body's close is what ends it. */
void fetch_cancel(struct fetch *f);

/* Closes the idle connections of a worker and forgets what it had for fetches; on its
 * thread, with no fetch and no body left. Harmless when it had none. */
void http_client_free(struct worker *w);

#endif
