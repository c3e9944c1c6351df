/* SPDX-License-Identifier: Apache-2.0
 *
 * Crash states, third part: what a store has promised, and whether it keeps that on every
 * tree that a crash may leave.
 *
 * A case works with a store; each change of it is started, done and acknowledged, and the
 * log knows when. After a crash at any record the store begins again and for each key
 * holds what the last acknowledged change left there, or what one that was started later
 * would have left, whole; a listing names the same keys; and in the private directory is
 * nothing but what this new run has. Of an object that is appended to, what was
 * acknowledged is a lower bound and what was sent an upper one.
 */
#ifndef CRASH_RIG_H
#define CRASH_RIG_H

#include "spec/unit/crash_log.h"
#include "spec/unit/store_rig.h"

/* A value that a key may hold after a crash. */
struct crash_value {
    const char *key;
    const char *bytes;     /* NULL: absent */
    size_t least, most;    /* of the bytes, the first so many */
    const char *type;      /* its type, if that matters */
    uint64_t since;        /* its time is not before this */
    size_t started, acked; /* as crash_log_now said; SIZE_MAX: not yet */
};

struct crash {
    struct rig rig;
    struct crash_log log;
    struct crash_value values[64];
    size_t n_values;
    /* moves: from that record to the next move one of the two keys is there */
    struct {
        const char *from, *to;
        size_t since;
    } moves[8];
    size_t n_moves;
    size_t begun; /* the first record behind the store's begin */
    /* of a replay */
    size_t trees, fresh; /* states looked at; those among them not seen before */
    char *fault;         /* the first promise that was broken, owned */
    uint64_t *seen;
    size_t n_seen;
    size_t changes; /* since when `seen` holds: values started and acknowledged */
};

/* A case: works with a fresh store, then replays; any fault fails it. */
#define CRASH_TEST(fn, title)                                                            \
    static void fn(struct crash *c);                                                     \
    UNIT_TEST("crash: " title, run_##fn, add_##fn)                                       \
    {                                                                                    \
        crash_case(fn);                                                                  \
    }                                                                                    \
    static void fn(struct crash *c)

void crash_case(void (*work)(struct crash *c));
/* The parts of crash_case: a recorded store, the end of the work, the replay (NULL, or
 * the first fault, borrowed), and the end. */
void crash_open(struct crash *c);
void crash_worked(struct crash *c);
const char *crash_replay(struct crash *c);
void crash_close(struct crash *c);

/* A change that begins now; returns its number. bytes NULL: removal. */
size_t crash_starts(struct crash *c, const char *key, const char *bytes);
/* Bytes from..to of `bytes` are appended; any part of them, from the first on, may be
 * there. */
size_t crash_appends(struct crash *c, const char *key, const char *bytes, size_t from,
                     size_t to);
void crash_acked(struct crash *c, size_t change);
/* The same of an append: the first n bytes of the object are acknowledged. */
void crash_kept(struct crash *c, size_t change, size_t n);

/* Whole changes, acknowledged. */
void crash_put(struct crash *c, const char *key, const char *text);
void crash_remove(struct crash *c, const char *key);
void crash_move(struct crash *c, const char *key, const char *to, const char *text);
/* Bytes from..to of text, appended as one stream. */
void crash_append(struct crash *c, const char *key, const char *text, size_t from,
                  size_t to);
/* n keys, all below the prefix, go together. */
void crash_remove_prefix(struct crash *c, const char *prefix, const char *const *keys,
                         size_t n);

#endif
