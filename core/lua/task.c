/* SPDX-License-Identifier: Apache-2.0 */
#include "lua/task.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/mode.h"
#include "http/parse.h"
#include "loop/worker.h"
#include "lua/box.h"
#include "lua/watch.h"

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>

#define IDLE_MAX 64   /* tasks kept for the next requests */
#define STREAK_MAX 16 /* operations in a row without giving others their turn */
#define TRACE_LEVELS 16
#define TRACE_MAX 1024

struct start {
    struct task *task;
    int (*push)(lua_State *L, struct task *t);
    int n;
};

/* One that served before, or a new one. */
static void give_coroutine(lua_State *L, struct task *t)
{
    if (t->L)
        return;
    t->L = lua_newthread(L);
    t->ref = luaL_ref(L, LUA_REGISTRYINDEX);
}

static int prepare(lua_State *L)
{
    struct start *s = lua_touserdata(L, 1);
    struct task *t = s->task;
    give_coroutine(L, t);
    lua_settop(L, 0);
    s->n = s->push(L, t);
    lua_xmove(L, t->L, s->n);
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
    t->status = status;
    metric_count(METRIC_tasks, -1);
    if (t->stopped)
        metric_count(METRIC_watchdog_stops_total, 1);
    drop_wait(t);
    hold_release_all(t);
    t->ended(t, status);
}

/* All waits may last equally long, so the list of them is in the order of their ends. */
static void begin_wait(struct task *t)
{
    struct vm *vm = t->vm;
    t->timed_out = false;
    if (!vm->wait_max || t->cancelled)
        return;
    t->due = worker_now(vm->worker) + vm->wait_max;
    if (list_empty(&vm->waiting))
        timer_set(&vm->patience, t->due);
    list_append(&vm->waiting, &t->link);
}

/* The one lua_resume. A coroutine that stands still without a wait did so by a
 * coroutine.yield of the script, which nobody will ever answer, or was stopped. */
static void resume(struct task *t, int n)
{
    struct vm *vm = t->vm;
    vm->running = t;
    t->waiting = false;
    t->streak = 0;
    vm->stack = __builtin_frame_address(0);
    watch_enter(&vm->watch);
    int status = lua_resume(t->L, n);
    watch_leave(&vm->watch);
    vm->running = NULL;
    t->since = vm->worker ? worker_now(vm->worker) : 0;
    if (status == LUA_YIELD && t->waiting && !t->stopped) {
        begin_wait(t);
        return;
    }
    finish(t, status == LUA_YIELD ? LUA_ERRRUN : status);
}

static struct task *task_get(struct vm *vm)
{
    struct task *t;
    if (list_empty(&vm->idle)) {
        t = xalloc(sizeof *t);
        t->ref = LUA_NOREF;
        list_init(&t->link);
    } else {
        t = CONTAINER(vm->idle.prev, struct task, link);
        list_remove(&t->link);
        vm->n_idle--;
    }
    t->magic = TASK_MAGIC;
    t->vm = vm;
    t->kind = NULL;
    t->id = t->job = t->upload = NULL;
    t->waiting = t->cancelled = t->timed_out = t->is_heir = t->over = false;
    t->readonly = mode_is(MODE_READONLY);
    t->stopped = NULL;
    list_init(&t->holds);
    return t;
}

static void destroy(struct task *t)
{
    free(t->room);
    free(t);
}

/* A coroutine whose function has returned can be resumed with another one. One that
 * failed cannot, and one that stands still must not. */
static void task_put(struct task *t)
{
    struct vm *vm = t->vm;
    bool keep = vm->n_idle < IDLE_MAX;
    free(t->stopped);
    t->stopped = NULL;
    if (keep && t->over && t->status == 0) {
        lua_settop(t->L, 0);
    } else {
        luaL_unref(vm->L, LUA_REGISTRYINDEX, t->ref);
        t->ref = LUA_NOREF;
        t->L = NULL;
    }
    POISON(t);
    if (!keep) {
        destroy(t);
        return;
    }
    list_append(&vm->idle, &t->link);
    vm->n_idle++;
}

/* The arguments of the function that waits are what its operation may borrow. */
static int inherit(lua_State *L)
{
    struct task **pair = lua_touserdata(L, 1), *t = pair[0], *heir = pair[1];
    int n = lua_gettop(t->L);
    if (n > LUA_MINSTACK)
        return luaL_error(L, "too many arguments");
    give_coroutine(L, heir);
    lua_xmove(t->L, heir->L, n);
    return 0;
}

static int late(lua_State *L, void *room)
{
    (void)room;
    return task_failure(L, E_TIMEOUT);
}

/* An operation that does not end in time may never do (a disk that hangs), and its memory
 * must stay. An heir gets the room, and what the operation borrows from the stack; t can
 * go on. False when there is no memory to do so. */
