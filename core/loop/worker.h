/* SPDX-License-Identifier: Apache-2.0
 *
 * A worker: one thread, one libevent base, a run queue and a mailbox.
 *
 * The run queue is how anything asynchronous completes: a callback of libevent or of the
 * pool never calls into the middle of somebody else's function, it queues a call, and the
 * loop makes the queued calls, oldest first, in a few rounds between two polls. A call
 * that queues another is fair: the new one waits for the next round.
 */
#ifndef LOOP_WORKER_H
#define LOOP_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_base;
struct worker;

/* A call to be made on a worker's thread; embedded in its owner. It may be queued again
 * only after fn has begun, and its memory may go from then on. */
struct call {
    struct call *next;
    void (*fn)(struct call *);
    bool queued;
};

/* A worker that does not run yet. name is for the thread and for logs, at most 15 bytes.
 * Returns an owned pointer, or NULL with errno when descriptors or memory are short. */
struct worker *worker_new(const char *name);
/* Starts the thread; setup(arg) is its first call, teardown(arg) its last. Each may be
 * NULL. 0 or -errno. */
int worker_start(struct worker *w, void (*setup)(void *), void (*teardown)(void *),
                 void *arg);
/* Runs the loop on the calling thread until worker_stop: for the main thread, for specs,
 * and for what was posted after a worker's own thread has ended. */
void worker_run(struct worker *w);
/* Asks the loop to return once its queues are empty. Any thread. */
void worker_stop(struct worker *w);
/* Waits for a started thread to end. */
void worker_join(struct worker *w);
/* The worker must have ended or never been started, and nothing may be left on it: no
 * queued call, no event that can still fire. Accepts NULL. */
void worker_free(struct worker *w);

/* The worker whose thread this is; NULL on pool threads. */
struct worker *worker_self(void);
struct event_base *worker_base(struct worker *w);

/* Queues c on the worker's own thread. Borrows c until fn begins. */
void worker_defer(struct worker *w, struct call *c);
/* Takes c out of the run queue again; own thread only; harmless when it is not queued
 * there. Must not be used for calls sent by worker_post. */
void worker_undefer(struct worker *w, struct call *c);
/* The same as worker_defer from any thread, by mailbox and eventfd. Posts of one thread
 * arrive in order. */
void worker_post(struct worker *w, struct call *c);

/* The loop's idea of now: clock_now() read once per round. Own thread. */
uint64_t worker_now(struct worker *w);

/* A slot for whoever builds on workers (the Lua VM, the connections): one pointer a key.
 */
enum worker_slot { WORKER_SLOT_VM, WORKER_SLOT_HTTP, WORKER_SLOTS };
void *worker_get(struct worker *w, enum worker_slot slot);
void worker_set(struct worker *w, enum worker_slot slot, void *value);

/* How many connections are given to it now; relaxed atomic, any thread. */
size_t worker_load(struct worker *w);
void worker_load_add(struct worker *w, int delta);

#endif
