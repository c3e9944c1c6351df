/* SPDX-License-Identifier: Apache-2.0
 *
 * The names that fs keeps between pages: pages are the same with and without them, and what
 * anybody changes shows in the next one.
 */
#include "spec/unit/store_tree.h"

#include "backends/fs/fs.h"
#include "base/clock.h"

#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define NAMES 1500
#define LATER (10 * NS_PER_S) /* a directory made now has settled by then */

static struct fs *fs_of(struct rig *r)
{
    return (struct fs *)r->store;
}

static size_t kept(struct rig *r)
{
    size_t n = 0;
    for (struct list *l = fs_of(r)->snapshots.kept.next; l != &fs_of(r)->snapshots.kept;
         l = l->next)
        n++;
    return n;
}

/* Files and directories whose names sort otherwise as paths than as words. */
static void fill(struct rig *r)
{
    static const char *const files[] = {"", "-b", ".c"}, *const below[] = {"x", "0",
                                                                           "y-z"};
    char path[64];
    tree_mkdir(r, "t");
    for (int i = 0; i < NAMES; i++) {
        bool dir = i / 3 % 2;
        snprintf(path, sizeof path, "t/n%04d", i / 3);
        if (dir && i % 3 == 0)
            tree_mkdir(r, path);
        snprintf(path, sizeof path, "t/n%04d%s%s", i / 3, dir ? "/" : files[i % 3],
                 dir ? below[i % 3] : "");
        tree_write(r, path, "");
    }
    for (int i = 0; i < NAMES; i++) {
        snprintf(path, sizeof path, "t/n%04d-%d", i / 3, i % 3);
        tree_write(r, path, "");
    }
}

/* Every page of a listing, one text. Owned. */
static char *all_pages(struct rig *r, const char *prefix, bool delimiter, uint32_t limit)
{
    size_t n;
    char *text, *after = xstrdup("");
    FILE *out = open_memstream(&text, &n);
    EXPECT(out);
    for (bool more = true; more;) {
        struct op op;
        op_init(&op, r->store, OP_list, NULL);
        op.key = prefix;
        op.delimiter = delimiter;
        op.after = after;
        op.limit = limit;
        EXPECT_EQ(rig_run(r, &op), 0);
        more = op.more;
        for (size_t i = 0; i < op.n_entries; i++) {
            fprintf(out, "%s%s ", op.entries[i].name, op.entries[i].prefix ? "*" : "");
            if (i + 1 == op.n_entries) {
                free(after);
                after = xstrdup(op.entries[i].name);
            }
        }
        op_fini(&op);
    }
    free(after);
    fclose(out);
    return text;
}

static const struct {
    const char *prefix;
    bool delimiter;
    uint32_t limit;
} listings[] = {
    {"t/", true, 1000},    {"t/", false, 333},    {"", false, 1000},
    {"t/n01", true, 7},    {"t/n0200", false, 2}, {"t/n0201/", true, 1},
    {"t/zzz", true, 1000}, {"t/a", false, 10},
};

#define LISTINGS (sizeof listings / sizeof listings[0])

FS_TEST(same_pages, "pages are the same from kept names and from the directory")
{
    char *scanned[LISTINGS];
    fill(r);
    for (size_t i = 0; i < LISTINGS; i++)
        scanned[i] =
            all_pages(r, listings[i].prefix, listings[i].delimiter, listings[i].limit);
    EXPECT_EQ(kept(r), 0);
    nanosleep(&(struct timespec){2, 100000000}, NULL);
    free(all_pages(r, "t/", true, 1000));
    EXPECT_EQ(kept(r), 1);
    for (size_t i = 0; i < LISTINGS; i++) {
        char *text =
            all_pages(r, listings[i].prefix, listings[i].delimiter, listings[i].limit);
        EXPECT_STR(text, scanned[i]);
        free(text);
        free(scanned[i]);
    }
    EXPECT_EQ(kept(r), 1);
    tree_write(r, "t/n0000-a", "");
    rig_expect_list(
        r, "t/n0000", false,
        "t/n0000 t/n0000-0 t/n0000-1 t/n0000-2 t/n0000-a t/n0000-b t/n0000.c");
    EXPECT_EQ(kept(r), 0);
}

/* A snapshot of the directory by hand, with these names, at this time. */
static void keep(struct rig *r, const char *dir, uint64_t now, size_t names,
                 bool complete)
{
    struct snapshot_maker m;
    int fd = path_open(fs_of(r), dir, O_RDONLY | O_DIRECTORY);
    EXPECT(fd >= 0);
    snapshot_begin(&m, fd, now);
    for (size_t i = 0; i < names; i++) {
        char name[32];
        snapshot_add(&m, name, (size_t)snprintf(name, sizeof name, "%06zu", names - i));
    }
    snapshot_end(&m, &fs_of(r)->snapshots, fd, complete);
    close(fd);
}

FS_TEST(not_kept,
        "what changed just now, was read in part, is small or large is not kept")
{
    tree_mkdir(r, "d");
    keep(r, "d", clock_wall(), SNAPSHOT_LEAST, true);
    EXPECT_EQ(kept(r), 0);
    keep(r, "d", clock_wall() - LATER, SNAPSHOT_LEAST, true); /* our clock is behind */
    EXPECT_EQ(kept(r), 0);
    keep(r, "d", clock_wall() + LATER, SNAPSHOT_LEAST, false);
    EXPECT_EQ(kept(r), 0);
    keep(r, "d", clock_wall() + LATER, SNAPSHOT_LEAST - 1, true);
    EXPECT_EQ(kept(r), 0);
    keep(r, "d", clock_wall() + LATER, SNAPSHOT_MOST / 11 + 1, true);
    EXPECT_EQ(kept(r), 0);
    keep(r, "d", clock_wall() + LATER, SNAPSHOT_LEAST, true);
    EXPECT_EQ(kept(r), 1);
}

FS_TEST(bounded, "the names longest unused go when there are too many")
{
    const size_t large = SNAPSHOT_MOST / 11 - 1, fits = SNAPSHOTS_MOST / SNAPSHOT_MOST;
    char dir[16];
    for (size_t i = 0; i < fits + 2; i++) {
        snprintf(dir, sizeof dir, "d%zu", i);
        tree_mkdir(r, dir);
        keep(r, dir, clock_wall() + LATER, large, true);
        EXPECT_EQ(kept(r), i < fits ? i + 1 : fits);
        EXPECT(fs_of(r)->snapshots.bytes <= SNAPSHOTS_MOST);
    }
    int fd = path_open(fs_of(r), dir, O_RDONLY | O_DIRECTORY);
    struct snapshot *s = snapshot_find(&fs_of(r)->snapshots, fd);
    EXPECT(s != NULL);
    EXPECT_EQ(snapshot_count(s), large);
    EXPECT_STR(snapshot_name(s, 0), "000001");
    EXPECT_EQ(snapshot_seek(s, "000010"), 9);
    EXPECT_EQ(snapshot_seek(s, "0000100"), 10);
    EXPECT_EQ(snapshot_seek(s, "9999999"), large);
    snapshot_drop(&fs_of(r)->snapshots, s);
    close(fd);
}
