/* SPDX-License-Identifier: Apache-2.0 */
#include "lua/task.h"
#include "http/parse.h"
#include "loop/worker.h"
#include "lua/box.h"

#include <lauxlib.h>
#include <stdlib.h>

struct start {
    struct task *task;
    int (*push)(lua_State *L, struct task *t);
    int n;
};

static int prepare(lua_State *L)
{
    struct start *s = lua_touserdata(L, 1);
    s->task->L = lua_newthread(L);
    s->task->ref = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_settop(L, 0);
    s->n = s->push(L, s->task);
    lua_xmove(L, s->task->L, s->n);
    return 0;
}

static void drop_wait(struct task *t)
{
    const struct wait_kind *kind = t->kind;
    t->kind = NULL;
    if (kind && kind->drop)
        kind->drop(t->room);
}

static void finish(struct task *t, int status)
{
    t->over = true;
    drop_wait(t);
    hold_release_all(t);
    t->ended(t, status);
}

/* The one lua_resume. A coroutine that stands still without a wait was stopped by a
 * coroutine.yield of the script, which nobody will ever answer. */
static void resume(struct task *t, int n)
{
    struct vm *vm = t->vm;
    vm->running = t;
    t->waiting = false;
    int status = lua_resume(t->L, n);
    vm->running = NULL;
    t->since = vm->worker ? worker_now(vm->worker) : 0;
    if (status == LUA_YIELD && t->waiting)
        return;
    finish(t, status == LUA_YIELD ? LUA_ERRRUN : status);
}

static struct task *task_get(struct vm *vm)
{
    struct task *t;
    if (list_empty(&vm->idle)) {
        t = xalloc(sizeof *t);
        list_init(&t->link);
    } else {
        t = CONTAINER(vm->idle.prev, struct task, link);
        list_remove(&t->link);
    }
    t->magic = TASK_MAGIC;
    t->vm = vm;
    t->ref = LUA_NOREF;
    t->kind = NULL;
    t->waiting = t->cancelled = t->over = false;
    list_init(&t->holds);
    return t;
}

static void task_put(struct task *t)
{
    luaL_unref(t->vm->L, LUA_REGISTRYINDEX, t->ref);
    list_append(&t->vm->idle, &t->link);
    t->L = NULL;
    POISON(t);
}

int task_start(struct vm *vm, int (*push)(lua_State *L, struct task *t),
               void (*ended)(struct task *t, int status), void *owner, struct task **out)
{
    struct task *t = task_get(vm);
    t->ended = ended;
    t->owner = owner;
    struct start s = {t, push, 0};
    if (vm_protect(vm, prepare, &s, NULL) != 0) {
        hold_release_all(t);
        task_put(t);
        vm_settle(vm, true);
        return E_NO_SPACE;
    }
    *out = t;
    resume(t, s.n - 1);
    return 0;
}

void task_free(struct task *t)
{
    CHECK(t, TASK_MAGIC);
    assert(t->over);
    task_put(t);
}

void task_forget(struct vm *vm)
{
    while (!list_empty(&vm->idle)) {
        struct task *t = CONTAINER(vm->idle.next, struct task, link);
        list_remove(&t->link);
        free(t->room);
        free(t);
    }
}

struct task *task_may_wait(lua_State *L, const char *name)
{
    struct vm *vm = vm_of(L);
    struct task *t = vm->running;
    if (vm->pure)
        vm_error(L, "%s may not wait (called %s)", vm->pure, name);
    if (!t)
        vm_error(L, "%s waits; it may be called by handlers, not while the script loads",
                 name);
    if (t->L != L)
        vm_error(L, "%s waits; it may not be called from a coroutine of the script",
                 name);
    if (!lua_isyieldable(L))
        vm_error(L,
                 "%s waits; it may not be called from a function given to string.gsub, "
                 "table.sort or another function in C",
                 name);
    return t;
}

void *task_room(struct task *t, size_t n)
{
    drop_wait(t);
    if (t->cancelled)
        return NULL;
    if (n > t->room_n) {
        free(t->room);
        t->room = xalloc(n);
        t->room_n = n;
    }
    return t->room;
}

void task_arm(struct task *t, const struct wait_kind *kind)
{
    t->kind = kind;
}

/* The one lua_yield. Yielding all arguments leaves them on the stack. */
int task_wait(lua_State *L, struct task *t)
{
    t->waiting = true;
    return lua_yield(L, lua_gettop(L));
}

void task_wake(struct task *t)
{
    CHECK(t, TASK_MAGIC);
    assert(t->waiting);
    resume(t, 0);
}

void task_cancel(struct task *t)
{
    CHECK(t, TASK_MAGIC);
    if (t->cancelled || t->over)
        return;
    t->cancelled = true;
    if (t->waiting && t->kind->cancel)
        t->kind->cancel(t->room);
}

int task_failure(lua_State *L, int rc)
{
    bool fault = rc < -8192;
    if (rc < 0 && rc >= -4096)
        rc = err_from_errno(-rc);
    lua_pushboolean(L, 0);
    lua_pushstring(L, fault ? "MALFORMED" : err_name(rc));
    lua_pushstring(L, fault ? http_fault_text(rc) : err_text(rc));
    lua_pushinteger(L, fault ? http_fault_status(rc) : err_status(rc));
    return 4;
}

static int refused(lua_State *L, void *room)
{
    return task_failure(L, *(int *)room);
}

int task_refuse(struct task *t, int rc)
{
    static const struct wait_kind kind = {.name = "refused", .result = refused};
    int *room = task_room(t, sizeof *room);
    if (!room)
        return 0;
    *room = rc;
    task_arm(t, &kind);
    return 0;
}

/* core.result() → true, … or false, name, message, status */
static int l_result(lua_State *L)
{
    struct task *t = vm_of(L)->running;
    lua_settop(L, 0);
    if (!t || t->cancelled || !t->kind)
        return task_failure(L, E_CANCELLED);
    int n = t->kind->result(L, t->room);
    drop_wait(t);
    return n;
}

/* core.pure(name, f, …) → what f returns. Waits are refused inside, by that name. */
static int l_pure(lua_State *L)
{
    struct vm *vm = vm_of(L);
    const char *outer = vm->pure;
    vm->pure = luaL_checkstring(L, 1);
    int rc = lua_pcall(L, lua_gettop(L) - 2, LUA_MULTRET, 0);
    vm->pure = outer;
    return rc == 0 ? lua_gettop(L) - 1 : lua_error(L);
}

void l_task_open(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"result", l_result},
        {"pure", l_pure},
        {NULL, NULL},
    };
    luaL_setfuncs(L, functions, 0);
}
