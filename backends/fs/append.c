/* SPDX-License-Identifier: Apache-2.0
 *
 * The growing object: its bytes go straight to their place. One appender at a time, in
 * all processes, by flock on the file itself; the lock lives as long as the sink. Because
 * the file may get another name, or its name another file, between open and lock, the
 * name is looked at again under the lock; a move takes the same lock first.
 */
#include "backends/fs/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#define APPENDER_MAGIC 0xF5A99E00U

struct appender {
    struct file_sink file;
    unsigned magic;
    struct fs *fs;
    struct job job;
    int rc;
};

/* Opens key's file, or makes it. *parent is its directory if that has to be synced, else
 * -1: whoever made an empty one may have died before its name was durable. */
static int open_or_make(struct fs *fs, const char *key, bool make, int *fd, int *parent)
{
    struct stat st;
    *parent = -1;
    int rc = path_object(fs, key, O_WRONLY, fd, &st);
    bool found = rc == 0;
    if (!make || (rc && rc != -ENOENT))
        return rc;
    const char *base;
    rc = path_parent(fs, key, !found, parent, &base);
    if (rc && found)
        close(*fd);
    if (rc || found)
        return rc;
    *fd = disk_create(*parent, base, 0644);
    if (*fd >= 0)
        return 0;
    rc = *fd;
    if (rc == -EEXIST && fstatat(*parent, base, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISDIR(st.st_mode))
        rc = -EISDIR;
    close(*parent);
    *parent = -1;
    return rc;
}

/* 0 when fd is locked and still what key names; -ESTALE when it is not any more. */
static int lock_and_look(struct fs *fs, const char *key, int fd, struct stat *st)
{
    struct stat named;
    int other;
    if (flock(fd, LOCK_EX | LOCK_NB) != 0 || fstat(fd, st) != 0)
        return -errno;
    int rc = path_object(fs, key, O_RDONLY, &other, &named);
    if (rc)
        return rc == -ENOENT ? -ESTALE : rc;
    close(other);
    return named.st_ino == st->st_ino && named.st_dev == st->st_dev ? 0 : -ESTALE;
}

int fs_append(struct fs_op *o)
{
    struct op *op = o->op;
    struct stat st;
    int rc = fs_reserve(o->fs, 0);
    for (int i = 0; rc == 0 && i < FS_TRIES; i++) {
        int fd, parent;
        rc = open_or_make(o->fs, op->key, op->offset == 0, &fd, &parent);
        if (rc == -EEXIST || (rc == -ENOENT && op->offset == 0)) {
            rc = 0; /* somebody made it, or removed its directory, just now */
            continue;
        }
        if (rc)
            return rc;
        rc = lock_and_look(o->fs, op->key, fd, &st);
        if (rc == 0 && (uint64_t)st.st_size != op->offset) {
            op->object.size = (uint64_t)st.st_size;
            rc = E_RANGE;
        }
        if (rc == 0) {
            o->fd = fd;
            if (parent >= 0)
                commit_dir(&o->commit, parent);
            return 0;
        }
        close(fd);
        if (parent >= 0)
            close(parent);
        rc = rc == -ESTALE ? 0 : rc;
    }
    return rc ? rc : E_BUSY;
}

static struct appender *appender_of(struct sink *k)
{
    struct appender *a = CONTAINER(k, struct appender, file.sink);
    CHECK(a, APPENDER_MAGIC);
    return a;
}

/* A push that failed may have left a part of its bytes behind those that count. */
static void end_work(struct job *job)
{
    struct appender *a = CONTAINER(job, struct appender, job);
    struct stat st;
    int rc = fstat(a->file.fd, &st) != 0 ? -errno : 0;
    if (rc == 0 && (uint64_t)st.st_size > a->file.offset)
        rc = disk_truncate(a->file.fd, a->file.offset);
    if (rc == 0 && a->fs->sync)
        rc = disk_datasync(a->file.fd);
    a->rc = rc ? fs_code(a->fs, "append", NULL, rc) : 0;
}

static void end_done(struct job *job)
{
    struct appender *a = CONTAINER(job, struct appender, job);
    sink_answer(&a->file.sink, a->rc);
}

/* finish and abort alike: what came stays, durably. */
static void appender_end(struct sink *k)
{
    struct appender *a = appender_of(k);
    if (a->file.rc)
        fs_code(a->fs, "append", NULL, a->file.rc);
    a->job.work = end_work;
    a->job.done = end_done;
    job_submit(a->fs->lane, &a->job);
}

static void appender_close(struct sink *k)
{
    struct appender *a = appender_of(k);
    close(a->file.fd);
    POISON(a);
    free(a);
}

static const struct sink_ops appender_ops = {
    .name = "fs append",
    .push = file_sink_push,
    .finish = appender_end,
    .abort = appender_end,
    .close = appender_close,
};

void fs_append_finish(struct fs_op *o)
{
    struct appender *a = xalloc(sizeof *a);
    a->magic = APPENDER_MAGIC;
    a->fs = o->fs;
    file_sink_init(&a->file, &appender_ops, o->fd, o->op->offset, o->fs->lane);
    a->file.reserve = fs_reserve_cb;
    a->file.reserve_arg = o->fs;
    o->op->sink = &a->file.sink;
}
