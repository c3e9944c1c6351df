/* SPDX-License-Identifier: Apache-2.0
 *
 * Crash states, second part: the trees that a power cut may leave. What is assumed of the
 * kernel and its file system is less than ext4, XFS and btrfs promise (they keep one
 * order for all metadata), so that no store rests on the habits of one of them:
 *
 *  - What fdatasync or fsync returned for a file stays: its bytes, size, permissions and
 *    attributes; its time only after fsync. Of the changes behind that any number may
 *    be kept, from the first on, and of the next write its first half. The order of one
 *    file's changes is kept, and a file is not longer than what was written to it
 *    (ordered data, or delayed allocation with the size set behind the data).
 *  - What fsync returned for a directory stays: the names in it, not the directory's own
 *    name above it and nothing of the files. Of the changes behind that any number may
 *    be kept, from the first on; each directory for itself, whatever happened in others.
 *    In one directory the order stands, because its blocks go through one journal or one
 *    tree; a file system without either promises nothing that a store could rest on.
 *  - A rename replaces its target at once: the old or the new file, never none. Between
 *    two directories it may show the old name, the new one or both, never neither: the
 *    old one does not go before the new one can be reached from the top.
 *  - A directory that is gone was emptied before.
 *
 * A state is one choice per file and directory of how far it came. With few of them all
 * states are visited; else the extremes (nothing kept, everything, and each file or
 * directory alone the other way) and a seeded sample.
 */
#ifndef CRASH_STATE_H
#define CRASH_STATE_H

#include "spec/unit/crash_log.h"

/* How far one file or directory came. */
struct crash_kept {
    size_t until;  /* its records before this index */
    size_t half;   /* bytes of the next write */
    bool old_time; /* though not the times since the last fsync */
};

struct crash_state {
    struct crash_log *log;
    size_t at;               /* the crash comes before this record */
    struct crash_kept *kept; /* by node */
    struct crash_name *names;
    size_t n_names, names_cap;
};

/* Calls visit with every state chosen for a crash before record `at`, until it returns
 * false. Returns whether it came to the end. */
bool crash_states(struct crash_log *log, size_t at,
                  bool (*visit)(void *arg, struct crash_state *s), void *arg);
/* The same number for two states that leave the same tree. */
uint64_t crash_state_id(const struct crash_state *s);
/* Makes that tree in a folder, which is made, too. */
void crash_state_write(const struct crash_state *s, const char *folder);

#endif
