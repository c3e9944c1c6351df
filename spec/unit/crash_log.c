/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/unit/crash_log.h"

#include "base/base.h"
#include "base/clock.h"
#include "loop/disk.h"
#include "spec/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define NO_NODE SIZE_MAX

/* The operation that is let happen now. */
struct crash_asked {
    const char *op;
    int fd, dirfd;
    char *path;
    size_t dir, todir, node;
    char *name, *to;
    uint64_t offset, n;
    bool existed;
};

static size_t node_of(struct crash_log *log, const struct stat *st)
{
    for (size_t i = log->n_nodes; i-- > 0;)
        if (log->nodes[i].ino == st->st_ino && log->nodes[i].dev == st->st_dev)
            return i;
    return NO_NODE;
}

static size_t node_at(struct crash_log *log, int dir, const char *path)
{
    struct stat st;
    return fstatat(dir, path, &st, AT_SYMLINK_NOFOLLOW) == 0 ? node_of(log, &st)
                                                             : NO_NODE;
}

static size_t node_open(struct crash_log *log, int fd)
{
    struct stat st;
    EXPECT_EQ(fstat(fd, &st), 0);
    return node_of(log, &st);
}

static size_t node_new(struct crash_log *log, const struct stat *st)
{
    if (log->n_nodes == log->nodes_cap) {
        log->nodes_cap = log->nodes_cap ? 2 * log->nodes_cap : 64;
        log->nodes = xrealloc(log->nodes, log->nodes_cap * sizeof *log->nodes);
    }
    log->nodes[log->n_nodes] =
        (struct crash_node){st->st_dev, st->st_ino, S_ISDIR(st->st_mode), log->n};
    return log->n_nodes++;
}

/* Splits a path into the directory it leads to and an owned last segment. */
static size_t split(struct crash_log *log, int dir, const char *path, char **name)
{
    char parent[PATH_MAX];
    const char *slash = strrchr(path, '/');
    snprintf(parent, sizeof parent, "%.*s", slash ? (int)(slash - path) : 0, path);
    *name = xstrdup(slash ? slash + 1 : path);
    return node_at(log, dir, *parent ? parent : ".");
}

static struct record *add(struct crash_log *log, enum record_kind kind, size_t node)
{
    if (log->n == log->cap) {
        log->cap = log->cap ? 2 * log->cap : 256;
        log->all = xrealloc(log->all, log->cap * sizeof *log->all);
    }
    EXPECT(node != NO_NODE);
    log->all[log->n] = (struct record){.kind = kind, .node = node};
    return &log->all[log->n++];
}

static void add_name(struct crash_log *log, enum record_kind kind, size_t node)
{
    struct crash_asked *a = log->asked;
    struct record *r = add(log, kind, node);
    EXPECT(a->dir != NO_NODE);
    r->dir = a->dir;
    r->name = xstrdup(a->name);
    r->todir = a->todir;
    r->to = a->to ? xstrdup(a->to) : NULL;
}

static void add_born(struct crash_log *log, int fd)
{
    struct crash_asked *a = log->asked;
    struct stat st;
    EXPECT_EQ(fd >= 0 ? fstat(fd, &st) : fstatat(a->dirfd, a->path, &st, 0), 0);
    add_name(log, REC_ADD, node_new(log, &st));
}

/* What now stands in the file is what was written: nobody writes beside it. */
static void add_write(struct crash_log *log, size_t n)
{
    char path[64];
    struct crash_asked *a = log->asked;
    struct record *r = add(log, REC_WRITE, node_open(log, a->fd));
    r->offset = a->offset;
    r->n = n;
    r->bytes = xalloc(n + 1);
    snprintf(path, sizeof path, "/proc/self/fd/%d", a->fd);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    EXPECT(fd >= 0 && pread(fd, r->bytes, n, (off_t)a->offset) == (ssize_t)n);
    close(fd);
}

static void add_xattr(struct crash_log *log)
{
    struct crash_asked *a = log->asked;
    struct record *r = add(log, REC_XATTR, node_open(log, a->fd));
    r->name = xstrdup(a->path);
    r->n = a->n;
    r->bytes = xalloc(r->n + 1);
    EXPECT_EQ(fgetxattr(a->fd, a->path, r->bytes, r->n), (int64_t)r->n);
}

static void add_time(struct crash_log *log)
{
    struct stat st;
    EXPECT_EQ(fstatat(log->asked->dirfd, log->asked->path, &st, AT_SYMLINK_NOFOLLOW), 0);
    add(log, REC_TIME, node_of(log, &st))->offset =
        (uint64_t)st.st_mtim.tv_sec * NS_PER_S + (uint64_t)st.st_mtim.tv_nsec;
}

