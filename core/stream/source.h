/* SPDX-License-Identifier: Apache-2.0
 *
 * A source gives bytes in order when asked. Its owner embeds struct source first in its
 * own struct and fills in ops. A transform is a source that pulls from another one; it
 * may change the length, and maps a window of what it gives to a window of what it takes.
 */
#ifndef STREAM_SOURCE_H
#define STREAM_SOURCE_H

#include "base/base.h"

#include <sys/types.h>

#define SOURCE_MAGIC 0x5082CE00U
#define SIZE_UNKNOWN UINT64_MAX

struct source;

struct source_ops {
    const char *name; /* "file", "http body"; for logs and the task list */
    /* Asks for 1 to cap bytes at buf (cap > 0). Exactly one source_answer follows, inside
     * this call or later on the same worker. Not called again before that, nor after the
     * end. */
    void (*pull)(struct source *s, uint8_t *buf, size_t cap);
    /* Restricts the source to n bytes at offset of what it would give as a whole; the
     * size becomes n. Allowed before the first pull and again after an end. 0, E_RANGE
     * when it does not lie within the size, E_UNSUPPORTED. NULL: unsupported. Never
     * waits. */
    int (*window)(struct source *s, uint64_t offset, uint64_t n);
    /* The open file and place the rest of the bytes lie at, for a sink that can send
     * files without copying. The descriptor is lent until close. 0 or E_UNSUPPORTED.
     * NULL: unsupported. */
    int (*file)(struct source *s, int *fd, uint64_t *offset, uint64_t *n);
    /* The rest of the bytes where they lie in memory, lent until close. NULL: they do not. */
    const uint8_t *(*memory)(struct source *s, size_t *n);
    /* Asks to be told when a pull would not have to wait for a peer: one source_answer
     * follows, 1 for bytes or the end, < 0 for an error. So a buffer need not be held for
     * a peer that is slow. A transform passes it on. NULL: pulls never wait for peers. */
    void (*await)(struct source *s);
    /* Asks an outstanding pull or await to end soon (E_CANCELLED is a fine answer). NULL:
     * it ends by itself without waiting for a peer. */
    void (*cancel)(struct source *s);
    /* Gives everything back and frees s. No pull is outstanding. */
    void (*close)(struct source *s);
};

struct source {
    unsigned magic;
    const struct source_ops *ops;
    uint64_t size; /* bytes it will give from its start, or SIZE_UNKNOWN */
    /* Set by whoever pulls: n > 0 bytes were written, 0 is the end, < 0 an error (final).
     */
    void (*answer)(struct source *s, ssize_t n);
    void *puller;
};

void source_init(struct source *s, const struct source_ops *ops, uint64_t size);
void source_pull(struct source *s, uint8_t *buf, size_t cap);
/* Only where ops->await is not NULL. */
void source_await(struct source *s);
int source_window(struct source *s, uint64_t offset, uint64_t n);
int source_file(struct source *s, int *fd, uint64_t *offset, uint64_t *n);
/* NULL where ops->memory is. */
const uint8_t *source_memory(struct source *s, size_t *n);
void source_cancel(struct source *s);
/* Takes s. Accepts NULL. */
void source_close(struct source *s);
/* For implementers: answers the outstanding pull or await. */
void source_answer(struct source *s, ssize_t n);

#endif
