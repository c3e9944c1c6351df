/* SPDX-License-Identifier: Apache-2.0
 *
 * The sorted names of a large directory, kept from one page of a listing to the next: a
 * page costs what it holds, not what the directory holds.
 *
 * The directory is always the truth. A snapshot counts only while the directory's device,
 * inode, mtime and ctime are what they were, so a name that anybody adds or removes shows
 * in the next page. Times of a file system have steps (one second on the coarsest), and
 * two changes in one step look like one: a directory that changed less than two seconds
 * before the scan is not kept. Nor is one on a network file system, whose times may be
 * remembered, or another machine's.
 *
 * Memory: SNAPSHOT_MOST bytes a directory, SNAPSHOTS_MOST a store; the longest unused one
 * goes first. Larger directories are scanned for each page.
 */
#ifndef BACKENDS_FS_SNAPSHOT_H
#define BACKENDS_FS_SNAPSHOT_H

#include "base/list.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#define SNAPSHOT_LEAST 2000 /* names; a scan of fewer costs no more than a page */
#define SNAPSHOT_MOST ((size_t)8 << 20)
#define SNAPSHOTS_MOST ((size_t)16 << 20)

/* Those of one store. Any thread. */
struct snapshots {
    pthread_mutex_t lock; /* guards the rest; a leaf, held for a few lines */
    struct list kept;     /* the longest unused one first */
    size_t bytes;
};

struct snapshot; /* never changes once it is kept; counted */

void snapshots_init(struct snapshots *all);
/* No reference may be out. */
void snapshots_fini(struct snapshots *all);

/* The names of the directory that fd has open, if they are kept and still true, else
 * NULL. The reference is the caller's, to be given back by snapshot_drop. */
struct snapshot *snapshot_find(struct snapshots *all, int fd);
void snapshot_drop(struct snapshots *all, struct snapshot *s);

/* How many names it has, and the i-th in byte order; of a directory with its '/'. */
size_t snapshot_count(const struct snapshot *s);
const char *snapshot_name(const struct snapshot *s, size_t i);
/* The first i whose name is not before `name`; the count if there is none. */
size_t snapshot_seek(const struct snapshot *s, const char *name);

/* Making one beside a scan: begin before the first name is read, add every name, end
 * after the last. A maker lives on the stack of one job. */
struct snapshot_maker {
    struct snapshot *s; /* NULL: it will not be kept */
};

/* now in clock_wall() ns */
void snapshot_begin(struct snapshot_maker *m, int fd, uint64_t now);
void snapshot_add(struct snapshot_maker *m, const char *name, size_t n);
/* Keeps the names if `complete` and the directory is what it was when the scan began. */
void snapshot_end(struct snapshot_maker *m, struct snapshots *all, int fd, bool complete);

#endif
