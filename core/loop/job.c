/* SPDX-License-Identifier: Apache-2.0
 *
 * One lock guards the pool and all lanes; it is held for a few stores at a time. A lane
 * stands in the ready list while it has a waiting job and is below its limit, so a free
 * thread takes the first lane's first job without looking at anybody who could not run.
 */
#include "loop/job.h"

#include "base/list.h"
#include "base/mem.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define THREADS_MAX 64

struct lane {
    struct list ready; /* in pool.ready */
    struct call *head, **tail;
    unsigned limit, running;
    size_t queued;
    struct list link; /* among all */
    char name[16];
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct list ready, lanes;
    bool stopping;
    unsigned threads;
    pthread_t ids[THREADS_MAX];
    struct lane *cpu, *slow;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER,
          .wake = PTHREAD_COND_INITIALIZER,
          .ready = {&pool.ready, &pool.ready},
          .lanes = {&pool.lanes, &pool.lanes}};

/* Puts l in the ready list if it belongs there and is not there yet. Under the lock. */
static bool lane_offer(struct lane *l)
{
    if (!l->head || l->running >= l->limit)
        return false;
    if (list_empty(&l->ready))
        list_append(&pool.ready, &l->ready);
    return true;
}

/* Takes a job of the lane whose turn it is; NULL: the pool is stopping. */
static struct job *next_job(void)
{
    while (list_empty(&pool.ready)) {
        if (pool.stopping)
            return NULL;
        pthread_cond_wait(&pool.wake, &pool.lock);
    }
    struct lane *l = CONTAINER(pool.ready.next, struct lane, ready);
    list_remove(&l->ready);
    struct job *j = CONTAINER(l->head, struct job, call);
    l->head = j->call.next;
    if (!l->head)
        l->tail = &l->head;
    l->running++;
    l->queued--;
    lane_offer(l);
    return j;
}

/* Under the lock. */
static void lane_append(struct lane *l, struct job *j)
{
    *l->tail = &j->call;
    l->tail = &j->call.next;
}

/* Under the lock, when j has ended. */
static void strand_advance(struct strand *s, struct job *j)
{
    if (j->after)
        lane_append(j->after->lane, j->after);
    else
        s->last = NULL;
}

/* Called and returns under the lock. Lane and strand are counted down before the worker
 * hears of the job, so that done may free them; without done, j may be gone after work. */
static void run_job(struct job *j)
{
    struct lane *l = j->lane;
    struct strand *s = j->strand;
    void (*done)(struct job *) = j->done;
    pthread_mutex_unlock(&pool.lock);
    j->work(j);
    pthread_mutex_lock(&pool.lock);
    l->running--;
    if (s)
        strand_advance(s, j);
    lane_offer(l);
    if (done) {
        pthread_mutex_unlock(&pool.lock);
        worker_post(j->home, &j->call);
        pthread_mutex_lock(&pool.lock);
    }
}

static void *thread_main(void *arg)
{
    struct job *j;
    (void)arg;
    pthread_setname_np(pthread_self(), "job");
    pthread_mutex_lock(&pool.lock);
    while ((j = next_job()))
        run_job(j);
    pthread_mutex_unlock(&pool.lock);
    return NULL;
}

static unsigned at_least_one(long n)
{
    return n < 1 ? 1 : n > THREADS_MAX ? THREADS_MAX : (unsigned)n;
}

int pool_start(unsigned threads)
{
    sigset_t all, old;
    int error = 0;
    assert(threads >= 1 && threads <= THREADS_MAX && !pool.threads);
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    pool.stopping = false;
    pool.cpu = lane_new("cpu", at_least_one(cores));
    pool.slow = lane_new("slow", at_least_one(cores / 2));
    /* Signals to the process are for the main thread. SIGURG is sent to single threads, to
     * end what a job runs there for too long (a script that is being loaded). */
    sigfillset(&all);
    sigdelset(&all, SIGURG);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    while (!error && pool.threads < threads) {
        error = pthread_create(&pool.ids[pool.threads], NULL, thread_main, NULL);
        pool.threads += !error;
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (error)
        pool_stop();
    return -error;
}

void pool_stop(void)
{
    pthread_mutex_lock(&pool.lock);
    pool.stopping = true;
    pthread_cond_broadcast(&pool.wake);
    pthread_mutex_unlock(&pool.lock);
    while (pool.threads)
        pthread_join(pool.ids[--pool.threads], NULL);
    lane_free(pool.cpu);
    lane_free(pool.slow);
    pool.cpu = pool.slow = NULL;
}

struct lane *lane_new(const char *name, unsigned limit)
{
    struct lane *l = xalloc(sizeof *l);
    assert(limit >= 1 && limit <= THREADS_MAX);
    snprintf(l->name, sizeof l->name, "%s", name);
    l->limit = limit;
    l->tail = &l->head;
    list_init(&l->ready);
    list_init(&l->link);
    pthread_mutex_lock(&pool.lock);
    list_append(&pool.lanes, &l->link);
    pthread_mutex_unlock(&pool.lock);
    return l;
}

void lane_free(struct lane *l)
{
    if (!l)
        return;
    assert(!l->head && !l->running);
    pthread_mutex_lock(&pool.lock);
    list_remove(&l->link);
    pthread_mutex_unlock(&pool.lock);
    free(l);
}

/* Under the lock. NULL: there is no room for one more. */
static struct lane_state *state_of(const struct lane *l, struct lane_state *out, size_t n,
                                   size_t max)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(out[i].name, l->name) == 0)
            return &out[i];
    if (n == max)
        return NULL;
    out[n] = (struct lane_state){.lanes = 0};
    memcpy(out[n].name, l->name, sizeof l->name);
    return &out[n];
}

size_t lanes_look(struct lane_state *out, size_t max)
{
    size_t n = 0;
    pthread_mutex_lock(&pool.lock);
    for (struct list *at = pool.lanes.next; at != &pool.lanes; at = at->next) {
        const struct lane *l = CONTAINER(at, struct lane, link);
        struct lane_state *s = state_of(l, out, n, max);
        if (!s)
            break;
        n += s == &out[n];
        s->lanes++;
        s->queued += l->queued;
        s->running += l->running;
    }
    pthread_mutex_unlock(&pool.lock);
    return n;
}

struct lane *lane_cpu(void)
{
    assert(pool.cpu);
    return pool.cpu;
}

struct lane *lane_slow(void)
{
    assert(pool.slow);
    return pool.slow;
}

unsigned lane_width(const struct lane *l)
{
    return l->limit;
}

static void come_home(struct call *c)
{
    struct job *j = CONTAINER(c, struct job, call);
    j->done(j);
}

static void submit(struct strand *s, struct lane *l, struct job *j)
{
    j->call = (struct call){.fn = come_home};
    j->lane = l;
    j->strand = s;
    j->after = NULL;
    j->home = worker_self();
    assert(j->home || !j->done);
    pthread_mutex_lock(&pool.lock);
    struct job *before = s ? s->last : NULL;
    if (s)
        s->last = j;
    if (before)
        before->after = j;
    else
        lane_append(l, j);
    l->queued++;
    bool runnable = !before && lane_offer(l);
    pthread_mutex_unlock(&pool.lock);
    if (runnable)
        pthread_cond_signal(&pool.wake);
}

void job_submit(struct lane *l, struct job *j)
{
    submit(NULL, l, j);
}

void strand_submit(struct strand *s, struct lane *l, struct job *j)
{
    assert(j->done);
    submit(s, l, j);
}
