/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/worker.h"

#include "base/clock.h"
#include "base/mem.h"

#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define WORKER_MAGIC 0x30C4E200U
#define ROUNDS 4 /* of the run queue between two polls */

struct calls {
    struct call *head, **tail;
};

struct worker {
    unsigned magic;
    char name[16];
    struct event_base *base;
    struct event *wake;
    int wake_fd;

    pthread_t thread;
    bool running;
    void (*setup)(void *);
    void (*teardown)(void *);
    void *arg;

    uint64_t now;       /* 0: not read in this round */
    struct calls queue; /* waits for the next round */
    struct calls round; /* what is left of this one */
    void *slots[WORKER_SLOTS];
    atomic_size_t load;
    atomic_bool stopping;

    pthread_mutex_t lock; /* a leaf: guards the mailbox */
    struct calls mail;
};

static _Thread_local struct worker *current;

static void calls_init(struct calls *q)
{
    q->head = NULL;
    q->tail = &q->head;
}

static void calls_append(struct calls *q, struct call *c)
{
    c->next = NULL;
    *q->tail = c;
    q->tail = &c->next;
}

/* Moves all of `from` behind `to`. */
static void calls_move(struct calls *to, struct calls *from)
{
    if (!from->head)
        return;
    *to->tail = from->head;
    to->tail = from->tail;
    calls_init(from);
}

static struct call *calls_shift(struct calls *q)
{
    struct call *c = q->head;
    if (c && !(q->head = c->next))
        q->tail = &q->head;
    return c;
}

static bool calls_remove(struct calls *q, struct call *c)
{
    struct call **at = &q->head;
    while (*at && *at != c)
        at = &(*at)->next;
    if (!*at)
        return false;
    *at = c->next;
    if (!c->next)
        q->tail = at;
    return true;
}

/* The counter is read before the mailbox is emptied: whoever finds it empty after that
 * writes again, so no post is ever left behind a sleeping loop. */
static void take_mail(evutil_socket_t fd, short events, void *arg)
{
    struct worker *w = arg;
    uint64_t count;
    (void)events;
    CHECK(w, WORKER_MAGIC);
    ssize_t ignored = read(fd, &count, sizeof count);
    (void)ignored; /* EAGAIN: somebody took the mail already */
    pthread_mutex_lock(&w->lock);
    calls_move(&w->queue, &w->mail);
    pthread_mutex_unlock(&w->lock);
}

static void wake_up(struct worker *w)
{
    uint64_t one = 1;
    ssize_t ignored = write(w->wake_fd, &one, sizeof one);
    (void)ignored; /* EAGAIN: the counter is full, so the loop will wake anyway */
}

static struct event_base *new_base(void)
{
    struct event_config *config = event_config_new();
    if (!config)
        return NULL;
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    event_config_require_features(config, EV_FEATURE_ET | EV_FEATURE_EARLY_CLOSE);
    struct event_base *base = event_base_new_with_config(config);
    event_config_free(config);
    return base;
}

struct worker *worker_new(const char *name)
{
    struct worker *w = xalloc(sizeof *w);
    w->magic = WORKER_MAGIC;
    snprintf(w->name, sizeof w->name, "%s", name);
    calls_init(&w->queue);
    calls_init(&w->round);
    calls_init(&w->mail);
    pthread_mutex_init(&w->lock, NULL);
    w->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (w->wake_fd < 0)
        goto fail;
    w->base = new_base();
    if (!w->base)
        goto fail;
    w->wake = event_new(w->base, w->wake_fd, EV_READ | EV_PERSIST, take_mail, w);
    if (!w->wake || event_add(w->wake, NULL) != 0)
        goto fail;
    return w;
fail:;
    int error = errno ? errno : ENOMEM;
    worker_free(w);
    errno = error;
    return NULL;
}

static bool is_idle(struct worker *w)
{
    pthread_mutex_lock(&w->lock);
    bool idle = !w->mail.head && !w->queue.head;
    pthread_mutex_unlock(&w->lock);
    return idle;
}

void worker_free(struct worker *w)
{
    if (!w)
        return;
    CHECK(w, WORKER_MAGIC);
    assert(!w->running);
    assert(is_idle(w));
    if (w->wake)
        event_free(w->wake);
    if (w->base) {
        assert(event_base_get_num_events(w->base, EVENT_BASE_COUNT_ADDED) == 0);
        event_base_free(w->base);
    }
    if (w->wake_fd >= 0)
        close(w->wake_fd);
    pthread_mutex_destroy(&w->lock);
    POISON(w);
    free(w);
}

