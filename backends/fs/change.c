/* SPDX-License-Identifier: Apache-2.0
 *
 * Changes to objects that exist: copy, move, concat and removal.
 */
#include "backends/fs/fs.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#define COPY_STEP                                                                        \
    (UINT64_C(8)                                                                         \
     << 20) /* bytes between two looks at cancel and reserve                 \
                         */
#define COPY_BUFFER (256 * 1024)

/* By hand, where the file system cannot. */
static ssize_t copy_bytes(int in, uint64_t from, int out, uint64_t to, uint64_t n)
{
    uint8_t *buffer = xalloc(COPY_BUFFER);
    ssize_t got;
    do {
        got = pread(in, buffer, n < COPY_BUFFER ? (size_t)n : COPY_BUFFER, (off_t)from);
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        got = -errno;
    int rc = got > 0 ? disk_pwrite(out, buffer, (size_t)got, to) : 0;
    free(buffer);
    return rc ? rc : got;
}

/* Appends n bytes of in to out at *at. */
static int append_file(struct fs_op *o, int in, uint64_t n, int out, uint64_t *at)
{
    uint64_t reserved = 0;
    for (uint64_t from = 0; from < n;) {
        uint64_t step = n - from < COPY_STEP ? n - from : COPY_STEP;
        int rc = op_is_cancelled(o->op) ? E_CANCELLED : 0;
        if (rc == 0 && from >= reserved) {
            rc = fs_reserve(o->fs, step);
            reserved = from + step;
        }
        if (rc)
            return rc;
        ssize_t moved = disk_copy(in, from, out, *at, step);
        if (moved == -EXDEV || moved == -EINVAL || moved == -ENOSYS ||
            moved == -EOPNOTSUPP)
            moved = copy_bytes(in, from, out, *at, step);
        if (moved <= 0)
            return moved < 0 ? (int)moved : E_CORRUPT;
        from += (uint64_t)moved;
        *at += (uint64_t)moved;
    }
    return 0;
}

/* All of key at the end of out; describe: type and metadata, too. */
static int append_object(struct fs_op *o, const char *key, int out, uint64_t *at,
                         bool describe)
{
    struct object object = {0};
    struct stat st;
    int in, rc = path_object(o->fs, key, O_RDONLY, &in, &st);
    if (rc)
        return rc;
    rc = fs_object(in, &st, &object);
    if (rc == 0 && describe)
        rc = temp_describe(out, object.type, object.meta, object.meta_n);
    if (rc == 0)
        rc = append_file(o, in, object.size, out, at);
    close(in);
    free(object.type);
    free(object.meta);
    return rc;
}

static int concat(struct fs_op *o, const char *const *keys, size_t n, bool describe)
{
    uint64_t at = 0;
    int rc = 0, fd = temp_open(o->fs, o->temp);
    if (fd < 0)
        return fd;
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = append_object(o, keys[i], fd, &at, describe);
    if (rc == 0)
        rc = temp_seal(o->fs, fd, o->temp);
    if (rc == 0)
        rc = path_place(o->fs, o->fs->tmp, o->temp, o->op->to, false, &o->commit);
    if (rc)
        temp_drop(o->fs, fd, o->temp);
    else
        close(fd);
    return rc;
}

int fs_copy(struct fs_op *o)
{
    return concat(o, &o->op->key, 1, true);
}

int fs_concat(struct fs_op *o)
{
    return concat(o, o->op->keys, o->op->n_keys, false);
}

/* The lock keeps appenders out: what was moved does not grow. The time is set, and
 * durable, before the rename, so that expire never sees the new name with the old age. */
static int move_locked(struct fs_op *o, int fd, int dir, const char *base)
{
    struct op *op = o->op;
    struct stat opened, named;
    if (flock(fd, LOCK_EX | LOCK_NB) != 0 || fstat(fd, &opened) != 0)
        return -errno;
    int rc = path_stat(dir, base, &named);
    if (rc == 0 && (opened.st_ino != named.st_ino || opened.st_dev != named.st_dev))
        rc = E_BUSY;
    if (rc == 0 && op->n != SIZE_UNKNOWN && op->n != (uint64_t)opened.st_size)
        rc = E_RANGE;
    if (rc == 0)
        rc = disk_set_mtime(dir, base, clock_wall());
    if (rc == 0 && o->fs->sync)
        rc = disk_sync(fd);
    return rc ? rc : path_place(o->fs, dir, base, op->to, false, &o->commit);
}

int fs_move(struct fs_op *o)
{
    struct op *op = o->op;
    struct stat st;
    const char *base;
    int dir, fd, rc = path_object(o->fs, op->key, O_RDONLY, &fd, &st);
    if (rc)
        return rc;
    rc = path_parent(o->fs, op->key, false, &dir, &base);
    if (rc) {
        close(fd);
        return rc;
    }
    rc = move_locked(o, fd, dir, base);
    close(fd);
    if (rc)
        close(dir);
    else
        path_prune(o->fs, op->key, dir, &o->commit);
    return rc;
}

static int remove_once(struct fs_op *o)
{
    struct stat st;
    const char *base;
    int dir, rc = path_parent(o->fs, o->op->key, false, &dir, &base);
    if (rc)
        return rc;
    rc = path_stat(dir, base, &st);
    if (rc == 0)
        rc = disk_unlink(dir, base);
    if (rc)
        close(dir);
    else
        path_prune(o->fs, o->op->key, dir, &o->commit);
    return rc;
}

int fs_remove(struct fs_op *o)
{
    int rc = remove_once(o);
    if (rc == -ENOENT) {
        aside_rescue(o->fs, o->op->key);
        rc = remove_once(o);
    }
    return rc;
}

static int remove_tree(struct fs_op *o, int parent, const char *name);

static int remove_entry(struct fs_op *o, int dir, const char *name)
{
    struct stat st;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? 0 : -errno;
    if (S_ISDIR(st.st_mode))
        return remove_tree(o, dir, name);
    if (!S_ISREG(st.st_mode))
        return 0;
    int rc = disk_unlink(dir, name);
    if (rc == 0)
        o->op->count++;
    return rc == -ENOENT ? 0 : rc;
}

/* Everything below name in parent, then name itself. A directory that somebody fills
 * meanwhile stays; it is synced here, because what is above it will not be. */
static int remove_tree(struct fs_op *o, int parent, const char *name)
{
    int rc;
    DIR *d = path_opendir(parent, name, &rc);
    if (!d)
        return rc == -ENOENT || rc == -ENOTDIR ? 0 : rc;
    for (struct dirent *e; rc == 0 && (e = readdir(d)) != NULL;) {
        struct span entry = span_of(e->d_name);
        if (op_is_cancelled(o->op))
            rc = E_CANCELLED;
        else if (!span_is(entry, ".") && !span_is(entry, ".."))
            rc = remove_entry(o, dirfd(d), e->d_name);
    }
    if (rc == 0 && (rc = disk_rmdir(parent, name)) == -ENOTEMPTY)
        rc = o->fs->sync ? disk_syncdir(dirfd(d)) : 0;
    closedir(d);
    return rc == -ENOENT ? 0 : rc;
}

int fs_remove_prefix(struct fs_op *o)
{
    struct span prefix = span_of(o->op->key);
    char *path = xmemdup(prefix.p, prefix.n - 1);
    const char *base;
    int dir, rc = path_parent(o->fs, path, false, &dir, &base);
    if (rc == 0) {
        rc = remove_tree(o, dir, base);
        if (rc)
            close(dir);
        else
            path_prune(o->fs, path, dir, &o->commit);
    }
    free(path);
    return rc == -ENOENT ? 0 : rc;
}
