/* SPDX-License-Identifier: Apache-2.0
 *
 * Making a directory a store: the private directory, its version, this run's own places
 * in it, and what runs that died have left.
 *
 * A run is alive while the lock in its tmp directory is held. The kernel drops the lock
 * with the process, so nothing here depends on a clock or a process id.
 */
#include "backends/fs/fs.h"

#include "crypto/encode.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define LANE_JOBS 8
#define FORMAT_TEXT "tidegate fs "

/* Makes the names in the directory that holds path durable. */
static int sync_above(const char *path, size_t n)
{
    while (n && path[n - 1] != '/')
        n--;
    char *above = n ? xmemdup(path, n) : xstrdup(".");
    int fd = open(above, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = fd < 0 ? -errno : disk_syncdir(fd);
    if (fd >= 0)
        close(fd);
    free(above);
    return rc;
}

/* mkdir -p; each new name is durable. */
static int make_root(const char *path)
{
    char whole[PATH_MAX];
    size_t n = strlen(path);
    if (n >= sizeof whole)
        return -ENAMETOOLONG;
    memcpy(whole, path, n + 1);
    for (size_t i = 1; i <= n; i++) {
        if (whole[i] != '/' && whole[i] != '\0')
            continue;
        whole[i] = '\0';
        int rc = disk_mkdir(AT_FDCWD, whole, 0755);
        if (rc == 0)
            rc = sync_above(whole, i);
        if (rc && rc != -EEXIST)
            return rc;
        whole[i] = path[i];
    }
    return 0;
}

/* Makes name in dir unless it is there, and opens it. */
static int make_dir(int dir, const char *name, int *out)
{
    int rc = disk_mkdir(dir, name, 0755);
    if (rc && rc != -EEXIST)
        return rc;
    *out = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return *out < 0 ? -errno : 0;
}

/* The version that stands in format; 0 when there is none yet. */
static int read_format(struct fs *fs, uint64_t *version)
{
    char text[64];
    *version = 0;
    int fd = openat(fs->private, "format", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    ssize_t n = read(fd, text, sizeof text);
    int rc = n < 0 ? -errno : 0;
    close(fd);
    if (rc)
        return rc;
    struct span s = {text, (size_t)n}, line = span_cut(&s, '\n');
    if (!span_starts(line, FORMAT_TEXT))
        return E_CORRUPT;
    line.p += strlen(FORMAT_TEXT);
    line.n -= strlen(FORMAT_TEXT);
    return span_u64(line, version) == 0 && *version ? 0 : E_CORRUPT;
}

static int write_format(struct fs *fs)
{
    char text[64];
    int n = snprintf(text, sizeof text, "%s%d\n", FORMAT_TEXT, FS_FORMAT);
    int fd = disk_create(fs->tmp, "format", 0644);
    if (fd < 0)
        return fd;
    int rc = disk_pwrite(fd, text, (size_t)n, 0);
    if (rc == 0)
        rc = disk_datasync(fd);
    close(fd);
    if (rc == 0)
        rc = disk_rename(fs->tmp, "format", fs->private, "format", true);
    if (rc)
        disk_unlink(fs->tmp, "format");
    return rc == -EEXIST ? 0 : rc;
}

static int check_format(struct fs *fs, bool *fresh, char **why)
{
    uint64_t version;
    int rc = read_format(fs, &version);
    *fresh = rc == 0 && version == 0;
    if (rc == E_CORRUPT)
        *why = xasprintf("%s/%s/format cannot be read", fs->path, KEY_PRIVATE);
    if (rc || version <= FS_FORMAT)
        return rc;
    *why = xasprintf("%s/%s/format: version %llu is newer than this program knows (%d)",
                     fs->path, KEY_PRIVATE, (unsigned long long)version, FS_FORMAT);
    return E_UNSUPPORTED;
}

/* A place of this run's own. Another one that begins now may sweep it away before it is
 * locked: then it has no link any more, and -EAGAIN asks for a new one. */
static int make_run(struct fs *fs, int tmp_root)
{
    uint8_t random[8];
    struct stat st;
    random_bytes(random, sizeof random);
    hex_encode(random, sizeof random, fs->run);
    int rc = make_dir(tmp_root, fs->run, &fs->tmp);
    if (rc == 0) {
        fs->run_lock = disk_open_rw(fs->tmp, "lock", 0600);
        rc = fs->run_lock < 0 ? fs->run_lock : 0;
    }
    if (rc == 0 && flock(fs->run_lock, LOCK_EX | LOCK_NB) != 0)
        rc = -EAGAIN;
    if (rc == 0 && (fstat(fs->run_lock, &st) != 0 || st.st_nlink == 0))
        rc = -EAGAIN;
    if (rc == 0)
        return 0;
    if (fs->tmp >= 0)
        close(fs->tmp);
    if (fs->run_lock >= 0)
        close(fs->run_lock);
    fs->tmp = fs->run_lock = -1;
    return rc == -ENOENT ? -EAGAIN : rc;
}

/* Whether run's lock can be had: then *lock holds it (-1 when there is no lock file: it
 * died before it had one, or is just being made, and then only its emptiness counts). */
static bool run_died(int tmp_root, const char *run, int *lock)
{
    char name[NAME_MAX + 8];
    snprintf(name, sizeof name, "%s/lock", run);
    *lock = openat(tmp_root, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (*lock < 0)
        return errno == ENOENT;
    if (flock(*lock, LOCK_EX | LOCK_NB) == 0)
        return true;
    close(*lock);
    return false;
}

/* lock: its own, or -1: then only its emptiness counts. */
static void empty_run(struct fs *fs, int tmp_root, const char *run, int lock)
{
    (void)fs;
    int rc;
    DIR *d = lock < 0 ? NULL : path_opendir(tmp_root, run, &rc);
    if (d) {
        for (struct dirent *e; (e = readdir(d)) != NULL;)
            if (e->d_name[0] != '.' && strcmp(e->d_name, "lock") != 0)
                disk_unlink(dirfd(d), e->d_name);
        disk_unlink(dirfd(d), "lock");
        closedir(d);
    }
    disk_rmdir(tmp_root, run);
}

static void restore_run(struct fs *fs, int tmp_root, const char *run, int lock)
{
    (void)tmp_root;
    (void)lock;
    aside_restore(fs, run);
}

/* Calls f for each run that has a directory in `in` and is dead, under its lock. */
static int each_dead(struct fs *fs, int tmp_root, int in,
                     void (*f)(struct fs *fs, int tmp_root, const char *run, int lock))
{
    int rc;
    DIR *runs = path_opendir(in, ".", &rc);
    if (!runs)
        return rc;
    for (struct dirent *e; (e = readdir(runs)) != NULL;) {
        int lock;
        if (e->d_name[0] == '.' || strcmp(e->d_name, fs->run) == 0 ||
            !run_died(tmp_root, e->d_name, &lock))
            continue;
        f(fs, tmp_root, e->d_name, lock);
        if (lock >= 0)
            close(lock);
    }
    closedir(runs);
    return 0;
}

/* A crash may have kept one directory of a run and not the other, so each is looked
 * through by itself. */
static int sweep(struct fs *fs, int tmp_root)
{
    int rc = each_dead(fs, tmp_root, fs->aside, restore_run);
    return rc ? rc : each_dead(fs, tmp_root, tmp_root, empty_run);
}

static int open_places(struct fs *fs, int *tmp_root, char **why)
{
    bool fresh;
    int rc = make_root(fs->path);
    if (rc)
        return rc;
    fs->root = open(fs->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fs->root < 0)
        return -errno;
    int probe = path_open(fs, "", O_RDONLY | O_DIRECTORY);
    if (probe < 0) {
        *why =
            xasprintf("%s: openat2 is needed (Linux 5.6): %s", fs->path, err_text(probe));
        return probe;
    }
    close(probe);
    rc = make_dir(fs->root, KEY_PRIVATE, &fs->private);
    if (rc == 0)
        rc = check_format(fs, &fresh, why);
    if (rc == 0)
        rc = make_dir(fs->private, "tmp", tmp_root);
    if (rc == 0)
        rc = make_dir(fs->private, "aside", &fs->aside);
    if (rc == 0)
        rc = make_dir(fs->private, "locks", &fs->locks);
    for (int i = 0; rc == 0 && fs->tmp < 0; i++) {
        rc = make_run(fs, *tmp_root);
        if (rc == -EAGAIN && i < FS_TRIES)
            rc = 0;
    }
    if (rc == 0 && fresh)
        rc = write_format(fs);
    if (rc == 0)
        rc = disk_syncdir(fs->private);
    return rc ? rc : disk_syncdir(fs->root);
}

void fs_close(struct fs *fs)
{
    int *fds[] = {&fs->root,  &fs->private, &fs->tmp,
                  &fs->aside, &fs->locks,   &fs->run_lock};
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) {
        if (*fds[i] >= 0)
            close(*fds[i]);
        *fds[i] = -1;
    }
}

/* Nothing is made; a root that is not there yet stays -1, and holds nothing. */
static int open_to_read(struct fs *fs, char **why)
{
    bool fresh;
    fs->root = open(fs->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fs->root < 0)
        return errno == ENOENT ? 0 : -errno;
    fs->private =
        openat(fs->root, KEY_PRIVATE, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fs->private < 0)
        return errno == ENOENT ? 0 : -errno;
    return check_format(fs, &fresh, why);
}

int fs_begin(struct store *s, char **why)
{
    struct fs *fs = (struct fs *)s;
    int tmp_root = -1;
    *why = NULL;
    int rc = s->read_only ? open_to_read(fs, why) : open_places(fs, &tmp_root, why);
    if (rc == 0 && !s->read_only)
        rc = sweep(fs, tmp_root);
    if (tmp_root >= 0)
        close(tmp_root);
    if (rc) {
        fs_close(fs);
        if (!*why)
            *why = xasprintf("%s: %s", fs->path, err_text(rc));
        return rc <= -4096 ? rc : err_from_errno(-rc);
    }
    fs->quick = fs->run_lock >= 0 && quick_probe(fs->run_lock);
    fs->lane = lane_new("fs", LANE_JOBS);
    fs->sync_lane = lane_new("fs sync", 1);
    return 0;
}
