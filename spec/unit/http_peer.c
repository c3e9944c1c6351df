/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/unit/http_peer.h"

#include "base/log.h"
#include "loop/loop.h"
#include "stream/bufpool.h"
#include "stream/file.h"
#include "stream/memory.h"
#include "stream/pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define DIGITS "0123456789"
#define HEAR_MAX (4u << 20)

static struct peer *peer;
static struct req *held;

struct echo { /* a request whose body is being collected */
    struct req *q;
    struct source *body;
    struct memory_sink sink;
    struct pipe pipe;
};

/* Gives its words one by one and knows no size; a short one announces more. */
struct words {
    struct source source;
    int next;
};

static void words_pull(struct source *s, uint8_t *buf, size_t cap)
{
    static const char *const words[] = {"one ", "two ", "three "};
    struct words *w = CONTAINER(s, struct words, source);
    EXPECT(cap >= 8);
    if (w->next == 3) {
        source_answer(s, 0);
        return;
    }
    size_t n = strlen(words[w->next]);
    memcpy(buf, words[w->next++], n);
    source_answer(s, (ssize_t)n);
}

static void words_close(struct source *s)
{
    free(CONTAINER(s, struct words, source));
}

static struct source *words_new(uint64_t size)
{
    static const struct source_ops ops = {
        .name = "words", .pull = words_pull, .close = words_close};
    struct words *w = xalloc(sizeof *w);
    source_init(&w->source, &ops, size);
    return &w->source;
}

static void echoed(struct pipe *p)
{
    struct echo *e = CONTAINER(p, struct echo, pipe);
    struct reply r;
    peer->body_rc = p->rc;
    source_close(e->body);
    if (p->rc) {
        req_reply_error(e->q, http_fault_status(p->rc), http_fault_name(p->rc),
                        span_of(http_fault_text(p->rc)));
        return;
    }
    reply_init(&r, 200);
    r.bytes = (struct span){(char *)e->sink.p, e->sink.n};
    req_reply(e->q, &r);
}

static void echo(struct req *q)
{
    struct echo *e = xalloc(sizeof *e);
    q->owner = e;
    e->q = q;
    e->body = req_body(q);
    EXPECT((e->body != NULL) == req_has_body(q) && req_body(q) == NULL);
    memory_sink_init(&e->sink, HEAR_MAX);
    if (!e->body) {
        struct reply r;
        reply_init(&r, 200);
        req_reply(q, &r);
        return;
    }
    pipe_init(&e->pipe, e->body, &e->sink.sink, echoed);
    pipe_start(&e->pipe);
}

static struct source *whole_file(bool all)
{
    int fd = open(peer->big, O_RDONLY | O_CLOEXEC);
    struct stat st;
    EXPECT(fd >= 0 && fstat(fd, &st) == 0);
    return file_source_new(fd, all ? (uint64_t)st.st_size : 10, lane_cpu());
}

static const uint8_t zeros[PEER_LARGE];

static void digits(struct reply *r, struct span path)
{
    r->ranges = true;
    r->etag = SPAN_LIT("\"ten\"");
    r->modified = UINT64_C(784111777) * 1000000000;
    reply_header(r, SPAN_LIT("Content-Type"), SPAN_LIT("text/plain"));
    if (span_is(path, "/bytes"))
        r->bytes = SPAN_LIT(DIGITS);
    else if (span_is(path, "/memory"))
        r->source = memory_source_new(DIGITS, 10, NULL, NULL);
    else if (span_is(path, "/large"))
        r->source = memory_source_new(zeros, sizeof zeros, NULL, NULL);
    else
        r->source = whole_file(span_is(path, "/all"));
}

