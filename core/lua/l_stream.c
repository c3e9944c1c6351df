/* SPDX-License-Identifier: Apache-2.0
 *
 * stream:into and stream:text: one pipe, one wait.
 */
#include "crypto/crypto.h"
#include "lua/core.h"
#include "lua/streams.h"
#include "stream/hash.h"
#include "stream/memory.h"

#include <lauxlib.h>
#include <string.h>

#define TEXT_MAX (UINT64_C(64) << 20)

/* Whether a pipe has got on since it was asked before. Who waits for the client's bytes
 * is not to blame: the client has a deadline of its own (limits.stall). */
static bool pipe_moves(const struct pipe *p, const struct stream_hold *from,
                       uint64_t *seen)
{
    const struct sink *sink = p->lanes[0].sink;
    uint64_t at = p->taken + p->freed + (sink ? sink->moved : 0);
    bool moves = at != *seen || (from->body && p->pulling);
    *seen = at;
    return moves;
}

/* What `into` was asked to compute, read before anything is started. */
struct plan {
    bool wanted[DIGEST_ALGS];
    struct digest start[DIGEST_ALGS];
    bool expects;
    enum digest_alg expected_alg;
    uint8_t expected[DIGEST_MAX];
};

struct into_wait {
    struct pipe pipe;
    struct task *task;
    struct stream_hold *from;
    struct sink_hold *to; /* NULL: the bytes are only hashed */
    uint64_t seen;        /* by pipe_moves */
    bool hashed[DIGEST_ALGS];
    struct hash_observer hashes[DIGEST_ALGS];
};

/* Whatever the outcome, nothing that the pipe used stays open, except a sink that is
 * whole and has no name yet. */
static void into_done(struct pipe *p)
{
    struct into_wait *w = CONTAINER(p, struct into_wait, pipe);
    hold_release(&w->from->hold);
    if (w->to) {
        w->to->fed = true;
        w->to->ended = p->rc != 0 || w->to->named;
        if (w->to->ended)
            hold_release(&w->to->hold);
    }
    task_wake(w->task);
}

static void into_cancel(void *room)
{
    pipe_cancel(&((struct into_wait *)room)->pipe, E_CANCELLED);
}

static bool into_moves(void *room)
{
    struct into_wait *w = room;
    return pipe_moves(&w->pipe, w->from, &w->seen);
}

static void push_digests(lua_State *L, const struct into_wait *w)
{
    char hex[2 * DIGEST_MAX + 1];
    uint8_t state[DIGEST_STATE_MAX];
    lua_createtable(L, 0, 2);
    for (size_t i = 0; i < DIGEST_ALGS; i++) {
        const struct hash_observer *h = &w->hashes[i];
        if (!w->hashed[i])
            continue;
        const char *name = digest_alg_name((enum digest_alg)i);
        hex_encode(h->result, digest_size((enum digest_alg)i), hex);
        lua_pushstring(L, hex);
        lua_setfield(L, -3, name);
        int n = digest_export(&h->digest, state);
        if (n > 0) {
            lua_pushlstring(L, (const char *)state, (size_t)n);
            lua_setfield(L, -2, name);
        }
    }
    lua_setfield(L, -2, "states");
}

static int into_result(lua_State *L, void *room)
{
    struct into_wait *w = room;
    int n = 2;
    if (w->pipe.rc == 0) {
        lua_pushboolean(L, 1);
        lua_createtable(L, 0, 4);
        lua_pushnumber(L, (lua_Number)w->pipe.taken);
        lua_setfield(L, -2, "size");
        push_digests(L, w);
        return n;
    }
    n = task_failure(L, w->pipe.rc);
    lua_createtable(L, 0, 2);
    lua_pushnumber(L, (lua_Number)w->pipe.taken);
    lua_setfield(L, -2, "taken");
    lua_pushnumber(L, (lua_Number)w->pipe.stored);
    lua_setfield(L, -2, "stored");
    return n + 1;
}

