/* SPDX-License-Identifier: Apache-2.0
 *
 * mem: a store in memory, lost at exit; for trials and specs. It keeps the whole contract
 * and can be told to be slow, failing or forgetful:
 *
 *   name   makes two stores of the same options two
 *   limit  bytes of all objects; more is NO_SPACE
 *   delay  ns that every operation takes
 *   fail   "verb:ERROR:count", for example "put:IO:1": the next count operations of that
 *          verb fail. "finish" is the end of a sink that has its key
 *   stale  listings do not show the newest so many writes
 *
 * Workers share the store: one mutex over all of it, held for short steps only. What an
 * object holds is immutable and counted, so a reader keeps what it opened.
 *
 *   mem.c      the kind: options, delay and failures, dispatch
 *   table.c    the sorted table of objects       verbs.c  what each operation does
 *   sink.c     create, append
 *
 * kinds_add(&mem_kind) makes the kind known; the rest of this header is private to the
 * folder.
 */
#ifndef BACKENDS_MEM_H
#define BACKENDS_MEM_H

#include "store/key.h"
#include "store/store.h"
#include "stream/memory.h"

#include <pthread.h>
#include <stdatomic.h>

extern const struct store_kind mem_kind;

/* Immutable once it is in the table. */
struct content {
    atomic_uint refs;
    size_t n;
    uint8_t bytes[];
};

struct item {
    char *key;
    struct content *content;
    char *type, *meta;
    size_t meta_n;
    uint64_t modified;
    uint64_t version; /* number of the write that made it what it is */
    bool appending;
};

struct mem {
    struct store store;
    uint64_t limit, delay, stale;
    char *fail_verb; /* NULL: none */
    int fail_rc;
    uint64_t fails; /* left */
    pthread_mutex_t lock;
    struct item **items; /* sorted by key */
    size_t n, cap;
    uint64_t used; /* bytes of all contents in the table */
    uint64_t writes;
};

/* Everything below is called with the lock held, but for content_*, and mem_sink_*. */

struct content *content_new(const void *p, size_t n);
struct content *content_ref(struct content *c);
void content_unref(void *content);

/* Where key stands or would stand. */
size_t table_at(const struct mem *m, const char *key);
struct item *table_find(const struct mem *m, const char *key);
/* Whether a write to key must be refused, as a tree of files would: 0 or E_INVALID. */
int table_tree(const struct mem *m, const char *key);
/* The object key holds content now (taken on success), with a copy of type and meta.
 * E_NO_SPACE, E_INVALID. */
int table_set(struct mem *m, const char *key, struct content *content, const char *type,
              const char *meta, size_t meta_n, struct item **out);
void table_remove(struct mem *m, size_t at);
void item_object(const struct item *i, struct object *object);

/* True when this one is to fail; then *rc says how. */
bool mem_fails(struct mem *m, const char *what, int *rc);

/* verbs.c: what the operation does at once. */
int mem_run(struct mem *m, struct op *op);

/* sink.c */
struct sink *mem_sink_new(struct mem *m, const struct op *op);
int mem_sink_commit(struct mem *m, struct op *op);
/* Continues item, which must not be appended to already. */
struct sink *mem_append_new(struct mem *m, struct item *item);

#endif
