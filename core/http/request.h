/* SPDX-License-Identifier: Apache-2.0
 *
 * One request. The server makes it when a head is complete and calls the handler's begin;
 * the handler answers exactly once with req_reply, at once or later, whatever happened
 * meanwhile; when the reply has left (or failed) end is called once and the request is
 * gone. All on one worker.
 *
 *   begin -> [ gone ] -> req_reply by the handler -> end
 */
#ifndef HTTP_REQUEST_H
#define HTTP_REQUEST_H

#include "http/parse.h"
#include "loop/loop.h"
#include "loop/party.h"
#include "loop/tls.h"
#include "stream/source.h"

#define REQ_MAGIC 0x4E9E57A0U
#define REQ_ID_SIZE 20
#define REPLY_HEADERS_MAX 32
#define REQ_NOTES_MAX 16

/* Something the handler says about a request, for its line of the access log. */
struct req_note {
    struct req_note *next;
    const char *name;
    struct span value;
};

struct req {
    unsigned magic;
    struct worker *worker;
    struct http_head head; /* spans live until end */
    struct arena arena;    /* lives until end */
    char id[REQ_ID_SIZE];  /* 16 hex digits, unique enough to find in a log */
    const char *peer;      /* the other end of the connection, with its port */
    struct span address;   /* the client's, as far as it can be believed; no port */
    bool secure;           /* the client speaks TLS, to us or to a proxy that we trust */
    const char *listener;  /* the address it came in by */
    uint64_t began;        /* clock_now() */
    void *owner;           /* the handler's own */

    /* for the access log and the metrics; valid in end */
    int status;       /* 499: the client left before there was a reply */
    bool refused;     /* the head was at fault, and no handler knows of this */
    uint64_t replied; /* clock_now() when the reply began to leave; 0: it did not */
    uint64_t bytes_in, bytes_out;
    const char *tls;          /* "TLSv1.3"; NULL: none. Static */
    const char *app, *action; /* who answered, and what it was; static or in the arena */
    struct req_note *notes;   /* in the order they were made */
};

/* What is to be sent. Filled by the handler, in the request's arena or longer-lived
 * memory. */
struct reply {
    int status; /* 200 to 599 */
    struct http_header headers[REPLY_HEADERS_MAX];
    size_t n_headers;
    /* The body: bytes (lent until end), or a source (taken), or neither. With a source of
     * unknown size the body is chunked. */
    struct span bytes;
    struct source *source;
    /* With ranges set, a 200 to GET or HEAD honours Range, If-None-Match and
     * If-Modified-Since. */
    bool ranges;
    struct span etag;  /* with its quotes; empty for none */
    uint64_t modified; /* ns since 1970; 0 for none */
    bool close;        /* end the connection afterwards */
    /* What a HEAD says the length is when there is neither bytes nor source;
     * SIZE_UNKNOWN: say nothing. Used only for HEAD. */
    uint64_t length;
};

void reply_init(struct reply *r, int status);
/* Adds a header. 0, or E_INVALID for a name that is no token, a value with control
 * characters, a name that the server alone may set (Content-Length, Transfer-Encoding,
 * Connection, Date, Trailer, Upgrade, Keep-Alive), or too many. Borrows the spans until
 * end. */
int reply_header(struct reply *r, struct span name, struct span value);

struct http_handler {
    void (*begin)(struct req *q, void *arg);
    /* The client left, or a deadline passed, while the handler works: nothing that is
     * replied will be sent, but req_reply is still owed. May be called from the loop at
     * any time after begin, at most once, never from inside one of the handler's calls.
     */
    void (*gone)(struct req *q, void *arg);
    void (*end)(struct req *q, int rc, void *arg);
    void *arg;
};

/* Whether the connection is TLS; then what is known of it. */
bool req_tls(struct req *q, struct tls_facts *out);
/* Notes a copy of the value, in place of an earlier one of that name. What is more than
 * REQ_NOTES_MAX is left out, and a name that the access log has a field for itself; false
 * then. Values longer than 1 KiB are cut. */
bool req_note(struct req *q, struct span name, struct span value);
/* The value of a note; empty without one. */
struct span req_noted(const struct req *q, const char *name);

/* Does a body come with the request (Content-Length above 0, or chunked)? */
bool req_has_body(const struct req *q);
/* The body, once; a second call returns NULL, as does a request without a body. Its first
 * pull sends 100 Continue if the client waits for it. The caller closes it before
 * replying. Its size is Content-Length or SIZE_UNKNOWN. Fails with E_GONE, E_STALLED or a
 * framing fault. */
struct source *req_body(struct req *q);
/* The bytes of its bodies are charged to who, too, from here on; takes the reference. */
void req_pace(struct req *q, struct party *who, const struct rate *up,
              const struct rate *down);
/* Answers. Takes r->source. The caller must have closed the body's source. Never calls
 * end from inside. A reply that cannot be framed (a source of unknown size to HTTP/1.0)
 * closes the connection at its end. */
void req_reply(struct req *q, struct reply *r);
/* A short JSON body {"errors":[{"code":…,"message":…}]}, for faults that no script saw.
 * The text is escaped here; lent until return. */
void req_reply_error(struct req *q, int status, const char *code, struct span message);

#endif
