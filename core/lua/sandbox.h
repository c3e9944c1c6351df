/* SPDX-License-Identifier: Apache-2.0
 *
 * What a script sees of the standard library, and strict globals. It prevents accidents,
 * not attacks: scripts are the operator's own code.
 */
#ifndef LUA_SANDBOX_H
#define LUA_SANDBOX_H

#include <lua.h>

/* Takes away everything that is not on the list and makes the table of globals strict: to
 * read or to make an undeclared one is an error that names it. Raises. */
void sandbox_apply(lua_State *L);

/* Part of it: coroutines and xpcall that cannot get away from the watchdog. Raises. */
void guard_apply(lua_State *L);

#endif
