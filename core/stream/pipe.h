/* SPDX-License-Identifier: Apache-2.0
 *
 * The pump: source -> sink, with observers beside the sink. It knows no kind of either.
 * Three chunks of BUF_SIZE go round; each consumer goes through them at its own pace,
 * so hashing and writing overlap on two cores, and the source is asked for more only when
 * a chunk is free of all of them. When the source is a plain file, nobody observes and
 * the sink can send files, the bytes are spliced and no chunk is used.
 *
 * Buffers and slow peers: a buffer is taken when the source has something for it. While
 * buffers are scarce, nothing is read ahead, and a sink whose peer is slow is waited for
 * before a buffer is taken. A body for which there is no buffer at all waits its turn;
 * when not even its first one comes within `patience`, the pipe fails with E_BUSY.
 *
 * End: every observer finishes first, in the order added; if all agree the sink finishes.
 * After a failure whoever has not finished well aborts, observers first. Then `done` runs
 * once from the run queue. The pipe never closes its source or its sinks: they are the
 * caller's, and may be closed from done on.
 */
#ifndef STREAM_PIPE_H
#define STREAM_PIPE_H

#include "loop/loop.h"
#include "loop/timer.h"
#include "stream/bufpool.h"
#include "stream/sink.h"
#include "stream/source.h"

#define PIPE_MAGIC 0x919E0000U
#define PIPE_CHUNKS 3
#define PIPE_OBSERVERS 4

struct pipe_lane { /* one consumer and how far it is */
    struct pipe *pipe;
    struct sink *sink;
    uint64_t next;   /* number of the chunk it takes next */
    uint64_t passed; /* chunks it is through with; what lies between is lent to it */
    bool busy;       /* something else is asked of it than to take a chunk */
};

struct pipe {
    unsigned magic;
    struct worker *worker;
    struct source *source;
    struct pipe_lane lanes[1 + PIPE_OBSERVERS]; /* the sink, then the observers */
    size_t n_lanes;
    uint64_t patience; /* ns; for the first buffer */
    uint64_t limit;    /* more bytes than this: E_TOO_LARGE; SIZE_UNKNOWN for none */

    /* the result, valid in done */
    int rc;          /* 0, or the first failure */
    uint64_t taken;  /* bytes that came from the source */
    uint64_t stored; /* bytes that the sink took for good */
    void (*done)(struct pipe *p);

    /* the pump's own */
    struct chunk {
        uint8_t *data; /* from the pool, or NULL */
        size_t n;
    } chunks[PIPE_CHUNKS];
    uint64_t filled; /* chunks filled so far: chunk i stands in slot i % PIPE_CHUNKS */
    uint64_t freed;  /* of these, chunks that every lane has passed */
    uint8_t tail;    /* where a byte too many would go */
    struct buf_wait wait;
    struct timer admission;
    struct call step;
    unsigned state;
    size_t ending;                /* whose turn it is to finish or abort */
    bool waiting, pulling, ended; /* for a buffer; at the source; all came */
    bool awaiting, awaited;       /* what a pull would find */
    bool asking, easy;            /* whether a push would wait */
    bool stopping, spliced;       /* what was outstanding has been cancelled */
    bool running, again;          /* the step is being made; make another one */
};

/* Sets up a pipe on the current worker. Borrows source and sink until done. sink may be
 * NULL: then only the observers see the bytes. */
void pipe_init(struct pipe *p, struct source *source, struct sink *sink,
               void (*done)(struct pipe *));
/* Adds an observer, before the start; at most PIPE_OBSERVERS. Borrowed until done. */
void pipe_observe(struct pipe *p, struct sink *observer);
/* Starts. done always follows, never from inside this call. */
void pipe_start(struct pipe *p);
/* Asks a started pipe to stop: done follows soon and says rc (E_CANCELLED, E_TIMEOUT,
 * ...), unless it failed before or the sink's finish had begun, which completes. Harmless
 * when already done or cancelled. */
void pipe_cancel(struct pipe *p, int rc);

#endif
