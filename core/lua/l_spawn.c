/* SPDX-License-Identifier: Apache-2.0
 *
 * Tasks of a task: it may wait for them, and what it has not waited for is cancelled when
 * it ends. And what is left of waiting: to sleep, and to know that one is cancelled.
 */
#include "base/log.h"
#include "lua/background.h"
#include "lua/box.h"
#include "lua/core.h"

#include <lauxlib.h>
#include <stdlib.h>

#define CHILDREN_MAX 32
#define SLEEP_MAX 1e9 /* seconds; 31 years */

struct child {
    struct hold hold;
    struct background *b;
    struct task *waiter; /* NULL: nobody waits now */
    struct call wake;
};

/* A spawned function returns true and its results, or false, what was raised, and, unless
 * that is in the log already, its text. */
static void log_unheard(const struct background *b)
{
    lua_State *co = b->task ? b->task->L : NULL;
    if (!co || b->status != 0 || b->cancelled || lua_gettop(co) < 3 ||
        lua_toboolean(co, 1) || lua_type(co, 3) != LUA_TSTRING)
        return;
    LOG_FIELDS(LOG_ERROR, "a task failed that nobody waited for",
               {"error", span_of(lua_tostring(co, 3))}, {"id", span_of(b->id)});
}

static void child_unheard(struct background *b)
{
    log_unheard(b);
    background_free(b);
}

static void child_release(struct hold *h)
{
    struct child *c = CONTAINER(h, struct child, hold);
    worker_undefer(c->b->vm->worker, &c->wake);
    if (c->b->over) {
        child_unheard(c->b);
    } else {
        c->b->ended = child_unheard;
        background_cancel(c->b);
    }
    free(c);
}

static const struct hold_kind child_kind = {"task", child_release};

static void on_wake(struct call *call)
{
    struct child *c = CONTAINER(call, struct child, wake);
    struct task *t = c->waiter;
    c->waiter = NULL;
    task_wake(t);
}

static void child_ended(struct background *b)
{
    struct child *c = b->owner;
    if (c->waiter)
        worker_defer(b->vm->worker, &c->wake);
}

static size_t count(const struct task *t)
{
    size_t n = 0;
    for (const struct list *l = t->holds.next; l != &t->holds; l = l->next)
        n += CONTAINER((struct list *)(uintptr_t)l, struct hold, link)->kind ==
             &child_kind;
    return n;
}

/* core.spawn(f, …) → task, or nil when the VM has too many */
static int l_spawn(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    struct task *t = task_may_wait(L, "gate.spawn");
    if (count(t) >= CHILDREN_MAX)
        return vm_error(L, "gate.spawn: at most %d that were not waited for",
                        CHILDREN_MAX);
    struct background *b = background_new(L, 1, "gate.spawn");
    if (!b)
        return 0;
    struct child *c = xalloc(sizeof *c);
    c->b = b;
    c->wake.fn = on_wake;
    b->owner = c;
    b->ended = child_ended;
    hold_add(t, &c->hold, &child_kind);
    box_push(L, &c->hold);
    return 1;
}

static struct child *child_at(lua_State *L)
{
    return CONTAINER(box_check(L, 1, &child_kind), struct child, hold);
}

struct child_wait {
    struct child *child;
    struct timer timer;
};

static void on_late(struct timer *t)
{
    struct child *c = CONTAINER(t, struct child_wait, timer)->child;
    if (!c->wake.queued)
        worker_defer(c->b->vm->worker, &c->wake);
}

/* true, then what the function returned; its error was caught, so false and no more means
 * that it died. */
static int wait_result(lua_State *L, void *room)
{
    struct child *c = ((struct child_wait *)room)->child;
    const struct background *b = c->b;
    if (!b->over)
        return task_failure(L, E_TIMEOUT);
    int n = b->task && b->status == 0 ? lua_gettop(b->task->L) : 0;
    lua_pushboolean(L, 1);
    if (n == 0)
        lua_pushboolean(L, 0);
    luaL_checkstack(L, n, "results");
    if (n)
        lua_xmove(b->task->L, L, n);
    hold_release(&c->hold);
    return n ? n + 1 : 2;
}

static void wait_cancel(void *room)
{
    background_cancel(((struct child_wait *)room)->child->b);
}

static void wait_drop(void *room)
{
    timer_fini(&((struct child_wait *)room)->timer);
}

static uint64_t due_at(lua_State *L, int idx, const struct vm *vm)
{
    lua_Number s = luaL_checknumber(L, idx);
    s = s < 0 ? 0 : s < SLEEP_MAX ? s : SLEEP_MAX;
    return worker_now(vm->worker) + (uint64_t)(s * 1e9);
}

/* core.wait(task, seconds or nil) → whether it returned, its results or its error */
static int l_wait(lua_State *L)
{
    static const struct wait_kind kind = {"task:wait", wait_result, wait_cancel,
                                          wait_drop};
    struct task *t = task_may_wait(L, kind.name);
    struct child *c = child_at(L);
    uint64_t due = lua_isnoneornil(L, 2) ? 0 : due_at(L, 2, t->vm);
    struct child_wait *w = task_room(t, sizeof *w);
    if (!w)
        return 0;
    w->child = c;
    timer_init(&w->timer, t->vm->worker, on_late);
    task_arm(t, &kind);
    t->moves = task_is_patient; /* its waits have deadlines of their own */
    if (c->b->over)
        return 0;
    if (due)
        timer_set(&w->timer, due);
    c->waiter = t;
    return task_wait(L, t);
}

/* core.cancel(task) */
static int l_cancel(lua_State *L)
{
    background_cancel(child_at(L)->b);
    return 0;
}

/* core.cancelled() → is the running task? */
static int l_cancelled(lua_State *L)
{
    const struct task *t = vm_of(L)->running;
    lua_pushboolean(L, t && t->cancelled);
    return 1;
}

struct sleep_wait {
    struct timer timer;
    struct call call;
    struct task *task;
};

static void sleep_over(struct call *call)
{
    task_wake(CONTAINER(call, struct sleep_wait, call)->task);
}

static void sleep_end(struct sleep_wait *w)
{
    timer_clear(&w->timer);
    if (!w->call.queued)
        worker_defer(w->task->vm->worker, &w->call);
}

static void sleep_fire(struct timer *t)
{
    sleep_end(CONTAINER(t, struct sleep_wait, timer));
}

static void sleep_cancel(void *room)
{
    sleep_end(room);
}

static int sleep_result(lua_State *L, void *room)
{
    (void)room;
    lua_pushboolean(L, 1);
    return 1;
}

static void sleep_drop(void *room)
{
    timer_fini(&((struct sleep_wait *)room)->timer);
}

/* core.sleep(seconds) */
static int l_sleep(lua_State *L)
{
    static const struct wait_kind kind = {"gate.sleep", sleep_result, sleep_cancel,
                                          sleep_drop};
    struct task *t = task_may_wait(L, kind.name);
    uint64_t due = due_at(L, 1, t->vm);
    struct sleep_wait *w = task_room(t, sizeof *w);
    if (!w)
        return 0;
    w->task = t;
    w->call = (struct call){.fn = sleep_over};
    timer_init(&w->timer, t->vm->worker, sleep_fire);
    task_arm(t, &kind);
    t->moves = task_is_patient;
    timer_set(&w->timer, due);
    return task_wait(L, t);
}

void l_spawn_open(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"spawn", l_spawn},         {"wait", l_wait},   {"cancel", l_cancel},
        {"cancelled", l_cancelled}, {"sleep", l_sleep}, {NULL, NULL},
    };
    luaL_setfuncs(L, functions, 0);
}
