/* SPDX-License-Identifier: Apache-2.0
 *
 * The steps that send a reply: its head, then bytes from memory, or a source piped into
 * the connection, once per range.
 */
#include "base/log.h"
#include "http/session.h"

#include <errno.h>

#define LEND_MAX                                                                         \
    (256 * 1024) /* bytes; more goes in chunks, so that others have their turn */

static void piped(struct pipe *p)
{
    struct exchange *x = CONTAINER(p, struct exchange, pipe);
    x->piping = false;
    session_run(x->session);
}

static int start_part(struct exchange *x)
{
    struct source *source = x->reply.source;
    if (x->n_ranges > 1) {
        const struct http_range *r = &x->ranges[x->part];
        int rc = source_window(source, r->offset, r->n);
        if (rc)
            return rc;
        out_add(x, x->part_heads[x->part]);
    }
    out_start(x);
    pipe_init(&x->pipe, source, &x->out.sink, piped);
    uint64_t stall = x->session->server->limits.stall;
    x->pipe.patience = stall < x->pipe.patience ? stall : x->pipe.patience;
    x->piping = true;
    pipe_start(&x->pipe);
    return 0;
}

static enum next give_up(struct session *s, int rc)
{
    s->x->rc = rc;
    s->step = STEP_END;
    return NEXT;
}

/* A small body that lies in memory as a whole needs no pipe. Its source keeps it until
 * the end. */
static bool lend_memory(struct exchange *x)
{
    size_t n;
    if (x->n_ranges > 1 || x->size > LEND_MAX)
        return false;
    const uint8_t *p = source_memory(x->reply.source, &n);
    if (p)
        x->reply.bytes = (struct span){(const char *)p, n};
    return p != NULL;
}

enum next step_reply(struct session *s)
{
    struct exchange *x = s->x;
    uint64_t bound = s->server->limits.response;
    x->due = bound ? worker_now(s->server->worker) + bound : 0;
    conn_deadline(&s->conn, x->due);
    reply_plan(x);
    x->req.replied = clock_now();
    struct span head = reply_head(x);
    x->head_n = head.n + x->out.sent;
    for (int i = 0; i < x->out.count; i++) /* a 100 Continue that is still on its way */
        x->head_n += x->out.iov[i].iov_len;
    out_add(x, head);
    if (!x->reply.source || lend_memory(x)) {
        out_add(x, x->reply.bytes);
        s->step = STEP_FLUSH;
        return NEXT;
    }
    s->step = STEP_PIPE;
    int rc = start_part(x);
    if (rc == 0 && x->size == SIZE_UNKNOWN)
        out_flush(x); /* the first bytes may take their time; what fails now fails then */
    return rc ? give_up(s, rc) : WAIT;
}

/* There was no buffer for the body, and nothing was sent: another reply can take its
 * place. */
static enum next ask_for_patience(struct session *s)
{
    struct exchange *x = s->x;
    x->out.count = 0;
    source_close(x->reply.source);
    x->reply.source = NULL;
    x->replied = false;
    req_reply_error(&x->req, 503, "BUSY", span_of(err_text(E_BUSY)));
    reply_header(&x->reply, SPAN_LIT("Retry-After"), SPAN_LIT("5"));
    s->step = STEP_REPLY;
    return NEXT;
}

/* How many bytes this part must have had; SIZE_UNKNOWN if nobody said. */
static uint64_t part_size(const struct exchange *x)
{
    return x->n_ranges > 1 ? x->ranges[x->part].n : x->size;
}

/* Why the reply must end now, or 0. A source may have nothing to say for long: then a
 * client that has left is noticed here, not by sending to it. */
static int cut_reason(const struct session *s)
{
    if (s->aborted)
        return E_CANCELLED;
    if (s->conn.late)
        return E_STALLED;
    return s->conn.closed && !s->x->out.busy ? E_GONE : 0;
}

enum next step_pipe(struct session *s)
{
    struct exchange *x = s->x;
    int reason = cut_reason(s);
    if (reason && !x->cut && x->piping) {
        x->cut = true;
        pipe_cancel(&x->pipe, reason);
    }
    out_run(x);
    if (x->piping)
        return WAIT;
    int rc = x->pipe.rc;
    if (rc == 0 && part_size(x) != SIZE_UNKNOWN && x->pipe.stored != part_size(x))
        rc = E_CORRUPT;
    if (rc == E_BUSY && x->out.sent == 0)
        return ask_for_patience(s);
    if (rc) {
        session_log(x, "reply cut short", rc);
        return give_up(s, rc);
    }
    if (++x->part < x->n_ranges) {
        rc = start_part(x);
        return rc ? give_up(s, rc) : WAIT;
    }
    out_add(x, x->tail);
    s->step = STEP_FLUSH;
    return NEXT;
}

enum next step_flush(struct session *s)
{
    struct exchange *x = s->x;
    int rc = s->aborted ? E_CANCELLED : s->conn.late ? E_STALLED : out_flush(x);
    if (rc == -EAGAIN) {
        if (!x->waiting)
            session_patience(s);
        x->waiting = true;
        return WAIT;
    }
    if (rc)
        return give_up(s, rc == E_CANCELLED || rc == E_STALLED ? rc : E_GONE);
    s->step = STEP_END;
    return NEXT;
}
