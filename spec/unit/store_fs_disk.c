/* SPDX-License-Identifier: Apache-2.0
 *
 * fs and its disk: what a failing one leaves behind, and how often it is asked to sync.
 */
#include "spec/unit/store_tree.h"

#include "base/log.h"
#include "loop/disk.h"

#include <errno.h>
#include <semaphore.h>
#include <stdio.h>

/* Fails the n-th change with an error; counts them, and the syncs of directories. */
static struct {
    _Atomic int seen, fail_at, syncdirs;
    int error;
} fault;

static int fault_hook(void *arg, const char *op, int dir, const char *path,
                      const char *to, int fd, uint64_t offset, uint64_t n)
{
    (void)arg, (void)dir, (void)path, (void)to, (void)fd, (void)offset, (void)n;
    fault.syncdirs += strcmp(op, "syncdir") == 0;
    if (strcmp(op, "unlink") == 0 || strcmp(op, "rmdir") == 0)
        return 0; /* deleting works on a full disk */
    return ++fault.seen == fault.fail_at ? -fault.error : 0;
}

static void arm(int fail_at, int error)
{
    fault.seen = fault.syncdirs = 0;
    fault.fail_at = fail_at;
    fault.error = error;
    disk_set_hook(fault_hook, NULL);
}

static int put_stream(struct rig *r, const char *key, const char *text)
{
    struct sink *k;
    int rc = rig_create(r, key, false, &k);
    if (rc)
        return rc;
    rc = rig_push(r, k, text, strlen(text));
    if (rc == 0)
        rc = rig_finish(r, k);
    if (rc)
        rig_abort(r, k);
    rig_close_sink(r, k);
    return rc;
}

static int put_whole(struct rig *r, const char *key, const char *text)
{
    return rig_put(r, key, text);
}

static int put_copy(struct rig *r, const char *key, const char *text)
{
    return rig_two(r, OP_copy, text, key);
}

static int put_move(struct rig *r, const char *key, const char *text)
{
    return rig_two(r, OP_move, text, key);
}

static bool holds(struct rig *r, const char *key, const char *text)
{
    struct op op;
    op_init(&op, r->store, OP_read, NULL);
    op.key = key;
    op.limit = 1000;
    int rc = rig_run(r, &op);
    bool same =
        rc == 0 && op.out_n == strlen(text) && memcmp(op.out, text, op.out_n) == 0;
    op_fini(&op);
    return same;
}

/* Each change of a disk fails once, in turn: the old object stands whole or the new one
 * does, what was said to be done is done, and tmp is empty. */
FS_TEST(faults, "a failing disk leaves no half object and no temporary file")
{
    static int (*const ways[])(struct rig *, const char *, const char *) = {
        put_whole, put_stream, put_copy, put_move};
    static const int errors[] = {ENOSPC, EIO, EDQUOT};
    log_setup(2, LOG_ERROR + 1, false);
    for (size_t w = 0; w < sizeof ways / sizeof ways[0]; w++) {
        for (size_t e = 0; e < sizeof errors / sizeof errors[0]; e++) {
            int at = 1, rc;
            do {
                EXPECT_EQ(rig_put(r, "d/old", "old"), 0);
                EXPECT_EQ(rig_put(r, "new!", "new!"), 0);
                arm(at, errors[e]);
                rc = ways[w](r, "d/old", "new!");
                bool hit = fault.seen >= fault.fail_at;
                disk_set_hook(NULL, NULL);
                EXPECT(hit || rc == 0);
                if (rc)
                    EXPECT_EQ(rc, errors[e] == EIO ? E_IO : E_NO_SPACE);
                EXPECT(holds(r, "d/old", "new!") || (rc && holds(r, "d/old", "old")));
                rig_settle(r);
                EXPECT_EQ(tree_files(r, ".tidegate/tmp"), 0);
                at = hit ? at + 1 : 0;
            } while (at);
            EXPECT_EQ(rig_remove(r, "d/old"), 0);
        }
    }
}

