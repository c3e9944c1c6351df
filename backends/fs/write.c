/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing: every object begins as a file in tmp/RUN, which is complete and durable before
 * it gets its name. The name is one rename, so a reader sees the old object or the new
 * one.
 */
#include "backends/fs/fs.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define WRITER_MAGIC 0xF5817E00U
/* How long put_if waits for another one on the same shard, in all processes. */
#define LOCK_WAIT (5 * NS_PER_S)

/* The sink of a create. */
struct writer {
    struct file_sink file;
    unsigned magic;
    struct fs *fs;
    struct job job;
    struct commit commit;
    int rc;
    char *key; /* NULL: OP_commit names it */
    bool if_absent;
    bool sealed;          /* every byte is durable */
    char temp[TEMP_NAME]; /* empty: it has its place, or is gone */
};

int temp_open(struct fs *fs, char name[TEMP_NAME])
{
    snprintf(name, TEMP_NAME, "%llu",
             (unsigned long long)atomic_fetch_add(&fs->next_temp, 1));
    return disk_create(fs->tmp, name, FS_MODE);
}

int temp_describe(int fd, const char *type, const char *meta, size_t meta_n)
{
    if (!type && !meta_n)
        return 0;
    size_t type_n = type ? strlen(type) : 0, n = type_n + 1 + meta_n;
    char *text = xalloc(n);
    if (type_n)
        memcpy(text, type, type_n);
    if (meta_n)
        memcpy(text + type_n + 1, meta, meta_n);
    int rc = disk_setxattr(fd, FS_XATTR, text, n);
    if (rc == 0)
        rc = disk_chmod(fd, FS_MODE | FS_DESCRIBED);
    free(text);
    return rc;
}

/* The time is set by hand, because the kernel's own is coarse: two versions of one size
 * could follow each other within its tick, in the same reused inode, with one etag. */
int temp_seal(struct fs *fs, int fd, const char *name)
{
    int rc = disk_set_mtime(fs->tmp, name, clock_wall());
    return rc || !fs->sync ? rc : disk_datasync(fd);
}

void temp_drop(struct fs *fs, int fd, const char *name)
{
    close(fd);
    disk_unlink(fs->tmp, name);
}

static struct writer *writer_of(struct sink *k)
{
    struct writer *w = CONTAINER(k, struct writer, file.sink);
    CHECK(w, WRITER_MAGIC);
    return w;
}

static void finish_committed(struct commit *c)
{
    struct writer *w = CONTAINER(c, struct writer, commit);
    int rc = c->rc ? fs_code(w->fs, "create", w->key, c->rc) : 0;
    sink_answer(&w->file.sink, rc);
}

static void finish_done(struct job *job)
{
    struct writer *w = CONTAINER(job, struct writer, job);
    if (w->rc == 0 && w->commit.n_dirs)
        commit_start(w->fs, &w->commit, finish_committed);
    else
        sink_answer(&w->file.sink, w->rc);
}

static void finish_work(struct job *job)
{
    struct writer *w = CONTAINER(job, struct writer, job);
    int rc = temp_seal(w->fs, w->file.fd, w->temp);
    w->sealed = rc == 0;
    if (rc == 0 && w->key) {
        rc = path_place(w->fs, w->fs->tmp, w->temp, w->key, w->if_absent, &w->commit);
        if (rc == 0)
            w->temp[0] = '\0';
    }
    w->rc = rc ? fs_code(w->fs, "create", w->key, rc) : 0;
}

static void writer_finish(struct sink *k)
{
    struct writer *w = writer_of(k);
    w->job.work = finish_work;
    w->job.done = finish_done;
    job_submit(w->fs->lane, &w->job);
}

static void drop_work(struct job *job)
{
    struct writer *w = CONTAINER(job, struct writer, job);
    disk_unlink(w->fs->tmp, w->temp);
    w->temp[0] = '\0';
}

static void abort_done(struct job *job)
{
    sink_answer(&CONTAINER(job, struct writer, job)->file.sink, 0);
}

static void writer_abort(struct sink *k)
{
    struct writer *w = writer_of(k);
    if (w->file.rc)
        fs_code(w->fs, "create", w->key, w->file.rc);
    if (!w->temp[0]) {
        sink_answer(k, 0);
        return;
    }
    w->job.work = drop_work;
    w->job.done = abort_done;
    job_submit(w->fs->lane, &w->job);
}

static void writer_free(struct writer *w)
{
    close(w->file.fd);
    free(w->key);
    POISON(w);
    free(w);
}

static void close_done(struct job *job)
{
    struct writer *w = CONTAINER(job, struct writer, job);
    struct fs *fs = w->fs;
    writer_free(w);
    store_unref(&fs->store);
}

/* A file that never got a name goes now; the job outlives the caller's reference. */
static void writer_close(struct sink *k)
{
    struct writer *w = writer_of(k);
    if (!w->temp[0]) {
        writer_free(w);
        return;
    }
    store_ref(&w->fs->store);
    w->job.work = drop_work;
    w->job.done = close_done;
    job_submit(w->fs->lane, &w->job);
}

