/* SPDX-License-Identifier: Apache-2.0
 *
 * A sink takes bytes in order. Its owner embeds struct sink first in its own struct. An
 * observer is a sink beside the sink: it sees the same bytes, and its finish is its
 * verdict. A sink that computes can take the next pushes while it is busy with one, so that
 * it need not wait for whoever brings them. Life:
 *
 *   push* , then finish (every byte came, every observer agreed) or abort, then close.
 *
 * What finish means belongs to the sink: a stored object becomes visible, a reply is
 * flushed, a digest is compared. After a failed push or finish only abort and close
 * follow, when every push has been answered.
 */
#ifndef STREAM_SINK_H
#define STREAM_SINK_H

#include "base/base.h"

#define SINK_MAGIC 0x51480000U
#define SINK_EASY (16 * 1024)

struct sink;

struct sink_ops {
    const char *name;
    /* How many pushes it takes before it has answered the first of them; 0 means 1. */
    size_t depth;
    /* Takes n > 0 bytes, lent until the one sink_answer(0 or error) that follows, inside
     * this call or later on the same worker. The n-th answer says that it is through with
     * the first n pushes. */
    void (*push)(struct sink *k, const uint8_t *p, size_t n);
    /* Takes n bytes of an open file instead of pushes; at most once, answered like push,
     * with `moved` kept up to date. NULL: it cannot. */
    void (*splice)(struct sink *k, int fd, uint64_t offset, uint64_t n);
    /* Asks to be told when a push of SINK_EASY bytes would not have to wait for a peer;
     * answered like push. NULL: pushes never wait for peers. */
    void (*await)(struct sink *k);
    /* All bytes came. Answered once. NULL: nothing to do. */
    void (*finish)(struct sink *k);
    /* Undoes what can be undone. Answered once. NULL: nothing to do. */
    void (*abort)(struct sink *k);
    /* Asks outstanding pushes, a splice or an await to end soon. A finish that began completes.
     * NULL: ends by itself without waiting for a peer. */
    void (*cancel)(struct sink *k);
    /* Frees k; nothing is outstanding. NULL: the owner keeps it (an observer on a stack).
     */
    void (*close)(struct sink *k);
};

struct sink {
    unsigned magic;
    const struct sink_ops *ops;
    uint64_t moved; /* bytes it has taken for good; kept by the sink */
    void (*answer)(struct sink *k, int rc);
    void *pusher;
};

void sink_init(struct sink *k, const struct sink_ops *ops);
void sink_push(struct sink *k, const uint8_t *p, size_t n);
/* Only where ops->splice is not NULL; n > 0. */
void sink_splice(struct sink *k, int fd, uint64_t offset, uint64_t n);
/* Only where ops->await is not NULL. */
void sink_await(struct sink *k);
void sink_finish(struct sink *k);
void sink_abort(struct sink *k);
void sink_cancel(struct sink *k);
/* Takes k. Accepts NULL. */
void sink_close(struct sink *k);
/* For implementers: answers what is outstanding, 0 or a negative code. */
void sink_answer(struct sink *k, int rc);

#endif
