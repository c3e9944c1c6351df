/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared dictionaries: keys and values of a few bytes that all workers, and the VMs of
 * all generations, see at once. A dictionary is process-wide, found by its name, counted
 * by those who hold it, and never larger than its budget: what was not used for longest
 * goes first. Nothing in it survives the process.
 *
 * Thread-safe. A dictionary has shards, each with one leaf lock that is held for a
 * look-up and a copy, so nobody waits for longer than that.
 */
#ifndef LUA_SHARED_H
#define LUA_SHARED_H

#include "base/base.h"

#define SHARED_SIZE_MIN ((size_t)64 << 10)
#define SHARED_KEY_MAX 1024
#define SHARED_VALUE_MAX ((size_t)16 << 10) /* bytes of a string */

struct shared;

struct shared_value {
    enum { SHARED_NONE, SHARED_BOOLEAN, SHARED_NUMBER, SHARED_STRING } kind;
    double number; /* of a boolean 0 or 1 */
    struct span text;
};

/* The dictionary of that name, with one more reference. Its budget in bytes is from now
 * on what was said last. */
struct shared *shared_get(const char *name, size_t size);
/* Accepts NULL. */
void shared_put(struct shared *d);

/* In all that follows: `ttl` in ns from now, 0 for none; E_INVALID for a key that is
 * longer than SHARED_KEY_MAX; E_TOO_LARGE for a value past SHARED_VALUE_MAX. */

/* 0, with `kind` SHARED_NONE when the key is absent. A string is copied to room. */
int shared_read(struct shared *d, struct span key, struct shared_value *out,
                char room[SHARED_VALUE_MAX]);
/* if_absent: E_EXISTS when the key is there. */
int shared_write(struct shared *d, struct span key, const struct shared_value *value,
                 uint64_t ttl, bool if_absent);
/* Adds to the number under the key; one that is absent counts as `initial`, and only then
 * the ttl is set. E_INVALID when something else stands there. */
int shared_add(struct shared *d, struct span key, double by, double initial, uint64_t ttl,
               double *out);
/* Whether it was there. */
bool shared_delete(struct shared *d, struct span key);
/* Bytes in use, at most the budget. */
size_t shared_used(struct shared *d);

#endif
