/* SPDX-License-Identifier: Apache-2.0 */
#include "lua/core.h"
#include "lua/background.h"
#include "lua/box.h"
#include "lua/files.h"
#include "lua/task.h"
#include "lua/timers.h"
#include "lua/told.h"

int core_open(lua_State *L)
{
    box_open(L);
    lua_createtable(L, 0, 96);
    l_task_open(L);
    l_spawn_open(L);
    l_timers_open(L);
    l_script_open(L);
    l_command_open(L);
    l_request_open(L);
    l_reply_open(L);
    l_told_open(L);
    l_stream_open(L);
    l_http_open(L);
    l_chunks_open(L);
    l_store_open(L);
    l_json_open(L);
    l_data_open(L);
    l_password_open(L);
    l_limit_open(L);
    l_log_open(L);
    l_metrics_open(L);
    l_audit_open(L);
    l_mode_open(L);
    l_files_open(L);
    l_shared_open(L);
    return 1;
}
