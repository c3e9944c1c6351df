/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/unit/http_origin.h"

#include "base/clock.h"
#include "base/log.h"
#include "loop/acceptor.h"
#include "stream/bufpool.h"
#include "stream/memory.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ECHO_MAX (4u << 20)

static struct origin *origin;

/* -- what it answers with ---------------------------------------------------------- */

/* Bytes of the pattern, again and again; then the end, or silence. */
struct spring {
    struct source source;
    uint64_t left;
    bool dries; /* gives no more, and does not end */
};

static void spring_pull(struct source *s, uint8_t *buf, size_t cap)
{
    struct spring *p = CONTAINER(s, struct spring, source);
    size_t n = p->left < cap ? (size_t)p->left : cap;
    if (n == 0 && p->dries)
        return;
    n = n < TOY_PATTERN_SIZE ? n : TOY_PATTERN_SIZE;
    memcpy(buf, toy_pattern(), n);
    p->left -= n;
    atomic_fetch_add(&origin->given, n);
    source_answer(s, (ssize_t)n);
}

static void spring_await(struct source *s)
{
    struct spring *p = CONTAINER(s, struct spring, source);
    if (p->left || !p->dries)
        source_answer(s, 1);
}

static void spring_cancel(struct source *s)
{
    if (CONTAINER(s, struct spring, source)->dries)
        source_answer(s, E_CANCELLED);
}

static void spring_close(struct source *s)
{
    free(CONTAINER(s, struct spring, source));
}

static struct source *spring_new(uint64_t left, uint64_t size, bool dries)
{
    static const struct source_ops ops = {.name = "spring",
                                          .pull = spring_pull,
                                          .await = spring_await,
                                          .cancel = spring_cancel,
                                          .close = spring_close};
    struct spring *p = xalloc(sizeof *p);
    source_init(&p->source, &ops, size);
    p->left = left;
    p->dries = dries;
    return &p->source;
}

struct visit {
    struct req *q;
    struct source *body;
    struct memory_sink sink;
    struct pipe pipe;
    bool held;
};

static void echoed(struct pipe *p)
{
    struct visit *v = CONTAINER(p, struct visit, pipe);
    struct reply r;
    source_close(v->body);
    reply_init(&r, p->rc ? 400 : 200);
    r.bytes = (struct span){(char *)v->sink.p, v->sink.n};
    reply_header(&r, SPAN_LIT("X-Framing"),
                 v->q->head.chunked ? SPAN_LIT("chunked") : SPAN_LIT("length"));
    req_reply(v->q, &r);
}

static bool echo(struct visit *v)
{
    v->body = req_body(v->q);
    if (!v->body)
        return false;
    pipe_init(&v->pipe, v->body, &v->sink.sink, echoed);
    pipe_start(&v->pipe);
    return true;
}

static struct span show(struct req *q)
{
    const struct http_head *h = &q->head;
    char *text =
        arena_printf(&q->arena, "%.*s %.*s\n", SPAN_ARG(h->method), SPAN_ARG(h->target));
    for (size_t i = 0; i < h->n_headers; i++)
        text = arena_printf(&q->arena, "%s%.*s: %.*s\n", text,
                            SPAN_ARG(h->headers[i].name), SPAN_ARG(h->headers[i].value));
    return span_of(text);
}

static void fill(struct reply *r, struct req *q)
{
    struct span path = q->head.path;
    if (span_is(path, "/hello")) {
        r->bytes = SPAN_LIT("hello");
        reply_header(r, SPAN_LIT("X-Two"), SPAN_LIT("1"));
        reply_header(r, SPAN_LIT("X-Two"), SPAN_LIT("2"));
    } else if (span_is(path, "/show")) {
        r->bytes = show(q);
    } else if (span_is(path, "/big")) {
        r->source = spring_new(ORIGIN_BIG, ORIGIN_BIG, false);
    } else if (span_is(path, "/stream")) {
        r->source = spring_new(ORIGIN_BIG, SIZE_UNKNOWN, false);
    } else if (span_is(path, "/short")) {
        r->source = spring_new(1000, 2000, false);
    } else if (span_is(path, "/drip")) {
        r->source = spring_new(1, 2, true);
    } else if (span_is(path, "/early")) {
        r->status = 413;
        r->bytes = SPAN_LIT("too much");
    } else if (span_is(path, "/to")) {
        r->status = 302;
        r->bytes = SPAN_LIT("elsewhere");
        reply_header(r, SPAN_LIT("Location"), q->head.query);
    } else if (span_is(path, "/empty")) {
        r->status = 204;
    }
}

