/* SPDX-License-Identifier: Apache-2.0
 *
 * string.find, match, gmatch and gsub for scripts, on our own matcher. They return and
 * raise what LuaJIT's do, and one error more: a pattern that spends its budget.
 */
#include "lua/core.h"
#include "lua/pattern.h"
#include "lua/vm.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

/* Slots of the Lua stack that a gsub takes while it calls into Lua. One that calls itself
 * for ever so meets the end of Lua's stack, which is an error, before that of C's, which
 * would be the end of the process. */
#define GSUB_SLOTS 250

static struct span text_at(lua_State *L, int idx)
{
    struct span text;
    text.p = luaL_checklstring(L, idx, &text.n);
    return text;
}

static int fail(lua_State *L, const struct pattern *p, int rc)
{
    if (rc == E_INVALID)
        return vm_error(L, "%s", p->fault);
    return vm_error(L,
                    "pattern too expensive: given up after the %.0f steps allowed for "
                    "a subject of %zu bytes",
                    (double)pattern_budget(p->subject.n), p->subject.n);
}

/* pattern_search that raises */
static bool search(lua_State *L, struct pattern *p, size_t from)
{
    int rc = pattern_search(p, from);
    if (rc < 0)
        fail(L, p, rc);
    return rc == 1;
}

static struct span capture(lua_State *L, struct pattern *p, size_t i)
{
    struct span c = {NULL, 0};
    int rc = pattern_capture(p, i, &c);
    if (rc != 0)
        fail(L, p, rc);
    return c;
}

static lua_Integer position(const struct pattern *p, struct span c)
{
    return c.p - p->subject.p + 1;
}

static void push_capture(lua_State *L, struct pattern *p, size_t i)
{
    struct span c = capture(L, p, i);
    if (c.n == CAPTURE_POSITION)
        lua_pushinteger(L, position(p, c));
    else
        lua_pushlstring(L, c.p, c.n);
}

/* All of them; without any the whole match, if whole. Returns how many. */
static int push_captures(lua_State *L, struct pattern *p, bool whole)
{
    size_t n = p->n_captures == 0 && whole ? 1 : p->n_captures;
    luaL_checkstack(L, PATTERN_CAPTURES, "too many captures");
    for (size_t i = 0; i < n; i++)
        push_capture(L, p, i);
    return (int)n;
}

/* Where a search begins: init counts from 1, or back from the end if negative. */
static size_t start_at(lua_State *L, int idx, size_t n)
{
    lua_Integer init = luaL_optinteger(L, idx, 1);
    if (init < 0)
        init += (lua_Integer)n + 1;
    if (init < 1)
        return 0;
    return (size_t)init - 1 < n ? (size_t)init - 1 : n;
}

static int find_plain(lua_State *L, struct span subject, struct span text, size_t from)
{
    const char *at = memmem(subject.p + from, subject.n - from, text.p, text.n);
    if (!at) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushinteger(L, at - subject.p + 1);
    lua_pushinteger(L, at - subject.p + (lua_Integer)text.n);
    return 2;
}

static int find_or_match(lua_State *L, bool find)
{
    struct pattern p;
    struct span subject = text_at(L, 1), text = text_at(L, 2);
    size_t from = start_at(L, 3, subject.n);
    if (find && (lua_toboolean(L, 4) || !pattern_is_special(text)))
        return find_plain(L, subject, text, from);
    pattern_init(&p, text, subject, true);
    if (!search(L, &p, from)) {
        lua_pushnil(L);
        return 1;
    }
    if (!find)
        return push_captures(L, &p, true);
    lua_pushinteger(L, (lua_Integer)p.begin + 1);
    lua_pushinteger(L, (lua_Integer)p.end);
    return 2 + push_captures(L, &p, false);
}

/* string.find(s, pattern, init, plain) → first, last, captures…, or nil */
static int l_string_find(lua_State *L)
{
    return find_or_match(L, true);
}

/* string.match(s, pattern, init) → captures or the whole match, or nil */
static int l_string_match(lua_State *L)
{
    return find_or_match(L, false);
}

/* The upvalues are the subject, the pattern, and where to go on. */
static int l_gmatch_next(lua_State *L)
{
    struct pattern p;
    struct span subject, text;
    subject.p = lua_tolstring(L, lua_upvalueindex(1), &subject.n);
    text.p = lua_tolstring(L, lua_upvalueindex(2), &text.n);
    size_t from = (size_t)lua_tointeger(L, lua_upvalueindex(3));
    if (from > subject.n)
        return 0;
    pattern_init(&p, text, subject, false);
    bool found = search(L, &p, from);
    size_t next = !found ? subject.n + 1 : p.end > p.begin ? p.end : p.end + 1;
    lua_pushinteger(L, (lua_Integer)next);
    lua_replace(L, lua_upvalueindex(3));
    return found ? push_captures(L, &p, true) : 0;
}

