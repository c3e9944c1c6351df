/* SPDX-License-Identifier: Apache-2.0
 *
 * Stores for scripts: the making of one while the script loads, and every operation of
 * the contract.
 */
#include "lua/core.h"
#include "lua/store_wait.h"

#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define STORE_OPTIONS 32
#define CONCAT_MAX 1000

static struct store_box *push_store(lua_State *L, struct store *s, size_t prefix_n)
{
    struct store_box *b = lua_newuserdata(L, sizeof *b + prefix_n);
    b->store = s;
    b->prefix_n = prefix_n;
    luaL_getmetatable(L, STORE_META);
    lua_setmetatable(L, -2);
    return b;
}

/* Keeps the reference for the life of the VM. */
static void own(struct vm *vm, struct store *s)
{
    vm->stores = xrealloc(vm->stores, (vm->n_stores + 1) * sizeof s);
    vm->stores[vm->n_stores++] = s;
}

/* core.store(kind, { name = canonical text }) → store. While the script loads only:
 * stores are made ready before the first request. */
static int l_store(lua_State *L)
{
    struct vm *vm = vm_of(L);
    struct store_option options[STORE_OPTIONS];
    size_t n = 0;
    struct store *s;
    char *why = NULL;
    const char *kind = luaL_checkstring(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    if (!vm->loading)
        return vm_error(L, "gate.store.%s: stores are declared while the script loads",
                        kind);
    lua_pushnil(L);
    while (lua_next(L, 2)) {
        if (n == STORE_OPTIONS || lua_type(L, -2) != LUA_TSTRING ||
            lua_type(L, -1) != LUA_TSTRING)
            return vm_error(L, "gate.store.%s: bad options", kind);
        options[n++] = (struct store_option){lua_tostring(L, -2), lua_tostring(L, -1)};
        lua_pop(L, 1);
    }
    if (store_get(kind, options, n, &s, &why) != 0) {
        lua_settop(L, 2);
        vm_hold(vm, why, free);
        return vm_error(L, "gate.store.%s: %s", kind, why ? why : "cannot be made");
    }
    own(vm, s);
    push_store(L, s, 0);
    return 1;
}

/* core.store_at(store, prefix) → the same store below prefix/, or nil for a bad one */
static int l_store_at(lua_State *L)
{
    struct store_box *b = store_at(L, 1);
    size_t n;
    const char *prefix = luaL_checklstring(L, 2, &n);
    if (key_check((struct span){prefix, n}) != 0)
        return 0;
    struct store_box *below = push_store(L, b->store, b->prefix_n + n + 1);
    memcpy(below->prefix, b->prefix, b->prefix_n);
    memcpy(below->prefix + b->prefix_n, prefix, n);
    below->prefix[below->prefix_n - 1] = '/';
    return 1;
}

/* core.store_is_key(store, text) → can it be a key there? */
static int l_store_is_key(lua_State *L)
{
    char room[KEY_ROOM];
    struct store_box *b = store_at(L, 1);
    const char *key = key_at(L, 2, (struct span){b->prefix, b->prefix_n}, room);
    bool fits = key && key_check(span_of(key)) == 0;
    lua_pushboolean(L, fits);
    return 1;
}

/* core.store_id(store) → "fs:/srv/data", and the prefix that its keys get, "" or "a/" */
static int l_store_id(lua_State *L)
{
    struct store_box *b = store_at(L, 1);
    lua_pushstring(L, b->store->id);
    lua_pushlstring(L, b->prefix, b->prefix_n);
    return 2;
}

/* What is known of an object comes as facts: size, modified, etag, type, meta.
 *
 * core.store_NAME(store, key) for what needs a key and nothing else */
static int simple(lua_State *L, enum store_verb verb)
{
    luaL_checktype(L, 2, LUA_TSTRING);
    struct store_wait *w = wait_new(L, verb);
    return w ? wait_start(L, w) : 0;
}

static int l_store_stat(lua_State *L)
{
    return simple(L, OP_stat);
}

static int l_store_remove(lua_State *L)
{
    return simple(L, OP_remove);
}

static int l_store_remove_prefix(lua_State *L)
{
    return simple(L, OP_remove_prefix);
}

static int l_store_touch(lua_State *L)
{
    return simple(L, OP_touch);
}

/* A count of bytes or of nanoseconds; anything outside 0 to 2^62 is clamped, as no object
 * is there. */
static uint64_t number_at(lua_State *L, int idx, uint64_t otherwise)
{
    lua_Number n = luaL_optnumber(L, idx, -1);
    if (lua_isnoneornil(L, idx))
        return otherwise;
    if (!(n > 0))
        return 0;
    return n < 0x1p62 ? (uint64_t)n : UINT64_C(1) << 62;
}

/* core.store_open(store, key, offset, size, immutable) → stream, facts */
static int l_store_open_object(lua_State *L)
{
    struct store_wait *w = wait_new(L, OP_open);
    if (!w)
        return 0;
    w->op.offset = number_at(L, 3, 0);
    w->op.n = number_at(L, 4, SIZE_UNKNOWN);
    w->op.immutable = lua_toboolean(L, 5);
    return wait_start(L, w);
}

/* core.store_read(store, key, limit) → bytes, facts */
static int l_store_read(lua_State *L)
{
    struct store_wait *w = wait_new(L, OP_read);
    if (!w)
        return 0;
    w->op.limit = number_at(L, 3, 0);
    return wait_start(L, w);
}

/* The table of user metadata at idx, packed. 0 or E_INVALID. */
static int pack_meta(lua_State *L, int idx, struct store_wait *w)
{
    if (lua_isnoneornil(L, idx))
        return 0;
    lua_pushnil(L);
    while (lua_next(L, idx)) {
        for (int i = -2; i <= -1; i++) {
            size_t n;
            const char *p =
                lua_type(L, i) == LUA_TSTRING ? lua_tolstring(L, i, &n) : NULL;
            if (!p || memchr(p, '\0', n) || n >= sizeof w->meta - w->meta_n)
                return E_INVALID;
            memcpy(w->meta + w->meta_n, p, n + 1);
            w->meta_n += n + 1;
        }
        lua_pop(L, 1);
    }
    w->op.meta = w->meta;
    w->op.meta_n = w->meta_n;
    return 0;
}

/* if_absent, type and meta at idx, idx + 1, idx + 2. 0 or E_INVALID. */
static int creation(lua_State *L, int idx, struct store_wait *w)
{
    lua_settop(L, idx + 2);
    w->op.if_absent = lua_toboolean(L, idx);
    w->op.type = luaL_optstring(L, idx + 1, NULL);
    return pack_meta(L, idx + 2, w);
}

/* core.store_create(store, key or nil, if_absent, type, meta) → sink */
static int l_store_create(lua_State *L)
{
    struct store_wait *w = wait_new(L, OP_create);
    if (!w)
        return 0;
    if (creation(L, 3, w) != 0)
        return wait_refuse(w, E_INVALID);
    return wait_start(L, w);
}

/* core.store_append(store, key, offset) → sink */
static int l_store_append(lua_State *L)
{
    struct store_wait *w = wait_new(L, OP_append);
    if (!w)
        return 0;
    w->op.offset = number_at(L, 3, 0);
    return wait_start(L, w);
}

/* core.store_put(store, key, bytes, if_absent, type, meta) → facts */
static int l_store_put(lua_State *L)
{
    luaL_checktype(L, 3, LUA_TSTRING);
    struct store_wait *w = wait_new(L, OP_put);
    if (!w)
        return 0;
    w->op.in.p = lua_tolstring(L, 3, &w->op.in.n);
    if (creation(L, 4, w) != 0)
        return wait_refuse(w, E_INVALID);
    return wait_start(L, w);
}

/* core.store_put_if(store, key, bytes, version) → facts */
static int l_store_put_if(lua_State *L)
{
    luaL_checktype(L, 3, LUA_TSTRING);
    luaL_checktype(L, 4, LUA_TSTRING);
    struct store_wait *w = wait_new(L, OP_put_if);
    if (!w)
        return 0;
    w->op.in.p = lua_tolstring(L, 3, &w->op.in.n);
    w->op.version = lua_tostring(L, 4);
    return wait_start(L, w);
}

/* core.store_list(store, prefix, delimiter, after or nil, limit) → entries, more */
static int l_store_list(lua_State *L)
{
    luaL_checktype(L, 2, LUA_TSTRING);
    struct store_wait *w = wait_new(L, OP_list);
    if (!w)
        return 0;
    w->op.delimiter = lua_toboolean(L, 3);
    if (!lua_isnoneornil(L, 4) && !(w->op.after = key_at(L, 4, w->prefix, w->after)))
        return wait_refuse(w, E_INVALID);
    w->op.limit = number_at(L, 5, STORE_LIST_MAX);
    return wait_start(L, w);
}

/* core.store_copy(store, from, to) and core.store_move, which also takes a size or nil */
static int transfer(lua_State *L, enum store_verb verb)
{
    luaL_checktype(L, 2, LUA_TSTRING);
    luaL_checktype(L, 3, LUA_TSTRING);
    lua_Number size = luaL_optnumber(L, 4, -1);
    struct store_wait *w = wait_new(L, verb);
    if (!w)
        return 0;
    if (!(w->op.to = key_at(L, 3, w->prefix, w->to)))
        return wait_refuse(w, E_INVALID);
    if (size >= 0)
        w->op.n = (uint64_t)size;
    return wait_start(L, w);
}

static int l_store_copy(lua_State *L)
{
    return transfer(L, OP_copy);
}

static int l_store_move(lua_State *L)
{
    return transfer(L, OP_move);
}

/* core.store_concat(store, to, { key, … }) */
static int l_store_concat(lua_State *L)
{
    luaL_checktype(L, 2, LUA_TSTRING);
    luaL_checktype(L, 3, LUA_TTABLE);
    size_t count = lua_objlen(L, 3);
    if (count > CONCAT_MAX)
        return vm_error(L, "store:concat: more than %d parts", CONCAT_MAX);
    struct store_wait *w = wait_new(L, OP_concat);
    if (!w)
        return 0;
    w->op.to = w->op.key;
    w->op.key = NULL;
    w->keys = xalloc((count + 1) * sizeof *w->keys);
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, 3, (int)i + 1);
        if (!key_at(L, -1, w->prefix, w->after))
            return wait_refuse(w, E_INVALID);
        w->keys[w->n_keys++] = xstrdup(w->after);
        lua_pop(L, 1);
    }
    w->op.keys = w->keys;
    w->op.n_keys = w->n_keys;
    return wait_start(L, w);
}

