/* SPDX-License-Identifier: Apache-2.0
 *
 * The watchdog: stops Lua code that keeps its thread for too long.
 *
 * A slice is the time between entering Lua and leaving it. To the code that runs, it
 * costs two stores: a count that is odd while Lua runs. One thread of the process looks
 * at the counts of all watches every few ms. Where it finds the same odd count again, it
 * measures what the thread has worked since; past the limit it writes the count down as
 * condemned and sends SIGURG to the thread. The handler, which runs there, compares the
 * two, so that a signal which comes after its slice does nothing; then it sets a hook
 * that LuaJIT calls before every instruction, until the slice ends. The signal is
 * repeated, for one that falls into LuaJIT's own change of its hooks may be lost.
 *
 * The limit is of CPU time: who waits for a processor on a crowded machine, or is stopped
 * together with it, is not late.
 *
 * Hooks reach interpreted code only. Built-in scripts may be compiled: what a trace does
 * must be bounded by itself. And no hook reaches a C function that does not return: when
 * a slice has worked for `grace` past its limit, the process logs that and aborts, so
 * that a supervisor starts it anew. Leaving one worker stuck would hold its connections
 * for ever and could never be drained.
 */
#ifndef LUA_WATCH_H
#define LUA_WATCH_H

#include "base/base.h"
#include "base/clock.h"
#include "base/list.h"

#include <lua.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

#define WATCH_GRACE (UINT64_C(10) * NS_PER_S)
/* A worker whose slice has lasted for a while counts as so many connections fuller, so
 * that new ones go elsewhere. */
#define WATCH_LOAD (1 << 20)

struct worker;

struct watch {
    lua_State *L;
    lua_Hook hook;         /* called in a slice that is late; it has to end it */
    struct worker *worker; /* whose load shows it; or NULL */
    uint64_t limit, grace; /* ns; to be changed while no slice runs, before the first */

    bool bound;
    volatile sig_atomic_t hooked;
    _Atomic uint64_t count, condemned;

    /* the watchdog's own, under its lock */
    struct list link;
    pthread_t thread;
    clockid_t clock;
    uint64_t seen;  /* count, when it was looked at last */
    uint64_t since; /* the thread's CPU time, when this count was first seen */
    bool shunned;
};

void watch_init(struct watch *w, lua_State *L, lua_Hook hook, struct worker *worker,
                uint64_t limit);
/* Around everything that may run a script. The first slice binds the watch to its thread.
 */
void watch_enter(struct watch *w);
void watch_leave(struct watch *w);
/* On that thread, before it ends, before another one enters, and before w or its VM goes.
 * Harmless when not bound. */
void watch_unbind(struct watch *w);

#endif
