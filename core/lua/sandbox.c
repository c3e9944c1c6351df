/* SPDX-License-Identifier: Apache-2.0 */
#include "lua/sandbox.h"
#include "lua/core.h"
#include "lua/loader.h"
#include "lua/vm.h"

#include <lauxlib.h>
#include <string.h>

/* Left out on purpose: io, ffi, jit, package, module, dofile, loadfile, getfenv, setfenv,
 * newproxy, collectgarbage, print. load, loadstring and require come from the loader. */
static const char *const globals[] = {
    "_G",           "_VERSION", "assert", "bit",    "coroutine",    "debug",  "error",
    "getmetatable", "ipairs",   "math",   "next",   "os",           "pairs",  "pcall",
    "rawequal",     "rawget",   "rawset", "select", "setmetatable", "string", "table",
    "tonumber",     "tostring", "type",   "unpack", "xpcall",       NULL,
};

static const char *const of_os[] = {"clock", "date", "difftime", "time", NULL};
static const char *const of_debug[] = {"traceback", NULL};

static bool listed(const char *const *names, const char *name)
{
    while (*names && strcmp(*names, name) != 0)
        names++;
    return *names != NULL;
}

/* Leaves in the table on top of the stack only the names listed. Assigning nil to a field
 * that exists is allowed while it is traversed. */
static void keep(lua_State *L, const char *const *names)
{
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        lua_pop(L, 1);
        if (lua_type(L, -1) == LUA_TSTRING && listed(names, lua_tostring(L, -1)))
            continue;
        lua_pushvalue(L, -1);
        lua_pushnil(L);
        lua_rawset(L, -4);
    }
}

/* What stands for the globals that are left out, for those who look for them. */
static const char *const instead[][2] = {
    {"print", " (gate.log.info writes to the log)"},
    {"io", " (gate.file reads a file beside the script, stores keep the rest)"},
    {"gate", " (local gate = require \"tidegate\" is missing)"},
};

static int l_read_global(lua_State *L)
{
    const char *name = luaL_checkstring(L, 2);
    for (size_t i = 0; i < sizeof instead / sizeof instead[0]; i++)
        if (strcmp(name, instead[i][0]) == 0)
            return vm_error(L, "undeclared global '%s'%s", name, instead[i][1]);
    loader_hint(L, name, 1);
    return vm_error(L, "undeclared global '%s'%s", name, lua_tostring(L, -1));
}

static int l_write_global(lua_State *L)
{
    return vm_error(L, "assignment to undeclared global '%s' (is a local missing?)",
                    luaL_checkstring(L, 2));
}

static void reduce(lua_State *L, const char *library, const char *const *names)
{
    lua_getglobal(L, library);
    keep(L, names);
    lua_pop(L, 1);
}

static void forget_modules(lua_State *L)
{
    lua_getglobal(L, "package");
    static const char *const nothing[] = {NULL};
    static const char *const tables[] = {"loaded", "preload", "loaders"};
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        lua_getfield(L, -1, tables[i]);
        keep(L, nothing);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

void sandbox_apply(lua_State *L)
{
    forget_modules(L);
    guard_apply(L);
    reduce(L, "os", of_os);
    reduce(L, "debug", of_debug);
    lua_getglobal(L, "string");
    lua_pushnil(L);
    lua_setfield(L, -2, "dump");
    l_pattern_open(L);
    lua_pop(L, 1);

    lua_pushliteral(L, ""); /* the metatable of all strings */
    lua_getmetatable(L, -1);
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 2);

    lua_pushvalue(L, LUA_GLOBALSINDEX);
    keep(L, globals);
    lua_createtable(L, 0, 3);
    lua_pushcfunction(L, l_read_global);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, l_write_global);
    lua_setfield(L, -2, "__newindex");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
}
