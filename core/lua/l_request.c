/* SPDX-License-Identifier: Apache-2.0
 *
 * The request as scripts ask for it, piece by piece, so that what nobody asks for costs
 * nothing.
 */
#include "lua/core.h"
#include "lua/streams.h"

#include <ctype.h>
#include <lauxlib.h>
#include <string.h>

#define FIELD_NAME_MAX 32 /* bytes of the name of a note */

static struct visit *visit_at(lua_State *L)
{
    return CONTAINER(box_check(L, 1, &visit_kind), struct visit, hold);
}

static void push_span(lua_State *L, struct span s)
{
    lua_pushlstring(L, s.n ? s.p : "", s.n);
}

/* core.request_line(request) → method, path, query or nil */
static int l_request_line(lua_State *L)
{
    const struct http_head *head = &visit_at(L)->req->head;
    push_span(L, head->method);
    push_span(L, head->path);
    if (!head->query.p)
        return 2;
    push_span(L, head->query);
    return 3;
}

/* core.request_header(request, name) → the first of that name, or nil */
static int l_request_header(lua_State *L)
{
    const struct span *value =
        http_header(&visit_at(L)->req->head, luaL_checkstring(L, 2));
    if (!value)
        return 0;
    push_span(L, *value);
    return 1;
}

static void push_lower(lua_State *L, struct span name)
{
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    for (size_t i = 0; i < name.n; i++)
        luaL_addchar(&b, (char)tolower((unsigned char)name.p[i]));
    luaL_pushresult(&b);
}

void push_headers(lua_State *L, const struct http_header *headers, size_t n)
{
    lua_createtable(L, 0, (int)n);
    for (size_t i = 0; i < n; i++) {
        push_lower(L, headers[i].name);
        lua_pushvalue(L, -1);
        lua_rawget(L, -3);
        if (lua_isnil(L, -1)) {
            lua_pop(L, 1);
            push_span(L, headers[i].value);
        } else {
            lua_pushliteral(L, ", ");
            push_span(L, headers[i].value);
            lua_concat(L, 3);
        }
        lua_rawset(L, -3);
    }
}

/* core.request_headers(request) → { name = value } */
static int l_request_headers(lua_State *L)
{
    const struct http_head *head = &visit_at(L)->req->head;
    push_headers(L, head->headers, head->n_headers);
    return 1;
}

/* core.request_facts(request) → id, address, peer, scheme, length or nil */
static int l_request_facts(lua_State *L)
{
    const struct req *q = visit_at(L)->req;
    lua_pushstring(L, q->id);
    push_span(L, q->address);
    lua_pushstring(L, q->peer);
    lua_pushstring(L, q->secure ? "https" : "http");
    if (!q->head.has_length)
        return 4;
    lua_pushnumber(L, (lua_Number)q->head.length);
    return 5;
}

static void set_text(lua_State *L, const char *name, const char *text)
{
    lua_pushstring(L, text); /* nil for NULL */
    lua_setfield(L, -2, name);
}

static void push_client(lua_State *L, const struct tls_facts *f)
{
    lua_createtable(L, 0, 3);
    set_text(L, "subject", f->subject);
    set_text(L, "fingerprint", f->fingerprint);
    lua_createtable(L, (int)f->n_names, 0);
    for (size_t i = 0; i < f->n_names; i++) {
        lua_pushstring(L, f->names[i]);
        lua_rawseti(L, -2, (int)i + 1);
    }
    lua_setfield(L, -2, "names");
}

/* core.request_tls(request) → { version, cipher, name, client }, or nil */
static int l_request_tls(lua_State *L)
{
    struct tls_facts f;
    if (!req_tls(visit_at(L)->req, &f))
        return 0;
    lua_createtable(L, 0, 4);
    set_text(L, "version", f.version);
    set_text(L, "cipher", f.cipher);
    set_text(L, "name", f.name);
    if (f.has_client) {
        push_client(L, &f);
        lua_setfield(L, -2, "client");
    }
    return 1;
}

/* core.request_body(request) → stream, or nil without a body; once */
static int l_request_body(lua_State *L)
{
    struct visit *v = visit_at(L);
    struct source *s = req_body(v->req);
    if (!s)
        return 0;
    box_push(L, &stream_hold_new(v->hold.task, s, true)->hold);
    return 1;
}

/* The value at idx as text for people; popped by the caller. */
static struct span note_at(lua_State *L, int idx)
{
    struct span s = SPAN_LIT("");
    if (lua_type(L, idx) == LUA_TBOOLEAN)
        return lua_toboolean(L, idx) ? SPAN_LIT("true") : SPAN_LIT("false");
    if (lua_type(L, idx) == LUA_TSTRING || lua_type(L, idx) == LUA_TNUMBER)
        s.p = lua_tolstring(L, idx, &s.n);
    return s;
}

static bool is_field_name(struct span s)
{
    bool good = s.n > 0 && s.n <= FIELD_NAME_MAX && islower((unsigned char)s.p[0]);
    for (size_t i = 1; good && i < s.n; i++)
        good = islower((unsigned char)s.p[i]) || isdigit((unsigned char)s.p[i]) ||
               s.p[i] == '_';
    return good;
}

/* core.note(request or nil, { name = value }); without a request it only looks at them */
static int l_note(lua_State *L)
{
    struct visit *v = lua_isnil(L, 1) ? NULL : visit_at(L);
    if (!lua_istable(L, 2))
        vm_error(L, "q:note: a table of fields is expected");
    lua_pushnil(L);
    for (; lua_next(L, 2); lua_pop(L, 1)) {
        struct span name = {NULL, 0};
        if (lua_type(L, -2) == LUA_TSTRING)
            name.p = lua_tolstring(L, -2, &name.n);
        if (!is_field_name(name))
            vm_error(L, "q:note: names of fields are of a-z, 0-9 and _, %d at most",
                     FIELD_NAME_MAX);
        if (lua_istable(L, -1) || lua_isfunction(L, -1))
            vm_error(L, "q:note: '%s' must be a string, a number or a boolean", name.p);
        if (v && req_note(v->req, name, note_at(L, -1)) && span_is(name, "upload"))
            v->hold.task->upload = req_noted(v->req, "upload").p;
    }
    return 0;
}

/* core.about(request, application, action, user): for the metrics, and who it was */
static int l_about(lua_State *L)
{
    struct req *q = visit_at(L)->req;
    struct span app = note_at(L, 2), action = note_at(L, 3), user = note_at(L, 4);
    if (app.n)
        q->app = arena_copy(&q->arena, app.p, app.n);
    if (action.n)
        q->action = arena_copy(&q->arena, action.p, action.n);
    if (user.n)
        req_note(q, SPAN_LIT("user"), user);
    return 0;
}

void l_request_open(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"request_line", l_request_line},
        {"request_header", l_request_header},
        {"request_headers", l_request_headers},
        {"request_facts", l_request_facts},
        {"request_body", l_request_body},
        {"request_tls", l_request_tls},
        {"note", l_note},
        {"about", l_about},
        {NULL, NULL},
    };
    luaL_setfuncs(L, functions, 0);
}
