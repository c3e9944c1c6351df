/* SPDX-License-Identifier: Apache-2.0
 *
 * What a script declares about itself while it loads. The plain data stays in the
 * registry until gate.c reads it.
 */
#include "base/net.h"
#include "loop/acceptor.h"
#include "loop/handed.h"
#include "lua/core.h"
#include "lua/gate.h"
#include "lua/vm.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <unistd.h>

/* core.declare(name, value): "config", "routes" or "dispatch" */
static int l_declare(lua_State *L)
{
    luaL_checkstring(L, 1);
    lua_settop(L, 2);
    if (!vm_of(L)->loading)
        return vm_error(L, "gate.%s is called while the script loads",
                        lua_tostring(L, 1));
    lua_pushfstring(L, "tidegate.%s", lua_tostring(L, 1));
    lua_insert(L, 2);
    lua_rawset(L, LUA_REGISTRYINDEX);
    return 0;
}

/* core.env(name) → text or nil */
static int l_env(lua_State *L)
{
    const char *value = getenv(luaL_checkstring(L, 1));
    if (!value)
        return 0;
    lua_pushstring(L, value);
    return 1;
}

/* core.trial() → is the script only looked at? */
static int l_trial(lua_State *L)
{
    lua_pushboolean(L, !vm_of(L)->worker);
    return 1;
}

/* core.in_task() → does a request run? */
static int l_in_task(lua_State *L)
{
    lua_pushboolean(L, vm_of(L)->running != NULL);
    return 1;
}

/* core.is_range(text) → does it name addresses: "10.0.0.0/8", "::1", "unix"? */
static int l_is_range(lua_State *L)
{
    struct net_range range;
    size_t n;
    const char *text = luaL_checklstring(L, 1, &n);
    lua_pushboolean(L, net_range_parse((struct span){text, n}, &range) == 0);
    return 1;
}

/* core.cores() → how many processors there are */
static int l_cores(lua_State *L)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    lua_pushinteger(L, n > 0 ? n : 1);
    return 1;
}

/* core.handed(address) → how many sockets of the service manager it means */
static int l_handed(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)handed_count(luaL_checkstring(L, 1)));
    return 1;
}

/* core.is_address(text) → whether a listener can be told so */
static int l_is_address(lua_State *L)
{
    lua_pushboolean(L, acceptor_reads(luaL_checkstring(L, 1)));
    return 1;
}

void l_script_open(lua_State *L)
{
    static const luaL_Reg functions[] = {{"declare", l_declare},
                                         {"env", l_env},
                                         {"in_task", l_in_task},
                                         {"cores", l_cores},
                                         {"trial", l_trial},
                                         {"is_range", l_is_range},
                                         {"handed", l_handed},
                                         {"is_address", l_is_address},
                                         {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
