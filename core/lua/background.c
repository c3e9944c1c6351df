/* SPDX-License-Identifier: Apache-2.0 */
#include "lua/background.h"

#include "base/mode.h"
#include "lua/timers.h"

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>

static int push_call(lua_State *L, struct task *t)
{
    struct background *b = t->owner;
    t->id = b->id[0] ? b->id : NULL;
    t->job = b->job;
    t->readonly = b->readonly;
    luaL_checkstack(L, b->n + 1, "arguments");
    lua_rawgeti(L, LUA_REGISTRYINDEX, b->ref);
    for (int i = 1; i <= b->n; i++)
        lua_rawgeti(L, 1, i);
    lua_remove(L, 1);
    return b->n;
}

static void finish(struct background *b, int status)
{
    struct vm *vm = b->vm;
    bool exhausted = status == LUA_ERRMEM || (b->task && b->task->stopped);
    b->over = true;
    b->status = status;
    timer_fini(&b->grace);
    list_remove(&b->link);
    if (b->ended)
        b->ended(b);
    else
        background_free(b);
    vm_settle(vm, exhausted);
    background_release(vm);
}

static void task_ended(struct task *t, int status)
{
    struct background *b = t->owner;
    b->task = t;
    if (status != 0 && !t->cancelled)
        task_log_death(t, status);
    finish(b, status);
}

static void start(struct call *c)
{
    struct background *b = CONTAINER(c, struct background, start);
    if (b->cancelled)
        finish(b, LUA_ERRRUN);
    else if (task_start(b->vm, push_call, task_ended, b, &b->task) != 0)
        finish(b, LUA_ERRMEM);
}

static void on_grace(struct timer *t)
{
    background_cancel(CONTAINER(t, struct background, grace));
}

struct background *background_new(lua_State *L, int idx, const char *what)
{
    struct vm *vm = vm_of(L);
    int n = lua_gettop(L) - idx + 1;
    if (vm->n_background >= BACKGROUND_MAX)
        return NULL;
    lua_createtable(L, n, 0);
    lua_insert(L, idx);
    for (int i = n; i > 0; i--)
        lua_rawseti(L, idx, i);
    int ref = luaL_ref(L, LUA_REGISTRYINDEX);
    struct background *b = xalloc(sizeof *b);
    b->vm = vm;
    b->ref = ref;
    b->n = n;
    b->readonly = vm->running ? vm->running->readonly : mode_is(MODE_READONLY);
    if (vm->running) {
        b->job = vm->running->job;
        snprintf(b->id, sizeof b->id, "%s", vm->running->id ? vm->running->id : "");
    }
    b->what = what;
    b->began = worker_now(vm->worker);
    b->start.fn = start;
    timer_init(&b->grace, vm->worker, on_grace);
    list_init(&b->link);
    list_append(&vm->background, &b->link);
    background_hold(vm);
    if (vm->stopped)
        timer_set(&b->grace, worker_now(vm->worker) + BACKGROUND_GRACE);
    worker_defer(vm->worker, &b->start);
    return b;
}

void background_cancel(struct background *b)
{
    b->cancelled = true;
    if (b->task && !b->over)
        task_cancel(b->task);
}

void background_free(struct background *b)
{
    assert(b->over);
    luaL_unref(b->vm->L, LUA_REGISTRYINDEX, b->ref);
    if (b->task)
        task_free(b->task);
    free(b);
}

void background_stop(struct vm *vm, uint64_t grace)
{
    vm->stopped = true;
    timers_stop(vm);
    for (struct list *l = vm->background.next; l != &vm->background; l = l->next) {
        struct background *b = CONTAINER(l, struct background, link);
        if (b->job || grace == 0)
            background_cancel(b);
        else
            timer_set(&b->grace, worker_now(vm->worker) + grace);
    }
}

void background_hold(struct vm *vm)
{
    vm->n_background++;
}

void background_release(struct vm *vm)
{
    vm->n_background--;
    if (vm->eased)
        vm->eased(vm->eased_arg);
}
