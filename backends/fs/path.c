/* SPDX-License-Identifier: Apache-2.0
 *
 * From keys to descriptors. Every path of more than one segment is resolved by openat2
 * below the root without following a symlink, by the kernel and so without a race; what
 * happens to a file then happens by its last segment in its open directory.
 *
 * Empty directories are removed by whoever empties them, so a directory may vanish
 * between two steps of somebody else. Each such step starts again on ENOENT.
 */
#include "backends/fs/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define OPEN_DIR (O_RDONLY | O_DIRECTORY | O_CLOEXEC)

int path_open(struct fs *fs, const char *path, int flags)
{
    struct open_how how = {
        .flags = (uint64_t)(flags | O_CLOEXEC),
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    long fd;
    do {
        fd = syscall(SYS_openat2, fs->root, *path ? path : ".", &how, sizeof how);
    } while (fd < 0 && (errno == EINTR || errno == EAGAIN));
    return fd < 0 ? -errno : (int)fd;
}

DIR *path_fdopendir(int fd, int *rc)
{
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    *rc = fd < 0 ? fd : d ? 0 : -errno;
    if (fd >= 0 && !d)
        close(fd);
    return d;
}

DIR *path_opendir(int dir, const char *name, int *rc)
{
    int fd = openat(dir, name, OPEN_DIR | O_NOFOLLOW);
    return path_fdopendir(fd < 0 ? -errno : fd, rc);
}

/* Opens name in dir, making it when it is missing; one segment, so nothing can lead out.
 */
static int enter(struct fs *fs, int dir, const char *name)
{
    int fd = openat(dir, name, OPEN_DIR | O_NOFOLLOW);
    if (fd >= 0 || errno != ENOENT)
        return fd >= 0 ? fd : -errno;
    int rc = commit_mkdir(fs, dir, name);
    if (rc && rc != -EEXIST)
        return rc;
    fd = openat(dir, name, OPEN_DIR | O_NOFOLLOW);
    return fd < 0 ? -errno : fd;
}

/* Makes every missing directory of path, which it cuts up. */
static int make_dirs(struct fs *fs, char *path)
{
    int dir = path_open(fs, "", OPEN_DIR);
    char *rest, *name = strtok_r(path, "/", &rest);
    for (; name && dir >= 0; name = strtok_r(NULL, "/", &rest)) {
        int next = enter(fs, dir, name);
        close(dir);
        dir = next;
    }
    if (dir < 0)
        return dir;
    close(dir);
    return 0;
}

int path_parent(struct fs *fs, const char *key, bool make, int *dir, const char **base)
{
    char path[KEY_MAX + 1];
    const char *slash = strrchr(key, '/');
    size_t n = slash ? (size_t)(slash - key) : 0;
    assert(n <= KEY_MAX);
    for (int i = 0; i < FS_TRIES; i++) {
        memcpy(path, key, n);
        path[n] = '\0';
        int fd = path_open(fs, path, OPEN_DIR);
        if (fd >= 0) {
            *dir = fd;
            *base = slash ? slash + 1 : key;
            return 0;
        }
        if (!make)
            return fd == -ENOTDIR ? -ENOENT : fd;
        int rc = fd == -ENOENT ? make_dirs(fs, path) : fd;
        if (rc && rc != -ENOENT)
            return rc;
    }
    return E_BUSY;
}

int path_stat(int dir, const char *base, struct stat *st)
{
    if (fstatat(dir, base, st, AT_SYMLINK_NOFOLLOW) != 0)
        return -errno;
    if (S_ISLNK(st->st_mode))
        return -ELOOP;
    return S_ISREG(st->st_mode) ? 0 : -ENOENT;
}

static int open_object(struct fs *fs, const char *key, int flags, int *out,
                       struct stat *st)
{
    int rc = 0, fd = path_open(fs, key, flags | O_NONBLOCK);
    if (fd == -ENOTDIR || fd == -EISDIR || fd == -ENXIO)
        return -ENOENT;
    if (fd < 0)
        return fd;
    if (fstat(fd, st) != 0)
        rc = -errno;
    else if (!S_ISREG(st->st_mode))
        rc = -ENOENT;
    if (rc)
        close(fd);
    else
        *out = fd;
    return rc;
}

int path_object(struct fs *fs, const char *key, int flags, int *fd, struct stat *st)
{
    int rc = open_object(fs, key, flags, fd, st);
    if (rc == -ENOENT) {
        aside_rescue(fs, key);
        rc = open_object(fs, key, flags, fd, st);
    }
    return rc;
}

/* What stands in the way of a rename: a directory without anything in it is as good as
 * none and goes (-ENOENT: try again); a full one makes the key impossible. */
static int clear_way(int dir, const char *base, int rc)
{
    struct stat st;
    if (rc != -EISDIR && rc != -EEXIST)
        return rc;
    if (fstatat(dir, base, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return -errno;
    if (!S_ISDIR(st.st_mode))
        return rc;
    rc = disk_rmdir(dir, base);
    return rc == 0 || rc == -ENOENT ? -ENOENT : rc == -ENOTEMPTY ? -EISDIR : rc;
}

int path_place(struct fs *fs, int fromdir, const char *from, const char *key,
               bool keep_target, struct commit *c)
{
    for (int i = 0; i < FS_TRIES; i++) {
        int dir;
        const char *base;
        int rc = path_parent(fs, key, true, &dir, &base);
        if (rc)
            return rc;
        rc = disk_rename(fromdir, from, dir, base, keep_target);
        if (rc == 0) {
            commit_dir(c, dir);
            return 0;
        }
        rc = clear_way(dir, base, rc);
        close(dir);
        if (rc != -ENOENT)
            return rc;
        struct stat st;
        if (fstatat(fromdir, from, &st, AT_SYMLINK_NOFOLLOW) != 0)
            return -errno;
    }
    return E_BUSY;
}

void path_prune(struct fs *fs, const char *key, int dir, struct commit *c)
{
    char path[KEY_MAX + 1];
    strcpy(path, key);
    char *slash = strrchr(path, '/');
    while (slash) {
        *slash = '\0'; /* path is now the directory that may be empty */
        slash = strrchr(path, '/');
        int up;
        const char *name;
        if (path_parent(fs, path, false, &up, &name) != 0)
            break;
        if (disk_rmdir(up, name) != 0) {
            close(up);
            break;
        }
        close(dir);
        dir = up;
    }
    commit_dir(c, dir);
}
