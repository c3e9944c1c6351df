/* SPDX-License-Identifier: Apache-2.0
 *
 * From a Lua reply to struct reply. Small texts are copied to the request's arena; the
 * body's string is lent, so the dispatcher returns it and the coroutine keeps it.
 */
#include "lua/core.h"
#include "lua/streams.h"

#include <lauxlib.h>
#include <string.h>

static struct span copy(lua_State *L, struct visit *v, int idx)
{
    struct span s;
    const char *p = lua_tolstring(L, idx, &s.n);
    s.p = arena_copy(&v->req->arena, p, s.n);
    return s;
}

/* The value on top of the stack, popped. */
static void add_header(lua_State *L, struct visit *v, struct span name)
{
    if (lua_type(L, -1) != LUA_TSTRING && lua_type(L, -1) != LUA_TNUMBER)
        vm_error(L, "reply: header %s must be a string, a number or a list of them",
                 name.p);
    if (reply_header(&v->reply, name, copy(L, v, -1)) != 0)
        vm_error(L, "reply: header %s cannot be set to this", name.p);
    lua_pop(L, 1);
}

static void add_headers(lua_State *L, struct visit *v, int idx)
{
    luaL_checktype(L, idx, LUA_TTABLE);
    lua_pushnil(L);
    while (lua_next(L, idx)) {
        if (lua_type(L, -2) != LUA_TSTRING)
            vm_error(L, "reply: header names must be strings");
        struct span name = copy(L, v, -2);
        if (!lua_istable(L, -1)) {
            add_header(L, v, name);
            continue;
        }
        size_t count = lua_objlen(L, -1);
        for (size_t i = 1; i <= count; i++) {
            lua_rawgeti(L, -1, (int)i);
            add_header(L, v, name);
        }
        lua_pop(L, 1);
    }
}

/* Unless the headers have one. */
static void add_type(lua_State *L, struct visit *v, int idx)
{
    const struct span name = SPAN_LIT("Content-Type");
    for (size_t i = 0; i < v->reply.n_headers; i++)
        if (span_eq_nocase(v->reply.headers[i].name, name))
            return;
    if (reply_header(&v->reply, name, copy(L, v, idx)) != 0)
        vm_error(L, "reply: this Content-Type cannot be sent");
}

/* What comes from another server cannot be cut into ranges. */
static void add_object(lua_State *L, struct visit *v, const struct source *source)
{
    struct arena *a = &v->req->arena;
    v->reply.ranges = source->ops->window != NULL;
    if (lua_type(L, 6) == LUA_TSTRING && lua_objlen(L, 6) > 0) {
        struct span tag = span_of(lua_tostring(L, 6));
        char *quoted = arena_alloc(a, tag.n + 2);
        quoted[0] = quoted[tag.n + 1] = '"';
        memcpy(quoted + 1, tag.p, tag.n);
        v->reply.etag = (struct span){quoted, tag.n + 2};
    }
    v->reply.modified = (uint64_t)(luaL_optnumber(L, 7, 0) * 1e9);
}

/* core.reply(request, status, headers or nil, type or nil, body, etag, modified) → body.
 * The body is nil, a string or a stream; a stream is given away. */
static int l_reply(lua_State *L)
{
    struct visit *v = CONTAINER(box_check(L, 1, &visit_kind), struct visit, hold);
    struct stream_hold *body = NULL;
    lua_Integer status = luaL_checkinteger(L, 2);
    lua_settop(L, 7);
    if (status < 200 || status > 599)
        vm_error(L, "reply: the status must be from 200 to 599");
    source_close(v->reply.source);
    v->ready = false;
    reply_init(&v->reply, (int)status);
    if (!lua_isnil(L, 3))
        add_headers(L, v, 3);
    if (lua_type(L, 4) == LUA_TSTRING)
        add_type(L, v, 4);
    if (lua_type(L, 5) == LUA_TSTRING) {
        v->reply.bytes.p = lua_tolstring(L, 5, &v->reply.bytes.n);
    } else if (!lua_isnil(L, 5)) {
        body = stream_at(L, 5);
        if (body->body)
            vm_error(L, "reply: the request's own body cannot be its reply");
        add_object(L, v, body->source);
        v->reply.source = body->source;
        body->source = NULL;
        hold_release(&body->hold);
    }
    v->ready = true;
    lua_settop(L, 5);
    return 1;
}

void l_reply_open(lua_State *L)
{
    static const luaL_Reg functions[] = {{"reply", l_reply}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
