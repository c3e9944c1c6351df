/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as JSON, in a VM as gateways have it. The first line of the input says
 * which schema to hold against the value, the rest is the text; json_decode.lua says what
 * has to be true of both. Starts at the top of the tree.
 */
#include "lua/core.h"
#include "lua/vm.h"

#include <assert.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int __lsan_is_turned_off(void);

#define MEMORY ((size_t)256 << 20)

static struct vm *vm;
static int judge; /* the driver's function, in the registry */

/* fuzz(f): how the driver hands its function over */
static int l_fuzz(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    judge = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}

static int define_fuzz(lua_State *L)
{
    lua_pushliteral(L, "fuzz");
    lua_pushcfunction(L, l_fuzz);
    lua_rawset(L, LUA_GLOBALSINDEX);
    return 0;
}

static int call_judge(lua_State *L)
{
    const struct span *input = lua_touserdata(L, 1);
    struct span text = *input, recipe = span_cut(&text, '\n');
    lua_rawgeti(L, LUA_REGISTRYINDEX, judge);
    lua_pushlstring(L, recipe.p, recipe.n);
    lua_pushlstring(L, text.p ? text.p : "", text.n);
    lua_call(L, 2, 0);
    return 0;
}

static void must(int rc, const char *why)
{
    if (rc == 0)
        return;
    fprintf(stderr, "%s\n", why ? why : "no reason");
    abort();
}

static void start(void)
{
    char *why = NULL;
    int rc = vm_new(MEMORY, NULL, core_open, &vm);
    must(rc, "no VM");
    rc = vm_protect(vm, define_fuzz, NULL, &why);
    must(rc, why);
    rc = vm_run_file(vm, "spec/fuzz/json_decode.lua", &why);
    must(rc, why);
}

/* LuaJIT keeps pointers in a form that LeakSanitizer does not know. */
int __lsan_is_turned_off(void)
{
    return 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct span input = {(const char *)data, n};
    char *why = NULL;
    if (!vm)
        start();
    int rc = vm_protect(vm, call_judge, &input, &why);
    must(rc, why);
    vm_settle(vm, false);
    return 0;
}
