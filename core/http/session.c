/* SPDX-License-Identifier: Apache-2.0 */
#include "http/session.h"

#include "base/log.h"
#include "base/metrics.h"
#include "http/access.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define LINGER_NS NS_PER_S
#define LINGER_MAX (4u << 20) /* bytes read and thrown away after the last reply */
#define STATUS_LEFT 499       /* for the access log, as others write it */
#define TURNS_MAX 16          /* pipelined requests in one run; others come in between */

static void name_request(struct http_server *server, char id[REQ_ID_SIZE])
{
    static const char hex[] = "0123456789abcdef";
    uint64_t n = server->next_id++;
    for (int i = 15; i >= 0; i--, n >>= 4)
        id[i] = hex[n & 15];
    id[16] = '\0';
}

static void on_paced(struct pace *p)
{
    conn_go_on(&CONTAINER(p, struct exchange, pace)->session->conn);
}

static struct exchange *exchange_open(struct session *s)
{
    struct exchange *x = stash_get(&s->server->exchanges);
    struct req *q = &x->req;
    q->magic = REQ_MAGIC;
    q->worker = s->server->worker;
    arena_init(&q->arena);
    q->peer = s->conn.peer;
    q->address = s->address;
    q->secure = s->conn.tls != NULL;
    q->listener = s->front->address;
    q->owner = NULL;
    q->status = 0;
    q->bytes_in = q->bytes_out = 0;
    q->refused = false;
    q->replied = 0;
    q->tls = s->conn.tls ? tls_version(&s->conn) : NULL;
    q->app = q->action = "none";
    q->notes = NULL;
    x->session = s;
    pace_init(&x->pace, s->server->worker, on_paced);
    x->reply.source = NULL;
    x->rc = 0;
    x->refused = x->replied = x->gone = x->keep = x->piping = x->cut = x->waiting = false;
    x->due = 0;
    x->head_n = 0;
    return x;
}

static void exchange_close(struct session *s)
{
    struct exchange *x = s->x;
    s->x = NULL;
    conn_pace(&s->conn, NULL);
    pace_fini(&x->pace);
    arena_reset(&x->req.arena);
    POISON(&x->req);
    stash_put(&s->server->exchanges, x);
}

static void give_buffer_back(struct session *s)
{
    if (s->buf)
        stash_put(&s->server->buffers, s->buf);
    s->buf = NULL;
}

void session_log(struct exchange *x, const char *what, int rc)
{
    struct span upload = req_noted(&x->req, "upload");
    const struct log_field fields[] = {
        {"id", span_of(x->req.id)},
        {"remote", span_of(x->req.peer)},
        {"fault", span_of(http_fault_name(rc))},
        {"why", span_of(http_fault_text(rc))},
        {"upload", upload},
    };
    size_t n = sizeof fields / sizeof fields[0];
    log_fields(LOG_WARN, what, fields, upload.n ? n : n - 1);
}

void session_patience(struct session *s)
{
    uint64_t due = worker_now(s->server->worker) + s->server->limits.stall;
    uint64_t last = s->x ? s->x->due : 0;
    conn_deadline(&s->conn, last && last < due ? last : due);
}

ssize_t session_take(struct session *s, void *to, size_t n)
{
    size_t unread = s->end - s->at;
    if (unread == 0)
        return s->conn.readable ? conn_recv(&s->conn, to, n) : -EAGAIN;
    n = n < unread ? n : unread;
    memcpy(to, s->buf + s->at, n);
    s->at += n;
    return (ssize_t)n;
}

ssize_t session_fill(struct session *s)
{
    if (!s->conn.readable)
        return -EAGAIN;
    if (!s->buf)
        s->buf = stash_get(&s->server->buffers);
    ssize_t n = conn_recv(&s->conn, s->buf + s->end, READ_BUFFER - s->end);
    if (n > 0)
        s->end += (size_t)n;
    else if (s->end == 0)
        give_buffer_back(s);
    return n;
}

