/* SPDX-License-Identifier: Apache-2.0
 *
 * What the operator has switched on, for scripts.
 */
#include "base/mode.h"
#include "lua/core.h"
#include "lua/task.h"

/* core.readonly() → may what runs now change nothing? */
static int l_readonly(lua_State *L)
{
    const struct task *t = vm_of(L)->running;
    lua_pushboolean(L, t ? t->readonly : mode_is(MODE_READONLY));
    return 1;
}

/* core.draining() → is the gateway about to stop? */
static int l_draining(lua_State *L)
{
    lua_pushboolean(L, mode_is(MODE_DRAINING));
    return 1;
}

void l_mode_open(lua_State *L)
{
    lua_pushcfunction(L, l_readonly);
    lua_setfield(L, -2, "readonly");
    lua_pushcfunction(L, l_draining);
    lua_setfield(L, -2, "draining");
}