/* string.gmatch(s, pattern) → iterator; each step of it has a budget of its own */
static int l_string_gmatch(lua_State *L)
{
    text_at(L, 1);
    text_at(L, 2);
    lua_settop(L, 2);
    lua_pushinteger(L, 0);
    lua_pushcclosure(L, l_gmatch_next, 3);
    return 1;
}

/* The text that gsub builds; a long one in a userdata at a fixed place of the Lua stack,
 * because a luaL_Buffer would take 8 KiB of C's through every call into Lua. */
struct result {
    lua_State *L;
    int idx;
    char *p;
    size_t n, room;
    char first[256];
};

static void add(struct result *r, const char *p, size_t n)
{
    if (n > r->room - r->n) {
        size_t room = r->n + n + r->room;
        char *more = lua_newuserdata(r->L, room);
        memcpy(more, r->p, r->n);
        lua_replace(r->L, r->idx);
        r->p = more;
        r->room = room;
    }
    if (n)
        memcpy(r->p + r->n, p, n);
    r->n += n;
}

static void add_capture(struct result *r, struct pattern *p, size_t i)
{
    struct span c = capture(r->L, p, i);
    char digits[24];
    if (c.n == CAPTURE_POSITION) {
        c.n = (size_t)snprintf(digits, sizeof digits, "%td", position(p, c));
        c.p = digits;
    }
    add(r, c.p, c.n);
}

/* The replacement is text: %1 to %9 are captures, %0 the match, and behind another '%'
 * a byte stands for itself. One at the end means the NUL that Lua keeps there. */
static void add_text(struct result *r, struct pattern *p, struct span text)
{
    const char *end = text.p + text.n;
    for (const char *s = text.p; s < end;) {
        const char *mark = memchr(s, '%', (size_t)(end - s));
        add(r, s, (size_t)((mark ? mark : end) - s));
        if (!mark)
            break;
        if (mark[1] == '0')
            add(r, p->subject.p + p->begin, p->end - p->begin);
        else if (mark[1] >= '1' && mark[1] <= '9')
            add_capture(r, p, (size_t)(mark[1] - '1'));
        else
            add(r, mark + 1, 1);
        s = mark + 2;
    }
    p->left -= (int64_t)text.n / 4;
}

/* The replacement is asked for: of a function or a table. nil and false keep the match. */
static void add_answer(struct result *r, struct pattern *p)
{
    lua_State *L = r->L;
    if (lua_istable(L, 3)) {
        push_capture(L, p, 0);
        lua_gettable(L, 3);
    } else {
        lua_pushvalue(L, 3);
        lua_call(L, push_captures(L, p, true), 1);
    }
    struct span text = {p->subject.p + p->begin, p->end - p->begin};
    if (lua_isstring(L, -1))
        text.p = lua_tolstring(L, -1, &text.n);
    else if (lua_toboolean(L, -1))
        vm_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
    add(r, text.p, text.n);
    lua_pop(L, 1);
}

/* string.gsub(s, pattern, replacement, most) → text, how many were replaced. Neither the
 * function nor a metamethod of the table may wait: C cannot stand still between. */
static int l_string_gsub(lua_State *L)
{
    struct pattern p;
    struct span subject = text_at(L, 1), text = text_at(L, 2), by = {NULL, 0};
    if (lua_isstring(L, 3))
        by = text_at(L, 3);
    else if (!lua_isfunction(L, 3) && !lua_istable(L, 3))
        return luaL_argerror(L, 3, "string/function/table expected");
    lua_Integer most = luaL_optinteger(L, 4, (lua_Integer)subject.n + 1), n = 0;
    lua_settop(L, 4);
    struct result r;
    r.L = L;
    r.idx = 4;
    r.p = r.first;
    r.n = 0;
    r.room = sizeof r.first;
    if (!by.p) {
        luaL_checkstack(L, GSUB_SLOTS, "gsub");
        lua_settop(L, GSUB_SLOTS);
    }
    pattern_init(&p, text, subject, true);
    size_t done = 0, from = 0;
    while (n < most && from <= subject.n && search(L, &p, from)) {
        add(&r, subject.p + done, p.begin - done);
        if (by.p)
            add_text(&r, &p, by);
        else
            add_answer(&r, &p);
        n++;
        done = p.end;
        from = p.end > p.begin ? p.end : p.end + 1;
        if (p.anchored)
            break;
    }
    if (n == 0)
        lua_pushvalue(L, 1);
    else {
        add(&r, subject.p + done, subject.n - done);
        lua_pushlstring(L, r.p, r.n);
    }
    lua_pushinteger(L, n);
    return 2;
}

void l_pattern_open(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"find", l_string_find},
        {"match", l_string_match},
        {"gmatch", l_string_gmatch},
        {"gsub", l_string_gsub},
        {NULL, NULL},
    };
    luaL_setfuncs(L, functions, 0);
}
