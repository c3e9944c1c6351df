/* SPDX-License-Identifier: Apache-2.0
 *
 * A deadline on a worker. Moving one later costs a store, nothing else: the underlying
 * event stays where it is and re-arms itself when it fires too early. Own thread only.
 */
#ifndef LOOP_TIMER_H
#define LOOP_TIMER_H

#include "loop/worker.h"

struct event;

struct timer {
    struct worker *worker;
    struct event *event; /* made on first use */
    uint64_t due;        /* what the owner wants; 0: not set */
    uint64_t armed;      /* when the event will fire; 0: it will not */
    void (*fire)(struct timer *);
};

/* fire runs straight from the loop, so it may free the timer's owner after timer_fini. */
void timer_init(struct timer *t, struct worker *w, void (*fire)(struct timer *));
/* due: clock_now() time, in ns; in the past means the next round. */
void timer_set(struct timer *t, uint64_t due);
void timer_clear(struct timer *t);
void timer_fini(struct timer *t);

#endif
