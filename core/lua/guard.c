/* SPDX-License-Identifier: Apache-2.0
 *
 * The places of the standard library where a script could get away from us: functions in
 * C that call themselves by way of Lua, which take stack without end, and error handlers,
 * which run where no hook does; and loops in C that a number makes as long as it likes.
 */
#include "lua/sandbox.h"
#include "lua/vm.h"

#include <lauxlib.h>
#include <stddef.h>
#include <string.h>

#define STACK_MAX ((ptrdiff_t)512 << 10) /* bytes of C's stack, of one slice */

/* LuaJIT counts no C levels: a coroutine that resumes another one, or a comparison that
 * sorts, takes some hundred bytes of the thread's stack, and the memory cap alone would
 * allow more levels than fit there. To unwind thousands of them would take seconds. */
static void check_stack(lua_State *L)
{
    const char *here = __builtin_frame_address(0);
    if (vm_of(L)->stack - here > STACK_MAX)
        vm_error(L, "stack overflow (C levels)");
}

/* Calls what is in upvalue 1 with all arguments. It stands for functions that nothing can
 * yield across anyway. */
static int l_deeper(lua_State *L)
{
    check_stack(L);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    return lua_gettop(L);
}

/* coroutine.wrap(f), of upvalue 1 */
static int l_wrap(lua_State *L)
{
    lua_settop(L, 1);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, 1, 1);
    lua_pushcclosure(L, l_deeper, 1);
    return 1;
}

/* Raising from a hook calls the handler while LuaJIT still takes itself to be in the
 * hook, so nothing could stop it: such an error goes by it. */
static int l_handle(lua_State *L)
{
    lua_settop(L, 1);
    if (vm_of(L)->watch.hooked)
        return 1;
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, 1, 1);
    return 1;
}

/* The handler that stands for the one at 1. */
static int l_guard(lua_State *L)
{
    lua_settop(L, 1);
    if (!lua_isfunction(L, 1))
        vm_error(L, "xpcall: the handler must be a function, got %s",
                 luaL_typename(L, 1));
    if (!lua_iscfunction(L, 1))
        lua_pushcclosure(L, l_handle, 1);
    return 1;
}

/* In Lua, because LuaJIT's own xpcall lets what it calls yield; C could not. */
static const char xpcall_text[] = "local xpcall, guard = ...\n"
                                  "return function(f, handler, ...)\n"
                                  "  return xpcall(f, guard(handler), ...)\n"
                                  "end";

/* table.insert moves whatever lies between a position and the end, be it nothing: from
 * -2^31 on it would do so for a minute. In Lua, because compiled code goes through it. */
static const char insert_text[] =
    "local insert, select, type, error = table.insert, select, type, error\n"
    "function table.insert(t, ...)\n"
    "  local at = ...\n"
    "  if select('#', ...) > 1 and type(at) == 'number' and at < 1 then\n"
    "    error('table.insert: the position must be at least 1', 2)\n"
    "  end\n"
    "  return insert(t, ...)\n"
    "end";

static void load(lua_State *L, const char *text, const char *name)
{
    if (luaL_loadbufferx(L, text, strlen(text), name, "t") != 0)
        lua_error(L);
}

/* f gets what it stands for in upvalue 1. */
static void replace(lua_State *L, const char *library, const char *name, lua_CFunction f)
{
    lua_getglobal(L, library);
    lua_getfield(L, -1, name);
    lua_pushcclosure(L, f, 1);
    lua_setfield(L, -2, name);
    lua_pop(L, 1);
}

void guard_apply(lua_State *L)
{
    replace(L, "coroutine", "resume", l_deeper);
    replace(L, "coroutine", "wrap", l_wrap);
    replace(L, "table", "sort", l_deeper);
    load(L, insert_text, "=table.insert");
    lua_call(L, 0, 0);
    load(L, xpcall_text, "=xpcall");
    lua_getglobal(L, "xpcall");
    lua_pushcfunction(L, l_guard);
    lua_call(L, 2, 1);
    lua_setglobal(L, "xpcall");
}