static bool leave_behind(struct task *t)
{
    static const struct wait_kind kind = {.name = "late", .result = late};
    struct vm *vm = t->vm;
    struct task *heir = task_get(vm), *pair[] = {t, heir};
    if (vm_protect(vm, inherit, pair, NULL) != 0) {
        task_put(heir);
        return false;
    }
    void *room = heir->room;
    size_t room_n = heir->room_n;
    heir->is_heir = heir->waiting = true;
    heir->kind = t->kind;
    heir->room = t->room;
    heir->room_n = t->room_n;
    t->kind = &kind;
    t->room = room;
    t->room_n = room_n;
    t->leave(heir->room, heir);
    vm->n_heirs++;
    heir->kind->cancel(heir->room);
    return true;
}

/* The operation is over after all; nobody asks for its result. */
static void bury(struct task *heir)
{
    struct vm *vm = heir->vm;
    drop_wait(heir);
    hold_release_all(heir);
    heir->over = true;
    heir->status = 0;
    task_put(heir);
    vm->n_heirs--;
    if (vm->n_heirs == 0 && vm->doomed)
        vm_free(vm);
}

void task_late(struct timer *timer)
{
    struct vm *vm = CONTAINER(timer, struct vm, patience);
    uint64_t now = worker_now(vm->worker);
    while (!list_empty(&vm->waiting)) {
        struct task *t = CONTAINER(vm->waiting.next, struct task, link);
        if (t->due > now) {
            timer_set(timer, t->due);
            return;
        }
        list_remove(&t->link);
        if (t->moves && t->moves(t->room)) {
            t->due = now + vm->wait_max;
            list_append(&vm->waiting, &t->link);
            continue;
        }
        t->timed_out = true;
        if (t->leave && leave_behind(t))
            resume(t, 0);
        else if (t->kind->cancel)
            t->kind->cancel(t->room);
    }
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
    metric_count(METRIC_tasks, 1);
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
        destroy(t);
    }
    vm->n_idle = 0;
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

bool task_may_go_on(struct task *t)
{
    return t->streak++ < STREAK_MAX;
}

void task_arm(struct task *t, const struct wait_kind *kind)
{
    t->kind = kind;
    t->moves = NULL;
    t->leave = NULL;
}

bool task_is_patient(void *room)
{
    (void)room;
    return true;
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
    list_remove(&t->link);
    if (t->is_heir)
        bury(t);
    else
        resume(t, 0);
}

void task_cancel(struct task *t)
{
    CHECK(t, TASK_MAGIC);
    if (t->cancelled || t->over)
        return;
    t->cancelled = true;
    list_remove(&t->link);
    if (t->waiting && t->kind->cancel)
        t->kind->cancel(t->room);
}

/* "file:line" of each function that runs, the innermost first, as luaL_traceback writes
 * them; but this must not need memory of the VM, which may have none left. */
static char *trace(lua_State *L)
{
    char text[TRACE_MAX];
    size_t n = (size_t)snprintf(text, sizeof text, "stack traceback:");
    lua_Debug ar;
    for (int i = 0; i < TRACE_LEVELS && lua_getstack(L, i, &ar) && n < sizeof text; i++) {
        lua_getinfo(L, "Sl", &ar);
        n += (size_t)snprintf(text + n, sizeof text - n, "\n\t%s:%d:", ar.short_src,
                              ar.currentline);
    }
    return xstrdup(text);
}

void task_stop(lua_State *L, lua_Debug *ar)
{
    struct vm *vm = vm_of(L);
    struct task *t = vm->running;
    (void)ar;
    if (!t && vm->loading)
        vm_error(L, "the script worked for more than %g s before it was loaded",
                 (double)vm->watch.limit / 1e9);
    if (!t)
        vm_error(L, "it took longer than %.0fms (limits.slice)",
                 (double)vm->watch.limit / 1e6);
    if (!t->stopped)
        t->stopped = trace(L);
    if (t->L != L || !lua_isyieldable(L))
        vm_error(L, "the handler ran longer than %.0fms (limits.slice)",
                 (double)vm->watch.limit / 1e6);
    task_wait(L, t);
}

void task_log_death(struct task *t, int status)
{
    const char *what = "it yielded outside of a wait, or raised what is no message";
    char slice[64];
    if (t->stopped) {
        snprintf(slice, sizeof slice, "the %s ran longer than %.0fms (limits.slice)",
                 t->job ? "job" : "handler", (double)t->vm->watch.limit / 1e6);
        what = slice;
    } else if (status == LUA_ERRMEM) {
        what = "not enough memory (limits.script)";
    } else if (lua_type(t->L, -1) == LUA_TSTRING) {
        what = lua_tostring(t->L, -1);
    }
    struct log_field fields[5] = {{"error", span_of(what)}};
    size_t n = 1;
    if (t->id)
        fields[n++] = (struct log_field){"id", span_of(t->id)};
    if (t->job)
        fields[n++] = (struct log_field){"job", span_of(t->job)};
    if (t->upload)
        fields[n++] = (struct log_field){"upload", span_of(t->upload)};
    if (t->stopped)
        fields[n++] = (struct log_field){"trace", span_of(t->stopped)};
    log_fields(LOG_ERROR, t->job ? "job failed" : "request failed", fields, n);
}

int task_failure(lua_State *L, int rc)
{
    const struct task *t = vm_of(L)->running;
    bool fault = rc < -8192;
    if (rc == E_CANCELLED && t && t->timed_out && !t->cancelled)
        rc = E_TIMEOUT;
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
