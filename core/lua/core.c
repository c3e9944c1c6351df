/* SPDX-License-Identifier: Apache-2.0 */
#include "lua/core.h"
#include "lua/box.h"
#include "lua/task.h"

int core_open(lua_State *L)
{
    box_open(L);
    lua_createtable(L, 0, 64);
    l_task_open(L);
    l_script_open(L);
    l_request_open(L);
    l_reply_open(L);
    l_stream_open(L);
    l_http_open(L);
    l_store_open(L);
    l_json_open(L);
    l_data_open(L);
    l_log_open(L);
    return 1;
}
