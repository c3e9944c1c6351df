/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/unit/unit.h"

#include "lua/box.h"
#include "lua/core.h"
#include "lua/task.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#define MEMORY ((size_t)32 << 20)

/* A wait that ends when the case says so. */
static struct task *sleeper;
static int cancels, drops, ends, last_status;
static char last_text[256];

static int nap_result(lua_State *L, void *room)
{
    lua_pushboolean(L, 1);
    lua_pushinteger(L, *(int *)room);
    return 2;
}

static void nap_cancel(void *room)
{
    (void)room;
    cancels++;
}

static void nap_drop(void *room)
{
    (void)room;
    drops++;
}

static int l_nap(lua_State *L)
{
    static const struct wait_kind kind = {"nap", nap_result, nap_cancel, nap_drop};
    struct task *t = task_may_wait(L, kind.name);
    int *room = task_room(t, sizeof *room);
    if (!room)
        return 0;
    *room = 42;
    task_arm(t, &kind);
    sleeper = t;
    return task_wait(L, t);
}

static int core(lua_State *L)
{
    core_open(L);
    lua_pushcfunction(L, l_nap);
    lua_setfield(L, -2, "nap");
    lua_pushvalue(L, -1);
    lua_setfield(L, LUA_REGISTRYINDEX, "core");
    return 1;
}

static void ended(struct task *t, int status)
{
    const char *text = lua_gettop(t->L) > 0 ? lua_tostring(t->L, -1) : NULL;
    snprintf(last_text, sizeof last_text, "%s", text ? text : "");
    last_status = status;
    ends++;
}

/* The chunk in t->owner gets the core as its argument. */
static int push_chunk(lua_State *L, struct task *t)
{
    const char *text = t->owner;
    if (luaL_loadbuffer(L, text, strlen(text), "@task.lua") != 0)
        return lua_error(L);
    lua_getfield(L, LUA_REGISTRYINDEX, "core");
    return 2;
}

static struct vm *vm_make(void)
{
    struct vm *vm;
    EXPECT_EQ(vm_new(MEMORY, NULL, core, &vm), 0);
    return vm;
}

static struct task *start(struct vm *vm, const char *text)
{
    struct task *t;
    ends = cancels = drops = 0;
    sleeper = NULL;
    EXPECT_EQ(task_start(vm, push_chunk, ended, (void *)(uintptr_t)text, &t), 0);
    return t;
}

TEST("lua: a task waits, wakes and returns what the wait gave")
{
    struct vm *vm = vm_make();
    struct task *t =
        start(vm, "local c = ... local ok, n = c.result(c.nap()) return n + 1");
    EXPECT_EQ(ends, 0);
    task_wake(t);
    EXPECT_EQ(ends, 1);
    EXPECT_EQ(drops, 1);
    EXPECT_STR(last_text, "43");
    task_free(t);
    vm_free(vm);
}

TEST("lua: a function that C calls may not wait, and is told so before the wait begins")
{
    static const char *const texts[] = {
        "local c = ... ('x'):gsub('x', function() c.nap() end)",
        "local c = ... local t = setmetatable({}, { __index = function() c.nap() end }) "
        "string.gsub('x', 'x', t)",
        "local c = ... table.sort({ 1, 2 }, function() c.nap() end)",
        "local c = ... ('x'):gsub('x', function() pcall(c.nap) error('nap waits; it may "
        "not be called from a function given to string.gsub') end)",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct vm *vm = vm_make();
        struct task *t = start(vm, texts[i]);
        EXPECT_EQ(ends, 1);
        EXPECT_EQ(last_status, LUA_ERRRUN);
        EXPECT(!sleeper);
        EXPECT(strstr(last_text, "task.lua:1: nap waits; it may not be called from a "
                                 "function given to string.gsub"));
        task_free(t);
        vm_free(vm);
    }
}

TEST("lua: cancel unwinds code that catches errors and refuses later waits")
{
    struct vm *vm = vm_make();
    struct task *t =
        start(vm, "local c = ...\n"
                  "local function wait() local ok, name = c.result(c.nap())\n"
                  "  if not ok then error(name, 0) end end\n"
                  "local seen = {}\n"
                  "for i = 1, 3 do local ok, e = pcall(wait) seen[i] = tostring(e) end\n"
                  "return table.concat(seen, ',')");
    task_cancel(t);
    task_cancel(t);
    EXPECT_EQ(cancels, 1);
    EXPECT_EQ(ends, 0);
    task_wake(t);
    EXPECT_EQ(ends, 1);
    EXPECT_EQ(drops, 1);
    EXPECT_STR(last_text, "CANCELLED,CANCELLED,CANCELLED");
    task_cancel(t);
    task_free(t);
    vm_free(vm);
}

