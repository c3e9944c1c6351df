/* SPDX-License-Identifier: Apache-2.0 */
#include "lua/timers.h"

#include "base/clock.h"
#include "base/log.h"
#include "crypto/encode.h"
#include "lua/background.h"
#include "lua/turns.h"

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DELAY_MAX 1e9 /* seconds; 31 years */
#define JOB_NAME_MAX 64

struct chore {
    struct list link;
    struct vm *vm;
    struct timer timer;
    int ref;                /* its function, in the registry */
    uint64_t every;         /* ns between two starts; 0: it runs once */
    uint64_t jitter;        /* at most so much is added to each */
    uint64_t first;         /* ns from the start of the VM's timers */
    char *name;             /* of a job */
    struct turn *turn;      /* of a job */
    char id[BACKGROUND_ID]; /* of the request that asked for it */
};

static void chore_free(struct chore *c)
{
    timer_fini(&c->timer);
    list_remove(&c->link);
    c->vm->n_timers--;
    luaL_unref(c->vm->L, LUA_REGISTRYINDEX, c->ref);
    turn_put(c->turn);
    free(c->name);
    free(c);
}

/* One interval and some of the jitter. */
static uint64_t interval_of(const struct chore *c)
{
    uint32_t dice;
    random_bytes(&dice, sizeof dice);
    return c->every + (uint64_t)((double)c->jitter * (dice / 0x1p32));
}

static void plan(struct chore *c, uint64_t due)
{
    if (!c->vm->stopped)
        timer_set(&c->timer, due);
}

/* A run may say in how many seconds it wants to be asked again: one that left the work to
 * another gateway. 0: it did not. */
static uint64_t wish_of(const struct background *b, uint64_t now)
{
    lua_State *co = b->status == 0 && lua_gettop(b->task->L) > 0 ? b->task->L : NULL;
    lua_Number s = co && lua_isnumber(co, -1) ? lua_tonumber(co, -1) : -1;
    return s >= 0 && s <= DELAY_MAX ? now + (uint64_t)(s * 1e9) : 0;
}

/* The next run begins an interval after the beginning of this one, or now if this one
 * took longer. */
static void job_ended(struct background *b)
{
    struct chore *c = b->owner;
    uint64_t wish = wish_of(b, worker_now(c->vm->worker));
    background_free(b);
    plan(c, turn_give(c->turn, wish));
}

/* What is started; its task in `out`, or NULL when there are too many. */
struct start {
    struct chore *chore;
    struct background *out;
};

static int start(lua_State *L)
{
    struct start *s = lua_touserdata(L, 1);
    lua_rawgeti(L, LUA_REGISTRYINDEX, s->chore->ref);
    s->out = background_new(L, 2, s->chore->name ? "job" : "gate.after");
    return 0;
}

static struct background *begin(struct chore *c)
{
    struct start s = {c, NULL};
    char *why = NULL;
    vm_protect(c->vm, start, &s, &why);
    if (!s.out)
        LOG_FIELDS(LOG_ERROR, "a timer's task did not begin",
                   {"error", span_of(why ? why : "too many tasks in the background")},
                   {"job", span_of(c->name ? c->name : "gate.after")});
    free(why);
    return s.out;
}

static void on_once(struct chore *c)
{
    struct background *b = begin(c);
    if (b)
        memcpy(b->id, c->id, sizeof b->id);
    chore_free(c);
}

static void on_job(struct chore *c)
{
    uint64_t now = worker_now(c->vm->worker), look;
    if (!turn_take(c->turn, now, now + interval_of(c), &look)) {
        plan(c, look);
        return;
    }
    struct background *b = begin(c);
    if (!b) {
        plan(c, turn_give(c->turn, 0));
        return;
    }
    b->job = c->name;
    b->ended = job_ended;
    b->owner = c;
}

static void on_time(struct timer *t)
{
    struct chore *c = CONTAINER(t, struct chore, timer);
    if (c->turn)
        on_job(c);
    else
        on_once(c);
}

