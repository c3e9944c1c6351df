/* SPDX-License-Identifier: Apache-2.0
 *
 * gate.json: short texts in place, long ones on the pool.
 */
#include "loop/job.h"
#include "lua/core.h"
#include "lua/json.h"
#include "lua/task.h"

#include <lauxlib.h>
#include <stdlib.h>

static void free_tree(void *tree)
{
    json_decref(tree);
}

/* true, value; or false, "INVALID", message, 400, { position }. Takes the tree. */
static int push_parsed(lua_State *L, int rc, json_t *tree, const struct json_fault *fault)
{
    if (rc == 0) {
        struct vm *vm = vm_of(L);
        vm_hold(vm, tree, free_tree);
        lua_pushboolean(L, 1);
        json_push(L, tree);
        vm_hold(vm, NULL, NULL);
        return 2;
    }
    lua_pushboolean(L, 0);
    lua_pushliteral(L, "INVALID");
    lua_pushfstring(L, "the JSON text is %s at byte %d", fault->what,
                    (int)fault->position);
    lua_pushinteger(L, 400);
    lua_createtable(L, 0, 1);
    lua_pushinteger(L, (lua_Integer)fault->position);
    lua_setfield(L, -2, "position");
    return 5;
}

/* core.json_decode(text) → true, value or false, …: at once */
static int l_json_decode(lua_State *L)
{
    struct span text;
    struct json_fault fault;
    json_t *tree = NULL;
    text.p = luaL_checklstring(L, 1, &text.n);
    int rc = json_parse(text, &tree, &fault);
    return push_parsed(L, rc, tree, &fault);
}

struct json_wait {
    struct job job;
    struct task *task;
    struct span text; /* the caller's string, on its stack */
    json_t *tree;
    int rc;
    struct json_fault fault;
};

static void json_work(struct job *j)
{
    struct json_wait *w = CONTAINER(j, struct json_wait, job);
    w->rc = json_parse(w->text, &w->tree, &w->fault);
}

static void json_done(struct job *j)
{
    task_wake(CONTAINER(j, struct json_wait, job)->task);
}

static int json_result(lua_State *L, void *room)
{
    struct json_wait *w = room;
    json_t *tree = w->tree;
    w->tree = NULL;
    return push_parsed(L, w->rc, tree, &w->fault);
}

static void json_drop(void *room)
{
    json_decref(((struct json_wait *)room)->tree);
}

/* core.json_decode_long(text): the same on the pool, by core.result() */
static int l_json_decode_long(lua_State *L)
{
    static const struct wait_kind kind = {"gate.json.decode", json_result, NULL,
                                          json_drop};
    struct span text;
    text.p = luaL_checklstring(L, 1, &text.n);
    struct task *t = task_may_wait(L, kind.name);
    struct json_wait *w = task_room(t, sizeof *w);
    if (!w)
        return 0;
    *w = (struct json_wait){.task = t, .text = text};
    w->job.work = json_work;
    w->job.done = json_done;
    task_arm(t, &kind);
    job_submit(lane_cpu(), &w->job);
    return task_wait(L, t);
}

/* core.json_encode(value) → text, or nil and what is wrong with the value */
static int l_json_encode(lua_State *L)
{
    struct vm *vm = vm_of(L);
    const char *what = "it cannot be JSON";
    lua_settop(L, 1);
    json_t *tree = json_tree(L, 1, &what);
    if (!tree) {
        lua_pushnil(L);
        lua_pushstring(L, what);
        return 2;
    }
    char *text = json_text(tree);
    json_decref(tree);
    vm_hold(vm, text, free);
    lua_pushstring(L, text);
    vm_hold(vm, NULL, NULL);
    return 1;
}

void l_json_open(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"json_decode", l_json_decode},
        {"json_decode_long", l_json_decode_long},
        {"json_encode", l_json_encode},
        {NULL, NULL},
    };
    luaL_setfuncs(L, functions, 0);
    lua_pushlightuserdata(L, NULL);
    lua_setfield(L, -2, "json_null");
    json_array_meta(L);
    lua_setfield(L, -2, "json_array");
}