TEST("lua: a wait is refused outside of a task, in a pure function and in a coroutine")
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"\nlocal c = ... c.pure('the key function', function() c.nap() end)",
         "task.lua:2: the key function may not wait (called nap)"},
        {"local c = ... local ok, e = coroutine.resume(coroutine.create(c.nap)) error(e, "
         "0)",
         "nap waits; it may not be called from a coroutine of the script"},
        {"local c = ... c.pure('p', function() end) return c.result(c.nap())", NULL},
    };
    struct vm *vm = vm_make();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct task *t = start(vm, cases[i].text);
        if (sleeper)
            task_wake(t);
        EXPECT_EQ(ends, 1);
        EXPECT_EQ(last_status, cases[i].message ? LUA_ERRRUN : 0);
        if (cases[i].message && !strstr(last_text, cases[i].message))
            unit_fail(__FILE__, __LINE__, "said \"%s\"", last_text);
        task_free(t);
    }
    char *why;
    lua_getfield(vm->L, LUA_REGISTRYINDEX, "core");
    lua_pop(vm->L, 1);
    EXPECT_EQ(vm_protect(vm, l_nap, NULL, &why), E_INVALID);
    EXPECT(strstr(why, "nap waits; it may be called by handlers"));
    free(why);
    vm_free(vm);
}

TEST("lua: a coroutine that yields by itself ends its task")
{
    struct vm *vm = vm_make();
    struct task *t = start(vm, "coroutine.yield(1)");
    EXPECT_EQ(ends, 1);
    EXPECT_EQ(last_status, LUA_ERRRUN);
    task_free(t);
    vm_free(vm);
}

struct thing {
    struct hold hold;
    int number;
};

static int released[4], n_released;

static void thing_release(struct hold *h)
{
    struct thing *x = CONTAINER(h, struct thing, hold);
    released[n_released++] = x->number;
    free(x);
}

static const struct hold_kind thing_kind = {"thing", thing_release};

static int l_hold_two(lua_State *L)
{
    for (int i = 1; i <= 2; i++) {
        struct thing *x = xalloc(sizeof *x);
        x->number = i;
        hold_add(vm_of(L)->running, &x->hold, &thing_kind);
        box_push(L, &x->hold);
    }
    return 2;
}

static int push_holder(lua_State *L, struct task *t)
{
    (void)t;
    lua_pushcfunction(L, l_hold_two);
    return 1;
}

static int use_box(lua_State *L)
{
    struct task *t = lua_touserdata(L, 1);
    lua_pushvalue(t->L, -1);
    lua_xmove(t->L, L, 1);
    box_check(L, -1, &thing_kind);
    return 0;
}

TEST("lua: what a task holds is released newest first and its boxes say so")
{
    struct vm *vm = vm_make();
    struct task *t;
    char *why;
    n_released = 0;
    EXPECT_EQ(task_start(vm, push_holder, ended, NULL, &t), 0);
    EXPECT_EQ(n_released, 2);
    EXPECT_EQ(released[0], 2);
    EXPECT_EQ(released[1], 1);
    EXPECT_EQ(vm_protect(vm, use_box, t, &why), E_INVALID);
    EXPECT_STR(why, "this thing is used up, closed or another request's");
    free(why);
    task_free(t);
    vm_free(vm);
}

TEST("lua: a box that is collected leaves its hold alone")
{
    struct vm *vm = vm_make();
    static const char text[] = "local c = ... c.hold() c.result(c.nap())";
    lua_getfield(vm->L, LUA_REGISTRYINDEX, "core");
    lua_pushcfunction(vm->L, l_hold_two);
    lua_setfield(vm->L, -2, "hold");
    lua_pop(vm->L, 1);
    n_released = 0;
    struct task *t = start(vm, text);
    vm_settle(vm, true);
    EXPECT_EQ(n_released, 0);
    task_wake(t);
    EXPECT_EQ(n_released, 2);
    task_free(t);
    vm_free(vm);
}

TEST("lua: a task that meets the memory cap ends and the next one runs")
{
    struct vm *vm = vm_make();
    struct task *t = start(vm, "local t = {} for i = 1, 1e8 do t[i] = {} end");
    EXPECT_EQ(last_status, LUA_ERRMEM);
    task_free(t);
    vm_settle(vm, true);
    t = start(vm, "return 'fine'");
    EXPECT_STR(last_text, "fine");
    task_free(t);
    vm_free(vm);
}
