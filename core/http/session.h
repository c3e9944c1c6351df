/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside the server: one session per connection, one exchange per request. For the files
 * of this room only.
 *
 * A session is always in one step; session_run takes it from step to step until one
 * waits. It runs on a wake of the connection, when a pipe ends, and when somebody asked
 * for it by session_kick. An exchange lives from a head's first complete parse to the end
 * of its reply; exchanges and read buffers are lent by the server, and an idle connection
 * holds neither.
 *
 *   [GREET] -> HEAD -> HANDLE -> REPLY -> [PIPE] -> FLUSH -> END -> [DRAIN] -> HEAD
 *                                                  \-> [LINGER] -> closed
 */
#ifndef HTTP_SESSION_H
#define HTTP_SESSION_H

#include "base/clock.h"
#include "base/list.h"
#include "http/chunked.h"
#include "http/fields.h"
#include "http/server.h"
#include "loop/conn.h"
#include "stream/pipe.h"

#define SESSION_MAGIC 0x5E5510A0U
#define READ_BUFFER (HTTP_HEAD_MAX + 4096) /* a head, and room for a chunked body */
#define DRAIN_MAX (64 * 1024)              /* of an unread body, to keep a connection */
#define OUT_IOV 8

enum next { NEXT, WAIT, DONE };

enum step {
    STEP_GREET,
    STEP_HEAD,
    STEP_HANDLE,
    STEP_REPLY,
    STEP_PIPE,
    STEP_FLUSH,
    STEP_END,
    STEP_DRAIN,
    STEP_LINGER,
};

/* The body that comes with a request (body.c). */
struct body {
    struct source source;
    struct chunked chunked;
    uint64_t left;  /* of Content-Length */
    int failed;     /* what every later pull answers */
    size_t framing; /* where behind the head chunk framing is read to */
    size_t drained;
    bool taken, open; /* by req_body; until its close */
    bool owes_continue;
    bool pulling, cancelled;
    bool running; /* body_run is on the stack */
    uint8_t *to;  /* the pull */
    size_t cap, filled;
    uint64_t hold_due; /* when what came must go on, though the buffer is not full */
};

/* Bytes on their way to the client (out.c). */
struct out {
    struct sink sink;
    struct iovec iov[OUT_IOV]; /* not sent yet */
    int count;
    uint64_t sent;
    char line[24]; /* a chunk's size line */
    bool busy;     /* a push, splice or await is to be answered */
    bool cancelled, corked, warming, awaiting;
    size_t pushed;      /* of the push */
    int file;           /* of the splice */
    off_t offset, warm; /* the next byte; pages before this offset are in memory */
    uint64_t left;
    struct job job;
};

struct exchange {
    struct req req; /* first, for the pool's sake */
    struct session *session;
    const struct http_handler *handler; /* the one that it began with */
    struct reply reply;
    struct body body;
    struct out out;
    struct pipe pipe;
    struct pace pace; /* of both bodies */
    int rc;           /* how it ended */
    bool refused;     /* the head was at fault: no handler knows of this */
    bool replied, gone;
    bool keep;          /* the connection goes on afterwards */
    bool piping;        /* between pipe_start and its done */
    bool cut;           /* the pipe was cancelled */
    bool waiting;       /* in the last flush */
    bool chunked;       /* the reply is */
    uint64_t due;       /* for the whole response; 0 for no bound */
    size_t head_n;      /* bytes of the reply's head */
    uint64_t size;      /* of the body to send, or SIZE_UNKNOWN */
    bool bodyless;      /* the status or the method forbids one */
    int n_ranges, part; /* of a 206 */
    bool unmet;         /* no range that was asked for exists: our own 416 */
    struct http_range ranges[HTTP_RANGES_MAX];
    uint64_t whole; /* the representation's size, for Content-Range */
    struct span part_heads[HTTP_RANGES_MAX];
    struct span tail; /* what ends the body: the last chunk or boundary */
};

