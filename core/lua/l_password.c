/* SPDX-License-Identifier: Apache-2.0
 *
 * gate.password. A password is verified and hashed by a job, few at once and in a queue
 * of bounded length: who guesses passwords uses up that queue, and nothing that others
 * wait for.
 */
#include "crypto/password.h"
#include "loop/job.h"
#include "lua/core.h"
#include "lua/task.h"

#include <lauxlib.h>
#include <stdatomic.h>

/* Jobs that wait or run, for each that may run at once: two seconds' worth at cost 10. */
#define QUEUE_FACTOR 32

static atomic_uint queued; /* of all workers */

struct password_wait {
    struct job job;
    struct task *task;
    struct span password, hash; /* the caller's strings, on its stack */
    unsigned cost;              /* of a new hash */
    atomic_bool unwanted;       /* nobody asks any more */
    int rc;
    bool right;
    char out[PASSWORD_HASH_SIZE];
};

static struct span string_at(lua_State *L, int idx, const char *call, const char *what)
{
    struct span text;
    if (lua_type(L, idx) != LUA_TSTRING)
        vm_error(L, "%s: the %s must be a string, got %s", call, what,
                 luaL_typename(L, idx));
    text.p = lua_tolstring(L, idx, &text.n);
    return text;
}

static void verify_work(struct job *j)
{
    struct password_wait *w = CONTAINER(j, struct password_wait, job);
    if (!atomic_load(&w->unwanted))
        w->rc = password_verify(w->password, w->hash, &w->right);
}

static void hash_work(struct job *j)
{
    struct password_wait *w = CONTAINER(j, struct password_wait, job);
    if (!atomic_load(&w->unwanted))
        w->rc = password_hash(w->password, w->cost, w->out);
}

static void on_done(struct job *j)
{
    struct password_wait *w = CONTAINER(j, struct password_wait, job);
    atomic_fetch_sub(&queued, 1);
    task_wake(w->task);
}

static void on_cancel(void *room)
{
    struct password_wait *w = room;
    atomic_store(&w->unwanted, true);
}

/* A place in the queue, or false when it is full. */
static bool queue_enter(void)
{
    if (atomic_fetch_add(&queued, 1) < QUEUE_FACTOR * lane_width(lane_slow()))
        return true;
    atomic_fetch_sub(&queued, 1);
    return false;
}

/* Starts the job whose room the caller has filled. */
static int submit(lua_State *L, struct password_wait *w, const struct wait_kind *kind,
                  void (*work)(struct job *))
{
    struct task *t = w->task;
    if (!queue_enter())
        return task_refuse(t, E_BUSY);
    w->job.work = work;
    w->job.done = on_done;
    task_arm(t, kind);
    job_submit(lane_slow(), &w->job);
    return task_wait(L, t);
}

static int verify_result(lua_State *L, void *room)
{
    const struct password_wait *w = room;
    if (w->rc != 0)
        return task_failure(L, w->rc);
    lua_pushboolean(L, 1);
    lua_pushboolean(L, w->right);
    return 2;
}

/* core.password_verify(password, hash) → is it right?, by core.result() */
static int l_password_verify(lua_State *L)
{
    static const struct wait_kind kind = {"gate.password.verify", verify_result,
                                          on_cancel, NULL};
    struct span password = string_at(L, 1, kind.name, "password");
    struct span hash = string_at(L, 2, kind.name, "hash");
    struct task *t = task_may_wait(L, kind.name);
    struct password_wait *w = task_room(t, sizeof *w);
    if (!w)
        return 0;
    *w = (struct password_wait){
        .task = t, .password = password, .hash = hash, .rc = E_CANCELLED};
    return submit(L, w, &kind, verify_work);
}

static int hash_result(lua_State *L, void *room)
{
    const struct password_wait *w = room;
    if (w->rc != 0)
        return task_failure(L, w->rc);
    lua_pushboolean(L, 1);
    lua_pushstring(L, w->out);
    return 2;
}

/* core.password_hash(password, cost) → hash, by core.result() */
static int l_password_hash(lua_State *L)
{
    static const struct wait_kind kind = {"gate.password.hash", hash_result, on_cancel,
                                          NULL};
    struct span password = string_at(L, 1, kind.name, "password");
    unsigned cost = (unsigned)luaL_optinteger(L, 2, PASSWORD_COST);
    struct task *t = task_may_wait(L, kind.name);
    struct password_wait *w = task_room(t, sizeof *w);
    if (!w)
        return 0;
    *w = (struct password_wait){
        .task = t, .password = password, .cost = cost, .rc = E_CANCELLED};
    return submit(L, w, &kind, hash_work);
}

/* core.password_cost(hash) → cost, or nil and which scheme it is instead */
static int l_password_cost(lua_State *L)
{
    unsigned cost;
    const char *why;
    struct span hash = string_at(L, 1, "gate.password.cost", "hash");
    if (password_look(hash, &cost, &why) == 0) {
        lua_pushinteger(L, (lua_Integer)cost);
        return 1;
    }
    lua_pushnil(L);
    lua_pushstring(L, why);
    return 2;
}

void l_password_open(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"password_verify", l_password_verify},
        {"password_hash", l_password_hash},
        {"password_cost", l_password_cost},
        {NULL, NULL},
    };
    luaL_setfuncs(L, functions, 0);
}