static void run_round(struct worker *w)
{
    struct call *c;
    calls_move(&w->round, &w->queue);
    while ((c = calls_shift(&w->round))) {
        c->queued = false;
        c->fn(c);
    }
}

/* sendfile has no MSG_NOSIGNAL, so a worker's thread never takes SIGPIPE. */
static void block_sigpipe(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static void run_loop(struct worker *w)
{
    block_sigpipe();
    do {
        w->now = 0;
        event_base_loop(w->base, EVLOOP_ONCE | (w->queue.head ? EVLOOP_NONBLOCK : 0));
        for (int i = 0; i < ROUNDS && w->queue.head; i++)
            run_round(w);
    } while (!atomic_load(&w->stopping) || !is_idle(w));
    atomic_store(&w->stopping, false);
}

void worker_run(struct worker *w)
{
    CHECK(w, WORKER_MAGIC);
    assert(!current && !w->running);
    current = w;
    w->running = true;
    run_loop(w);
    w->running = false;
    current = NULL;
}

static void *thread_main(void *arg)
{
    struct worker *w = arg;
    CHECK(w, WORKER_MAGIC);
    pthread_setname_np(pthread_self(), w->name);
    current = w;
    if (w->setup)
        w->setup(w->arg);
    run_loop(w);
    if (w->teardown)
        w->teardown(w->arg);
    current = NULL;
    return NULL;
}

int worker_start(struct worker *w, void (*setup)(void *), void (*teardown)(void *),
                 void *arg)
{
    CHECK(w, WORKER_MAGIC);
    assert(!w->running);
    w->setup = setup;
    w->teardown = teardown;
    w->arg = arg;
    w->running = true;
    int error = pthread_create(&w->thread, NULL, thread_main, w);
    if (error)
        w->running = false;
    return -error;
}

void worker_stop(struct worker *w)
{
    CHECK(w, WORKER_MAGIC);
    atomic_store(&w->stopping, true);
    wake_up(w);
}

void worker_join(struct worker *w)
{
    CHECK(w, WORKER_MAGIC);
    assert(w->running && current != w);
    pthread_join(w->thread, NULL);
    w->running = false;
}

struct worker *worker_self(void)
{
    return current;
}

struct event_base *worker_base(struct worker *w)
{
    CHECK(w, WORKER_MAGIC);
    return w->base;
}

void worker_defer(struct worker *w, struct call *c)
{
    CHECK(w, WORKER_MAGIC);
    assert(current == w || !w->running);
    assert(!c->queued);
    c->queued = true;
    calls_append(&w->queue, c);
}

void worker_undefer(struct worker *w, struct call *c)
{
    CHECK(w, WORKER_MAGIC);
    assert(current == w || !w->running);
    if (!c->queued)
        return;
    bool found = calls_remove(&w->round, c) || calls_remove(&w->queue, c);
    assert(found);
    c->queued = false;
}

void worker_post(struct worker *w, struct call *c)
{
    CHECK(w, WORKER_MAGIC);
    assert(!c->queued);
    c->queued = true;
    pthread_mutex_lock(&w->lock);
    bool first = !w->mail.head;
    calls_append(&w->mail, c);
    if (first)
        wake_up(w);
    pthread_mutex_unlock(&w->lock);
}

uint64_t worker_now(struct worker *w)
{
    CHECK(w, WORKER_MAGIC);
    if (!w->now)
        w->now = clock_now();
    return w->now;
}

void *worker_get(struct worker *w, enum worker_slot slot)
{
    CHECK(w, WORKER_MAGIC);
    return w->slots[slot];
}

void worker_set(struct worker *w, enum worker_slot slot, void *value)
{
    CHECK(w, WORKER_MAGIC);
    w->slots[slot] = value;
}

size_t worker_load(struct worker *w)
{
    return atomic_load_explicit(&w->load, memory_order_relaxed);
}

void worker_load_add(struct worker *w, int delta)
{
    atomic_fetch_add_explicit(&w->load, (size_t)delta, memory_order_relaxed);
}
