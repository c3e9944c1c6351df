/* SPDX-License-Identifier: Apache-2.0
 *
 * Tasks that no client waits for: what a script spawns, what its timers start. They keep
 * the rules of task.h; each starts from the run queue, never inside of the call that asks
 * for it. All of a VM's are counted, so that it is not freed under one of them.
 *
 * A VM that is left (after a reload, at the end) is stopped: its timers end, its jobs are
 * cancelled, and whatever else runs in the background has a while to come to an end.
 */
#ifndef LUA_BACKGROUND_H
#define LUA_BACKGROUND_H

#include "base/clock.h"
#include "loop/timer.h"
#include "lua/task.h"

#define BACKGROUND_MAX 4096              /* tasks of one VM at once */
#define BACKGROUND_GRACE (10 * NS_PER_S) /* for those that a stop does not cancel */
#define BACKGROUND_ID 64

struct gate_task;

struct background {
    struct list link;
    struct vm *vm;
    struct task *task; /* NULL until it has started, and if there was no memory for it */
    struct call start;
    struct timer grace;
    int ref;                /* in the registry: its function and arguments */
    int n;                  /* how many they are */
    char id[BACKGROUND_ID]; /* of the request that it comes from; "" for none */
    const char *job;  /* the name of the job that it belongs to, borrowed; or NULL */
    const char *what; /* "gate.spawn", "gate.after" or "job"; static */
    uint64_t began;   /* clock_now(), when it was asked for */
    bool cancelled, over;
    bool readonly; /* like the task that it comes from, or like the gateway */
    int status;    /* how it ended; LUA_ERRMEM if it never began */
    /* Once, when it is over; results or the error are on task->L's stack until
     * background_free. NULL: it frees itself. */
    void (*ended)(struct background *b);
    void *owner;
};

/* A task that calls the function at `idx` with what stands above it, which is popped. It
 * is named in the log like the running one. NULL, and nothing popped, when there are too
 * many. May raise. */
struct background *background_new(lua_State *L, int idx, const char *what);
void background_cancel(struct background *b);
/* What it does now, for gate_tasks (tasks.c). */
void background_describe(const struct background *b, struct gate_task *out);
/* Once it is over. */
void background_free(struct background *b);

/* Stops the VM's timers (timers.h) and its jobs; every other task is cancelled `grace` ns
 * from now, or, if it begins later, from then. May be called again with less. */
void background_stop(struct vm *vm, uint64_t grace);
/* What counts like a task of the VM and is none of these: a job on the pool, a reply. */
void background_hold(struct vm *vm);
void background_release(struct vm *vm);

/* core.spawn, core.wait, core.cancel, core.cancelled, core.sleep */
void l_spawn_open(lua_State *L);

#endif
