/* SPDX-License-Identifier: Apache-2.0
 *
 * The answer's body. A pull's buffer is filled straight from libcurl's. What does not fit
 * makes libcurl pause; it keeps the block and shows all of it again, so `skip` says how
 * much of it was taken. A pull is answered one round of the loop after the first byte,
 * when whatever the socket had is in its buffer: large pieces from a fast server, small
 * ones at once from a slow one.
 */
#include "http/transfer.h"

#include <string.h>

#define SWALLOW_MAX (64 * 1024) /* of a redirect's body, to keep the connection */

size_t download_write(char *p, size_t size, size_t n, void *arg)
{
    struct transfer *t = arg;
    struct download *d = &t->download;
    CHECK(t, TRANSFER_MAGIC);
    n *= size;
    if (t->rc)
        return 0;
    if (t->next) { /* too long a body is cut off: what is behind it is not wanted */
        d->got += n;
        transfer_moved(t);
        return d->got > SWALLOW_MAX ? 0 : n;
    }
    assert(d->skip <= n);
    size_t room = d->cap - d->filled, take = n - d->skip < room ? n - d->skip : room;
    if (take)
        memcpy(d->to + d->filled, p + d->skip, take);
    d->filled += take;
    d->got += take;
    if (d->got > d->limit) {
        transfer_fail(t, E_TOO_LARGE, "the answer's body is larger than the limit");
        return 0;
    }
    t->recv_paused = d->skip + take < n;
    d->skip = t->recv_paused ? d->skip + take : 0;
    transfer_moved(t);
    transfer_kick(t);
    return t->recv_paused ? CURL_WRITEFUNC_PAUSE : n;
}

static void answer(struct transfer *t, ssize_t n)
{
    struct download *d = &t->download;
    d->pulling = false;
    d->cap = d->filled = 0;
    source_answer(&d->source, n);
}

bool download_run(struct transfer *t)
{
    const struct download *d = &t->download;
    bool asked = d->cap == 0;
    if (!d->pulling)
        return false;
    if (d->cancelled)
        answer(t, E_CANCELLED);
    else if (d->filled)
        answer(t, (ssize_t)d->filled);
    else if (t->rc)
        answer(t, t->rc);
    else if (t->over || (asked && t->recv_paused))
        answer(t, asked ? 1 : 0);
    else
        return false;
    return true;
}

static struct transfer *owner_of(struct source *s)
{
    return CONTAINER(s, struct transfer, download.source);
}

static void pull(struct source *s, uint8_t *buf, size_t cap)
{
    struct transfer *t = owner_of(s);
    struct download *d = &t->download;
    d->to = buf;
    d->cap = cap;
    d->filled = 0;
    d->pulling = true;
    transfer_kick(t);
}

/* A pull without room: libcurl then pauses with the first bytes. */
static void await(struct source *s)
{
    pull(s, NULL, 0);
}

static void cancel(struct source *s)
{
    struct transfer *t = owner_of(s);
    t->download.cancelled = true;
    transfer_kick(t);
}

static void close_body(struct source *s)
{
    transfer_free(owner_of(s));
}

static const struct source_ops ops = {
    .name = "http answer",
    .pull = pull,
    .await = await,
    .cancel = cancel,
    .close = close_body,
};

void download_open(struct transfer *t, uint64_t size)
{
    source_init(&t->download.source, &ops, size);
}

bool download_has_room(const struct transfer *t)
{
    const struct download *d = &t->download;
    return d->pulling && d->filled < d->cap;
}
