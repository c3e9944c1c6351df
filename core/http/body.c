/* SPDX-License-Identifier: Apache-2.0
 *
 * The body of a request as a source. A pull is answered when its buffer is full, the body
 * has ended or the client is too slow to fill it soon, so that what is behind it works on
 * large pieces; bytes that arrived before a failure are given first, then the failure. An
 * await is a pull without room.
 *
 * Plain bodies are received straight into the puller's buffer. Of chunked ones only the
 * framing and what arrived with it passes through the read buffer, behind the head.
 */
#include "base/metrics.h"
#include "http/session.h"

#include <errno.h>
#include <string.h>

#define HOLD_NS (100 * NS_PER_MS) /* a buffer waits so long to become full */

static const struct span continue_line = SPAN_LIT("HTTP/1.1 100 Continue\r\n\r\n");

static struct exchange *owner_of(struct body *b)
{
    return CONTAINER(b, struct exchange, body);
}

static struct body *body_of(struct source *source)
{
    return CONTAINER(source, struct body, source);
}

bool body_ended(const struct body *b)
{
    const struct exchange *x = CONTAINER((void *)b, struct exchange, body);
    return x->req.head.chunked ? b->chunked.done : b->left == 0;
}

static ssize_t take_plain(struct exchange *x, uint8_t *to, size_t cap)
{
    struct body *b = &x->body;
    ssize_t n = session_take(x->session, to, b->left < cap ? (size_t)b->left : cap);
    if (n > 0)
        b->left -= (uint64_t)n;
    return n;
}

/* What comes next is data alone, and nothing of it is in the read buffer. */
static ssize_t take_run(struct exchange *x, uint8_t *to, size_t cap)
{
    struct body *b = &x->body;
    uint64_t run = chunked_run(&b->chunked);
    ssize_t n = session_take(x->session, to, run < cap ? (size_t)run : cap);
    if (n > 0)
        chunked_took(&b->chunked, (uint64_t)n);
    return n;
}

static ssize_t take_chunked(struct exchange *x, uint8_t *to, size_t cap)
{
    struct session *s = x->session;
    struct body *b = &x->body;
    while (!b->chunked.done) {
        size_t used, data_n;
        const char *data;
        if (s->at == s->end) {
            if (chunked_run(&b->chunked))
                return take_run(x, to, cap);
            s->at = s->end = b->framing;
            ssize_t got = session_fill(s);
            if (got <= 0)
                return got;
        }
        size_t n = s->end - s->at < cap ? s->end - s->at : cap;
        int rc = chunked_decode(&b->chunked, s->buf + s->at, n, &used, &data, &data_n);
        s->at += used;
        if (rc)
            return rc;
        if (data_n) {
            memcpy(to, data, data_n);
            return (ssize_t)data_n;
        }
    }
    return 0;
}

/* 1 to cap bytes of the body, 0 at its end, -EAGAIN, or a failure. A body whose length was
 * told is within the bound. */
static ssize_t take(struct exchange *x, uint8_t *to, size_t cap)
{
    uint64_t most = x->session->front->bounds.body;
    if (body_ended(&x->body))
        return 0;
    ssize_t n = x->req.head.chunked ? take_chunked(x, to, cap) : take_plain(x, to, cap);
    if (n > 0)
        x->req.bytes_in += (uint64_t)n;
    if (most && x->req.bytes_in > most)
        return E_TOO_LARGE;
    if (n > 0 || n == -EAGAIN || http_is_fault((int)n) || body_ended(&x->body))
        return n;
    return E_GONE; /* the end of the stream, or a reset */
}

static void answer(struct body *b, ssize_t n)
{
    b->pulling = false;
    conn_deadline(&owner_of(b)->session->conn, 0);
    source_answer(&b->source, n);
}

static void fail(struct body *b, int rc)
{
    struct exchange *x = owner_of(b);
    b->failed = rc;
    if (http_is_fault(rc))
        session_log(x, "body refused", rc);
}

/* For an await: is it worth a pull? The end of the stream is. */
static ssize_t look(struct exchange *x)
{
    struct session *s = x->session;
    bool ready = body_ended(&x->body) || s->at < s->end || s->conn.readable;
    return ready ? 1 : -EAGAIN;
}