static const struct sink_ops writer_ops = {
    .name = "fs object",
    .push = file_sink_push,
    .finish = writer_finish,
    .abort = writer_abort,
    .close = writer_close,
};

int fs_create(struct fs_op *o)
{
    struct op *op = o->op;
    int rc = fs_reserve(o->fs, 0);
    if (rc)
        return rc;
    int fd = temp_open(o->fs, o->temp);
    if (fd < 0)
        return fd;
    rc = temp_describe(fd, op->type, op->meta, op->meta_n);
    if (rc) {
        temp_drop(o->fs, fd, o->temp);
        return rc;
    }
    o->fd = fd;
    return 0;
}

void fs_create_finish(struct fs_op *o)
{
    struct op *op = o->op;
    struct writer *w = xalloc(sizeof *w);
    w->magic = WRITER_MAGIC;
    w->fs = o->fs;
    w->key = op->key ? xstrdup(op->key) : NULL;
    w->if_absent = op->if_absent;
    memcpy(w->temp, o->temp, sizeof w->temp);
    file_sink_init(&w->file, &writer_ops, o->fd, 0, o->fs->lane);
    w->file.reserve = fs_reserve_cb;
    w->file.reserve_arg = o->fs;
    op->sink = &w->file.sink;
}

int fs_commit(struct fs_op *o)
{
    struct op *op = o->op;
    struct stat st;
    if (op->sink->ops != &writer_ops)
        return E_INVALID;
    struct writer *w = writer_of(op->sink);
    if (w->fs != o->fs || w->key || !w->sealed || !w->temp[0])
        return E_INVALID;
    int rc =
        fstat(w->file.fd, &st) != 0 ? -errno : fs_object(w->file.fd, &st, &op->object);
    if (rc)
        return rc;
    rc = path_place(o->fs, o->fs->tmp, w->temp, op->key, op->if_absent, &o->commit);
    if (rc == 0)
        w->temp[0] = '\0';
    return rc;
}

static int put(struct fs_op *o, bool if_absent)
{
    struct fs *fs = o->fs;
    struct op *op = o->op;
    struct stat st;
    int rc = fs_reserve(fs, op->in.n);
    if (rc)
        return rc;
    int fd = temp_open(fs, o->temp);
    if (fd < 0)
        return fd;
    rc = temp_describe(fd, op->type, op->meta, op->meta_n);
    if (rc == 0)
        rc = disk_pwrite(fd, op->in.p, op->in.n, 0);
    if (rc == 0)
        rc = temp_seal(fs, fd, o->temp);
    if (rc == 0)
        rc = fstat(fd, &st) != 0 ? -errno : fs_object(fd, &st, &op->object);
    if (rc == 0)
        rc = path_place(fs, fs->tmp, o->temp, op->key, if_absent, &o->commit);
    if (rc)
        temp_drop(fs, fd, o->temp);
    else
        close(fd);
    return rc;
}

int fs_put(struct fs_op *o)
{
    return put(o, o->op->if_absent);
}

/* FNV-1a (Fowler, Noll, Vo); it only spreads keys over the lock files. */
static unsigned shard_of(const char *key)
{
    uint32_t h = 2166136261U;
    for (; *key; key++)
        h = (h ^ (unsigned char)*key) * 16777619U;
    return (h ^ h >> 16) & 0xff;
}

/* Waits in small steps, so that a holder that was stopped holds nobody for good. */
static int lock_shard(struct fs *fs, const char *key)
{
    const struct timespec step = {0, NS_PER_MS};
    uint64_t until = clock_now() + LOCK_WAIT;
    char name[8];
    snprintf(name, sizeof name, "%02x", shard_of(key));
    int fd = disk_open_rw(fs->locks, name, 0644);
    if (fd < 0)
        return fd;
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        int rc = errno == EINTR ? 0 : errno != EWOULDBLOCK ? -errno : E_TIMEOUT;
        if (rc && (rc != E_TIMEOUT || clock_now() > until)) {
            close(fd);
            return rc;
        }
        nanosleep(&step, NULL);
    }
    return fd;
}

static int check_version(struct fs_op *o)
{
    struct op *op = o->op;
    struct object now = {0};
    struct stat st;
    int fd, rc = path_object(o->fs, op->key, O_RDONLY, &fd, &st);
    if (rc == -ENOENT)
        return *op->version ? E_EXISTS : 0;
    if (rc)
        return rc;
    rc = fs_object(fd, &st, &now);
    close(fd);
    free(now.type);
    free(now.meta);
    return rc ? rc : strcmp(now.etag, op->version) == 0 ? 0 : E_EXISTS;
}

int fs_put_if(struct fs_op *o)
{
    int lock = lock_shard(o->fs, o->op->key);
    if (lock < 0)
        return lock;
    int rc = check_version(o);
    if (rc == 0)
        rc = put(o, *o->op->version == '\0');
    close(lock);
    return rc;
}
