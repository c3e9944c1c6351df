/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines of the log from scripts, and the one place where a script's mistake is written
 * down: where it happened, with the request's id.
 */
#include "base/log.h"
#include "lua/core.h"
#include "lua/streams.h"

#include <lauxlib.h>

#define LOG_FIELDS_MAX 24

static struct span span_at(lua_State *L, int idx)
{
    struct span s;
    s.p = lua_tolstring(L, idx, &s.n);
    return s;
}

/* What the running task is called, as fields. Returns how many were added. */
static size_t add_names(const struct vm *vm, struct log_field field[3])
{
    const struct task *t = vm->running;
    size_t n = 0;
    if (t && t->id)
        field[n++] = (struct log_field){"id", span_of(t->id)};
    if (t && t->job)
        field[n++] = (struct log_field){"job", span_of(t->job)};
    if (t && t->upload)
        field[n++] = (struct log_field){"upload", span_of(t->upload)};
    return n;
}

/* core.log(level, message, fields or nil) */
static int l_log(lua_State *L)
{
    struct log_field fields[LOG_FIELDS_MAX + 3];
    enum log_level level;
    size_t n = 0;
    const char *message = luaL_checkstring(L, 2);
    if (log_level_parse(span_at(L, 1), &level) != 0 || !log_on(level))
        return 0;
    lua_settop(L, 3);
    if (!lua_isnil(L, 3)) {
        luaL_checkstack(L, 2 * LOG_FIELDS_MAX, "log");
        lua_pushnil(L);
        while (n < LOG_FIELDS_MAX && lua_next(L, 3)) {
            if (lua_type(L, -2) != LUA_TSTRING)
                return vm_error(L, "gate.log: names of fields must be strings");
            /* the text stays below the name, which lua_next needs on top */
            lua_getglobal(L, "tostring");
            lua_insert(L, -2);
            lua_call(L, 1, 1);
            fields[n++] = (struct log_field){lua_tostring(L, -2), span_at(L, -1)};
            lua_pushvalue(L, -2);
        }
    }
    n += add_names(vm_of(L), &fields[n]);
    log_fields(level, message, fields, n);
    return 0;
}

/* Writes what was raised and where; the value is at index 1, `text` says it. */
static void log_raised(lua_State *L, const char *text)
{
    struct log_field fields[5];
    luaL_traceback(L, L, NULL, 1);
    fields[0] = (struct log_field){"error", span_of(text)};
    fields[1] = (struct log_field){"trace", span_at(L, -1)};
    size_t n = 2 + add_names(vm_of(L), &fields[2]);
    log_fields(LOG_ERROR, "script error", fields, n);
}

/* core.mistake(error) → error: the handler of xpcall. A typed error passes through; for
 * anything else a line with the traceback is written, and false is what remains. Of code
 * that is being stopped, the end of its task will tell. */
static int l_mistake(lua_State *L)
{
    lua_settop(L, 1);
    if (lua_istable(L, 1) || vm_of(L)->watch.hooked)
        return 1;
    log_raised(L, lua_isstring(L, 1) ? lua_tostring(L, 1) : luaL_typename(L, 1));
    lua_pushboolean(L, 0);
    return 1;
}

/* core.failure(error) → error: the same where nobody else will hear of a typed error
 * either. What a cancelled task raises is no news. */
static int l_failure(lua_State *L)
{
    const struct task *t = vm_of(L)->running;
    lua_settop(L, 1);
    if (t && t->cancelled)
        return 1;
    if (!lua_istable(L, 1) || !luaL_callmeta(L, 1, "__tostring"))
        return l_mistake(L);
    log_raised(L, lua_tostring(L, 2));
    lua_settop(L, 1);
    return 1;
}

void l_log_open(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"log", l_log}, {"mistake", l_mistake}, {"failure", l_failure}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