struct session {
    unsigned magic;
    struct conn conn;
    struct list link; /* in the server's list */
    struct http_server *server;
    struct front *front;  /* counted */
    struct net_addr from; /* where it comes from, if `trusted` */
    struct span address;  /* the same as text, in conn.peer or `shown` */
    char *shown;          /* owned; NULL unless a PROXY header told it */
    bool trusted;         /* the other end is a proxy that we believe */
    bool introduced;      /* its PROXY header was read, or it sends none */
    struct party *guest;  /* the peer's address, where this connection counts; or NULL */
    struct call call;
    enum step step;
    bool running, aborted;
    char *buf;         /* READ_BUFFER, or NULL */
    size_t at, end;    /* unread bytes; those before `at` are the head in use */
    size_t seen;       /* of them the parser has */
    uint64_t head_due; /* or the greeting's */
    size_t lingered;
    unsigned turns; /* requests finished in this run */
    struct exchange *x;
};

struct stash { /* equal pieces of memory kept for the next user */
    void *first;
    size_t count, size;
};

struct http_server {
    struct worker *worker;
    struct http_limits limits;
    const struct http_handler *handler;
    struct list sessions;
    size_t count;
    struct lane *lane; /* for reads that warm the page cache */
    struct stash buffers, exchanges;
    uint64_t next_id;
    uint64_t date_s;
    char date[HTTP_DATE_SIZE];
    bool draining;
    void (*drained)(void *);
    void *drained_arg;
    struct call drained_call;
};

/* server.c: what sessions borrow */
void *stash_get(struct stash *k);
void stash_put(struct stash *k, void *p);
const char *server_date(struct http_server *s);
void server_forget(struct session *s);

/* session.c */
struct session *session_open(struct http_server *server, int fd, const char *peer,
                             struct front *front, struct party *guest);
void session_run(struct session *s);
/* Has session_run called from the run queue. */
void session_kick(struct session *s);
/* The deadline of a wait for the peer: `stall` from now, within the response's own. */
void session_patience(struct session *s);
/* Takes up to n unread bytes, from the buffer or the socket: > 0, 0 at the end of the
 * stream, or -errno. */
ssize_t session_take(struct session *s, void *to, size_t n);
/* Appends what the socket has to the buffer; the same results. */
ssize_t session_fill(struct session *s);
void session_log(struct exchange *x, const char *what, int rc);

/* greet.c: what comes before the first head */
enum next step_greet(struct session *s);
void greet_init(struct session *s);
/* Tells the request who the client is. */
void greet_name(struct session *s, struct req *q);
/* Answers a head, or what came instead of one, that no handler gets to see. */
enum next session_refuse(struct session *s, int fault);

/* body.c */
void body_init(struct exchange *x);
bool body_ended(const struct body *b);
/* Serves the outstanding pull as far as bytes are there. */
void body_run(struct exchange *x);
/* Throws away what comes of the body. 0 at its end, -EAGAIN, E_TOO_LARGE past DRAIN_MAX,
 * or a failure. */
int body_discard(struct exchange *x);
struct source *body_open(struct exchange *x);

/* reply.c: decides status, framing and ranges, and writes the head */
void reply_plan(struct exchange *x);
struct span reply_head(struct exchange *x);

/* out.c */
void out_init(struct exchange *x);
/* Makes the sink ready for a pipe; reply_plan has decided on chunks. */
void out_start(struct exchange *x);
void out_add(struct exchange *x, struct span bytes);
/* Sends what was added. 0, -EAGAIN, or -errno. */
int out_flush(struct exchange *x);
void out_run(struct exchange *x);
void out_fini(struct exchange *x);

/* send.c: steps */
enum next step_reply(struct session *s);
enum next step_pipe(struct session *s);
enum next step_flush(struct session *s);

static inline struct exchange *exchange_of(struct req *q)
{
    CHECK(q, REQ_MAGIC);
    return CONTAINER(q, struct exchange, req);
}

#endif