static void on_begin(struct req *q, void *arg)
{
    struct visit *v = xalloc(sizeof *v);
    struct reply r;
    (void)arg;
    v->q = q;
    q->owner = v;
    memory_sink_init(&v->sink, ECHO_MAX);
    atomic_fetch_add(&origin->requests, 1);
    if (origin->began)
        origin->began();
    v->held = span_is(q->head.path, "/held");
    if (v->held || (span_is(q->head.path, "/echo") && echo(v)))
        return;
    reply_init(&r, 200);
    fill(&r, q);
    req_reply(q, &r);
}

static void on_gone(struct req *q, void *arg)
{
    struct visit *v = q->owner;
    struct reply r;
    (void)arg;
    atomic_fetch_add(&origin->gone, 1);
    if (v->held) {
        reply_init(&r, 200);
        req_reply(q, &r);
    }
}

static void on_end(struct req *q, int rc, void *arg)
{
    struct visit *v = q->owner;
    (void)rc;
    (void)arg;
    memory_sink_fini(&v->sink);
    free(v);
    if (origin->ended)
        origin->ended();
}

/* -- its life ---------------------------------------------------------------------- */

static struct worker *trials;

static void take(void *arg, int fd, const char *peer)
{
    struct origin *o = arg;
    atomic_fetch_add(&o->connections, 1);
    http_server_take(o->server, fd, peer, o->front, NULL);
}

static void setup(void *arg)
{
    static const struct http_handler handler = {on_begin, on_gone, on_end, NULL};
    struct origin *o = arg;
    o->server = http_server_new(o->worker, &o->limits, &handler);
    EXPECT_EQ(acceptor_open(o->worker, "127.0.0.1:0", take, o, &o->acceptor), 0);
    snprintf(o->base, sizeof o->base, "http://%s", acceptor_address(o->acceptor));
    sem_post(&o->ready);
}

static void teardown(void *arg)
{
    struct origin *o = arg;
    http_server_free(o->server);
}

void origin_start(struct origin *o, uint64_t stall)
{
    uint64_t wait = 20 * NS_PER_S;
    origin = o;
    memset(o, 0, sizeof *o);
    log_setup(-1, LOG_ERROR, false);
    o->limits = (struct http_limits){wait, wait, stall ? stall : wait, wait};
    sem_init(&o->ready, 0, 0);
    EXPECT_EQ(front_new(&(struct front_options){.address = NULL}, NULL, &o->front, NULL),
              0);
    bufpool_start(16u << 20, 0);
    EXPECT_EQ(pool_start(2), 0);
    trials = worker_new("trials");
    o->worker = worker_new("origin");
    EXPECT(trials && o->worker && worker_start(o->worker, setup, teardown, o) == 0);
    while (sem_wait(&o->ready) != 0)
        ;
}

static void on_drained(void *arg)
{
    worker_stop(((struct origin *)arg)->worker);
}

static void drain(struct call *c)
{
    (void)c;
    acceptor_close(origin->acceptor);
    http_server_drain(origin->server, on_drained, origin);
}

static void forget_client(struct call *c)
{
    (void)c;
    http_client_free(trials);
    http_client_free(trials); /* harmless */
    worker_stop(trials);
}

void origin_stop(struct origin *o)
{
    struct call c = {.fn = drain};
    toy_run(trials, forget_client);
    worker_post(o->worker, &c);
    worker_join(o->worker);
    pool_stop();
    worker_free(o->worker);
    worker_free(trials);
    front_unref(o->front);
    EXPECT_EQ(bufpool_used(NULL), 0);
    bufpool_stop();
}

/* -- trials ------------------------------------------------------------------------ */

static size_t pending;
static struct trial *batch;
static size_t batch_n;

struct worker *trial_worker(void)
{
    return trials;
}

void trial_end(struct trial *t)
{
    source_close(t->fetch.body);
    t->fetch.body = NULL;
    if (--pending == 0)
        worker_stop(trials);
}

