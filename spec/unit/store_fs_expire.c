/* SPDX-License-Identifier: Apache-2.0
 *
 * fs: an expire that is interrupted at every step, by others or by its own end.
 */
#include "spec/unit/store_tree.h"

#include "backends/fs/fs.h"
#include "base/clock.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* The file of key as an expire that stopped half way would leave it. */
static void put_aside(struct rig *r, const char *run, const char *key, const char *name)
{
    char *from = tree_path(r, key),
         *dir = xasprintf("%s/.tidegate/aside/%s", r->root, run);
    char *to = xasprintf("%s/=%s", dir, name);
    mkdir(dir, 0755);
    EXPECT_EQ(rename(from, to), 0);
    free(from);
    free(dir);
    free(to);
}

FS_TEST(rescue, "whoever misses an object that is being expired brings it back")
{
    static const char *const other = "0123456789abcdef";
    struct object object;
    struct sink *k;
    uint64_t size;
    for (int way = 0; way < 6; way++) {
        EXPECT_EQ(rig_put(r, "d/k", "x"), 0);
        put_aside(r, other, "d/k", "d\x01k");
        if (way == 0)
            rig_expect(r, "d/k", "x");
        else if (way == 1)
            EXPECT_EQ(rig_stat(r, "d/k", &object), 0);
        else if (way == 2)
            EXPECT_EQ(rig_touch(r, "d/k"), 0);
        else if (way == 3)
            EXPECT_EQ(rig_append(r, "d/k", 5, &k, &size), E_RANGE);
        else if (way == 4)
            EXPECT_EQ(rig_two(r, OP_copy, "d/k", "copy"), 0);
        else
            EXPECT_EQ(rig_two(r, OP_move, "d/k", "moved"), 0);
        rig_expect(r, way < 5 ? "d/k" : "moved", "x");
        EXPECT_EQ(tree_files(r, ".tidegate/aside"), 0);
    }
    EXPECT_EQ(rig_put(r, "d/k", "old"), 0);
    put_aside(r, other, "d/k", "d\x01k");
    EXPECT_EQ(rig_remove(r, "d/k"), 0);
    rig_expect(r, "d/k", NULL);
}

FS_TEST(restore, "what a dead process was expiring is back at the next begin")
{
    tree_mkdir(r, ".tidegate/tmp/dead");
    tree_write(r, ".tidegate/tmp/dead/lock", "");
    EXPECT_EQ(rig_put(r, "d/k", "x"), 0);
    EXPECT_EQ(rig_put(r, "d/l", "older"), 0);
    put_aside(r, "dead", "d/k", "d\x01k");
    put_aside(r, "dead", "d/l", "d\x01l");
    tree_write(r, "d/l", "newer");
    rig_reopen(r);
    rig_expect_list(r, "", false, "d/k d/l");
    rig_expect(r, "d/k", "x");
    rig_expect(r, "d/l", "newer");
    EXPECT(!tree_has(r, ".tidegate/aside/dead"));
    EXPECT(!tree_has(r, ".tidegate/tmp/dead"));
}

/* Between the two renames of an expire, somebody else does something. */
static struct {
    struct rig *r;
    const char *what, *op;
} between;

/* A later time than any this case asks for; the kernel's own clock is coarse. */
static void make_young(const char *path)
{
    time_t later = (time_t)(clock_wall() / NS_PER_S) + 60;
    const struct timespec times[2] = {{later, 0}, {later, 0}};
    EXPECT_EQ(utimensat(AT_FDCWD, path, times, 0), 0);
}

static int between_hook(void *arg, const char *op, int dir, const char *path,
                        const char *to, int fd, uint64_t offset, uint64_t n)
{
    (void)arg, (void)dir, (void)path, (void)to, (void)fd, (void)offset, (void)n;
    if (!between.what || strcmp(op, between.op) != 0)
        return 0;
    const char *what = between.what;
    between.what = NULL;
    char *live = tree_path(between.r, "d/k");
    if (strcmp(what, "write") == 0)
        tree_write(between.r, "d/k", "new");
    if (strcmp(what, "remove") == 0)
        unlink(live);
    else if (strcmp(what, "rescue") == 0)
        aside_rescue((struct fs *)between.r->store, "d/k");
    else
        make_young(live);
    free(live);
    return 0;
}

FS_TEST(interleaved, "expire yields to a touch, a write and a rescue at every step")
{
    static const struct {
        const char *what, *op, *left;
        bool removed;
    } cases[] = {
        {"touch", "rename", "old", false}, {"remove", "rename", NULL, false},
        {"write", "unlink", "new", true},  {"rescue", "unlink", "old", false},
        {"write", "rename", "new", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bool removed;
        EXPECT_EQ(rig_put(r, "d/k", "old"), 0);
        uint64_t before = clock_wall() + 1;
        between.r = r;
        between.what = cases[i].what;
        between.op = cases[i].op;
        disk_set_hook(between_hook, NULL);
        EXPECT_EQ(rig_expire(r, "d/k", before, &removed), 0);
        disk_set_hook(NULL, NULL);
        EXPECT(!between.what);
        EXPECT_EQ(removed, cases[i].removed);
        rig_expect(r, "d/k", cases[i].left);
        EXPECT_EQ(tree_files(r, ".tidegate/aside"), 0);
    }
}
