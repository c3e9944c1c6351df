/* SPDX-License-Identifier: Apache-2.0
 *
 * Crash states of what goes away, and of what a touch keeps.
 */
#include "spec/unit/crash_rig.h"

#include "base/clock.h"
#include "loop/disk.h"

#include <fcntl.h>
#include <unistd.h>

CRASH_TEST(removed, "what was removed stays away, and what is beside it stays")
{
    crash_put(c, "a/b/c/1", "one");
    crash_put(c, "a/b/2", "two");
    crash_remove(c, "a/b/c/1");
    crash_put(c, "a/b/c/1", "one again");
    crash_remove(c, "a/b/2");
    crash_remove(c, "a/b/c/1");
}

CRASH_TEST(removed_prefix, "a whole branch that is removed")
{
    static const char *const keys[] = {"a/b/c/1", "a/b/c/2", "a/b/3", "a/b/d/4"};
    for (size_t i = 0; i < 4; i++)
        crash_put(c, keys[i], "leaf");
    crash_put(c, "a/bc", "neighbour");
    crash_remove_prefix(c, "a/b/", keys, 4);
}

CRASH_TEST(moved, "an object that moves up and down")
{
    crash_put(c, "a/b/1", "moving");
    crash_move(c, "a/b/1", "c/d/e/1", "moving");
    crash_move(c, "c/d/e/1", "a/1", "moving");
    crash_put(c, "a/2", "old");
    crash_move(c, "a/1", "a/2", "moving");
}

CRASH_TEST(expired, "what expired stays away")
{
    bool removed;
    crash_put(c, "a/b/1", "stale");
    crash_put(c, "a/2", "stale");
    uint64_t before = clock_wall() + 1;
    size_t change = crash_starts(c, "a/b/1", NULL);
    EXPECT_EQ(rig_expire(&c->rig, "a/b/1", before, &removed), 0);
    EXPECT(removed);
    crash_acked(c, change);
    change = crash_starts(c, "a/2", NULL);
    EXPECT_EQ(rig_expire(&c->rig, "a/2", before, &removed), 0);
    EXPECT(removed);
    crash_acked(c, change);
}

/* Touches the object when its expiry is about to take it aside. */
struct toucher {
    struct crash *c;
    bool done;
};

static void touch_late(void *arg, const char *op, bool done)
{
    struct toucher *t = arg;
    if (done || t->done || strcmp(op, "rename") != 0)
        return;
    t->done = true;
    char *path = xasprintf("%s/a/b/1", t->c->rig.root);
    EXPECT_EQ(disk_set_mtime(AT_FDCWD, path, clock_wall()), 0);
    free(path);
}

CRASH_TEST(expired_not, "what was touched while it expired is there")
{
    bool removed;
    crash_put(c, "a/b/1", "touched");
    uint64_t before = clock_wall() + 1;
    struct toucher t = {c, false};
    c->log.gate_arg = &t;
    c->log.gate = touch_late;
    EXPECT_EQ(rig_expire(&c->rig, "a/b/1", before, &removed), 0);
    c->log.gate = NULL;
    EXPECT(!removed && t.done);
    crash_put(c, "a/b/2", "its directory is synced");
}

CRASH_TEST(touched, "the time of a touch")
{
    crash_put(c, "a/1", "touched");
    size_t change = crash_starts(c, "a/1", "touched");
    c->values[change].since = clock_wall();
    EXPECT_EQ(rig_touch(&c->rig, "a/1"), 0);
    crash_acked(c, change);
    crash_put(c, "a/2", "moved");
    change = crash_starts(c, "b/2", "moved");
    c->values[change].since = clock_wall();
    crash_starts(c, "a/2", NULL);
    EXPECT_EQ(rig_two(&c->rig, OP_move, "a/2", "b/2"), 0);
    crash_acked(c, change);
    crash_acked(c, change + 1);
}

/* A run that died while it wrote one object and expired another, and a power cut in the
 * begin that sweeps after it. */
CRASH_TEST(swept, "what a dead run was expiring survives a crash of the next begin")
{
    char *private = xasprintf("%s/.tidegate", c->rig.root);
    crash_put(c, "a/1", "aside");
    int root = open(c->rig.root, O_RDONLY | O_DIRECTORY);
    int dir = open(private, O_RDONLY | O_DIRECTORY);
    EXPECT_EQ(disk_mkdir(dir, "tmp/dead", 0755), 0);
    close(disk_create(dir, "tmp/dead/lock", 0600));
    close(disk_create(dir, "tmp/dead/7", 0600));
    EXPECT_EQ(disk_mkdir(dir, "aside/dead", 0755), 0);
    EXPECT_EQ(disk_rename(root, "a/1", dir,
                          "aside/dead/=a\x01"
                          "1",
                          false),
              0);
    close(root);
    close(dir);
    free(private);
    rig_reopen(&c->rig);
    rig_expect(&c->rig, "a/1", "aside");
}