static void plan_hashes(lua_State *L, int idx, struct plan *p)
{
    if (lua_isnoneornil(L, idx)) {
        p->wanted[DIGEST_SHA256] = true;
        return;
    }
    luaL_checktype(L, idx, LUA_TTABLE);
    size_t count = lua_objlen(L, idx);
    for (size_t i = 1; i <= count; i++) {
        enum digest_alg alg;
        struct span name = {NULL, 0};
        lua_rawgeti(L, idx, (int)i);
        if (lua_type(L, -1) == LUA_TSTRING)
            name.p = lua_tolstring(L, -1, &name.n);
        if (digest_alg_parse(name, &alg) != 0)
            vm_error(L, "stream:into: hash knows sha256, sha512, md5 and crc32c");
        p->wanted[alg] = true;
        lua_pop(L, 1);
    }
}

/* "sha256:0a1b…", all of it lower case. 0 or E_INVALID. */
static int plan_expect(lua_State *L, int idx, struct plan *p)
{
    struct span hex, name;
    if (lua_isnoneornil(L, idx))
        return 0;
    hex.p = luaL_checklstring(L, idx, &hex.n);
    name = span_cut(&hex, ':');
    if (digest_alg_parse(name, &p->expected_alg) != 0 ||
        hex.n != 2 * digest_size(p->expected_alg) ||
        hex_decode(hex, true, p->expected) != 0)
        return E_INVALID;
    p->expects = p->wanted[p->expected_alg] = true;
    return 0;
}

/* After the hashes are known. 0 or E_INVALID. */
static int plan_states(lua_State *L, int idx, struct plan *p)
{
    bool given = lua_istable(L, idx);
    for (size_t i = 0; i < DIGEST_ALGS; i++) {
        enum digest_alg alg = (enum digest_alg)i;
        int rc = 0;
        if (!p->wanted[i])
            continue;
        digest_init(&p->start[i], alg);
        if (!given)
            continue;
        lua_getfield(L, idx, digest_alg_name(alg));
        if (!lua_isnil(L, -1)) {
            size_t n;
            const char *state = luaL_checklstring(L, -1, &n);
            rc = digest_import(&p->start[i], alg, state, n);
        }
        lua_pop(L, 1);
        if (rc != 0)
            return E_INVALID;
    }
    return 0;
}

static void observe(struct into_wait *w, const struct plan *p)
{
    for (size_t i = 0; i < DIGEST_ALGS; i++) {
        struct hash_observer *h = &w->hashes[i];
        w->hashed[i] = p->wanted[i];
        if (!p->wanted[i])
            continue;
        hash_observer_init(h, (enum digest_alg)i);
        h->digest = p->start[i];
        if (p->expects && p->expected_alg == (enum digest_alg)i) {
            h->expects = true;
            memcpy(h->expected, p->expected, sizeof p->expected);
        }
        pipe_observe(&w->pipe, &h->sink);
    }
}

/* core.into(stream, sink or nil, hash or nil, expect or nil, states or nil, limit or nil)
 * → { size, sha256, …, states } */
static int l_into(lua_State *L)
{
    static const struct wait_kind kind = {"stream:into", into_result, into_cancel, NULL};
    struct plan p = {.expects = false};
    struct task *t = task_may_wait(L, kind.name);
    struct stream_hold *from = stream_at(L, 1);
    struct hold *to = lua_isnoneornil(L, 2) ? NULL : box_check(L, 2, &sink_kind);
    struct sink_hold *sink = to ? CONTAINER(to, struct sink_hold, hold) : NULL;
    if (sink && sink->fed)
        vm_error(L, "stream:into: this sink was filled already");
    plan_hashes(L, 3, &p);
    if (plan_expect(L, 4, &p) != 0 || plan_states(L, 5, &p) != 0)
        return task_refuse(t, E_INVALID);
    uint64_t limit =
        lua_isnoneornil(L, 6) ? SIZE_UNKNOWN : (uint64_t)luaL_checknumber(L, 6);

    struct into_wait *w = task_room(t, sizeof *w);
    if (!w)
        return 0;
    w->task = t;
    w->from = from;
    w->to = sink;
    pipe_init(&w->pipe, w->from->source, sink ? sink->sink : NULL, into_done);
    w->pipe.limit = limit;
    w->seen = 0;
    observe(w, &p);
    task_arm(t, &kind);
    t->moves = into_moves;
    pipe_start(&w->pipe);
    return task_wait(L, t);
}

