/* SPDX-License-Identifier: Apache-2.0
 *
 * The request's body. Bytes are copied as libcurl asks for them. A source is pumped by a
 * pipe whose sink is this: a push lends its chunk until libcurl has taken all of it, and
 * while there is none libcurl is paused.
 */
#include "http/transfer.h"

#include <string.h>

static struct transfer *transfer_of(struct sink *k)
{
    return CONTAINER(k, struct transfer, upload.sink);
}

static void push(struct sink *k, const uint8_t *p, size_t n)
{
    struct transfer *t = transfer_of(k);
    struct upload *u = &t->upload;
    u->p = p;
    u->n = n;
    u->at = 0;
    u->pushed = true;
    transfer_kick(t);
}

static void finish(struct sink *k)
{
    struct transfer *t = transfer_of(k);
    t->upload.ended = true;
    transfer_kick(t);
    sink_answer(k, 0);
}

static void cancel(struct sink *k)
{
    struct transfer *t = transfer_of(k);
    t->upload.cancelled = true;
    transfer_kick(t);
}

static const struct sink_ops ops = {
    .name = "http upload", .push = push, .finish = finish, .cancel = cancel};

static void close_source(struct transfer *t)
{
    source_close(t->fetch->source);
    t->fetch->source = NULL;
}

/* The framing has promised the size: fewer bytes are as wrong as more, which the pipe
 * refuses. */
static void piped(struct pipe *p)
{
    struct transfer *t = CONTAINER(p, struct transfer, upload.pipe);
    struct upload *u = &t->upload;
    u->piping = false;
    if (p->rc == 0 && p->source->size != SIZE_UNKNOWN && p->taken != p->source->size)
        transfer_fail(t, E_CORRUPT, "the request's body is shorter than announced");
    else if (p->rc != 0 && !u->stopped)
        transfer_fail(t, p->rc, "the request's body could not be read");
    close_source(t);
    transfer_kick(t);
}

void upload_start(struct transfer *t)
{
    struct upload *u = &t->upload;
    struct fetch *f = t->fetch;
    if (!f->source) {
        u->p = (const uint8_t *)f->bytes.p;
        u->n = f->bytes.n;
        u->ended = true;
        return;
    }
    sink_init(&u->sink, &ops);
    pipe_init(&u->pipe, f->source, &u->sink, piped);
    u->piping = true;
    pipe_start(&u->pipe);
}

bool upload_run(struct transfer *t, bool stop)
{
    struct upload *u = &t->upload;
    if (stop && u->piping && !u->stopped)
        pipe_cancel(&u->pipe, E_CANCELLED);
    u->stopped |= stop;
    if (u->pushed && (u->cancelled || u->at == u->n)) {
        int rc = u->cancelled ? E_CANCELLED : 0;
        u->sink.moved += u->at;
        u->pushed = false;
        u->n = u->at = 0;
        sink_answer(&u->sink, rc);
    }
    if (!u->piping && stop && t->fetch && t->fetch->source)
        close_source(t); /* it was never started */
    return !u->piping && (u->stopped || (u->ended && u->at == u->n));
}

size_t upload_read(char *p, size_t size, size_t n, void *arg)
{
    struct transfer *t = arg;
    struct upload *u = &t->upload;
    CHECK(t, TRANSFER_MAGIC);
    size_t take = u->n - u->at < size * n ? u->n - u->at : size * n;
    if (t->rc || u->stopped)
        return CURL_READFUNC_ABORT;
    if (take == 0 && !u->ended) {
        t->send_paused = true;
        transfer_moved(t);
        return CURL_READFUNC_PAUSE;
    }
    if (take)
        memcpy(p, u->p + u->at, take);
    u->at += take;
    if (u->pushed && u->at == u->n)
        transfer_kick(t);
    transfer_moved(t);
    return take;
}

/* For a connection that was kept and found closed: libcurl begins again with another one.
 * What came from a source cannot be had twice. */
int upload_seek(void *arg, curl_off_t offset, int origin)
{
    struct transfer *t = arg;
    struct upload *u = &t->upload;
    CHECK(t, TRANSFER_MAGIC);
    if (u->stopped || u->sink.magic == SINK_MAGIC || origin != SEEK_SET || offset < 0 ||
        (uint64_t)offset > u->n)
        return CURL_SEEKFUNC_CANTSEEK;
    u->at = (size_t)offset;
    return CURL_SEEKFUNC_OK;
}
