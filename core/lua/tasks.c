/* SPDX-License-Identifier: Apache-2.0
 *
 * What a running request or task does, as text: for `tidegate tasks`, between two rounds of the
 * loop, when every coroutine stands still.
 */
#include "lua/background.h"
#include "lua/gate.h"
#include "lua/streams.h"

#include <lauxlib.h>
#include <string.h>

#define LEVELS_MAX 200 /* calls deep that a user's name is looked for */

/* Cut to what fits. What is not printable ASCII becomes '?', or is kept if it is '\n' or
 * '\t' and lines are wanted. */
static void copy_text(char *out, size_t size, struct span s, bool lines)
{
    size_t n = s.n < size - 1 ? s.n : size - 1;
    for (size_t i = 0; i < n; i++) {
        char c = s.p[i];
        bool good = (c >= 0x20 && c < 0x7f) || (lines && (c == '\n' || c == '\t'));
        out[i] = good ? c : '?';
    }
    out[n] = '\0';
}

static struct span text_at(lua_State *L, int idx)
{
    struct span s = {"", 0};
    if (lua_type(L, idx) == LUA_TSTRING)
        s.p = lua_tolstring(L, idx, &s.n);
    return s;
}

static void raw_field(lua_State *L, const char *name)
{
    lua_pushstring(L, name);
    lua_rawget(L, -2);
}

struct look {
    lua_State *co;
    struct gate_task *out;
};

/* The dispatcher, which is the outermost function of the coroutine, keeps the request in
 * its local `q` (scripts/tidegate/serve.lua). Pushes it, or nil. */
static void push_request(lua_State *L, lua_State *co)
{
    lua_Debug ar, outermost;
    const char *name;
    int level = 0;
    for (; level < LEVELS_MAX && lua_getstack(co, level, &ar); level++)
        outermost = ar;
    for (int i = 1; level > 0 && (name = lua_getlocal(co, &outermost, i)); i++) {
        if (strcmp(name, "q") == 0) {
            lua_xmove(co, L, 1);
            return;
        }
        lua_pop(co, 1);
    }
    lua_pushnil(L);
}

static int describe(lua_State *L)
{
    const struct look *look = lua_touserdata(L, 1);
    struct gate_task *out = look->out;
    if (!out->background)
        push_request(L, look->co);
    if (lua_istable(L, -1)) {
        raw_field(L, "user");
        if (lua_istable(L, -1)) {
            raw_field(L, "name");
            copy_text(out->user, sizeof out->user, text_at(L, -1), false);
        }
    }
    luaL_traceback(L, look->co, NULL, 0);
    copy_text(out->trace, sizeof out->trace, text_at(L, -1), true);
    return 0;
}

/* Since when it stands still, for what, and where. */
static void describe_task(const struct task *t, struct gate_task *out)
{
    out->since = t && t->since > out->began ? t->since : out->began;
    if (!t || t->over)
        return;
    if (t->kind)
        out->wait = t->kind->name;
    vm_protect(t->vm, describe, &(struct look){t->L, out}, NULL);
}

void visit_describe(struct visit *v, struct gate_task *out)
{
    const struct req *q = v->req;
    const struct task *t = v->task;
    memset(out, 0, sizeof *out);
    memcpy(out->id, q->id, sizeof out->id);
    copy_text(out->method, sizeof out->method, q->head.method, false);
    copy_text(out->path, sizeof out->path, q->head.path, false);
    out->wait = "reply";
    out->began = q->began;
    describe_task(t, out);
}

void background_describe(const struct background *b, struct gate_task *out)
{
    memset(out, 0, sizeof *out);
    out->background = true;
    copy_text(out->id, sizeof out->id, span_of(b->id), false);
    copy_text(out->method, sizeof out->method, span_of(b->what), false);
    copy_text(out->path, sizeof out->path, span_of(b->job ? b->job : ""), false);
    out->wait = "its turn";
    out->began = b->began;
    describe_task(b->task, out);
}
