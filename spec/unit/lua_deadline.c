/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/unit/unit.h"

#include "loop/worker.h"
#include "lua/core.h"
#include "lua/task.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#define MEMORY ((size_t)32 << 20)
#define WAIT (2 * NS_PER_MS)

/* An operation that ends when it is cancelled, or when the case ends it. */
struct nap {
    struct task *task;
    struct call call;
    const char *text; /* lent by the stack */
    int rc;
};

static struct worker *worker;
static struct nap *last;
static bool deaf, leaves; /* it ignores cancel; a task may leave it */
static int moves_left, cancels, drops, ends, awaited;
static char texts[8][128];

static int nap_result(lua_State *L, void *room)
{
    struct nap *n = room;
    if (n->rc != 0)
        return task_failure(L, n->rc);
    lua_pushboolean(L, 1);
    lua_pushliteral(L, "slept");
    return 2;
}

static void nap_end(struct call *c)
{
    task_wake(CONTAINER(c, struct nap, call)->task);
}

static void nap_cancel(void *room)
{
    struct nap *n = room;
    cancels++;
    if (deaf)
        return;
    n->rc = E_CANCELLED;
    n->call.fn = nap_end;
    worker_defer(worker, &n->call);
}

static void nap_drop(void *room)
{
    (void)room;
    drops++;
}

static bool nap_moves(void *room)
{
    struct nap *n = room;
    if (moves_left-- > 0)
        return true;
    n->call.fn = nap_end;
    worker_defer(worker, &n->call);
    return true;
}

static void nap_leave(void *room, struct task *heir)
{
    ((struct nap *)room)->task = heir;
}

static int l_nap(lua_State *L)
{
    static const struct wait_kind kind = {"nap", nap_result, nap_cancel, nap_drop};
    struct task *t = task_may_wait(L, kind.name);
    struct nap *n = task_room(t, sizeof *n);
    if (!n)
        return 0;
    *n = (struct nap){.task = t, .text = lua_tostring(L, 1)};
    last = n;
    task_arm(t, &kind);
    t->moves = moves_left > 0 ? nap_moves : NULL;
    t->leave = leaves ? nap_leave : NULL;
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
    (void)status;
    snprintf(texts[ends++], sizeof texts[0], "%s", text ? text : "");
    task_free(t);
    if (ends == awaited)
        worker_stop(worker);
}

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
    worker = worker_new("lua");
    EXPECT(worker != NULL);
    EXPECT_EQ(vm_new(MEMORY, worker, core, &vm), 0);
    vm->wait_max = WAIT;
    return vm;
}

/* Runs n tasks of this text until all have ended. */
static void run(struct vm *vm, int n, const char *text)
{
    struct task *t;
    awaited = n;
    for (int i = 0; i < n; i++)
        EXPECT_EQ(task_start(vm, push_chunk, ended, (void *)(uintptr_t)text, &t), 0);
    worker_run(worker);
    EXPECT_EQ(ends, n);
}

static const char twice[] =
    "local c = ... local _, a = c.result(c.nap()) local _, b = c.result(c.nap())\n"
    "return a .. ' ' .. b";

TEST("lua deadline: a wait that lasts too long says TIMEOUT and the task may wait again")
{
    struct vm *vm = vm_make();
    run(vm, 3, twice);
    for (int i = 0; i < 3; i++)
        EXPECT_STR(texts[i], "TIMEOUT TIMEOUT");
    EXPECT_EQ(cancels, 6);
    EXPECT_EQ(drops, 6);
    vm_free(vm);
    worker_free(worker);
}

TEST("lua deadline: a wait that gets on is left alone")
{
    struct vm *vm = vm_make();
    moves_left = 3;
    run(vm, 1, "local c = ... local ok, a = c.result(c.nap()) return a");
    EXPECT_STR(texts[0], "slept");
    EXPECT_EQ(cancels, 0);
    vm_free(vm);
    worker_free(worker);
}

TEST("lua deadline: an operation that hangs keeps its memory while the task goes on")
{
    struct vm *vm = vm_make();
    deaf = leaves = true;
    run(vm, 1,
        "local c = ... local _, a = c.result(c.nap(('lent'):rep(2)))\n"
        "return a");
    EXPECT_STR(texts[0], "TIMEOUT");
    EXPECT_EQ(drops, 0);
    EXPECT_EQ(vm->n_heirs, 1);
    vm_settle(vm, true);
    EXPECT_STR(last->text, "lentlent");
    vm_free(vm); /* waits for it */
    task_wake(last->task);
    EXPECT_EQ(drops, 1);
    EXPECT_EQ(cancels, 1);
    worker_free(worker);
}

TEST("lua deadline: what is cancelled says so, late or not")
{
    struct vm *vm = vm_make();
    struct task *t;
    awaited = 1;
    EXPECT_EQ(task_start(vm, push_chunk, ended, (void *)(uintptr_t)twice, &t), 0);
    task_cancel(t);
    worker_run(worker);
    EXPECT_STR(texts[0], "CANCELLED CANCELLED");
    vm_free(vm);
    worker_free(worker);
}
