/* SPDX-License-Identifier: Apache-2.0
 *
 * `require "tidegate.core"`: the bindings in one private table, which only the modules of
 * scripts/tidegate use. They check what they need for their own safety; names, options
 * and typed errors are the library's work.
 */
#ifndef LUA_CORE_H
#define LUA_CORE_H

#include <lua.h>

/* Pushes the table. Raises. */
int core_open(lua_State *L);

/* Puts our find, match, gmatch and gsub into the table on top of the stack. */
void l_pattern_open(lua_State *L);

/* Each adds its functions to the table on top of the stack. */
void l_audit_open(lua_State *L);
void l_chunks_open(lua_State *L);
void l_command_open(lua_State *L);
void l_data_open(lua_State *L);
void l_http_open(lua_State *L);
void l_json_open(lua_State *L);
void l_metrics_open(lua_State *L);
void l_limit_open(lua_State *L);
void l_log_open(lua_State *L);
void l_mode_open(lua_State *L);
void l_password_open(lua_State *L);
void l_reply_open(lua_State *L);
void l_request_open(lua_State *L);
void l_script_open(lua_State *L);
void l_shared_open(lua_State *L);
void l_store_open(lua_State *L);
void l_stream_open(lua_State *L);

#endif