static void on_begin(struct req *q, void *arg)
{
    struct span path = q->head.path;
    struct reply r;
    EXPECT(arg == peer);
    sem_post(&peer->began);
    reply_init(&r, span_is(path, "/empty") ? 204 : 200);
    if (span_is(path, "/echo")) {
        echo(q);
        return;
    }
    if (span_is(path, "/held")) {
        held = q;
        return;
    }
    if (span_is(path, "/stream"))
        r.source = words_new(SIZE_UNKNOWN);
    else if (span_is(path, "/short"))
        r.source = words_new(15);
    else if (span_is(path, "/hello"))
        r.bytes = SPAN_LIT("hello");
    else if (span_is(path, "/close"))
        r.close = true;
    else if (span_is(path, "/ignore"))
        r.bytes = SPAN_LIT("ignored");
    else if (!span_is(path, "/empty"))
        digits(&r, path);
    req_reply(q, &r);
    EXPECT(r.source == NULL);
}

static void on_gone(struct req *q, void *arg)
{
    (void)arg;
    EXPECT(q->magic == REQ_MAGIC);
    sem_post(&peer->gone);
}

static void on_end(struct req *q, int rc, void *arg)
{
    struct echo *e = q->owner;
    (void)arg;
    peer->rc = rc;
    if (e)
        memory_sink_fini(&e->sink);
    free(e);
    sem_post(&peer->ended);
}

/* What the case's thread asks of the worker's, one thing at a time. */
struct errand {
    struct call call;
    void (*run)(struct errand *e);
    int fd;
    size_t count;
};

static void run_errand(struct call *c)
{
    struct errand *e = CONTAINER(c, struct errand, call);
    e->run(e);
    sem_post(&peer->called);
}

static size_t send_errand(void (*run)(struct errand *), int fd)
{
    struct errand e = {.call = {.fn = run_errand}, .run = run, .fd = fd};
    worker_post(peer->worker, &e.call);
    peer_wait(&peer->called);
    return e.count;
}

static void give(struct errand *e)
{
    http_server_take(peer->server, e->fd, "peer", peer->front, NULL);
}

static void count(struct errand *e)
{
    e->count = http_server_count(peer->server);
}

static void release(struct errand *e)
{
    struct reply r;
    (void)e;
    reply_init(&r, 200);
    r.source = words_new(SIZE_UNKNOWN);
    req_reply(held, &r);
}

static const struct http_handler *next_handler;

static void use(struct errand *e)
{
    (void)e;
    http_server_use(peer->server, &peer->limits, next_handler);
}

static void on_drained(void *arg)
{
    (void)arg;
    sem_post(&peer->drained);
}

static void drain(struct errand *e)
{
    (void)e;
    http_server_drain(peer->server, on_drained, NULL);
}

static void abort_all(struct errand *e)
{
    (void)e;
    http_server_abort(peer->server);
}

static void setup(void *arg)
{
    static struct http_handler handler = {on_begin, on_gone, on_end, NULL};
    struct peer *p = arg;
    handler.arg = p;
    p->server = http_server_new(p->worker, &p->limits, &handler);
}

static void teardown(void *arg)
{
    struct peer *p = arg;
    http_server_free(p->server);
}

static uint64_t or_long(uint64_t limit)
{
    return limit ? limit : UINT64_C(20) * 1000000000;
}