struct text_wait {
    struct pipe pipe;
    struct task *task;
    struct stream_hold *from;
    uint64_t seen; /* by pipe_moves */
    struct memory_sink sink;
};

static void text_done(struct pipe *p)
{
    struct text_wait *w = CONTAINER(p, struct text_wait, pipe);
    hold_release(&w->from->hold);
    task_wake(w->task);
}

static void text_cancel(void *room)
{
    pipe_cancel(&((struct text_wait *)room)->pipe, E_CANCELLED);
}

static bool text_moves(void *room)
{
    struct text_wait *w = room;
    return pipe_moves(&w->pipe, w->from, &w->seen);
}

static int text_result(lua_State *L, void *room)
{
    struct text_wait *w = room;
    if (w->pipe.rc != 0)
        return task_failure(L, w->pipe.rc);
    lua_pushboolean(L, 1);
    lua_pushlstring(L, (const char *)w->sink.p, w->sink.n);
    return 2;
}

static void text_drop(void *room)
{
    memory_sink_fini(&((struct text_wait *)room)->sink);
}

/* core.text(stream, limit) → string */
static int l_text(lua_State *L)
{
    static const struct wait_kind kind = {"stream:text", text_result, text_cancel,
                                          text_drop};
    struct task *t = task_may_wait(L, kind.name);
    struct stream_hold *from = stream_at(L, 1);
    lua_Number limit = luaL_checknumber(L, 2);
    if (!(limit >= 0 && limit <= (lua_Number)TEXT_MAX))
        vm_error(L, "stream:text: the limit must be at most 64m");
    struct text_wait *w = task_room(t, sizeof *w);
    if (!w)
        return 0;
    w->task = t;
    w->from = from;
    memory_sink_init(&w->sink, (size_t)limit);
    pipe_init(&w->pipe, w->from->source, &w->sink.sink, text_done);
    w->pipe.limit = (uint64_t)limit;
    w->seen = 0;
    task_arm(t, &kind);
    t->moves = text_moves;
    pipe_start(&w->pipe);
    return task_wait(L, t);
}

struct abort_wait {
    struct call call;
    struct task *task;
    struct sink_hold *sink;
    int rc;
};

static void abort_done(struct call *c)
{
    struct abort_wait *w = CONTAINER(c, struct abort_wait, call);
    w->sink->ended = true;
    hold_release(&w->sink->hold);
    task_wake(w->task);
}

static void abort_answer(struct sink *k, int rc)
{
    struct abort_wait *w = k->pusher;
    w->rc = rc;
    w->call = (struct call){.fn = abort_done};
    worker_defer(w->task->vm->worker, &w->call);
}

static int abort_result(lua_State *L, void *room)
{
    struct abort_wait *w = room;
    if (w->rc != 0)
        return task_failure(L, w->rc);
    lua_pushboolean(L, 1);
    return 1;
}

/* core.sink_abort(sink) */
static int l_sink_abort(lua_State *L)
{
    static const struct wait_kind kind = {"sink:abort", abort_result, NULL, NULL};
    struct task *t = task_may_wait(L, kind.name);
    struct hold *h = box_check(L, 1, &sink_kind);
    struct abort_wait *w = task_room(t, sizeof *w);
    if (!w)
        return 0;
    w->task = t;
    w->sink = CONTAINER(h, struct sink_hold, hold);
    w->sink->sink->pusher = w;
    w->sink->sink->answer = abort_answer;
    task_arm(t, &kind);
    sink_abort(w->sink->sink);
    return task_wait(L, t);
}

void l_stream_open(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"into", l_into},
        {"text", l_text},
        {"sink_abort", l_sink_abort},
        {NULL, NULL},
    };
    luaL_setfuncs(L, functions, 0);
}
