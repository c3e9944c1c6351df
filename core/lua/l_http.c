/* SPDX-License-Identifier: Apache-2.0
 *
 * gate.http: one fetch, one wait. The answer's body becomes a stream of the task.
 */
#include "http/client.h"
#include "lua/core.h"
#include "lua/streams.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

struct http_wait {
    struct fetch fetch;
    struct task *task;
    struct http_header headers[FETCH_HEADERS_MAX];
    char *ca; /* owned */
};

static void http_done(struct fetch *f)
{
    task_wake(CONTAINER(f, struct http_wait, fetch)->task);
}

static void http_cancel(void *room)
{
    fetch_cancel(&((struct http_wait *)room)->fetch);
}

/* A body that nobody took is closed by becoming a hold, which the end of the task
 * releases. */
static void http_drop(void *room)
{
    struct http_wait *w = room;
    if (w->fetch.body)
        stream_hold_new(w->task, w->fetch.body, false);
    free(w->ca);
}

static int http_result(lua_State *L, void *room)
{
    struct http_wait *w = room;
    struct fetch *f = &w->fetch;
    if (f->rc != 0) {
        int n = task_failure(L, f->rc);
        lua_createtable(L, 0, 1);
        lua_pushstring(L, f->cause);
        lua_setfield(L, -2, "cause");
        return n + 1;
    }
    lua_pushboolean(L, 1);
    lua_pushinteger(L, f->status);
    push_headers(L, f->answer, f->n_answer);
    struct stream_hold *s = stream_hold_new(w->task, f->body, false);
    f->body = NULL;
    box_push(L, &s->hold);
    if (s->source->size == SIZE_UNKNOWN)
        return 4;
    lua_pushnumber(L, (lua_Number)s->source->size);
    return 5;
}

/* { name, value, name, value, … } at idx, which the library made. */
static size_t read_headers(lua_State *L, int idx, struct http_header *out)
{
    size_t n = lua_objlen(L, idx) / 2;
    for (size_t i = 0; i < 2 * n; i++) {
        struct span *s = i % 2 ? &out[i / 2].value : &out[i / 2].name;
        lua_rawgeti(L, idx, (int)i + 1);
        s->p = lua_tolstring(L, -1, &s->n);
        lua_pop(L, 1); /* the table keeps it */
    }
    return n;
}

static void check_headers(lua_State *L, int idx)
{
    luaL_checktype(L, idx, LUA_TTABLE);
    size_t n = lua_objlen(L, idx);
    if (n % 2 || n / 2 > FETCH_HEADERS_MAX)
        vm_error(L, "gate.http: more than %d headers", FETCH_HEADERS_MAX);
    for (size_t i = 1; i <= n; i++) {
        lua_rawgeti(L, idx, (int)i);
        if (lua_type(L, -1) != LUA_TSTRING)
            vm_error(L, "gate.http: a header must be a string");
        lua_pop(L, 1);
    }
}

static lua_Number option(lua_State *L, const char *name)
{
    lua_getfield(L, 5, name);
    lua_Number n = lua_tonumber(L, -1);
    lua_pop(L, 1);
    return n;
}

/* Seconds, at most some centuries. */
static uint64_t time_option(lua_State *L, const char *name)
{
    lua_Number s = option(L, name);
    return (uint64_t)((s < 9e9 ? s : 9e9) * 1e9);
}

/* A text of the table at 5, which keeps it; NULL when it is not there. */
static const char *text_option(lua_State *L, const char *name)
{
    lua_getfield(L, 5, name);
    const char *text = lua_tostring(L, -1);
    lua_pop(L, 1);
    return text;
}

static void read_options(lua_State *L, struct http_wait *w)
{
    struct fetch *f = &w->fetch;
    const char *ca = text_option(L, "ca");
    lua_Number limit = option(L, "limit");
    f->connect = time_option(L, "connect");
    f->stall = time_option(L, "stall");
    f->whole = time_option(L, "timeout");
    f->follow = (unsigned)option(L, "follow");
    f->proxy = text_option(L, "proxy");
    if (limit > 0)
        f->limit = limit < 0x1p62 ? (uint64_t)limit : UINT64_C(1) << 62;
    if (ca) /* relative to the script */
        w->ca = xasprintf("%s%s", *ca == '/' ? "" : vm_of(L)->folder, ca);
    f->ca = w->ca;
}

/* Nil, a string, or a stream, which is given away. */
static void read_body(lua_State *L, struct fetch *f, struct stream_hold *body)
{
    f->has_body = !lua_isnil(L, 4);
    if (body) {
        f->source = body->source;
        body->source = NULL;
        hold_release(&body->hold);
    } else if (f->has_body) {
        f->bytes.p = lua_tolstring(L, 4, &f->bytes.n);
    }
}

/* core.http(method, url, { name, value, … }, body, { connect, stall, timeout, follow,
 * limit [, ca] [, proxy] }) → status, { name = value }, stream, size or nil */
static int l_http(lua_State *L)
{
    static const struct wait_kind kind = {"gate.http", http_result, http_cancel,
                                          http_drop};
    struct task *t = task_may_wait(L, kind.name);
    const char *method = luaL_checkstring(L, 1), *url = luaL_checkstring(L, 2);
    struct stream_hold *body = NULL;
    lua_settop(L, 5);
    check_headers(L, 3);
    luaL_checktype(L, 5, LUA_TTABLE);
    if (!lua_isnil(L, 4) && lua_type(L, 4) != LUA_TSTRING)
        body = stream_at(L, 4);
    if (lua_objlen(L, 2) != strlen(url))
        return task_refuse(t, E_INVALID);
    struct http_wait *w = task_room(t, sizeof *w);
    if (!w)
        return 0;
    w->task = t;
    w->ca = NULL;
    fetch_init(&w->fetch, method, url, http_done);
    w->fetch.headers = w->headers;
    w->fetch.n_headers = read_headers(L, 3, w->headers);
    task_arm(t, &kind);
    read_options(L, w);
    read_body(L, &w->fetch, body);
    fetch_start(&w->fetch);
    return task_wait(L, t);
}

void l_http_open(lua_State *L)
{
    static const luaL_Reg functions[] = {{"http", l_http}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
