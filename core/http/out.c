/* SPDX-License-Identifier: Apache-2.0
 *
 * The way to the client: a few pieces of memory that are waiting to be sent, and the sink
 * that a reply's source is piped into, plain or chunked. A plain reply from a file is
 * spliced in slices; before each slice the page cache is asked whether it has the pages,
 * and a job reads them when it has not, so that a cold disk never blocks the worker.
 */
#include "http/session.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SMALL (32 * 1024)        /* bytes; cheaper copied than spliced */
#define SLICE (1024 * 1024)      /* sent in one run, then others have their turn */
#define READAHEAD (4 * SLICE)    /* asked of the kernel when a slice is cold */
#define PROBE (SLICE / 4)        /* distance of the pages looked at */
#define WARM_PIECE (16 * 1024)   /* of a pool thread's stack */
#define OUT_LATER (-EINPROGRESS) /* goes on without a wake of the connection */

static struct exchange *owner_of(struct out *o)
{
    return CONTAINER(o, struct exchange, out);
}

static struct out *out_of(struct sink *k)
{
    CHECK(k, SINK_MAGIC);
    return CONTAINER(k, struct out, sink);
}

void out_add(struct exchange *x, struct span bytes)
{
    struct out *o = &x->out;
    if (bytes.n == 0)
        return;
    assert(o->count < OUT_IOV);
    o->iov[o->count++] = (struct iovec){(void *)bytes.p, bytes.n};
}

static void drop_sent(struct out *o, size_t n)
{
    int gone = 0;
    o->sent += n;
    while (gone < o->count && n >= o->iov[gone].iov_len)
        n -= o->iov[gone++].iov_len;
    o->count -= gone;
    memmove(o->iov, o->iov + gone, (size_t)o->count * sizeof o->iov[0]);
    if (n) {
        o->iov[0].iov_base = (char *)o->iov[0].iov_base + n;
        o->iov[0].iov_len -= n;
    }
}

int out_flush(struct exchange *x)
{
    struct out *o = &x->out;
    while (o->count) {
        ssize_t n = conn_writev(&x->session->conn, o->iov, o->count);
        if (n < 0)
            return (int)n;
        drop_sent(o, (size_t)n);
        if (o->count)
            session_patience(x->session);
    }
    return 0;
}

/* Only a file system that says "not now" is worth a job; one that cannot say is taken to
 * be memory. */
static bool is_warm(int file, off_t offset, size_t n)
{
    for (size_t at = 0;; at = at + PROBE < n ? at + PROBE : n - 1) {
        char byte;
        struct iovec iov = {&byte, 1};
        if (preadv2(file, &iov, 1, offset + (off_t)at, RWF_NOWAIT) < 0 && errno == EAGAIN)
            return false;
        if (at + 1 >= n)
            return true;
    }
}

static size_t slice_of(const struct out *o)
{
    return o->left < SLICE ? (size_t)o->left : SLICE;
}

static void warm_work(struct job *job)
{
    struct out *o = CONTAINER(job, struct out, job);
    char nowhere[WARM_PIECE];
    off_t end = o->offset + (off_t)slice_of(o);
    posix_fadvise(o->file, o->offset, READAHEAD, POSIX_FADV_WILLNEED);
    for (off_t at = o->offset; at < end; at += WARM_PIECE)
        if (pread(o->file, nowhere, sizeof nowhere, at) <= 0)
            break; /* sendfile will meet the same and say so */
}

static void warm_done(struct job *job)
{
    struct out *o = CONTAINER(job, struct out, job);
    o->warming = false;
    o->warm = o->offset + (off_t)slice_of(o);
    session_run(owner_of(o)->session);
}

static int make_warm(struct exchange *x)
{
    struct out *o = &x->out;
    size_t n = slice_of(o);
    if (is_warm(o->file, o->offset, n)) {
        o->warm = o->offset + (off_t)n;
        return 0;
    }
    o->warming = true;
    o->job = (struct job){.work = warm_work, .done = warm_done};
    conn_deadline(&x->session->conn, x->due); /* the disk is slow, not the client */
    job_submit(x->session->server->lane, &o->job);
    return OUT_LATER;
}

