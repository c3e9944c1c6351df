/* SPDX-License-Identifier: Apache-2.0
 *
 * A journal: a file that grows by whole lines, each of which is durable before whoever
 * wrote it goes on. Lines that wait together share one write and one sync.
 *
 * Any number of threads and processes may write to one file. A batch holds the file's
 * lock (flock) while it looks whether the name still means this file, mends an end that a
 * crash has torn, writes and syncs. So the file can be moved away at any time, and nobody
 * has to be told. A batch that cannot be written whole leaves nothing: the file is cut
 * back to where it was, and all of the batch fail.
 *
 * A journal is process-wide, found by its path and counted.
 */
#ifndef LOOP_JOURNAL_H
#define LOOP_JOURNAL_H

#include "base/base.h"
#include "loop/worker.h"

#define JOURNAL_LINE_MAX ((size_t)16 << 10) /* bytes, its line feed included */

struct journal;

/* One line on its way; embedded in its owner. */
struct journal_entry {
    struct journal_entry *next;
    struct span line; /* lent until done */
    int rc;           /* 0 or -errno */
    void (*done)(struct journal_entry *e);
    struct worker *worker;
    struct call call;
};

/* The journal of that path, with one more reference. Opens the file, and makes it (mode
 * 0640) and its folders if need be. Blocks. 0, or -errno and *why is an owned sentence. */
int journal_get(const char *path, struct journal **out, char **why);
/* Accepts NULL. */
void journal_put(struct journal *j);
/* done runs on the current worker once the line is durable, or has failed. */
void journal_add(struct journal *j, struct journal_entry *e);

#endif
