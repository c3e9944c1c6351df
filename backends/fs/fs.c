/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/fs/fs.h"

#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

static const struct fs_verb verbs[OP_VERBS] = {
    [OP_stat] = {fs_stat, NULL},     [OP_open] = {fs_open, fs_open_finish},
    [OP_read] = {fs_read, NULL},     [OP_create] = {fs_create, fs_create_finish},
    [OP_commit] = {fs_commit, NULL}, [OP_append] = {fs_append, fs_append_finish},
    [OP_put] = {fs_put, NULL},       [OP_put_if] = {fs_put_if, NULL},
    [OP_list] = {fs_list, NULL},     [OP_copy] = {fs_copy, NULL},
    [OP_move] = {fs_move, NULL},     [OP_concat] = {fs_concat, NULL},
    [OP_remove] = {fs_remove, NULL}, [OP_remove_prefix] = {fs_remove_prefix, NULL},
    [OP_touch] = {fs_touch, NULL},   [OP_expire] = {fs_expire, NULL},
};

static int code_of(int rc)
{
    switch (-rc) {
    case EXDEV: /* RESOLVE_BENEATH */
        return E_DENIED;
    case ENXIO: /* a socket or a pipe nobody reads */
        return E_NOT_FOUND;
    case EWOULDBLOCK: /* flock */
        return E_BUSY;
    default:
        return rc <= -4096 ? rc : err_from_errno(-rc);
    }
}

int fs_code(struct fs *fs, const char *what, const char *key, int rc)
{
    int code = code_of(rc);
    if (code == E_IO || code == E_NO_SPACE)
        LOG_FIELDS(code == E_IO ? LOG_ERROR : LOG_WARN, "store failed",
                   {"store", span_of(fs->store.id)}, {"op", span_of(what)},
                   {"key", span_of(key ? key : "")}, {"reason", span_of(err_name(rc))});
    return code;
}

int fs_reserve(struct fs *fs, uint64_t n)
{
    struct statvfs v;
    if (fstatvfs(fs->root, &v) != 0)
        return -errno;
    uint64_t available = (uint64_t)v.f_bavail * v.f_frsize;
    return available < fs->reserve || available - fs->reserve < n ? -ENOSPC : 0;
}

int fs_reserve_cb(void *fs, uint64_t n)
{
    return fs_reserve(fs, n);
}

static void op_end(struct fs_op *o, int rc)
{
    struct op *op = o->op;
    op->state = NULL;
    free(o);
    op_complete(op, rc);
}

/* The sink or source is made last, so that a change that fails leaves none. */
static void op_finish(struct fs_op *o, int rc)
{
    if (rc == 0 && verbs[o->op->verb].finish) {
        verbs[o->op->verb].finish(o);
        rc = o->op->rc;
    } else if (o->fd >= 0) {
        close(o->fd);
    }
    op_end(o, rc);
}

static void op_committed(struct commit *c)
{
    struct fs_op *o = CONTAINER(c, struct fs_op, commit);
    op_finish(o, c->rc ? fs_code(o->fs, op_name(o->op), o->op->key, c->rc) : 0);
}

static void op_worked(struct job *job)
{
    struct op *op = CONTAINER(job, struct op, job);
    struct fs_op *o = op->state;
    if (op->rc == 0 && o->commit.n_dirs) {
        commit_start(o->fs, &o->commit, op_committed);
    } else {
        commit_drop(&o->commit);
        op_finish(o, op->rc);
    }
}

static void op_work(struct job *job)
{
    struct op *op = CONTAINER(job, struct op, job);
    struct fs_op *o = op->state;
    int rc = op_is_cancelled(op) ? E_CANCELLED : verbs[op->verb].work(o);
    op->rc = rc ? fs_code(o->fs, op_name(op), op->key, rc) : 0;
}

static void fs_start(struct op *op)
{
    struct fs *fs = (struct fs *)op->store;
    if (!verbs[op->verb].work) {
        op_complete(op, E_UNSUPPORTED);
        return;
    }
    if (fs->root < 0) { /* to be read only, and not there yet */
        op_complete(op, op->verb == OP_list ? 0 : E_NOT_FOUND);
        return;
    }
    if (fs->quick && quick_answer(fs, op))
        return;
    struct fs_op *o = xalloc(sizeof *o);
    o->fs = fs;
    o->op = op;
    o->fd = -1;
    op->state = o;
    op->job.work = op_work;
    op->job.done = op_worked;
    job_submit(fs->lane, &op->job);
}

static const char *option(const struct store_option *options, size_t n, const char *name,
                          const char *otherwise)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(options[i].name, name) == 0)
            return options[i].value;
    return otherwise;
}

static int fs_make(const struct store_option *options, size_t n, struct store **out,
                   char **why)
{
    const char *root = option(options, n, "root", "");
    const char *durability = option(options, n, "durability", "sync");
    const char *reserve = option(options, n, "reserve", "67108864");
    uint64_t bytes;
    if (!*root) {
        *why = xstrdup("fs needs a root");
        return E_INVALID;
    }
    if (strcmp(durability, "sync") != 0 && strcmp(durability, "async") != 0) {
        *why = xasprintf("durability is \"sync\" or \"async\", not \"%s\"", durability);
        return E_INVALID;
    }
    if (span_u64(span_of(reserve), &bytes) != 0) {
        *why = xasprintf("reserve is a size, not \"%s\"", reserve);
        return E_INVALID;
    }
    struct fs *fs = xalloc(sizeof *fs);
    store_init(&fs->store, &fs_kind, xasprintf("fs:%s", root));
    fs->path = xstrdup(root);
    fs->sync = strcmp(durability, "sync") == 0;
    fs->reserve = bytes;
    fs->root = fs->private = fs->tmp = fs->aside = fs->locks = fs->run_lock = -1;
    commits_init(&fs->commits);
    snapshots_init(&fs->snapshots);
    *out = &fs->store;
    return 0;
}

static void fs_free(struct store *s)
{
    struct fs *fs = (struct fs *)s;
    fs_close(fs);
    commits_fini(&fs->commits);
    snapshots_fini(&fs->snapshots);
    lane_free(fs->sync_lane);
    lane_free(fs->lane);
    free(fs->path);
    POISON(s);
    free(fs);
}

static const char *const fs_options[] = {"root", "durability", "reserve", NULL};

const struct store_kind fs_kind = {
    .name = "fs",
    .options = fs_options,
    .native = STORE_IF_ABSENT | STORE_PUT_IF | STORE_APPEND | STORE_CONCAT,
    .make = fs_make,
    .begin = fs_begin,
    .free = fs_free,
    .start = fs_start,
};
