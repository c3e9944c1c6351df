/* SPDX-License-Identifier: Apache-2.0
 *
 * touch and expire, linearizable per key without a lock, between any number of processes.
 *
 * expire takes an object out of its place before it looks at its time for good: rename to
 * aside/RUN/, fstat there; stale: unlink; touched meanwhile: rename back, unless somebody
 * has written a new one. So a touch by the live name either comes first, and is seen, or
 * finds nothing. Whoever finds nothing looks aside, brings the object back and looks
 * again; then expire's unlink finds nothing.
 *
 * One trap is left: the kernel looks a name up and sets the time in two steps, and a
 * whole expire fits between them. touch therefore looks again at what the name holds
 * afterwards.
 *
 * A process that dies between two steps leaves an object aside; a miss brings it back,
 * and so does the next process that begins the store (aside_restore). The name aside says
 * the key: '/' becomes 0x01, which no key may hold, and a key longer than a file name may
 * be is cut into directories of 253 bytes, marked by 0x02; the last piece begins with
 * '='.
 */
#include "backends/fs/fs.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIECE 253
#define ASIDE_MAX (KEY_MAX + 64)

/* "RUN/=key" */
static void aside_name(const char *run, const char *key, char out[ASIDE_MAX])
{
    size_t at = (size_t)snprintf(out, ASIDE_MAX, "%s/", run), n = strlen(key);
    for (size_t i = 0, left; i < n; i += left) {
        left = n - i > PIECE ? PIECE : n - i;
        if (n - i <= PIECE)
            out[at++] = '=';
        for (size_t j = 0; j < left; j++)
            out[at++] = key[i + j] == '/' ? '\x01' : key[i + j];
        if (n - i > PIECE) {
            out[at++] = '\x02';
            out[at++] = '/';
        }
    }
    out[at] = '\0';
}

/* The directories of name, which lie below aside. */
static int aside_dirs(struct fs *fs, char *name)
{
    int rc = 0;
    for (char *slash = strchr(name, '/'); slash && (rc == 0 || rc == -EEXIST);
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        rc = disk_mkdir(fs->aside, name, 0755);
        *slash = '/';
    }
    return rc == -EEXIST ? 0 : rc;
}

static int rename_aside(struct fs *fs, int dir, const char *base, char *name)
{
    int rc = disk_rename(dir, base, fs->aside, name, false);
    if (rc != -ENOENT)
        return rc;
    rc = aside_dirs(fs, name);
    return rc ? rc : disk_rename(dir, base, fs->aside, name, false);
}

/* Back to the live name, unless that was written anew: then the old object goes. */
static int bring_back(struct fs *fs, const char *name, const char *key)
{
    struct commit c = {0};
    int rc = path_place(fs, fs->aside, name, key, true, &c);
    commit_drop(&c);
    if (rc == -EEXIST || rc == -EISDIR)
        rc = disk_unlink(fs->aside, name);
    return rc == -ENOENT ? 0 : rc;
}

void aside_rescue(struct fs *fs, const char *key)
{
    char name[ASIDE_MAX];
    struct stat st;
    int rc;
    DIR *d = path_opendir(fs->aside, ".", &rc);
    if (!d)
        return;
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        if (e->d_name[0] == '.' || strlen(e->d_name) >= sizeof fs->run)
            continue;
        aside_name(e->d_name, key, name);
        if (fstatat(fs->aside, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
            (void)bring_back(fs, name, key); /* the caller looks again */
    }
    closedir(d);
}

/* dir: "RUN" or a piece below it, as a path below aside; key: what its pieces say. */
static void restore_dir(struct fs *fs, const char *dir, const char *key)
{
    int rc;
    DIR *d = path_opendir(fs->aside, dir, &rc);
    if (!d)
        return;
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        bool leaf = e->d_name[0] == '=';
        size_t n = strlen(e->d_name);
        if (!leaf && e->d_name[n - 1] != '\x02')
            continue;
        char *path = xasprintf("%s/%s", dir, e->d_name);
        char *longer = xasprintf("%s%.*s", key, (int)n - 1, e->d_name + leaf);
        for (char *p = longer; *p; p++)
            *p = *p == '\x01' ? '/' : *p;
        if (!leaf)
            restore_dir(fs, path, longer);
        else if (key_check(span_of(longer)) == 0)
            (void)bring_back(fs, path, longer); /* what cannot be stays for a person */
        free(path);
        free(longer);
    }
    closedir(d);
    disk_rmdir(fs->aside, dir);
}

void aside_restore(struct fs *fs, const char *run)
{
    restore_dir(fs, run, "");
}

/* A time that is not durable would let an expire after a crash take what was promised. */
static int sync_time(int dir, const char *base)
{
    int fd = openat(dir, base, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int rc = disk_sync(fd);
    close(fd);
    return rc;
}

static int touch_once(struct fs *fs, const char *key)
{
    struct stat before, after;
    const char *base;
    int dir, rc = path_parent(fs, key, false, &dir, &base);
    if (rc)
        return rc;
    rc = path_stat(dir, base, &before);
    if (rc == 0)
        rc = disk_set_mtime(dir, base, clock_wall());
    if (rc == 0)
        rc = path_stat(dir, base, &after);
    if (rc == 0 && after.st_ino != before.st_ino)
        rc = -EAGAIN;
    if (rc == 0 && fs->sync)
        rc = sync_time(dir, base);
    close(dir);
    return rc;
}

int fs_touch(struct fs_op *o)
{
    int rc = -EAGAIN;
    for (int i = 0; rc == -EAGAIN && i < FS_TRIES; i++) {
        rc = touch_once(o->fs, o->op->key);
        if (rc == -ENOENT) {
            aside_rescue(o->fs, o->op->key);
            rc = touch_once(o->fs, o->op->key);
        }
    }
    return rc == -EAGAIN ? E_BUSY : rc;
}

/* The object is aside and nobody else's, unless it is brought back. */
static int judge(struct fs_op *o, const char *name)
{
    struct stat st;
    int rc = path_stat(o->fs->aside, name, &st);
    if (rc == 0 && fs_mtime(&st) >= o->op->before)
        return bring_back(o->fs, name, o->op->key);
    if (rc == 0)
        rc = disk_unlink(o->fs->aside, name);
    if (rc == 0)
        o->op->removed = true;
    return rc == -ENOENT ? 0 : rc;
}

/* The directory that name is gone from: else the next begin would bring it back. */
static int commit_aside(struct fs *fs, char *name, struct commit *c)
{
    char *slash = strrchr(name, '/');
    *slash = '\0';
    int fd = openat(fs->aside, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    *slash = '/';
    if (fd < 0)
        return -errno;
    commit_dir(c, fd);
    return 0;
}

int fs_expire(struct fs_op *o)
{
    struct fs *fs = o->fs;
    const char *key = o->op->key, *base;
    char name[ASIDE_MAX];
    struct stat st;
    int dir, rc = path_parent(fs, key, false, &dir, &base);
    if (rc)
        return rc == -ENOENT ? 0 : rc;
    rc = path_stat(dir, base, &st);
    if (rc || fs_mtime(&st) >= o->op->before) {
        close(dir);
        return rc == -ENOENT ? 0 : rc;
    }
    aside_name(fs->run, key, name);
    rc = rename_aside(fs, dir, base, name);
    if (rc == 0)
        rc = judge(o, name);
    if (rc == 0 && o->op->removed)
        rc = commit_aside(fs, name, &o->commit);
    if (rc == 0 && o->op->removed)
        path_prune(fs, key, dir, &o->commit);
    else
        close(dir);
    return rc == -ENOENT ? 0 : rc;
}