void timers_start(struct vm *vm)
{
    uint64_t now = worker_now(vm->worker);
    vm->begun = true;
    for (struct list *l = vm->timers.next; l != &vm->timers; l = l->next) {
        struct chore *c = CONTAINER(l, struct chore, link);
        uint64_t due = now + c->first;
        plan(c, c->turn ? turn_plan(c->turn, due) : due);
    }
}

void timers_stop(struct vm *vm)
{
    for (struct list *l = vm->timers.next; l != &vm->timers; l = l->next)
        timer_clear(&CONTAINER(l, struct chore, link)->timer);
}

void timers_free(struct vm *vm)
{
    while (!list_empty(&vm->timers))
        chore_free(CONTAINER(vm->timers.next, struct chore, link));
}

/* -- bindings ---------------------------------------------------------------------- */

static uint64_t ns_at(lua_State *L, int idx)
{
    lua_Number s = luaL_checknumber(L, idx);
    return (uint64_t)((s < 0 ? 0 : s > DELAY_MAX ? DELAY_MAX : s) * 1e9);
}

/* The function is at idx; the rest is the caller's to fill in. */
static struct chore *chore_new(lua_State *L, int idx)
{
    struct vm *vm = vm_of(L);
    lua_pushvalue(L, idx);
    int ref = luaL_ref(L, LUA_REGISTRYINDEX);
    struct chore *c = xalloc(sizeof *c);
    c->vm = vm;
    c->ref = ref;
    timer_init(&c->timer, vm->worker, on_time);
    list_init(&c->link);
    list_append(&vm->timers, &c->link);
    vm->n_timers++;
    return c;
}

/* core.after(seconds, f) → whether there was room for it */
static int l_after(lua_State *L)
{
    struct vm *vm = vm_of(L);
    uint64_t delay = ns_at(L, 1);
    luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_settop(L, 2);
    if (vm->begun && delay == 0) {
        lua_pushboolean(L, background_new(L, 2, "gate.after") != NULL);
        return 1;
    }
    bool room = vm->n_timers < TIMERS_MAX;
    if (room) {
        struct chore *c = chore_new(L, 2);
        c->first = delay;
        if (vm->running && vm->running->id)
            snprintf(c->id, sizeof c->id, "%s", vm->running->id);
        if (vm->begun)
            plan(c, worker_now(vm->worker) + delay);
    }
    lua_pushboolean(L, room);
    return 1;
}

static bool is_named(const struct vm *vm, const char *name)
{
    for (struct list *l = vm->timers.next; l != &vm->timers; l = l->next) {
        const struct chore *c = CONTAINER(l, struct chore, link);
        if (c->name && strcmp(c->name, name) == 0)
            return true;
    }
    return false;
}

/* core.every(seconds, name, f, jitter, each): each worker has a turn of its own, or they
 * share one. While the script loads. */
static int l_every(lua_State *L)
{
    char turn[JOB_NAME_MAX + 32];
    struct vm *vm = vm_of(L);
    uint64_t every = ns_at(L, 1), jitter = ns_at(L, 4);
    size_t n;
    const char *name = luaL_checklstring(L, 2, &n);
    luaL_checktype(L, 3, LUA_TFUNCTION);
    if (!vm->loading)
        return vm_error(L, "gate.every: jobs are declared while the script loads");
    if (n == 0 || n > JOB_NAME_MAX || is_named(vm, name))
        return vm_error(L, "gate.every: %s",
                        n == 0 || n > JOB_NAME_MAX ? "a name has 1 to 64 bytes"
                                                   : "two jobs of one name");
    if (lua_toboolean(L, 5))
        snprintf(turn, sizeof turn, "%s %p", name, (void *)vm->worker);
    else
        snprintf(turn, sizeof turn, "%s", name);
    struct chore *c = chore_new(L, 3);
    c->every = every;
    c->jitter = jitter;
    c->name = xstrdup(name);
    c->turn = turn_get(turn);
    c->first = interval_of(c);
    return 0;
}

void l_timers_open(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"after", l_after}, {"every", l_every}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