/* A buffer that is not full yet waits for more, as full ones cost less each; but not long,
 * nor at all while others wait for buffers. */
static bool may_hold(struct exchange *x)
{
    struct body *b = &x->body;
    struct conn *c = &x->session->conn;
    uint64_t now = worker_now(x->session->server->worker);
    if (!b->hold_due)
        b->hold_due = now + HOLD_NS;
    if (c->late || now >= b->hold_due || bufpool_is_scarce())
        return false;
    conn_deadline(c, b->hold_due);
    return true;
}

/* One round of a pull. false: nothing more can be done now. */
static bool serve(struct exchange *x)
{
    struct session *s = x->session;
    struct body *b = &x->body;
    ssize_t n = 0;
    if (!b->failed && (b->cancelled || s->aborted || x->gone))
        fail(b, b->cancelled ? E_CANCELLED : E_GONE);
    if (!b->failed) {
        n = b->cap ? take(x, b->to + b->filled, b->cap - b->filled) : look(x);
        if (n == -EAGAIN && b->filled ? may_hold(x) : n == -EAGAIN && !s->conn.late)
            return false;
        if (n < 0 && !(n == -EAGAIN && b->filled))
            fail(b, n == -EAGAIN ? E_STALLED : (int)n);
    }
    if (n > 0) {
        b->filled += (size_t)n;
        session_patience(s);
    }
    if (n <= 0 || b->filled >= b->cap)
        answer(b, b->filled ? (ssize_t)b->filled : b->failed);
    return true;
}

void body_run(struct exchange *x)
{
    struct body *b = &x->body;
    if (b->running)
        return;
    b->running = true; /* an answer may bring the next pull */
    while (b->pulling && serve(x))
        ;
    b->running = false;
}

int body_discard(struct exchange *x)
{
    struct body *b = &x->body;
    uint8_t nowhere[8192];
    if (b->failed)
        return b->failed;
    while (!body_ended(b)) {
        if (b->drained > DRAIN_MAX)
            return E_TOO_LARGE;
        ssize_t n = take(x, nowhere, sizeof nowhere);
        if (n < 0)
            return (int)n;
        b->drained += (size_t)n;
    }
    return 0;
}

static void body_pull(struct source *source, uint8_t *buf, size_t cap)
{
    struct body *b = body_of(source);
    struct exchange *x = owner_of(b);
    b->to = buf;
    b->cap = cap;
    b->filled = 0;
    b->hold_due = 0;
    b->pulling = true;
    if (b->owes_continue && x->session->at == x->session->end) {
        out_add(x, continue_line);
        out_flush(x); /* what does not fit now goes before the reply */
    }
    b->owes_continue = false;
    session_patience(x->session);
    body_run(x);
}

static void body_await(struct source *source)
{
    body_pull(source, NULL, 0);
}

static void body_cancel(struct source *source)
{
    struct body *b = body_of(source);
    b->cancelled = true;
    session_kick(owner_of(b)->session);
}

static void body_close(struct source *source)
{
    struct body *b = CONTAINER(source, struct body, source);
    assert(!b->pulling);
    b->open = false;
    metric_count(METRIC_bodies_open, -1);
}

static const struct source_ops body_ops = {
    .name = "http body",
    .pull = body_pull,
    .await = body_await,
    .cancel = body_cancel,
    .close = body_close,
};

void body_init(struct exchange *x)
{
    struct body *b = &x->body;
    const struct http_head *h = &x->req.head;
    *b = (struct body){.left = h->has_length ? h->length : 0, .framing = x->session->at};
    chunked_init(&b->chunked);
    b->owes_continue = h->expects_continue && !body_ended(b);
}

struct source *body_open(struct exchange *x)
{
    struct body *b = &x->body;
    const struct http_head *h = &x->req.head;
    if (b->taken || !req_has_body(&x->req))
        return NULL;
    b->taken = b->open = true;
    metric_count(METRIC_bodies_open, 1);
    source_init(&b->source, &body_ops, h->chunked ? SIZE_UNKNOWN : h->length);
    return &b->source;
}