FS_TEST(faults_new, "a failing disk while directories are made shows nothing half")
{
    log_setup(2, LOG_ERROR + 1, false);
    for (int at = 1, hit = 1; hit; at++) {
        arm(at, ENOSPC);
        int rc = rig_put(r, "x/y/z/new", "new");
        hit = fault.seen >= fault.fail_at;
        disk_set_hook(NULL, NULL);
        EXPECT(rc == 0 || rc == E_NO_SPACE);
        EXPECT(rc ? hit : holds(r, "x/y/z/new", "new"));
        EXPECT_EQ(tree_files(r, ".tidegate/tmp"), 0);
        rig_remove(r, "x/y/z/new");
    }
}

FS_TEST(append_fault, "a failed append keeps what was pushed and no byte more")
{
    struct sink *k;
    uint64_t size;
    log_setup(2, LOG_ERROR + 1, false);
    EXPECT_EQ(rig_append(r, "u", 0, &k, &size), 0);
    EXPECT_EQ(rig_push(r, k, "kept", 4), 0);
    arm(1, ENOSPC);
    EXPECT_EQ(rig_push(r, k, "lost", 4), E_NO_SPACE);
    disk_set_hook(NULL, NULL);
    EXPECT_EQ(rig_abort(r, k), 0);
    EXPECT_EQ(k->moved, 4);
    rig_close_sink(r, k);
    rig_expect(r, "u", "kept");
}

FS_TEST(new_parents, "the directories above a new one are synced, too")
{
    arm(-1, 0);
    EXPECT_EQ(rig_put(r, "a/b/c/k", "x"), 0);
    disk_set_hook(NULL, NULL);
    EXPECT_EQ(fault.syncdirs, 4); /* a/b/c, a/b, a and the root */
}

static int no_syncdir(void *arg, const char *op, int dir, const char *path,
                      const char *to, int fd, uint64_t offset, uint64_t n)
{
    (void)arg, (void)dir, (void)path, (void)to, (void)fd, (void)offset, (void)n;
    return strcmp(op, "syncdir") == 0 ? -EIO : 0;
}

/* The names are there, but nobody knows whether they would survive. */
FS_TEST(sync_fault, "after a failed sync of a directory the next change repeats it")
{
    struct sink *k;
    uint64_t size;
    log_setup(2, LOG_ERROR + 1, false);
    disk_set_hook(no_syncdir, NULL);
    EXPECT_EQ(rig_put(r, "p/q/1", "x"), E_IO);
    EXPECT_EQ(rig_append(r, "p/q/u", 0, &k, &size), E_IO);
    arm(-1, 0);
    EXPECT_EQ(rig_put(r, "p/q/2", "x"), 0);
    EXPECT_EQ(fault.syncdirs, 3); /* p/q, p and the root */
    EXPECT_EQ(rig_append(r, "p/q/u", 0, &k, &size), 0);
    EXPECT_EQ(fault.syncdirs, 4);
    disk_set_hook(NULL, NULL);
    rig_close_sink(r, k);
}

#define GROUP 64

static sem_t all_named;
static _Atomic int named, group_syncs;

/* The first sync of a directory takes until every other change has got its name. */
static int group_hook(void *arg, const char *op, int dir, const char *path,
                      const char *to, int fd, uint64_t offset, uint64_t n)
{
    (void)arg, (void)dir, (void)path, (void)to, (void)fd, (void)offset, (void)n;
    if (strcmp(op, "syncdir") == 0 && group_syncs++ == 0)
        sem_wait(&all_named);
    if (strcmp(op, "rename") == 0 && ++named == GROUP)
        sem_post(&all_named);
    return 0;
}

FS_TEST(group, "changes in one directory share their syncs")
{
    struct op ops[GROUP];
    char keys[GROUP][16];
    EXPECT_EQ(rig_put(r, "d/first", "x"), 0);
    sem_init(&all_named, 0, 0);
    disk_set_hook(group_hook, NULL);
    for (int i = 0; i < GROUP; i++) {
        snprintf(keys[i], sizeof keys[i], "d/%d", i);
        op_init(&ops[i], r->store, OP_put, NULL);
        ops[i].key = keys[i];
        ops[i].in = span_of("x");
    }
    rig_run_all(r, ops, GROUP);
    disk_set_hook(NULL, NULL);
    for (int i = 0; i < GROUP; i++) {
        EXPECT_EQ(ops[i].rc, 0);
        op_fini(&ops[i]);
    }
    EXPECT(group_syncs <= 8); /* two, but for those whose name came at the last moment */
    sem_destroy(&all_named);
}
