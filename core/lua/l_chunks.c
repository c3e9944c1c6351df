/* SPDX-License-Identifier: Apache-2.0
 *
 * stream:chunks, the slow path: the bytes of a stream as strings, a piece at a time. A
 * piece is read into a buffer of the process-wide pool, which is taken when the source
 * has something and given back before the script sees the piece.
 */
#include "lua/core.h"
#include "lua/streams.h"
#include "stream/bufpool.h"

#include <lauxlib.h>
#include <string.h>

struct chunk_wait {
    struct task *task;
    struct stream_hold *from;
    struct source *source;
    struct buf_wait wait;
    struct call wake;
    size_t cap;
    uint8_t *data;
    ssize_t n; /* what the piece has: 0 at the end, < 0 a failure */
    bool pulling, awaiting, waiting, cancelled;
};

static void chunk_over(struct chunk_wait *w, ssize_t n)
{
    w->n = n;
    worker_defer(w->task->vm->worker, &w->wake);
}

static void on_wake(struct call *c)
{
    struct chunk_wait *w = CONTAINER(c, struct chunk_wait, wake);
    if (w->n <= 0)
        hold_release(&w->from->hold);
    task_wake(w->task);
}

static void pull(struct chunk_wait *w)
{
    w->pulling = true;
    source_pull(w->source, w->data, w->cap);
}

static void on_buffer(struct buf_wait *b)
{
    struct chunk_wait *w = CONTAINER(b, struct chunk_wait, wait);
    w->waiting = false;
    w->data = b->data;
    if (w->cancelled)
        chunk_over(w, E_CANCELLED);
    else
        pull(w);
}

static void get_buffer(struct chunk_wait *w)
{
    w->data = bufpool_get(&w->wait);
    w->waiting = !w->data;
    if (w->data)
        pull(w);
}

static void on_source(struct source *s, ssize_t n)
{
    struct chunk_wait *w = s->puller;
    bool asked = w->awaiting;
    w->pulling = w->awaiting = false;
    if (asked && n > 0 && !w->cancelled)
        get_buffer(w);
    else
        chunk_over(w, asked && n > 0 ? E_CANCELLED : n);
}

static void chunk_cancel(void *room)
{
    struct chunk_wait *w = room;
    w->cancelled = true;
    if (w->pulling) {
        source_cancel(w->source);
    } else if (w->waiting && bufpool_cancel(&w->wait)) {
        w->waiting = false;
        chunk_over(w, E_CANCELLED);
    }
}

/* Who waits for the client's bytes is not to blame: the client has a deadline. */
static bool chunk_moves(void *room)
{
    const struct chunk_wait *w = room;
    return w->from->body && w->pulling;
}

static int chunk_result(lua_State *L, void *room)
{
    struct chunk_wait *w = room;
    if (w->n < 0)
        return task_failure(L, (int)w->n);
    lua_pushboolean(L, 1);
    if (w->n == 0)
        return 1;
    lua_pushlstring(L, (const char *)w->data, (size_t)w->n);
    return 2;
}

static void chunk_drop(void *room)
{
    bufpool_put(((struct chunk_wait *)room)->data);
}

/* core.chunk(stream, size) → the next piece, or nothing at the end */
static int l_chunk(lua_State *L)
{
    static const struct wait_kind kind = {"stream:chunks", chunk_result, chunk_cancel,
                                          chunk_drop};
    struct task *t = task_may_wait(L, kind.name);
    struct hold *from = box_check(L, 1, &stream_kind);
    lua_Number size = luaL_checknumber(L, 2);
    if (!(size >= 1 && size <= BUF_SIZE))
        return vm_error(L, "stream:chunks: a size is from 1 byte to 256k");
    struct chunk_wait *w = task_room(t, sizeof *w);
    if (!w)
        return 0;
    memset(w, 0, sizeof *w);
    w->task = t;
    w->from = CONTAINER(from, struct stream_hold, hold);
    w->from->read = true;
    w->source = w->from->source;
    w->source->puller = w;
    w->source->answer = on_source;
    w->wait.ready = on_buffer;
    w->wake.fn = on_wake;
    w->cap = (size_t)size;
    task_arm(t, &kind);
    t->moves = chunk_moves;
    if (w->source->ops->await) {
        w->pulling = w->awaiting = true;
        source_await(w->source);
    } else {
        get_buffer(w);
    }
    return task_wait(L, t);
}

void l_chunks_open(lua_State *L)
{
    static const luaL_Reg functions[] = {{"chunk", l_chunk}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
