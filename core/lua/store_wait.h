/* SPDX-License-Identifier: Apache-2.0
 *
 * One operation of a store as one wait of a task: its room, its keys, its results.
 */
#ifndef LUA_STORE_WAIT_H
#define LUA_STORE_WAIT_H

#include "lua/streams.h"
#include "store/key.h"
#include "store/store.h"

#define STORE_META "tidegate.store"
#define KEY_ROOM (KEY_MAX + 1)

struct store_box { /* userdata; lives as long as its VM at most */
    struct store *store;
    size_t prefix_n;
    char prefix[]; /* "" or "a/b/" */
};

struct store_wait {
    struct op op;
    struct task *task;
    struct span prefix; /* of the box, which the stack anchors */
    char key[KEY_ROOM], to[KEY_ROOM], after[KEY_ROOM];
    char meta[STORE_META_MAX];
    size_t meta_n;
    const char **keys; /* of concat, owned, and each of them */
    size_t n_keys;
    struct sink_hold *sink; /* of commit */
};

/* The store at idx; raises unless it is one. */
struct store_box *store_at(lua_State *L, int idx);
/* The key at idx with the prefix before it, in room. Raises for what is no string; NULL
 * for what cannot be a key. */
const char *key_at(lua_State *L, int idx, struct span prefix, char room[KEY_ROOM]);

/* Room for an operation of the store at index 1, whose key is at index 2 (nil: none).
 * Returns NULL when there is nothing to start: the task is cancelled or the key cannot be
 * one, and core.result() will say so. Raises. */
struct store_wait *wait_new(lua_State *L, enum store_verb verb);
/* The same for the commit of a sink under the key at index 2. */
struct store_wait *wait_new_commit(lua_State *L, struct sink_hold *sink);
/* Starts it; what a waiting function returns. */
int wait_start(lua_State *L, struct store_wait *w);
/* Instead of starting: core.result() tells rc. */
int wait_refuse(struct store_wait *w, int rc);

#endif