/* At most a slice. 0 when the whole file is sent. */
static int splice_on(struct exchange *x)
{
    struct out *o = &x->out;
    uint64_t before = o->left;
    while (o->left && before - o->left < SLICE) {
        if (o->offset >= o->warm) {
            int rc = make_warm(x);
            if (rc)
                return rc;
        }
        size_t n = (size_t)(o->warm - o->offset);
        ssize_t sent = conn_sendfile(&x->session->conn, o->file, &o->offset, n);
        if (sent == 0)
            return E_CORRUPT; /* the file has become shorter */
        if (sent < 0)
            return (int)sent;
        o->left -= (uint64_t)sent;
        o->sent += (uint64_t)sent;
        o->sink.moved += (uint64_t)sent;
        session_patience(x->session);
    }
    if (o->left == 0)
        return 0;
    session_kick(x->session);
    return OUT_LATER;
}

/* For an await. Nothing is sent before there are bytes of the body: until then another
 * reply can take this one's place. */
static int look(struct out *o)
{
    return conn_is_roomy(&owner_of(o)->session->conn) ? 0 : -EAGAIN;
}

void out_run(struct exchange *x)
{
    struct out *o = &x->out;
    if (!o->busy || o->warming)
        return;
    int rc = o->cancelled ? E_CANCELLED : o->awaiting ? look(o) : out_flush(x);
    if (rc == 0 && o->left)
        rc = splice_on(x);
    if (rc == -EAGAIN || rc == OUT_LATER)
        return;
    if (rc == 0)
        o->sink.moved += o->pushed;
    o->pushed = 0;
    if (!o->awaiting)
        o->count = 0;
    o->busy = o->awaiting = false;
    conn_deadline(&x->session->conn, x->due); /* waiting for the source is its affair */
    sink_answer(&o->sink, rc > -4096 && rc < 0 ? E_GONE : rc);
}

static void start(struct out *o)
{
    o->busy = true;
    session_patience(owner_of(o)->session);
    out_run(owner_of(o));
}

static void plain_push(struct sink *k, const uint8_t *p, size_t n)
{
    struct out *o = out_of(k);
    out_add(owner_of(o), (struct span){(const char *)p, n});
    o->pushed = n;
    start(o);
}

static void chunked_push(struct sink *k, const uint8_t *p, size_t n)
{
    struct out *o = out_of(k);
    struct exchange *x = owner_of(o);
    int line = snprintf(o->line, sizeof o->line, "%zx\r\n", n);
    out_add(x, (struct span){o->line, (size_t)line});
    out_add(x, (struct span){(const char *)p, n});
    out_add(x, SPAN_LIT("\r\n"));
    o->pushed = n;
    start(o);
}

static void plain_splice(struct sink *k, int fd, uint64_t offset, uint64_t n)
{
    struct out *o = out_of(k);
    o->file = fd;
    o->offset = o->warm = (off_t)offset;
    o->left = n;
    if (o->count && !o->corked)
        conn_cork(&owner_of(o)->session->conn, o->corked = true);
    start(o);
}

static void await(struct sink *k)
{
    struct out *o = out_of(k);
    o->awaiting = true;
    start(o);
}

static void cancel(struct sink *k)
{
    struct out *o = out_of(k);
    o->cancelled = true;
    session_kick(owner_of(o)->session);
}

static const struct sink_ops plain_ops = {
    .name = "http reply",
    .push = plain_push,
    .splice = plain_splice,
    .await = await,
    .cancel = cancel,
};

/* Too small to splice: head and body leave in one call, from one buffer. */
static const struct sink_ops small_ops = {
    .name = "http reply",
    .push = plain_push,
    .cancel = cancel,
};

static const struct sink_ops chunked_ops = {
    .name = "http reply",
    .push = chunked_push,
    .await = await,
    .cancel = cancel,
};

void out_init(struct exchange *x)
{
    struct out *o = &x->out;
    o->count = 0;
    o->sent = o->left = 0;
    o->pushed = 0;
    o->busy = o->cancelled = o->corked = o->warming = o->awaiting = false;
}

void out_start(struct exchange *x)
{
    const struct sink_ops *whole = x->size <= SMALL ? &small_ops : &plain_ops;
    sink_init(&x->out.sink, x->chunked ? &chunked_ops : whole);
}

void out_fini(struct exchange *x)
{
    if (x->out.corked)
        conn_cork(&x->session->conn, x->out.corked = false);
}
