/* SPDX-License-Identifier: Apache-2.0 */
#include "lua/streams.h"

#include "store/store.h"

#include <stdlib.h>

static void stream_release(struct hold *h)
{
    struct stream_hold *s = CONTAINER(h, struct stream_hold, hold);
    source_close(s->source);
    free(s);
}

/* Aborts a sink that nobody waits for any more, then closes it from the run queue. */
struct farewell {
    struct call call;
    struct sink *sink;
    struct store *store; /* counted: the VM that named it may go meanwhile */
};

static void farewell_close(struct call *c)
{
    struct farewell *f = CONTAINER(c, struct farewell, call);
    sink_close(f->sink);
    store_unref(f->store);
    free(f);
}

static void farewell_aborted(struct sink *k, int rc)
{
    struct farewell *f = k->pusher;
    (void)rc;
    f->call.fn = farewell_close;
    worker_defer(worker_self(), &f->call);
}

static void sink_release(struct hold *h)
{
    struct sink_hold *s = CONTAINER(h, struct sink_hold, hold);
    if (s->ended) {
        sink_close(s->sink);
    } else {
        struct farewell *f = xalloc(sizeof *f);
        f->sink = s->sink;
        f->store = store_ref(s->store);
        s->sink->pusher = f;
        s->sink->answer = farewell_aborted;
        sink_abort(s->sink);
    }
    free(s->prefix);
    free(s);
}

static void visit_release(struct hold *h)
{
    (void)h; /* the arena's */
}

const struct hold_kind stream_kind = {"stream", stream_release};
const struct hold_kind sink_kind = {"sink", sink_release};
const struct hold_kind visit_kind = {"request", visit_release};

struct stream_hold *stream_at(lua_State *L, int idx)
{
    struct hold *h = box_check(L, idx, &stream_kind);
    struct stream_hold *s = CONTAINER(h, struct stream_hold, hold);
    if (s->read)
        vm_error(L, "this stream was read in part by stream:chunks");
    return s;
}

struct stream_hold *stream_hold_new(struct task *t, struct source *source, bool body)
{
    struct stream_hold *s = xalloc(sizeof *s);
    s->source = source;
    s->body = body;
    hold_add(t, &s->hold, &stream_kind);
    return s;
}

struct sink_hold *sink_hold_new(struct task *t, struct sink *sink, struct store *store,
                                struct span prefix, bool named)
{
    struct sink_hold *s = xalloc(sizeof *s);
    s->sink = sink;
    s->store = store;
    s->prefix = xmemdup(prefix.p, prefix.n);
    s->prefix_n = prefix.n;
    s->named = named;
    hold_add(t, &s->hold, &sink_kind);
    return s;
}
