/* SPDX-License-Identifier: Apache-2.0
 *
 * Holds and boxes. A hold is something that a task has open; it is embedded first in a
 * struct of its kind and released at the latest when the task ends. A box is the small
 * userdata by which scripts name a hold: it keeps its number, by which every function that
 * gets a box looks for the hold among those of the task that runs. So a box may outlive
 * its hold and a hold its box, and the collector has nothing to finish.
 */
#ifndef LUA_BOX_H
#define LUA_BOX_H

#include "lua/task.h"

#define BOX_MAGIC 0xB0C50000U

struct hold;

struct hold_kind {
    const char *name; /* "stream", for errors */
    /* Gives back what is open and frees the hold. */
    void (*release)(struct hold *h);
};

struct hold {
    const struct hold_kind *kind;
    struct list link;
    struct task *task;
    uint64_t number; /* of all that the VM ever had */
};

struct box {
    unsigned magic;
    const struct hold_kind *kind;
    uint64_t number;
};

/* Makes h the task's. The task takes it. */
void hold_add(struct task *t, struct hold *h, const struct hold_kind *kind);
/* Releases one now; the task forgets it. */
void hold_release(struct hold *h);
/* The newest first. */
void hold_release_all(struct task *t);

/* Pushes a new box for h. May raise; h is the task's by then. */
void box_push(lua_State *L, struct hold *h);
/* The hold at idx. Raises unless it is a box of this kind that is open and belongs to the
 * task that runs. */
struct hold *box_check(lua_State *L, int idx, const struct hold_kind *kind);
/* Once per VM, before the first box. */
void box_open(lua_State *L);

#endif
