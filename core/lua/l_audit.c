/* SPDX-License-Identifier: Apache-2.0
 *
 * Audit logs: records that are durable before the script goes on. A record is built here,
 * whole, or refused; only its line travels.
 */
#include "base/clock.h"
#include "base/line.h"
#include "base/log.h"
#include "loop/journal.h"
#include "lua/core.h"
#include "lua/task.h"

#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>

#define AUDIT_META "tidegate.audit"

struct audit_box {
    struct journal *journal; /* NULL in a trial */
};

/* Remembers the path for who reads the log (tidegate history). */
static void declare(lua_State *L, const char *path)
{
    lua_getfield(L, LUA_REGISTRYINDEX, "tidegate.audits");
    if (!lua_istable(L, -1)) {
        lua_pop(L, 1);
        lua_newtable(L);
        lua_pushvalue(L, -1);
        lua_setfield(L, LUA_REGISTRYINDEX, "tidegate.audits");
    }
    lua_pushstring(L, path);
    lua_rawseti(L, -2, (int)lua_objlen(L, -2) + 1);
    lua_pop(L, 1);
}

/* core.audit(name) → log. Opens the file, but not in a trial. */
static int l_audit(lua_State *L)
{
    struct vm *vm = vm_of(L);
    const char *name = luaL_checkstring(L, 1);
    char *why = NULL;
    if (!vm->loading)
        return vm_error(L, "gate.audit: audit logs are named while the script loads");
    struct audit_box *b = lua_newuserdata(L, sizeof *b);
    b->journal = NULL;
    luaL_getmetatable(L, AUDIT_META);
    lua_setmetatable(L, -2);
    lua_pushvalue(L, -1);
    luaL_ref(L, LUA_REGISTRYINDEX);
    char *path = log_place(name);
    vm_hold(vm, path, free);
    declare(L, path);
    if (vm->worker && journal_get(path, &b->journal, &why) != 0) {
        vm_hold(vm, why, free);
        return vm_error(L, "%s", why);
    }
    vm_hold(vm, NULL, NULL);
    return 1;
}

struct audit_wait {
    struct journal_entry entry;
    struct task *task;
    char *text; /* owned */
};

static void entry_done(struct journal_entry *e)
{
    task_wake(CONTAINER(e, struct audit_wait, entry)->task);
}

static int audit_result(lua_State *L, void *room)
{
    const struct audit_wait *w = room;
    int rc = w->entry.rc;
    if (rc)
        return task_failure(L, rc > -4096 ? err_from_errno(-rc) : rc);
    lua_pushboolean(L, 1);
    return 1;
}

static void audit_leave(void *room, struct task *heir)
{
    ((struct audit_wait *)room)->task = heir;
}

/* A record that is on its way stays so: nobody could say later whether it is there. */
static void audit_cancel(void *room)
{
    (void)room;
}

static void audit_drop(void *room)
{
    free(((struct audit_wait *)room)->text);
}

/* The value on top of the stack. */
static void add_value(lua_State *L, struct line *l, const char *name)
{
    struct span s;
    double n = lua_tonumber(L, -1);
    if (lua_type(L, -1) == LUA_TBOOLEAN) {
        line_flag(l, name, lua_toboolean(L, -1));
    } else if (lua_type(L, -1) == LUA_TNUMBER && n >= 0 && n == floor(n) && n < 1e15) {
        line_number(l, name, (uint64_t)n);
    } else {
        s.p = luaL_checklstring(L, -1, &s.n);
        line_text(l, name, s);
    }
}

/* core.audit_write(log, list of names and values by turns): by core.result(), when the
 * record is durable. */
static int l_audit_write(lua_State *L)
{
    static const struct wait_kind kind = {"audit:write", audit_result, audit_cancel,
                                          audit_drop};
    const struct audit_box *b = luaL_checkudata(L, 1, AUDIT_META);
    struct line line;
    char room[JOURNAL_LINE_MAX], when[RFC3339_SIZE];
    luaL_checktype(L, 2, LUA_TTABLE);
    struct task *t = task_may_wait(L, kind.name);
    line_begin(&line, room, sizeof room, true);
    clock_rfc3339(clock_wall(), when);
    line_text(&line, "time", span_of(when));
    for (int i = 1, n = (int)lua_objlen(L, 2); i < n; i += 2) {
        lua_rawgeti(L, 2, i);
        lua_rawgeti(L, 2, i + 1);
        add_value(L, &line, luaL_checkstring(L, -2));
        lua_pop(L, 2);
    }
    line_number(&line, "generation", vm_of(L)->generation);
    struct span text = line_end(&line);
    if (line.cut)
        return task_refuse(t, E_TOO_LARGE);
    struct audit_wait *w = task_room(t, sizeof *w);
    if (!w)
        return 0;
    *w = (struct audit_wait){.task = t, .text = xmemdup(text.p, text.n)};
    w->entry.line = (struct span){w->text, text.n};
    w->entry.done = entry_done;
    task_arm(t, &kind);
    t->leave = audit_leave;
    journal_add(b->journal, &w->entry);
    return task_wait(L, t);
}

static int l_audit_gc(lua_State *L)
{
    struct audit_box *b = lua_touserdata(L, 1);
    journal_put(b->journal);
    return 0;
}

void l_audit_open(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"audit", l_audit},
        {"audit_write", l_audit_write},
        {NULL, NULL},
    };
    luaL_setfuncs(L, functions, 0);
    luaL_newmetatable(L, AUDIT_META);
    lua_pushcfunction(L, l_audit_gc);
    lua_setfield(L, -2, "__gc");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}