static void add_done(struct crash_log *log, ssize_t rc)
{
    struct crash_asked *a = log->asked;
    const char *op = a->op;
    if (strcmp(op, "create") == 0 || (strcmp(op, "open_rw") == 0 && !a->existed))
        add_born(log, (int)rc);
    else if (strcmp(op, "mkdir") == 0)
        add_born(log, -1);
    else if (strcmp(op, "pwrite") == 0)
        add_write(log, (size_t)a->n);
    else if (strcmp(op, "copy") == 0)
        add_write(log, (size_t)rc);
    else if (strcmp(op, "truncate") == 0)
        add(log, REC_TRUNCATE, node_open(log, a->fd))->offset = a->offset;
    else if (strcmp(op, "unlink") == 0 || strcmp(op, "rmdir") == 0)
        add_name(log, REC_REMOVE, a->node);
    else if (strcmp(op, "rename") == 0)
        add_name(log, REC_RENAME, a->node);
    else if (strcmp(op, "set_mtime") == 0)
        add_time(log);
    else if (strcmp(op, "chmod") == 0)
        add(log, REC_MODE, node_open(log, a->fd))->n = (size_t)a->n;
    else if (strcmp(op, "setxattr") == 0)
        add_xattr(log);
    else
        EXPECT(strcmp(op, "open_rw") == 0);
}

static void forget_asked(struct crash_log *log)
{
    free(log->asked->name);
    free(log->asked->to);
    free(log->asked->path);
    free(log->asked);
    log->asked = NULL;
    pthread_mutex_unlock(&log->lock);
}

static void after(void *arg, ssize_t rc)
{
    struct crash_log *log = arg;
    const char *op = log->asked->op;
    if (rc >= 0)
        add_done(log, rc);
    forget_asked(log);
    if (log->gate)
        log->gate(log->gate_arg, op, true);
}

/* Records a sync, which is then not done. */
static bool is_sync(struct crash_log *log, const char *op, int fd)
{
    static const struct {
        const char *op;
        enum record_kind kind;
    } syncs[] = {
        {"datasync", REC_DATASYNC}, {"sync", REC_SYNC}, {"syncdir", REC_SYNCDIR}};
    for (size_t i = 0; i < sizeof syncs / sizeof syncs[0]; i++)
        if (strcmp(op, syncs[i].op) == 0) {
            add(log, syncs[i].kind, node_open(log, fd));
            return true;
        }
    return strcmp(op, "writeback") == 0;
}

static int before(void *arg, const char *op, int dir, const char *path, const char *to,
                  int fd, uint64_t offset, uint64_t n)
{
    struct crash_log *log = arg;
    struct stat st;
    if (log->gate)
        log->gate(log->gate_arg, op, false);
    pthread_mutex_lock(&log->lock);
    if (is_sync(log, op, fd)) {
        pthread_mutex_unlock(&log->lock);
        return 1;
    }
    struct crash_asked *a = xalloc(sizeof *a);
    *a = (struct crash_asked){
        .op = op, .fd = fd, .dirfd = dir, .offset = offset, .n = n, .node = NO_NODE};
    a->path = path ? xstrdup(path) : NULL;
    if (dir != -1) { /* not an open file, but a name */
        a->dir = split(log, dir, path, &a->name);
        a->existed = fstatat(dir, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
        a->node = a->existed ? node_of(log, &st) : NO_NODE;
    }
    if (to)
        a->todir = split(log, fd, to, &a->to);
    log->asked = a;
    return 0;
}

void crash_log_start(struct crash_log *log, const char *around)
{
    struct stat st;
    memset(log, 0, sizeof *log);
    pthread_mutex_init(&log->lock, NULL);
    EXPECT_EQ(stat(around, &st), 0);
    node_new(log, &st);
    disk_set_hook(before, log);
    disk_set_after(after);
}

void crash_log_stop(struct crash_log *log)
{
    (void)log;
    disk_set_hook(NULL, NULL);
    disk_set_after(NULL);
}

void crash_log_free(struct crash_log *log)
{
    for (size_t i = 0; i < log->n; i++) {
        free(log->all[i].name);
        free(log->all[i].to);
        free(log->all[i].bytes);
    }
    free(log->all);
    free(log->nodes);
    pthread_mutex_destroy(&log->lock);
}

size_t crash_log_now(struct crash_log *log)
{
    pthread_mutex_lock(&log->lock);
    size_t n = log->n;
    pthread_mutex_unlock(&log->lock);
    return n;
}
