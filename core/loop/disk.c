/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/disk.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

static disk_hook spec_hook;
static void (*spec_after)(void *arg, ssize_t rc);
static void *spec_arg;

void disk_set_hook(disk_hook hook, void *arg)
{
    spec_hook = hook;
    spec_arg = arg;
}

void disk_set_after(void (*after)(void *arg, ssize_t rc))
{
    spec_after = after;
}

static int ask(const char *op, int dir, const char *path, const char *to, int fd,
               uint64_t offset, uint64_t n)
{
    return spec_hook ? spec_hook(spec_arg, op, dir, path, to, fd, offset, n) : 0;
}

/* About a change of names; `to` stands in todir. */
static int ask_name(const char *op, int dir, const char *path, int todir, const char *to)
{
    return ask(op, dir, path, to, todir, 0, 0);
}

/* About a change of an open file. */
static int ask_file(const char *op, int fd, uint64_t offset, uint64_t n)
{
    return ask(op, -1, NULL, NULL, fd, offset, n);
}

static ssize_t told(ssize_t rc)
{
    if (spec_after)
        spec_after(spec_arg, rc);
    return rc;
}

static int result(int rc)
{
    return (int)told(rc < 0 ? -errno : rc);
}

/* What the hook decided, or the system call. */
#define UNLESS(asked, call)                                                              \
    ((asked) < 0 ? (asked) : (asked) > 0 ? 0 : result(TEMP_FAILURE_RETRY(call)))

int disk_create(int dir, const char *path, mode_t mode)
{
    int rc = ask_name("create", dir, path, -1, NULL);
    return UNLESS(rc, openat(dir, path,
                             O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode));
}

int disk_open_rw(int dir, const char *path, mode_t mode)
{
    int rc = ask_name("open_rw", dir, path, -1, NULL);
    return UNLESS(rc, openat(dir, path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, mode));
}

static int write_all(int fd, const char *p, size_t n, uint64_t offset)
{
    while (n) {
        ssize_t put = TEMP_FAILURE_RETRY(pwrite(fd, p, n, (off_t)offset));
        if (put <= 0)
            return put < 0 ? -errno : -EIO;
        p += put;
        offset += (uint64_t)put;
        n -= (size_t)put;
    }
    return 0;
}

int disk_pwrite(int fd, const void *p, size_t n, uint64_t offset)
{
    int rc = ask_file("pwrite", fd, offset, n);
    return rc < 0 ? rc : rc > 0 ? 0 : (int)told(write_all(fd, p, n, offset));
}

ssize_t disk_copy(int in, uint64_t from, int fd, uint64_t offset, uint64_t n)
{
    loff_t in_at = (loff_t)from, at = (loff_t)offset;
    ssize_t got = ask_file("copy", fd, offset, n);
    if (got)
        return got;
    got = TEMP_FAILURE_RETRY(copy_file_range(in, &in_at, fd, &at, (size_t)n, 0));
    return told(got < 0 ? -errno : got);
}

int disk_truncate(int fd, uint64_t size)
{
    int rc = ask_file("truncate", fd, size, 0);
    return UNLESS(rc, ftruncate(fd, (off_t)size));
}

int disk_datasync(int fd)
{
    int rc = ask_file("datasync", fd, 0, 0);
    return UNLESS(rc, fdatasync(fd));
}

int disk_sync(int fd)
{
    int rc = ask_file("sync", fd, 0, 0);
    return UNLESS(rc, fsync(fd));
}

int disk_writeback(int fd, uint64_t offset, uint64_t n)
{
    int rc = ask_file("writeback", fd, offset, n);
    return UNLESS(rc,
                  sync_file_range(fd, (off_t)offset, (off_t)n, SYNC_FILE_RANGE_WRITE));
}

int disk_syncdir(int dirfd)
{
    int rc = ask_file("syncdir", dirfd, 0, 0);
    return UNLESS(rc, fsync(dirfd));
}

int disk_mkdir(int dir, const char *path, mode_t mode)
{
    int rc = ask_name("mkdir", dir, path, -1, NULL);
    return UNLESS(rc, mkdirat(dir, path, mode));
}

int disk_rmdir(int dir, const char *path)
{
    int rc = ask_name("rmdir", dir, path, -1, NULL);
    return UNLESS(rc, unlinkat(dir, path, AT_REMOVEDIR));
}

int disk_unlink(int dir, const char *path)
{
    int rc = ask_name("unlink", dir, path, -1, NULL);
    return UNLESS(rc, unlinkat(dir, path, 0));
}

/* link(2) refuses a name that exists, everywhere. A crash between the two calls leaves two
 * names of one file. */
static int rename_by_link(int fromdir, const char *from, int todir, const char *to)
{
    if (linkat(fromdir, from, todir, to, 0) != 0 || unlinkat(fromdir, from, 0) != 0)
        return -errno;
    return 0;
}

int disk_rename(int fromdir, const char *from, int todir, const char *to,
                bool keep_target)
{
    int rc = ask_name("rename", fromdir, from, todir, to);
    if (!keep_target || rc > 0 || (rc < 0 && rc != -EINVAL))
        return UNLESS(rc, renameat(fromdir, from, todir, to));
    if (rc == 0 && renameat2(fromdir, from, todir, to, RENAME_NOREPLACE) != 0)
        rc = -errno;
    if (rc == -EINVAL) /* NFS and others know no such flag; a hook may play them */
        rc = rename_by_link(fromdir, from, todir, to);
    return (int)told(rc);
}

int disk_link(int fromdir, const char *from, int todir, const char *to)
{
    int rc = ask_name("link", fromdir, from, todir, to);
    return UNLESS(rc, linkat(fromdir, from, todir, to, 0));
}

int disk_set_mtime(int dir, const char *path, uint64_t wall_ns)
{
    struct timespec times[2] = {
        {0, UTIME_OMIT}, {(time_t)(wall_ns / NS_PER_S), (long)(wall_ns % NS_PER_S)}};
    int rc = ask_name("set_mtime", dir, path, -1, NULL);
    return UNLESS(rc, utimensat(dir, path, times, AT_SYMLINK_NOFOLLOW));
}

int disk_chmod(int fd, mode_t mode)
{
    int rc = ask("chmod", -1, NULL, NULL, fd, 0, mode);
    return UNLESS(rc, fchmod(fd, mode));
}

int disk_setxattr(int fd, const char *name, const void *value, size_t n)
{
    int rc = ask("setxattr", -1, name, NULL, fd, 0, n);
    return UNLESS(rc, fsetxattr(fd, name, value, n, 0));
}
