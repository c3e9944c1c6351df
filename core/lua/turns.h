/* SPDX-License-Identifier: Apache-2.0
 *
 * Turns: when a job runs next, and who runs it. A turn is process-wide and named; every
 * VM that declares the job holds a reference, so that the schedule outlives a reload: an
 * hourly job is not put off by one, and a run that still ends in the old VM is not
 * overlapped by one in the new. Thread-safe, one leaf lock; never waits.
 *
 * No expiry is needed: who has taken a turn is a task of this process, and a task always
 * ends. Among processes, where that does not hold, the library keeps a lease in a store
 * (scripts/tidegate/lease.lua).
 */
#ifndef LUA_TURNS_H
#define LUA_TURNS_H

#include <stdbool.h>
#include <stdint.h>

struct turn;

/* The turn of that name, with one more reference. */
struct turn *turn_get(const char *name);
/* Accepts NULL. */
void turn_put(struct turn *t);

/* The turn comes at `due` (clock_now() ns) at the latest. Returns when it does. */
uint64_t turn_plan(struct turn *t, uint64_t due);
/* Takes the turn if it has come and nobody has it: it comes again at `next`. Else says in
 * *look when to ask again. */
bool turn_take(struct turn *t, uint64_t now, uint64_t next, uint64_t *look);
/* Gives it back; a `due` that is not 0 replaces what was said when it was taken. Returns
 * when it comes again. */
uint64_t turn_give(struct turn *t, uint64_t due);

#endif
