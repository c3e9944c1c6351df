/* SPDX-License-Identifier: Apache-2.0
 *
 * The fields of the table on top of the stack, as C reads an option table that the Lua
 * library has checked before. The stack is as it was afterwards.
 */
#ifndef LUA_FIELD_H
#define LUA_FIELD_H

#include <lua.h>
#include <stdbool.h>

/* A copy for the caller to free; NULL when it is absent. */
char *field_text(lua_State *L, const char *name);
/* 0 when it is absent. */
double field_number(lua_State *L, const char *name);
/* false when it is absent. */
bool field_flag(lua_State *L, const char *name);

#endif
