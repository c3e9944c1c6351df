/* SPDX-License-Identifier: Apache-2.0
 *
 * The checker is checked: each sync that a change makes is taken out of the log, one at a
 * time, as if the line in the store were missing, and the replay has to find a broken
 * promise. So none is superfluous, either: but for that of the directory which an object
 * moved to, since the one it left brings that along. It stays, as the clearer order.
 */
#include "spec/unit/crash_rig.h"

#include "base/clock.h"

#include <stdio.h>

#define CONTROL(fn, title, extra)                                                        \
    static void fn(struct crash *c);                                                     \
    UNIT_TEST("crash: without any one sync, " title " is not safe", run_##fn, add_##fn)  \
    {                                                                                    \
        control(fn, extra);                                                              \
    }                                                                                    \
    static void fn(struct crash *c)

static const char *sync_name(enum record_kind kind)
{
    return kind == REC_DATASYNC  ? "fdatasync"
           : kind == REC_SYNC    ? "fsync"
           : kind == REC_SYNCDIR ? "fsync of a directory"
                                 : NULL;
}

/* extra: so many syncs may be missing without harm. */
static void control(void (*work)(struct crash *c), size_t extra)
{
    struct crash c;
    size_t syncs = 0, missed = 0;
    crash_open(&c);
    work(&c);
    crash_worked(&c);
    EXPECT(!crash_replay(&c));
    for (size_t i = c.begun; i < c.log.n; i++) {
        enum record_kind kind = c.log.all[i].kind;
        if (!sync_name(kind))
            continue;
        c.log.all[i].kind = REC_NOTHING;
        if (crash_replay(&c))
            missed++;
        else if (!extra)
            unit_fail(__FILE__, __LINE__, "the %s at record %zu is not missed",
                      sync_name(kind), i);
        c.log.all[i].kind = kind;
        syncs++;
    }
    EXPECT(syncs);
    EXPECT_EQ(missed + extra, syncs);
    printf("%zu of %zu syncs missed\n", missed, syncs);
    crash_close(&c);
}

CONTROL(put, "a put in new directories", 0)
{
    crash_put(c, "a/b/c", "small");
}

CONTROL(put_again, "a put that replaces another", 0)
{
    crash_put(c, "a", "old");
    crash_put(c, "a", "new");
}

CONTROL(append, "an append", 0)
{
    crash_append(c, "a", "some more bytes", 0, 4);
    crash_append(c, "a", "some more bytes", 4, 15);
}

CONTROL(move, "a move", 1)
{
    crash_append(c, "a/data", "bytes", 0, 5);
    uint64_t since = clock_wall();
    crash_move(c, "a/data", "b/data", "bytes");
    c->values[c->n_values - 1].since = since;
}

CONTROL(removal, "a removal", 0)
{
    static const char *const keys[] = {"a/b/1", "a/b/2"};
    crash_put(c, "a/3", "stays");
    crash_put(c, keys[0], "goes");
    crash_put(c, keys[1], "goes, too");
    crash_remove_prefix(c, "a/b/", keys, 2);
    crash_remove(c, "a/3");
}

CONTROL(touch, "a touch", 0)
{
    crash_put(c, "a", "touched");
    size_t change = crash_starts(c, "a", "touched");
    c->values[change].since = clock_wall();
    EXPECT_EQ(rig_touch(&c->rig, "a"), 0);
    crash_acked(c, change);
}

CONTROL(expire, "an expiry", 0)
{
    bool removed;
    crash_put(c, "a/1", "stale");
    crash_put(c, "a/2", "fresh");
    size_t change = crash_starts(c, "a/1", NULL);
    EXPECT_EQ(rig_expire(&c->rig, "a/1", clock_wall() + 1, &removed), 0);
    EXPECT(removed);
    crash_acked(c, change);
}

/* The store's begin: its own name has to last, and a version that can be read. */
TEST("crash: without the syncs of its begin a store is not safe")
{
    struct crash c;
    size_t missed = 0;
    crash_open(&c);
    crash_put(&c, "a", "first");
    crash_worked(&c);
    for (size_t i = 0; i < c.begun; i++) {
        enum record_kind kind = c.log.all[i].kind;
        if (!sync_name(kind))
            continue;
        c.log.all[i].kind = REC_NOTHING;
        missed += crash_replay(&c) != NULL;
        c.log.all[i].kind = kind;
    }
    EXPECT_EQ(missed, 3); /* two directories, the format; the others only help */
    crash_close(&c);
}