enum next session_refuse(struct session *s, int rc)
{
    struct exchange *x = s->x ? s->x : (s->x = exchange_open(s));
    name_request(s->server, x->req.id);
    x->req.began = clock_now();
    session_log(x, "request refused", rc);
    x->refused = x->req.refused = true;
    metric_count(METRIC_requests_open, 1);
    x->req.head.minor = 1;
    x->req.head.n_headers = 0;
    x->req.head.method = SPAN_LIT("GET");
    x->req.head.has_length = x->req.head.chunked = x->req.head.keep_alive = false;
    body_init(x);
    out_init(x);
    req_reply_error(&x->req, http_fault_status(rc), http_fault_name(rc),
                    span_of(http_fault_text(rc)));
    s->step = STEP_REPLY;
    return NEXT;
}

/* For requests that are answered before anybody hears of them. */
static void nobody_ends(struct req *q, int rc, void *arg)
{
    (void)q;
    (void)rc;
    (void)arg;
}

static const struct http_handler nobody = {.end = nobody_ends};

static enum next begin(struct session *s, size_t head_n)
{
    struct exchange *x = s->x;
    s->at = head_n;
    s->head_due = 0;
    conn_deadline(&s->conn, 0);
    name_request(s->server, x->req.id);
    x->req.began = clock_now();
    metric_count(METRIC_requests_open, 1);
    if (s->trusted)
        greet_name(s, &x->req);
    body_init(x);
    out_init(x);
    s->step = STEP_HANDLE;
    x->handler = &nobody;
    if (!bounds_let_in(x))
        return NEXT;
    x->handler = s->server->handler;
    x->handler->begin(&x->req, x->handler->arg);
    return NEXT;
}

static ssize_t parse(struct session *s)
{
    s->x = exchange_open(s);
    ssize_t n = http_parse_head(s->buf, s->end, s->seen, &s->x->req.head);
    if (n == E_MORE)
        exchange_close(s);
    s->seen = s->end;
    return n;
}

static enum next step_head(struct session *s)
{
    uint64_t now = worker_now(s->server->worker);
    if (s->aborted)
        return DONE;
    for (;;) {
        if (s->end > s->seen) {
            ssize_t n = parse(s);
            if (n != E_MORE)
                return n < 0 ? session_refuse(s, (int)n) : begin(s, (size_t)n);
        }
        ssize_t got = session_fill(s);
        if (got == -EAGAIN)
            break;
        if (got <= 0)
            return DONE;
    }
    if (s->end == 0 && (s->conn.late || s->server->draining))
        return DONE;
    if (s->conn.late)
        return session_refuse(s, HTTP_FAULT_HEAD_LATE);
    if (s->end && !s->head_due)
        s->head_due = now + s->server->limits.head;
    conn_deadline(&s->conn, s->head_due ? s->head_due : now + s->server->limits.idle);
    return WAIT;
}

static enum next step_handle(struct session *s)
{
    struct exchange *x = s->x;
    body_run(x);
    if (!x->replied && !x->gone && !x->body.pulling && (s->conn.closed || s->aborted)) {
        x->gone = true;
        x->rc = E_GONE;
        x->handler->gone(&x->req, x->handler->arg);
    }
    if (!x->replied)
        return WAIT;
    x->req.status = x->gone ? STATUS_LEFT : x->reply.status;
    s->step = x->gone ? STEP_END : STEP_REPLY;
    return NEXT;
}

/* Makes room for the next request; pipelined bytes move to the front. */
static enum next start_over(struct session *s)
{
    exchange_close(s);
    s->end -= s->at;
    if (s->end)
        memmove(s->buf, s->buf + s->at, s->end);
    else
        give_buffer_back(s);
    s->at = s->seen = 0;
    s->step = STEP_HEAD;
    conn_deadline(&s->conn, 0);
    if (++s->turns < TURNS_MAX)
        return NEXT;
    session_kick(s);
    return WAIT;
}

