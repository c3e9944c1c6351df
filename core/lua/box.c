/* SPDX-License-Identifier: Apache-2.0 */
#include "lua/box.h"

#include <lauxlib.h>

#define BOX_META "tidegate.box"

void hold_add(struct task *t, struct hold *h, const struct hold_kind *kind)
{
    h->kind = kind;
    h->task = t;
    h->box = NULL;
    list_init(&h->link);
    list_append(&t->holds, &h->link);
}

void hold_release(struct hold *h)
{
    list_remove(&h->link);
    if (h->box)
        h->box->hold = NULL;
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
    *b = (struct box){BOX_MAGIC, h};
    h->box = b;
    luaL_getmetatable(L, BOX_META);
    lua_setmetatable(L, -2);
}

static struct box *box_at(lua_State *L, int idx)
{
    struct box *b = luaL_testudata(L, idx, BOX_META);
    if (b)
        CHECK(b, BOX_MAGIC);
    return b;
}

struct hold *box_test(lua_State *L, int idx, const struct hold_kind *kind)
{
    struct box *b = box_at(L, idx);
    return b && b->hold && b->hold->kind == kind ? b->hold : NULL;
}

struct hold *box_check(lua_State *L, int idx, const struct hold_kind *kind)
{
    struct box *b = box_at(L, idx);
    if (!b || (b->hold && b->hold->kind != kind))
        vm_error(L, "a %s is expected, got %s", kind->name,
                 b ? b->hold->kind->name : luaL_typename(L, idx));
    if (!b->hold)
        vm_error(L, "this %s is used up or closed", kind->name);
    if (b->hold->task != vm_of(L)->running)
        vm_error(L, "this %s belongs to another request", kind->name);
    return b->hold;
}

static int l_box_gc(lua_State *L)
{
    struct box *b = lua_touserdata(L, 1);
    if (b->hold)
        b->hold->box = NULL;
    return 0;
}

void box_open(lua_State *L)
{
    luaL_newmetatable(L, BOX_META);
    lua_pushcfunction(L, l_box_gc);
    lua_setfield(L, -2, "__gc");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}
