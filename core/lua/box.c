/* SPDX-License-Identifier: Apache-2.0 */
#include "lua/box.h"

#include <lauxlib.h>

void hold_add(struct task *t, struct hold *h, const struct hold_kind *kind)
{
    h->kind = kind;
    h->task = t;
    h->number = ++t->vm->holds_made;
    list_init(&h->link);
    list_append(&t->holds, &h->link);
}

void hold_release(struct hold *h)
{
    list_remove(&h->link);
    h->kind->release(h);
}

void hold_release_all(struct task *t)
{
    while (!list_empty(&t->holds))
        hold_release(CONTAINER(t->holds.prev, struct hold, link));
}

void box_push(lua_State *L, struct hold *h)
{
    struct box *b = lua_newuserdata(L, sizeof *b);
    *b = (struct box){BOX_MAGIC, h->kind, h->number};
    lua_rawgeti(L, LUA_REGISTRYINDEX, vm_of(L)->box_meta);
    lua_setmetatable(L, -2);
}

/* By the metatable, like luaL_checkudata, but without looking its name up. */
static struct box *box_at(lua_State *L, int idx)
{
    struct box *b = lua_touserdata(L, idx);
    if (!b || !lua_getmetatable(L, idx))
        return NULL;
    lua_rawgeti(L, LUA_REGISTRYINDEX, vm_of(L)->box_meta);
    bool same = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    if (!same)
        return NULL;
    CHECK(b, BOX_MAGIC);
    return b;
}

/* Few are open at a time, and the newest is asked for most. */
static struct hold *find(const struct task *t, uint64_t number)
{
    const struct list *l = t ? t->holds.prev : NULL;
    for (; l && l != &t->holds; l = l->prev) {
        struct hold *h = CONTAINER((struct list *)(uintptr_t)l, struct hold, link);
        if (h->number == number)
            return h;
    }
    return NULL;
}

struct hold *box_check(lua_State *L, int idx, const struct hold_kind *kind)
{
    struct box *b = box_at(L, idx);
    if (!b || b->kind != kind)
        vm_error(L, "a %s is expected, got %s", kind->name,
                 b ? b->kind->name : luaL_typename(L, idx));
    struct hold *h = find(vm_of(L)->running, b->number);
    if (!h)
        vm_error(L, "this %s is used up, closed or another request's", kind->name);
    return h;
}

void box_open(lua_State *L)
{
    lua_createtable(L, 0, 1);
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    vm_of(L)->box_meta = luaL_ref(L, LUA_REGISTRYINDEX);
}
