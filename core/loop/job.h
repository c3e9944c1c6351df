/* SPDX-License-Identifier: Apache-2.0
 *
 * Jobs: work that may block (open, fsync, rename) or takes long (hash, encode), done by a
 * pool of threads. A lane bounds how many of its jobs run at once, so that a hung disk
 * holds only itself; the jobs of one lane start in the order of submission. Those of a
 * strand also run one at a time: work that has an order and comes in pieces. The thread that
 * has ended one piece finds the next without having slept, and a strand that has more to do
 * goes to the end of its lane between two pieces, so that others have their turn.
 *
 * A job that a worker submits completes on that worker: done runs from its run queue,
 * exactly once. There is no cancel: a job is short, and what waits for it keeps the
 * memory alive.
 */
#ifndef LOOP_JOB_H
#define LOOP_JOB_H

#include "loop/worker.h"

struct job {
    struct call call;           /* carries done home; also links the job in its lane */
    void (*work)(struct job *); /* on a pool thread */
    void (*done)(struct job *); /* on the worker that submitted it; may be NULL */
    struct worker *home;
    struct lane *lane;
    struct strand *strand; /* or NULL */
    struct job *after;     /* waits in the strand until this one has ended */
};

struct strand {
    struct job *last; /* that has not ended, or NULL; the pool's own */
};

/* Starts the process-wide pool; threads 1 to 64. 0 or -errno. */
int pool_start(unsigned threads);
/* Waits for all queued jobs, then ends the threads. Workers must exist to take the
 * results; one whose thread has ended takes them when it is run once more. Harmless when
 * it was never started. */
void pool_stop(void);

struct lane;
/* limit: jobs of this lane that may run at once, 1 to 64. Returns an owned lane. */
struct lane *lane_new(const char *name, unsigned limit);
/* No job may be queued or running in it. Accepts NULL. */
void lane_free(struct lane *l);
/* The lane for pure computing, as wide as the machine has cores. Exists while the pool
 * runs. */
struct lane *lane_cpu(void);
/* The lane for computing that takes long on purpose and must not be felt by others: half
 * as wide, at least one. */
struct lane *lane_slow(void);
/* How many of its jobs may run at once. */
unsigned lane_width(const struct lane *l);

/* For those who look: all lanes, those of one name added up. Returns how many there are,
 * at most `max`. Any thread. */
struct lane_state {
    char name[16];
    size_t lanes, queued, running;
};
size_t lanes_look(struct lane_state *out, size_t max);

/* Borrows j until done has begun (until work has ended, if done is NULL). Submits from
 * the current worker's thread, or from any thread when done is NULL. Never waits. */
void job_submit(struct lane *l, struct job *j);
/* The same behind the other jobs of the strand, which all have a done and one lane. Borrows s
 * as well. Their dones may begin in another order, when the pool's threads overtake each
 * other on the way home. */
void strand_submit(struct strand *s, struct lane *l, struct job *j);

#endif
