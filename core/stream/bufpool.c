/* SPDX-License-Identifier: Apache-2.0 */
#include "stream/bufpool.h"

#include "base/mem.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* An idle buffer carries the link to the next one. */
struct idle {
    struct idle *next;
};

static struct {
    pthread_mutex_t lock;
    struct list waiting; /* not empty only while all `most` buffers are lent */
    struct idle *idle;
    size_t most, keep, n_idle, lent, peak; /* in buffers */
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER, .waiting = {&pool.waiting, &pool.waiting}};

/* Straight from the system, so that what is given back really leaves the process. */
static uint8_t *map_buffer(void)
{
    void *p =
        mmap(NULL, BUF_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) {
        fprintf(stderr, "tidegate: out of memory (a buffer of %d bytes)\n", BUF_SIZE);
        abort();
    }
    return p;
}

void bufpool_start(size_t bytes, size_t keep)
{
    assert(pool.most == 0);
    pool.most = bytes / BUF_SIZE < 8 ? 8 : bytes / BUF_SIZE;
    pool.keep = keep / BUF_SIZE;
    pool.peak = 0;
}

void bufpool_stop(void)
{
    assert(pool.lent == 0 && list_empty(&pool.waiting));
    while (pool.idle) {
        struct idle *b = pool.idle;
        pool.idle = b->next;
        munmap(b, BUF_SIZE);
    }
    pool.most = pool.n_idle = 0;
}

static void tell_ready(struct call *c)
{
    struct buf_wait *w = CONTAINER(c, struct buf_wait, call);
    w->ready(w);
}

/* Under the lock: takes an idle buffer, or sets *make when a new one may be made. */
static uint8_t *take_idle(bool *make)
{
    struct idle *b = pool.idle;
    *make = !b && pool.lent < pool.most;
    if (!b && !*make)
        return NULL;
    if (b) {
        pool.idle = b->next;
        pool.n_idle--;
    }
    if (++pool.lent > pool.peak)
        pool.peak = pool.lent;
    return (uint8_t *)b;
}

uint8_t *bufpool_get(struct buf_wait *w)
{
    bool make;
    pthread_mutex_lock(&pool.lock);
    uint8_t *data = take_idle(&make);
    if (!data && !make) {
        w->call = (struct call){.fn = tell_ready};
        w->worker = worker_self();
        w->data = NULL;
        list_init(&w->link);
        list_append(&pool.waiting, &w->link);
    }
    pthread_mutex_unlock(&pool.lock);
    return make ? map_buffer() : data;
}

void bufpool_put(uint8_t *data)
{
    struct buf_wait *w = NULL;
    bool unmap = false;
    if (!data)
        return;
    pthread_mutex_lock(&pool.lock);
    assert(pool.lent > 0);
    if (!list_empty(&pool.waiting)) { /* straight to whoever waits longest */
        w = CONTAINER(pool.waiting.next, struct buf_wait, link);
        list_remove(&w->link);
        w->data = data;
    } else {
        pool.lent--;
        unmap = pool.n_idle >= pool.keep;
        if (!unmap) {
            struct idle *b = (struct idle *)(void *)data;
            b->next = pool.idle;
            pool.idle = b;
            pool.n_idle++;
        }
    }
    pthread_mutex_unlock(&pool.lock);
    if (w)
        worker_post(w->worker, &w->call);
    if (unmap)
        munmap(data, BUF_SIZE);
}

bool bufpool_cancel(struct buf_wait *w)
{
    pthread_mutex_lock(&pool.lock);
    bool waits = !list_empty(&w->link);
    uint8_t *data = w->data;
    w->data = NULL;
    list_remove(&w->link);
    pthread_mutex_unlock(&pool.lock);
    bufpool_put(data);
    return waits;
}

bool bufpool_is_scarce(void)
{
    pthread_mutex_lock(&pool.lock);
    bool scarce = pool.lent > pool.most / 2;
    pthread_mutex_unlock(&pool.lock);
    return scarce;
}

size_t bufpool_used(size_t *peak)
{
    pthread_mutex_lock(&pool.lock);
    size_t lent = pool.lent;
    if (peak)
        *peak = pool.peak * BUF_SIZE;
    pthread_mutex_unlock(&pool.lock);
    return lent * BUF_SIZE;
}
