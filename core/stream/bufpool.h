/* SPDX-License-Identifier: Apache-2.0
 *
 * The process-wide pool of chunk buffers. Its size is the memory that all bodies together
 * may hold; past it those who ask wait their turn, first come first served. Thread-safe;
 * one leaf lock.
 */
#ifndef STREAM_BUFPOOL_H
#define STREAM_BUFPOOL_H

#include "base/list.h"
#include "loop/worker.h"

#define BUF_SIZE (256 * 1024)

/* Somebody waiting for a buffer; embedded in its owner. */
struct buf_wait {
    struct call call;
    struct list link;
    struct worker *worker;
    uint8_t *data;
    void (*ready)(struct buf_wait *w);
};

/* bytes: the budget, rounded down to whole buffers, at least 8 of them. Buffers are made
 * when first needed; up to `keep` idle bytes stay for the next user. Once per process. */
void bufpool_start(size_t bytes, size_t keep);
/* All buffers must be back. Harmless when it was never started. */
void bufpool_stop(void);
/* A buffer of BUF_SIZE, aligned to a page, or NULL: then w->ready runs later on the
 * current worker with w->data set. */
uint8_t *bufpool_get(struct buf_wait *w);
/* Takes a waiter out again. A buffer that was already on its way goes back to the pool.
 * Returns true if ready will not run any more; false if it will still run once (with data
 * NULL). */
bool bufpool_cancel(struct buf_wait *w);
/* Takes data. Accepts NULL. */
void bufpool_put(uint8_t *data);
/* More than half of them are lent: whoever waits for a slow peer must not hold one. Any
 * thread; the answer may be late. */
bool bufpool_is_scarce(void);
/* Bytes lent now, and the most so far. */
size_t bufpool_used(size_t *peak);

#endif
