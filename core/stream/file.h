/* SPDX-License-Identifier: Apache-2.0
 *
 * A source and a sink over an open file. Reads and writes run as jobs in the given lane;
 * reads of what the page cache holds are tried in place first.
 */
#ifndef STREAM_FILE_H
#define STREAM_FILE_H

#include "loop/job.h"
#include "stream/sink.h"
#include "stream/source.h"

/* A source over size bytes of fd from 0. Takes fd. A file that ends before size answers
 * E_CORRUPT. Windows and splicing are supported. Returns an owned source. */
struct source *file_source_new(int fd, uint64_t size, struct lane *lane);

/* A sink that writes to fd from an offset on, through disk.h, and starts write-back every
 * 8 MiB. To be embedded by a store's own sink, whose ops name file_sink_push and add
 * finish, abort and close. `reserve(arg, n)` runs on the pool before each 8 MiB: 0, or an
 * error such as E_NO_SPACE that fails the push; NULL for none. */
struct file_sink {
    struct sink sink;
    int fd;          /* borrowed */
    uint64_t offset; /* of the next byte */
    struct lane *lane;
    int (*reserve)(void *arg, uint64_t n);
    void *reserve_arg;
    /* its own */
    uint64_t reserved, flushed;
    const uint8_t *p;
    size_t n;
    int rc;
    struct job job;
};

void file_sink_init(struct file_sink *k, const struct sink_ops *ops, int fd,
                    uint64_t offset, struct lane *lane);
void file_sink_push(struct sink *k, const uint8_t *p, size_t n);

#endif
