/* SPDX-License-Identifier: Apache-2.0
 *
 * Small contents that never change, kept in memory for all workers: what was opened with
 * `immutable` and is whole, undescribed and at most CACHE_CONTENT_MAX bytes. The cache
 * knows nothing of other processes: it answers for those who saw in the store, just now,
 * that somebody still names the key. What this process removes is forgotten before the
 * removal is done.
 *
 * Least recently used goes first. Thread-safe; one leaf lock per shard.
 */
#ifndef STORE_CACHE_H
#define STORE_CACHE_H

#include "store/store.h"

#define CACHE_CONTENT_MAX (64 * 1024)

/* Immutable and counted. */
struct content;

/* bytes: the budget; 0 keeps nothing. Once per process, before the first operation. */
void cache_start(size_t bytes);
/* No content may be lent any more. Harmless when it was never started. */
void cache_stop(void);

/* The content of a key, to be given back by content_put, or NULL. */
struct content *cache_get(const struct store *s, const char *key);
/* What has been removed so far: ask before the store is asked, and hand it to cache_add,
 * so that what is removed in between is not kept. */
uint64_t cache_removals(void);
/* Keeps a copy of the n bytes, if they fit. Returns it like cache_get, or NULL. */
struct content *cache_add(const struct store *s, const char *key,
                          const struct object *object, const void *p, size_t n,
                          uint64_t removals);
/* Forgets a key, or all that begin with it. */
void cache_forget(const struct store *s, const char *key, bool prefix);
/* Forgets a store that is about to go. */
void cache_forget_store(const struct store *s);

/* size, modified and etag; no type, no metadata. */
void content_describe(const struct content *c, struct object *out);
const uint8_t *content_bytes(const struct content *c);
/* Takes c; void * for those who release a source's memory. */
void content_put(void *c);

#endif