/* core.store_expire(store, key, before in seconds since 1970) → removed? */
static int l_store_expire(lua_State *L)
{
    lua_Number before = luaL_checknumber(L, 3);
    struct store_wait *w = wait_new(L, OP_expire);
    if (!w)
        return 0;
    w->op.before = before > 0 ? (uint64_t)(fmin(before, 9e9) * 1e9) : 0;
    return wait_start(L, w);
}

/* core.store_url(store, key, method, seconds) → text */
static int l_store_url(lua_State *L)
{
    const char *method = luaL_checkstring(L, 3);
    struct store_wait *w = wait_new(L, OP_url);
    if (!w)
        return 0;
    w->op.method = method;
    w->op.expires_s = number_at(L, 4, 1200);
    return wait_start(L, w);
}

/* core.sink_commit(sink, key, if_absent) → facts */
static int l_sink_commit(lua_State *L)
{
    struct hold *h = box_check(L, 1, &sink_kind);
    struct sink_hold *sink = CONTAINER(h, struct sink_hold, hold);
    luaL_checktype(L, 2, LUA_TSTRING);
    if (sink->named || !sink->fed)
        return vm_error(L, "sink:commit: for sinks without a name, after into");
    struct store_wait *w = wait_new_commit(L, sink);
    if (!w)
        return 0;
    w->op.if_absent = lua_toboolean(L, 3);
    return wait_start(L, w);
}

void l_store_open(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"store", l_store},
        {"store_at", l_store_at},
        {"store_id", l_store_id},
        {"store_is_key", l_store_is_key},
        {"store_stat", l_store_stat},
        {"store_open", l_store_open_object},
        {"store_read", l_store_read},
        {"store_create", l_store_create},
        {"store_append", l_store_append},
        {"store_put", l_store_put},
        {"store_put_if", l_store_put_if},
        {"store_list", l_store_list},
        {"store_copy", l_store_copy},
        {"store_move", l_store_move},
        {"store_concat", l_store_concat},
        {"store_remove", l_store_remove},
        {"store_remove_prefix", l_store_remove_prefix},
        {"store_touch", l_store_touch},
        {"store_expire", l_store_expire},
        {"store_url", l_store_url},
        {"sink_commit", l_sink_commit},
        {NULL, NULL},
    };
    luaL_newmetatable(L, STORE_META);
    lua_pop(L, 1);
    luaL_setfuncs(L, functions, 0);
}