void peer_start(struct peer *p, struct http_limits limits)
{
    memset(p, 0, sizeof *p);
    peer = p;
    log_setup(-1, LOG_ERROR, false);
    p->limits = (struct http_limits){or_long(limits.head), or_long(limits.idle),
                                     or_long(limits.stall), or_long(limits.response)};
    sem_t *all[] = {&p->began, &p->gone, &p->ended, &p->drained, &p->called};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        sem_init(all[i], 0, 0);
    snprintf(p->big, sizeof p->big, "%s/f", unit_tmpdir());
    int fd = open(p->big, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    EXPECT(write(fd, DIGITS, 10) == 10 && close(fd) == 0);
    EXPECT_EQ(front_new(&(struct front_options){.address = NULL}, NULL, &p->front, NULL),
              0);
    bufpool_start((size_t)PEER_BUFFERS * BUF_SIZE, 0);
    EXPECT_EQ(pool_start(2), 0);
    p->worker = worker_new("http");
    EXPECT(p->worker && worker_start(p->worker, setup, teardown, p) == 0);
}

void peer_drain(struct peer *p)
{
    (void)p;
    send_errand(drain, -1);
}

void peer_abort(struct peer *p)
{
    (void)p;
    send_errand(abort_all, -1);
}

void peer_use(struct peer *p, const struct http_handler *handler)
{
    (void)p;
    next_handler = handler;
    send_errand(use, -1);
}

void peer_release(struct peer *p)
{
    (void)p;
    send_errand(release, -1);
}

size_t peer_count(struct peer *p)
{
    (void)p;
    return send_errand(count, -1);
}

void peer_stop(struct peer *p)
{
    peer_drain(p);
    peer_wait(&p->drained);
    worker_stop(p->worker);
    worker_join(p->worker);
    pool_stop();
    worker_free(p->worker);
    bufpool_stop();
    front_unref(p->front);
}

int peer_connect(struct peer *p)
{
    int pair[2];
    struct timeval patience = {10, 0};
    (void)p;
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    fcntl(pair[1], F_SETFL, O_NONBLOCK);
    setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(pair[0], SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    send_errand(give, pair[1]);
    return pair[0];
}

void peer_send(int fd, const char *bytes, size_t n)
{
    while (n) {
        ssize_t put = send(fd, bytes, n, MSG_NOSIGNAL);
        EXPECT(put > 0);
        bytes += put;
        n -= (size_t)put;
    }
}

void peer_say(int fd, const char *text)
{
    peer_send(fd, text, strlen(text));
}

static char heard[HEAR_MAX + 1];

/* One byte at a time: what belongs to the next reply stays in the socket. */
static size_t hear_byte(int fd, size_t n)
{
    EXPECT(n < HEAR_MAX);
    EXPECT_EQ(recv(fd, heard + n, 1, 0), 1);
    heard[n + 1] = '\0';
    return n + 1;
}

static bool ends_with(size_t n, const char *tail)
{
    return n >= strlen(tail) && memcmp(heard + n - strlen(tail), tail, strlen(tail)) == 0;
}

const char *peer_hear(int fd, bool head_only, size_t *n)
{
    size_t at = 0, want;
    while (!ends_with(at, "\r\n\r\n"))
        at = hear_byte(fd, at);
    const char *length = strstr(heard, "\r\nContent-Length: ");
    if (!head_only && length) {
        want = at + strtoul(length + 18, NULL, 10);
        EXPECT(want <= HEAR_MAX);
        while (at < want) {
            ssize_t got = recv(fd, heard + at, want - at, 0);
            EXPECT(got > 0);
            at += (size_t)got;
        }
        heard[at] = '\0';
    } else if (!head_only && strstr(heard, "\r\nTransfer-Encoding: chunked")) {
        while (!ends_with(at, "\r\n0\r\n\r\n"))
            at = hear_byte(fd, at);
    }
    if (n)
        *n = at;
    return heard;
}

const char *peer_rest(int fd, size_t *n)
{
    size_t at = 0;
    for (;;) {
        ssize_t got = recv(fd, heard + at, HEAR_MAX - at, 0);
        EXPECT(got >= 0 || errno == ECONNRESET);
        if (got <= 0)
            break;
        at += (size_t)got;
    }
    heard[at] = '\0';
    if (n)
        *n = at;
    return heard;
}

const char *peer_expect(int fd, int status, const char *body)
{
    const char *text = peer_hear(fd, false, NULL);
    EXPECT_EQ(atoi(text + 9), status);
    if (body)
        EXPECT_STR(strstr(text, "\r\n\r\n") + 4, body);
    return text;
}

void peer_expect_end(int fd)
{
    char byte;
    EXPECT_EQ(recv(fd, &byte, 1, 0), 0);
}

void peer_wait(sem_t *s)
{
    struct timespec due;
    clock_gettime(CLOCK_REALTIME, &due);
    due.tv_sec += 10;
    EXPECT_EQ(sem_timedwait(s, &due), 0);
}
