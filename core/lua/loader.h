/* SPDX-License-Identifier: Apache-2.0
 *
 * Where code comes from: text only, never bytecode. `require "apps.registry"` looks for
 * apps/registry.lua and apps/registry/init.lua in the folder named by TIDEGATE_SCRIPTS
 * (which so overrides built-in files), then beside the script, then among the built-in
 * scripts. What is built in may be compiled; the operator's own code is interpreted, so
 * that it can be interrupted.
 */
#ifndef LUA_LOADER_H
#define LUA_LOADER_H

#include "base/span.h"

#include <lua.h>

/* Defines the globals require, load and loadstring. core(L) makes what `require
 * "tidegate.core"` gives, to modules of tidegate only. Raises. */
void loader_open(lua_State *L, lua_CFunction core);

/* Pushes the chunk and returns 0, or pushes "file:line: message" and returns a Lua
 * status. */
int loader_load_file(lua_State *L, const char *path);
int loader_load_text(lua_State *L, struct span text, const char *chunk, bool compiled);

/* Pushes ", did you mean 'NAME'?" with the name in the table at idx that is nearest to a
 * wrong one, or "" when none is near: scripts/tidegate/check.lua says which. For the end
 * of messages. */
void loader_hint(lua_State *L, const char *wrong, int idx);

#endif
