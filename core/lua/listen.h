/* SPDX-License-Identifier: Apache-2.0
 *
 * What the script said of its listeners, as plain data.
 */
#ifndef LUA_LISTEN_H
#define LUA_LISTEN_H

#include "http/front.h"

#include <lua.h>

/* Fills o from the table on top of the stack, which scripts/tidegate/listen.lua made and
 * checked. */
void listen_read(lua_State *L, struct front_options *o);

#endif
