/* SPDX-License-Identifier: Apache-2.0
 *
 * What the store cases share: a store of some kind on a worker of the calling thread, and
 * operations that wait. CONTRACT makes one case per kind out of one function; what passes
 * there is the contract.
 */
#ifndef STORE_RIG_H
#define STORE_RIG_H

#include "spec/unit/unit.h"
#include "store/kinds.h"
#include "store/store.h"

#include <stdlib.h>
#include <string.h>

struct rig {
    struct worker *worker;
    struct store *store;
    char *root; /* of fs, else NULL */
};

#define CONTRACT(fn, title) CONTRACT_ON(fn, title, "fs")
/* For cases of many writes, which are not about durability: fs does not sync. */
#define CONTRACT_BULK(fn, title) CONTRACT_ON(fn, title, "fs async")
#define CONTRACT_ON(fn, title, fs)                                                       \
    static void fn(struct rig *r);                                                       \
    UNIT_TEST("store mem: " title, mem_##fn, add_mem_##fn)                               \
    {                                                                                    \
        rig_case("mem", fn);                                                             \
    }                                                                                    \
    UNIT_TEST("store fs: " title, fs_##fn, add_fs_##fn)                                  \
    {                                                                                    \
        rig_case(fs, fn);                                                                \
    }                                                                                    \
    static void fn(struct rig *r)

/* Runs fn on a fresh store: "mem", "fs" or "fs async". */
void rig_case(const char *kind, void (*fn)(struct rig *));
/* options end with a NULL name. */
void rig_open(struct rig *r, const char *kind, const struct store_option *options);
/* The store begins anew, as after a restart. */
void rig_reopen(struct rig *r);
void rig_close(struct rig *r);

/* Starts n operations in one round of the loop and waits for all. */
void rig_run_all(struct rig *r, struct op *ops, size_t n);
int rig_run(struct rig *r, struct op *op);
/* The same with op_cancel after so many rounds of the loop (0: right after the start). */
int rig_run_cancelled(struct rig *r, struct op *op, unsigned rounds);
/* Waits until everything that was left to the pool has come home. */
void rig_settle(struct rig *r);

/* Streams, waiting. */
int rig_push(struct rig *r, struct sink *k, const void *p, size_t n);
int rig_finish(struct rig *r, struct sink *k);
int rig_abort(struct rig *r, struct sink *k);
void rig_close_sink(struct rig *r, struct sink *k);
/* All that a source has, at most cap bytes; or the error. */
ssize_t rig_drain(struct rig *r, struct source *s, void *p, size_t cap);
void rig_close_source(struct rig *r, struct source *s);

/* Whole operations. */
int rig_put(struct rig *r, const char *key, const char *text);
int rig_put_if_absent(struct rig *r, const char *key, const char *text);
int rig_remove(struct rig *r, const char *key);
int rig_touch(struct rig *r, const char *key);
int rig_two(struct rig *r, enum store_verb verb, const char *key, const char *to);
int rig_move_sized(struct rig *r, const char *key, const char *to, uint64_t size);
int rig_stat(struct rig *r, const char *key, struct object *out); /* no type, no meta */
int rig_create(struct rig *r, const char *key, bool if_absent, struct sink **out);
int rig_append(struct rig *r, const char *key, uint64_t offset, struct sink **out,
               uint64_t *size);
/* Appends text as one whole stream. */
int rig_append_text(struct rig *r, const char *key, uint64_t offset, const char *text);
int rig_expire(struct rig *r, const char *key, uint64_t before, bool *removed);
/* Fails the case unless key holds just these bytes; text NULL: unless it is absent. */
void rig_expect(struct rig *r, const char *key, const char *text);
/* The names of a page, a blank between them, "..." behind them when more follow. Owned.
 */
char *rig_list(struct rig *r, const char *prefix, bool delimiter, const char *after,
               uint64_t limit);
/* Fails the case unless that list is names. */
void rig_expect_list(struct rig *r, const char *prefix, bool delimiter,
                     const char *names);

#endif
