/* SPDX-License-Identifier: Apache-2.0 */
#include "lua/store_wait.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

struct store_box *store_at(lua_State *L, int idx)
{
    return luaL_checkudata(L, idx, STORE_META);
}

const char *key_at(lua_State *L, int idx, struct span prefix, char room[KEY_ROOM])
{
    size_t n;
    if (lua_type(L, idx) != LUA_TSTRING)
        vm_error(L, "store: a key must be a string, got %s", luaL_typename(L, idx));
    const char *p = lua_tolstring(L, idx, &n);
    if (n + prefix.n >= KEY_ROOM || memchr(p, '\0', n))
        return NULL;
    memcpy(room, prefix.p, prefix.n);
    memcpy(room + prefix.n, p, n + 1);
    return room;
}

/* After a commit nothing is left to do with a sink but to close it. */
static void close_committed(struct store_wait *w)
{
    if (!w->sink || w->op.rc != 0)
        return;
    w->sink->ended = true;
    hold_release(&w->sink->hold);
}

static void op_woken(struct op *op)
{
    struct store_wait *w = CONTAINER(op, struct store_wait, op);
    close_committed(w);
    task_wake(w->task);
}

static void wait_cancel(void *room)
{
    op_cancel(&((struct store_wait *)room)->op);
}

static void wait_leave(void *room, struct task *heir)
{
    struct store_wait *w = room;
    w->task = heir;
    if (!w->sink)
        return;
    list_remove(&w->sink->hold.link);
    list_append(&heir->holds, &w->sink->hold.link);
    w->sink->hold.task = heir;
}

/* A source or sink that nobody took is closed by becoming a hold, which the end of the
 * task releases. */
static void wait_drop(void *room)
{
    struct store_wait *w = room;
    struct op *op = &w->op;
    if (op->verb == OP_open && op->source)
        stream_hold_new(w->task, op->source, false);
    if ((op->verb == OP_create || op->verb == OP_append) && op->sink)
        sink_hold_new(w->task, op->sink, op->store, w->prefix, false);
    op_fini(op);
    for (size_t i = 0; i < w->n_keys; i++)
        free((void *)(uintptr_t)w->keys[i]);
    free(w->keys);
}

static void set_number(lua_State *L, const char *name, lua_Number n)
{
    lua_pushnumber(L, n);
    lua_setfield(L, -2, name);
}

/* size, modified, etag, type or nil, meta or nil: the library makes a table of them. */
static int push_object(lua_State *L, const struct object *o)
{
    lua_pushnumber(L, (lua_Number)o->size);
    lua_pushnumber(L, (lua_Number)o->modified / 1e9);
    lua_pushstring(L, o->etag);
    if (!o->type && !o->meta)
        return 3;
    lua_pushstring(L, o->type); /* nil for NULL */
    if (!o->meta)
        return 4;
    lua_createtable(L, 0, 0);
    for (const char *p = o->meta, *end = p + o->meta_n; p < end;) {
        const char *value = p + strlen(p) + 1;
        lua_pushstring(L, value);
        lua_setfield(L, -2, p);
        p = value + strlen(value) + 1;
    }
    return 5;
}

static void push_entries(lua_State *L, const struct store_wait *w)
{
    const struct op *op = &w->op;
    lua_createtable(L, (int)op->n_entries, 0);
    for (size_t i = 0; i < op->n_entries; i++) {
        const struct entry *e = &op->entries[i];
        lua_createtable(L, 0, 3);
        lua_pushstring(L, e->name + w->prefix.n);
        lua_setfield(L, -2, "name");
        if (e->prefix) {
            lua_pushboolean(L, 1);
            lua_setfield(L, -2, "prefix");
        } else {
            set_number(L, "size", (lua_Number)e->size);
            set_number(L, "modified", (lua_Number)e->modified / 1e9);
        }
        lua_rawseti(L, -2, (int)i + 1);
    }
}

static int push_stream(lua_State *L, struct store_wait *w)
{
    struct stream_hold *s = stream_hold_new(w->task, w->op.source, false);
    w->op.source = NULL;
    box_push(L, &s->hold);
    return 1 + push_object(L, &w->op.object);
}

static void push_sink(lua_State *L, struct store_wait *w)
{
    struct op *op = &w->op;
    struct sink *k = op->sink;
    op->sink = NULL;
    box_push(L, &sink_hold_new(w->task, k, op->store, w->prefix, op->key != NULL)->hold);
}

