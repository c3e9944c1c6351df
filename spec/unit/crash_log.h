/* SPDX-License-Identifier: Apache-2.0
 *
 * Crash states, first part: the log of everything that passed disk.c.
 *
 * The crash cases ask what a power cut may leave of a store in fs, at every moment of
 * real work. Three parts:
 *
 *   crash_log     records the changes that the store makes while a case works with it
 *   crash_state   from that log, the directory trees that a crash may leave
 *   crash_rig     begins a store on each of them and looks whether it keeps its promises
 *
 * Files and directories are numbered in the order of their birth, since the kernel uses
 * inode numbers again; 0 is the directory around the store, which is taken as durable.
 * Operations are recorded one at a time, in the order in which they happened: the hook
 * holds the log's lock while one runs. Syncs are recorded and not done.
 */
#ifndef CRASH_LOG_H
#define CRASH_LOG_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum record_kind {
    REC_ADD,      /* the name in dir is node now */
    REC_REMOVE,   /* the name in dir goes, which was node */
    REC_RENAME,   /* the name in dir, which was node, becomes `to` in todir */
    REC_WRITE,    /* n bytes at offset of node */
    REC_TRUNCATE, /* node ends at offset */
    REC_TIME,     /* node's time is offset, ns since 1970 */
    REC_MODE,     /* node's permissions are n */
    REC_XATTR,    /* node's attribute `name` is the bytes */
    REC_DATASYNC, /* node is durable but for its time */
    REC_SYNC,     /* node is durable */
    REC_SYNCDIR,  /* the names in node are durable */
    REC_NOTHING,  /* nothing: a control took the sync out */
};

struct record {
    enum record_kind kind;
    size_t node, dir, todir;
    char *name, *to;
    uint64_t offset;
    size_t n;
    uint8_t *bytes;
};

struct crash_node {
    dev_t dev;
    ino_t ino;
    bool is_dir;
    size_t born; /* index of its first record */
};

struct crash_log {
    struct record *all;
    size_t n, cap;
    struct crash_node *nodes;
    size_t n_nodes, nodes_cap;
    /* The case's own: called before an operation, may wait there, and again when it is
     * recorded; for a sync only before. */
    void (*gate)(void *arg, const char *op, bool done);
    void *gate_arg;
    pthread_mutex_t lock; /* held while an operation runs */
    struct crash_asked *asked;
};

/* Records from now on, everything below the directory `around`. */
void crash_log_start(struct crash_log *log, const char *around);
/* No operation may be running. */
void crash_log_stop(struct crash_log *log);
void crash_log_free(struct crash_log *log);
/* How many records there are by now. */
size_t crash_log_now(struct crash_log *log);

#endif
