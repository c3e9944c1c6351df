/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/timer.h"

#include "base/clock.h"
#include "base/mem.h"

#include <event2/event.h>

/* Puts the event where the owner wants it, never earlier. */
static void arm(struct timer *t)
{
    uint64_t now = worker_now(t->worker);
    uint64_t us = t->due > now ? (t->due - now + NS_PER_US - 1) / NS_PER_US : 0;
    struct timeval tv = {(time_t)(us / 1000000), (suseconds_t)(us % 1000000)};
    t->armed = t->due;
    evtimer_add(t->event, &tv);
}

static void on_time(evutil_socket_t fd, short events, void *arg)
{
    struct timer *t = arg;
    (void)fd;
    (void)events;
    t->armed = 0;
    if (t->due == 0)
        return;
    if (t->due > worker_now(t->worker)) {
        arm(t);
        return;
    }
    t->due = 0;
    t->fire(t);
}

void timer_init(struct timer *t, struct worker *w, void (*fire)(struct timer *))
{
    *t = (struct timer){.worker = w, .fire = fire};
}

void timer_set(struct timer *t, uint64_t due)
{
    if (!t->event) {
        t->event = evtimer_new(worker_base(t->worker), on_time, t);
        assert(t->event); /* a small allocation, like xalloc's */
    }
    t->due = due ? due : 1;
    if (!t->armed || t->due < t->armed)
        arm(t);
}

void timer_clear(struct timer *t)
{
    t->due = 0;
}

void timer_fini(struct timer *t)
{
    if (t->event)
        event_free(t->event);
    t->event = NULL;
    t->due = t->armed = 0;
}
