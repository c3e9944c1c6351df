/* SPDX-License-Identifier: Apache-2.0
 *
 * gate.shared. The VM holds its dictionaries by userdata that the registry keeps, so they
 * last as long as a VM that names them.
 */
#include "lua/core.h"
#include "lua/shared.h"
#include "lua/task.h"

#include <lauxlib.h>

#define SHARED_META "tidegate.shared"
#define TTL_MAX 1e9 /* seconds; 31 years */

struct shared_box {
    struct shared *d;
};

static struct shared *shared_at(lua_State *L)
{
    const struct shared_box *b = luaL_checkudata(L, 1, SHARED_META);
    if (vm_of(L)->loading)
        vm_error(L, "shared: not while the script loads");
    return b->d;
}

static struct span key_at(lua_State *L)
{
    struct span key;
    if (lua_type(L, 2) != LUA_TSTRING)
        vm_error(L, "shared: a key must be a string, got %s", luaL_typename(L, 2));
    key.p = lua_tolstring(L, 2, &key.n);
    return key;
}

static uint64_t ttl_at(lua_State *L, int idx)
{
    lua_Number s = luaL_optnumber(L, idx, 0);
    return (uint64_t)((s > 0 ? s < TTL_MAX ? s : TTL_MAX : 0) * 1e9);
}

/* core.shared(name, size) → dictionary. A trial leaves those that are in use alone. */
static int l_shared(lua_State *L)
{
    struct vm *vm = vm_of(L);
    const char *name = luaL_checkstring(L, 1);
    lua_Number size = luaL_checknumber(L, 2);
    if (!vm->loading)
        return vm_error(L, "gate.shared: dictionaries are named while the script loads");
    struct shared_box *b = lua_newuserdata(L, sizeof *b);
    b->d = NULL;
    luaL_getmetatable(L, SHARED_META);
    lua_setmetatable(L, -2);
    lua_pushvalue(L, -1);
    luaL_ref(L, LUA_REGISTRYINDEX);
    if (vm->worker)
        b->d = shared_get(name, (size_t)size);
    return 1;
}

static int l_shared_get(lua_State *L)
{
    char room[SHARED_VALUE_MAX];
    struct shared_value v;
    int rc = shared_read(shared_at(L), key_at(L), &v, room);
    if (rc != 0)
        return task_failure(L, rc);
    lua_pushboolean(L, 1);
    if (v.kind == SHARED_NONE)
        lua_pushnil(L);
    else if (v.kind == SHARED_STRING)
        lua_pushlstring(L, v.text.p, v.text.n);
    else if (v.kind == SHARED_NUMBER)
        lua_pushnumber(L, v.number);
    else
        lua_pushboolean(L, v.number != 0);
    return 2;
}

static struct shared_value value_at(lua_State *L, int idx)
{
    struct shared_value v = {.kind = SHARED_NONE};
    switch (lua_type(L, idx)) {
    case LUA_TSTRING:
        v.kind = SHARED_STRING;
        v.text.p = lua_tolstring(L, idx, &v.text.n);
        break;
    case LUA_TNUMBER:
        v.kind = SHARED_NUMBER;
        v.number = lua_tonumber(L, idx);
        break;
    case LUA_TBOOLEAN:
        v.kind = SHARED_BOOLEAN;
        v.number = lua_toboolean(L, idx);
        break;
    default:
        vm_error(L, "shared: a value must be a string, a number or a boolean, got %s",
                 luaL_typename(L, idx));
    }
    return v;
}

/* core.shared_set(dictionary, key, value, ttl, if absent) → whether it was set */
static int l_shared_set(lua_State *L)
{
    struct shared *d = shared_at(L);
    struct shared_value v = value_at(L, 3);
    int rc = shared_write(d, key_at(L), &v, ttl_at(L, 4), lua_toboolean(L, 5));
    if (rc != 0 && rc != E_EXISTS)
        return task_failure(L, rc);
    lua_pushboolean(L, 1);
    lua_pushboolean(L, rc == 0);
    return 2;
}

/* core.shared_incr(dictionary, key, by, initial, ttl) → the sum */
static int l_shared_incr(lua_State *L)
{
    double sum;
    struct shared *d = shared_at(L);
    double by = luaL_checknumber(L, 3), initial = luaL_checknumber(L, 4);
    int rc = shared_add(d, key_at(L), by, initial, ttl_at(L, 5), &sum);
    if (rc != 0)
        return task_failure(L, rc);
    lua_pushboolean(L, 1);
    lua_pushnumber(L, sum);
    return 2;
}

/* core.shared_delete(dictionary, key) → whether it was there */
static int l_shared_delete(lua_State *L)
{
    struct shared *d = shared_at(L);
    lua_pushboolean(L, shared_delete(d, key_at(L)));
    return 1;
}

static int l_shared_gc(lua_State *L)
{
    struct shared_box *b = lua_touserdata(L, 1);
    shared_put(b->d);
    return 0;
}

void l_shared_open(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"shared", l_shared},
        {"shared_get", l_shared_get},
        {"shared_set", l_shared_set},
        {"shared_incr", l_shared_incr},
        {"shared_delete", l_shared_delete},
        {NULL, NULL},
    };
    luaL_setfuncs(L, functions, 0);
    luaL_newmetatable(L, SHARED_META);
    lua_pushcfunction(L, l_shared_gc);
    lua_setfield(L, -2, "__gc");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}
