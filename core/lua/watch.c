/* SPDX-License-Identifier: Apache-2.0 */
#include "lua/watch.h"
#include "base/log.h"
#include "loop/worker.h"

#include <stdlib.h>

#define TICK_MAX (50 * NS_PER_MS)
#define TICKS_PER_LIMIT 4

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t unbound = PTHREAD_COND_INITIALIZER;
static struct list watches = {&watches, &watches};
static pthread_t watchdog;   /* there is one while there are watches */
static uintptr_t generation; /* of it: another number tells it to end */

/* The watch whose slice runs on this thread. The handler goes by it and by nothing that
 * the signal brought along, so that it never touches a watch that is gone. */
static _Thread_local struct watch *volatile current;

/* LuaJIT allows lua_sethook in a signal handler. Unhooking first makes it rewrite its
 * dispatch table even if it believes that the hook is set. */
static void on_signal(int number)
{
    struct watch *w = current;
    (void)number;
    if (!w || atomic_load(&w->condemned) != atomic_load(&w->count))
        return;
    w->hooked = 1;
    lua_sethook(w->L, NULL, 0, 0);
    lua_sethook(w->L, w->hook, LUA_MASKCOUNT, 1);
}

static uint64_t cpu_time(const struct watch *w)
{
    struct timespec t = {0, 0};
    clock_gettime(w->clock, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static void shun(struct watch *w, bool on)
{
    if (w->shunned != on && w->worker)
        worker_load_add(w->worker, on ? WATCH_LOAD : -WATCH_LOAD);
    w->shunned = on;
}

/* With the lock held, and while the count is odd, the thread exists. */
static void look_at(struct watch *w)
{
    uint64_t count = atomic_load(&w->count);
    bool again = count == w->seen;
    w->seen = count;
    shun(w, again && count % 2);
    if (count % 2 == 0)
        return;
    uint64_t now = cpu_time(w);
    if (!again)
        w->since = now;
    uint64_t worked = now - w->since;
    if (worked < w->limit)
        return;
    if (worked >= w->limit + w->grace) {
        log_msg(LOG_ERROR,
                "Lua has kept a thread for %.1f s and cannot be stopped: ending the "
                "process",
                (double)worked / 1e9);
        log_flush(1000);
        abort();
    }
    atomic_store(&w->condemned, count);
    pthread_kill(w->thread, SIGURG);
}

/* Looks at all; returns after how many ns to look again. */
static uint64_t look_round(void)
{
    uint64_t tick = TICK_MAX;
    for (struct list *l = watches.next; l != &watches; l = l->next) {
        struct watch *w = CONTAINER(l, struct watch, link);
        look_at(w);
        if (w->limit / TICKS_PER_LIMIT < tick)
            tick = w->limit / TICKS_PER_LIMIT;
    }
    return tick;
}

static void *keep_watch(void *arg)
{
    uintptr_t own = (uintptr_t)arg;
    pthread_mutex_lock(&lock);
    pthread_setname_np(pthread_self(), "watchdog");
    while (own == generation) {
        uint64_t due = clock_now() + look_round();
        struct timespec t = {(time_t)(due / NS_PER_S), (long)(due % NS_PER_S)};
        pthread_cond_clockwait(&unbound, &lock, CLOCK_MONOTONIC, &t);
    }
    pthread_mutex_unlock(&lock);
    return NULL;
}

/* The watchdog takes no signals; they are for those who watch for them. */
static void start(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigset_t all, before;
    sigaction(SIGURG, &action, NULL);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&watchdog, NULL, keep_watch, (void *)generation);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    assert(rc == 0);
}

void watch_init(struct watch *w, lua_State *L, lua_Hook hook, struct worker *worker,
                uint64_t limit)
{
    *w = (struct watch){.L = L, .hook = hook, .worker = worker, .limit = limit};
    w->grace = WATCH_GRACE;
    list_init(&w->link);
}

static void bind(struct watch *w)
{
    w->bound = true;
    pthread_mutex_lock(&lock);
    w->thread = pthread_self();
    pthread_getcpuclockid(w->thread, &w->clock);
    if (list_empty(&watches))
        start();
    list_append(&watches, &w->link);
    pthread_mutex_unlock(&lock);
}

void watch_unbind(struct watch *w)
{
    if (!w->bound)
        return;
    w->bound = false;
    pthread_mutex_lock(&lock);
    assert(pthread_equal(w->thread, pthread_self()));
    shun(w, false);
    list_remove(&w->link);
    bool last = list_empty(&watches);
    pthread_t ending = watchdog;
    generation += last;
    pthread_cond_broadcast(&unbound);
    pthread_mutex_unlock(&lock);
    if (last)
        pthread_join(ending, NULL);
}

/* Only this thread writes the count, so it needs no locked instruction. */
static void count_on(struct watch *w)
{
    uint64_t n = atomic_load_explicit(&w->count, memory_order_relaxed);
    atomic_store_explicit(&w->count, n + 1, memory_order_relaxed);
}

void watch_enter(struct watch *w)
{
    if (!w->bound)
        bind(w);
    current = w;
    count_on(w);
}

void watch_leave(struct watch *w)
{
    count_on(w);
    atomic_signal_fence(memory_order_seq_cst);
    if (w->hooked) { /* no signal can set it any more */
        lua_sethook(w->L, NULL, 0, 0);
        w->hooked = 0;
    }
    current = NULL;
}