static int push_failure(lua_State *L, const struct op *op)
{
    bool absent = op->verb == OP_stat || op->verb == OP_open || op->verb == OP_read;
    if (op->rc == E_NOT_FOUND && absent) {
        lua_pushboolean(L, 1);
        return 1;
    }
    if (op->rc == E_NOT_FOUND && (op->verb == OP_remove || op->verb == OP_touch)) {
        lua_pushboolean(L, 1);
        lua_pushboolean(L, 0);
        return 2;
    }
    int n = task_failure(L, op->rc);
    if (op->rc != E_RANGE || op->verb != OP_append)
        return n;
    lua_createtable(L, 0, 1);
    set_number(L, "size", (lua_Number)op->object.size);
    return n + 1;
}

static int wait_result(lua_State *L, void *room)
{
    struct store_wait *w = room;
    struct op *op = &w->op;
    if (op->rc != 0)
        return push_failure(L, op);
    lua_pushboolean(L, 1);
    switch (op->verb) {
    case OP_stat:
    case OP_commit:
    case OP_put:
    case OP_put_if:
        return 1 + push_object(L, &op->object);
    case OP_open:
        return 1 + push_stream(L, w);
    case OP_read:
        lua_pushlstring(L, (const char *)op->out, op->out_n);
        return 2 + push_object(L, &op->object);
    case OP_create:
    case OP_append:
        push_sink(L, w);
        return 2;
    case OP_list:
        push_entries(L, w);
        lua_pushboolean(L, op->more);
        return 3;
    case OP_remove_prefix:
        lua_pushnumber(L, (lua_Number)op->count);
        return 2;
    case OP_expire:
        lua_pushboolean(L, op->removed);
        return 2;
    case OP_url:
        lua_pushlstring(L, (const char *)op->out, op->out_n);
        return 2;
    default:
        lua_pushboolean(L, 1);
        return 2;
    }
}

static const struct wait_kind *kind_of(enum store_verb verb)
{
#define X(verb) {"store:" #verb, wait_result, wait_cancel, wait_drop},
    static const struct wait_kind kinds[] = {STORE_VERBS(X)};
#undef X
    return &kinds[verb];
}

/* What a read-only gateway refuses. Not touch: it changes no content, and a pull renews by
 * it what prune has promised. A commit belongs to a create that was not refused. */
static bool is_change(enum store_verb verb)
{
    switch (verb) {
    case OP_create:
    case OP_append:
    case OP_put:
    case OP_put_if:
    case OP_copy:
    case OP_move:
    case OP_concat:
    case OP_remove:
    case OP_remove_prefix:
    case OP_expire:
        return true;
    default:
        return false;
    }
}

static struct store_wait *wait_begin(lua_State *L, enum store_verb verb,
                                     struct store *store, struct span prefix)
{
    const struct wait_kind *kind = kind_of(verb);
    struct task *t = task_may_wait(L, kind->name);
    bool keyed = !lua_isnoneornil(L, 2);
    if (keyed && lua_type(L, 2) != LUA_TSTRING)
        vm_error(L, "%s: the key must be a string, got %s", kind->name,
                 luaL_typename(L, 2));
    struct store_wait *w = task_room(t, sizeof *w);
    if (!w)
        return NULL;
    op_init(&w->op, store, verb, op_woken);
    w->task = t;
    w->prefix = prefix;
    w->keys = NULL;
    w->n_keys = w->meta_n = 0;
    w->sink = NULL;
    task_arm(t, kind);
    t->leave = wait_leave;
    if (t->readonly && is_change(verb)) {
        w->op.rc = E_READONLY;
        return NULL;
    }
    if (keyed && !(w->op.key = key_at(L, 2, w->prefix, w->key))) {
        w->op.rc = E_INVALID;
        return NULL;
    }
    return w;
}

struct store_wait *wait_new(lua_State *L, enum store_verb verb)
{
    struct store_box *b = store_at(L, 1);
    return wait_begin(L, verb, b->store, (struct span){b->prefix, b->prefix_n});
}

struct store_wait *wait_new_commit(lua_State *L, struct sink_hold *sink)
{
    struct span prefix = {sink->prefix, sink->prefix_n};
    struct store_wait *w = wait_begin(L, OP_commit, sink->store, prefix);
    if (w) {
        w->sink = sink;
        w->op.sink = sink->sink;
    }
    return w;
}

int wait_start(lua_State *L, struct store_wait *w)
{
    if (!task_may_go_on(w->task)) {
        op_start(&w->op);
    } else if (op_try(&w->op)) {
        close_committed(w);
        return 0;
    }
    return task_wait(L, w->task);
}

int wait_refuse(struct store_wait *w, int rc)
{
    w->op.rc = rc;
    return 0;
}