static enum next step_end(struct session *s)
{
    struct exchange *x = s->x;
    bool tidy = !x->refused && !x->req.head.keep_alive && s->at == s->end;
    x->req.bytes_out = x->out.sent > x->head_n ? x->out.sent - x->head_n : 0;
    out_fini(x);
    source_close(x->reply.source);
    x->reply.source = NULL;
    metric_count(METRIC_requests_open, -1);
    access_end(&x->req, x->rc);
    if (!x->refused)
        x->handler->end(&x->req, x->rc, x->handler->arg);
    if (x->rc) {
        conn_tear(&s->conn); /* a reply that ended early must not look whole */
        return DONE;
    }
    if (x->keep) {
        s->step = STEP_DRAIN;
    } else if (tidy && body_ended(&x->body)) {
        return DONE;
    } else {
        conn_shutdown(&s->conn);
        conn_deadline(&s->conn, worker_now(s->server->worker) + LINGER_NS);
        s->step = STEP_LINGER;
    }
    return NEXT;
}

static enum next step_drain(struct session *s)
{
    int rc = body_discard(s->x);
    if (rc == 0)
        return start_over(s);
    if (rc != -EAGAIN || s->conn.late || s->aborted)
        return DONE;
    session_patience(s);
    return WAIT;
}

/* Closing with unread bytes would send a reset, which can overtake the reply: read on
 * until the client has seen our end, for a while. */
static enum next step_linger(struct session *s)
{
    if (s->conn.late || s->aborted)
        return DONE;
    while (s->lingered < LINGER_MAX) {
        s->at = s->end = 0;
        ssize_t n = session_fill(s);
        if (n == -EAGAIN)
            return WAIT;
        if (n <= 0)
            return DONE;
        s->lingered += (size_t)n;
    }
    return DONE;
}

static void session_close(struct session *s)
{
    worker_undefer(s->server->worker, &s->call);
    if (s->x)
        exchange_close(s);
    conn_fini(&s->conn);
    give_buffer_back(s);
    server_forget(s);
    metric_count(METRIC_connections_open, -1);
    bounds_dismiss(s->front, s->guest);
    front_unref(s->front);
    free(s->shown);
    POISON(s);
    free(s);
}

void session_run(struct session *s)
{
    static enum next (*const steps[])(struct session *) = {
        [STEP_GREET] = step_greet, [STEP_HEAD] = step_head,   [STEP_HANDLE] = step_handle,
        [STEP_REPLY] = step_reply, [STEP_PIPE] = step_pipe,   [STEP_FLUSH] = step_flush,
        [STEP_END] = step_end,     [STEP_DRAIN] = step_drain, [STEP_LINGER] = step_linger,
    };
    enum next next = NEXT;
    CHECK(s, SESSION_MAGIC);
    assert(!s->running);
    s->running = true;
    s->turns = 0;
    while (next == NEXT)
        next = steps[s->step](s);
    s->running = false;
    if (next == DONE)
        session_close(s);
}

static void on_call(struct call *c)
{
    session_run(CONTAINER(c, struct session, call));
}

static void on_wake(struct conn *c)
{
    session_run(CONTAINER(c, struct session, conn));
}

void session_kick(struct session *s)
{
    if (!s->call.queued)
        worker_defer(s->server->worker, &s->call);
}

struct session *session_open(struct http_server *server, int fd, const char *peer,
                             struct front *front, struct party *guest)
{
    struct session *s = xalloc(sizeof *s);
    if (conn_init(&s->conn, server->worker, fd, peer, on_wake) != 0) {
        free(s);
        return NULL;
    }
    s->magic = SESSION_MAGIC;
    s->server = server;
    s->front = front_ref(front);
    s->guest = guest;
    s->call.fn = on_call;
    list_init(&s->link);
    metric_count(METRIC_connections_total, 1);
    metric_count(METRIC_connections_open, 1);
    greet_init(s);
    bool greet = front->tls || !s->introduced;
    uint64_t wait = greet ? server->limits.head : server->limits.idle;
    s->step = greet ? STEP_GREET : STEP_HEAD;
    conn_deadline(&s->conn, worker_now(server->worker) + wait);
    return s;
}