static void collected(struct pipe *p)
{
    struct trial *t = CONTAINER(p, struct trial, pipe);
    t->body_rc = p->rc;
    trial_end(t);
}

static void note_head(struct trial *t)
{
    static const char *const names[] = {"x-two", "content-type", "location", "x-framing"};
    struct fetch *f = &t->fetch;
    for (size_t i = 0; i < f->n_answer; i++)
        for (size_t j = 0; j < sizeof names / sizeof names[0]; j++)
            if (span_is_nocase(f->answer[i].name, names[j])) {
                size_t n = strlen(t->head);
                snprintf(t->head + n, sizeof t->head - n, "%.*s: %.*s\n",
                         SPAN_ARG(f->answer[i].name), SPAN_ARG(f->answer[i].value));
            }
}

static void on_done(struct fetch *f)
{
    struct trial *t = CONTAINER(f, struct trial, fetch);
    t->dones++;
    EXPECT(worker_self() == trials && t->dones == 1 && f->source == NULL);
    EXPECT((f->rc == 0) == (f->body != NULL));
    if (f->rc == 0)
        note_head(t);
    if (t->answered) {
        t->answered(t);
    } else if (f->rc) {
        trial_end(t);
    } else {
        pipe_init(&t->pipe, f->body, &t->sink.sink, collected);
        pipe_start(&t->pipe);
    }
}

void trial_init(struct trial *t, const struct origin *o, const char *path)
{
    memset(t, 0, sizeof *t);
    snprintf(t->url, sizeof t->url, "%s%s", *path == '/' ? o->base : "", path);
    fetch_init(&t->fetch, "GET", t->url, on_done);
    memory_sink_init(&t->sink, 64u << 20);
}

static void start_batch(struct call *c)
{
    (void)c;
    for (size_t i = 0; i < batch_n; i++) {
        fetch_start(&batch[i].fetch);
        EXPECT(batch[i].dones == 0);
    }
}

void trials_run(struct trial *t, size_t n)
{
    batch = t;
    batch_n = pending = n;
    toy_run(trials, start_batch);
    for (size_t i = 0; i < n; i++)
        EXPECT_EQ(t[i].dones, 1);
}

void trial_expect(struct trial *t, int rc, int status, const char *text)
{
    trials_run(t, 1);
    EXPECT_STR(err_name(t->fetch.rc), err_name(rc));
    EXPECT_EQ(t->fetch.status, status);
    EXPECT((rc == 0) == (t->fetch.cause[0] == '\0'));
    if (text) {
        struct span body = {(char *)t->sink.p, t->sink.n};
        EXPECT_EQ(t->body_rc, 0);
        EXPECT(span_is(body, text));
    }
}

void trial_fini(struct trial *t)
{
    memory_sink_fini(&t->sink);
}

/* -- canned answers ---------------------------------------------------------------- */

struct canned {
    pthread_t thread;
    int listener;
    const char *text;
    char heard[16384];
};

static void *serve_once(void *arg)
{
    struct canned *c = arg;
    size_t n = 0, left = strlen(c->text);
    int fd = accept(c->listener, NULL, NULL);
    EXPECT(fd >= 0);
    while (!strstr(c->heard, "\r\n\r\n")) {
        ssize_t got = recv(fd, c->heard + n, sizeof c->heard - 1 - n, 0);
        if (got <= 0)
            break;
        n += (size_t)got;
    }
    for (const char *p = c->text; left;) {
        ssize_t put = send(fd, p, left, MSG_NOSIGNAL);
        if (put <= 0)
            break;
        p += put;
        left -= (size_t)put;
    }
    close(fd);
    return NULL;
}

struct canned *canned_start(const char *text, char url[64])
{
    struct canned *c = xalloc(sizeof *c);
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    c->text = text;
    c->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT(bind(c->listener, (struct sockaddr *)&a, n) == 0 &&
           listen(c->listener, 1) == 0 &&
           getsockname(c->listener, (struct sockaddr *)&a, &n) == 0);
    snprintf(url, 64, "http://127.0.0.1:%d", ntohs(a.sin_port));
    EXPECT_EQ(pthread_create(&c->thread, NULL, serve_once, c), 0);
    return c;
}

char *canned_stop(struct canned *c)
{
    pthread_join(c->thread, NULL);
    close(c->listener);
    char *heard = xstrdup(c->heard);
    free(c);
    return heard;
}
