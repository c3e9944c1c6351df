/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/err.h"
#include "loop/disk.h"
#include "spec/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct failing {
    const char *op; /* fails with E_IO; NULL: none */
    char log[512];
};

static int record(void *arg, const char *op, int dir, const char *path, const char *to,
                  int fd, uint64_t offset, uint64_t n)
{
    struct failing *f = arg;
    size_t at = strlen(f->log);
    (void)dir;
    (void)fd;
    (void)offset;
    (void)n;
    snprintf(f->log + at, sizeof f->log - at, "%s(%s%s%s) ", op, path ? path : "",
             to ? ">" : "", to ? to : "");
    return f->op && strcmp(f->op, op) == 0 ? E_IO : 0;
}

/* Every operation once, in an order that works; the first failure, by its name. */
static const char *do_everything(int dir)
{
    char text[] = "tide";
    int fd = disk_create(dir, "a", 0600);
    if (fd < 0)
        return "create";
    close(fd);
    fd = disk_open_rw(dir, "a", 0600);
    if (fd < 0)
        return "open_rw";
    const char *failed = disk_pwrite(fd, text, 4, 2)                   ? "pwrite"
                         : disk_writeback(fd, 0, 6)                    ? "writeback"
                         : disk_truncate(fd, 5)                        ? "truncate"
                         : disk_setxattr(fd, "user.x", "y", 1) == E_IO ? "setxattr"
                         : disk_datasync(fd)                           ? "datasync"
                         : disk_sync(fd)                               ? "sync"
                                                                       : NULL;
    close(fd);
    return failed                                     ? failed
           : disk_mkdir(dir, "d", 0700)               ? "mkdir"
           : disk_link(dir, "a", dir, "b")            ? "link"
           : disk_rename(dir, "b", dir, "d/c", false) ? "rename"
           : disk_set_mtime(dir, "a", NS_PER_S + 5)   ? "set_mtime"
           : disk_unlink(dir, "d/c")                  ? "unlink"
           : disk_rmdir(dir, "d")                     ? "rmdir"
           : disk_syncdir(dir)                        ? "syncdir"
                                                      : NULL;
}

static int open_fresh(const char *name)
{
    int tmp = open(unit_tmpdir(), O_RDONLY | O_DIRECTORY);
    EXPECT_EQ(mkdirat(tmp, name, 0700), 0);
    int dir = openat(tmp, name, O_RDONLY | O_DIRECTORY);
    close(tmp);
    return dir;
}

TEST("disk: every operation does what it says and tells the hook")
{
    struct failing f = {0};
    struct stat st;
    int dir = open_fresh("all");
    disk_set_hook(record, &f);
    EXPECT(do_everything(dir) == NULL);
    disk_set_hook(NULL, NULL);
    EXPECT_STR(f.log,
               "create(a) open_rw(a) pwrite() writeback() truncate() "
               "setxattr(user.x) datasync() sync() mkdir(d) link(a>b) rename(b>d/c) "
               "set_mtime(a) unlink(d/c) rmdir(d) syncdir() ");
    EXPECT_EQ(fstatat(dir, "a", &st, 0), 0);
    EXPECT_EQ(st.st_size, 5);
    EXPECT(st.st_mtim.tv_sec == 1 && st.st_mtim.tv_nsec == 5);
    EXPECT_EQ(faccessat(dir, "d", F_OK, 0), -1);
    close(dir);
}

TEST("disk: the hook fails any operation")
{
    static const char *const ops[] = {"create",   "open_rw",  "pwrite",   "writeback",
                                      "truncate", "setxattr", "datasync", "sync",
                                      "mkdir",    "link",     "rename",   "set_mtime",
                                      "unlink",   "rmdir",    "syncdir"};
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        struct failing f = {.op = ops[i]};
        int dir = open_fresh(ops[i]);
        disk_set_hook(record, &f);
        EXPECT_STR(do_everything(dir), ops[i]);
        disk_set_hook(NULL, NULL);
        close(dir);
    }
}

struct witness {
    int skip; /* what the hook says */
    int calls;
    ssize_t rc;
};

static int say(void *arg, const char *op, int dir, const char *path, const char *to,
               int fd, uint64_t offset, uint64_t n)
{
    (void)op, (void)dir, (void)path, (void)to, (void)fd, (void)offset, (void)n;
    return ((struct witness *)arg)->skip;
}

static void see(void *arg, ssize_t rc)
{
    struct witness *w = arg;
    w->calls++;
    w->rc = rc;
}

TEST("disk: what an operation returned is told, what was not done counts as done")
{
    struct witness w = {0};
    int dir = open_fresh("after");
    disk_set_hook(say, &w);
    disk_set_after(see);
    int fd = disk_create(dir, "a", 0600);
    EXPECT_EQ(w.rc, fd);
    EXPECT_EQ(disk_create(dir, "a", 0600), -EEXIST);
    EXPECT_EQ(w.rc, -EEXIST);
    EXPECT_EQ(disk_pwrite(fd, "tide", 4, 0), 0);
    EXPECT_EQ(w.calls, 3);
    w.skip = 1;
    EXPECT_EQ(disk_syncdir(-1), 0);
    EXPECT_EQ(w.calls, 3);
    disk_set_hook(NULL, NULL);
    disk_set_after(NULL);
    close(fd);
    close(dir);
}

TEST("disk: a file system without RENAME_NOREPLACE replaces nothing either")
{
    struct witness w = {.skip = -EINVAL};
    struct stat before, st;
    int dir = open_fresh("link");
    close(disk_create(dir, "a", 0600));
    close(disk_create(dir, "b", 0600));
    EXPECT_EQ(fstatat(dir, "a", &before, 0), 0);
    disk_set_hook(say, &w);
    EXPECT_EQ(disk_rename(dir, "a", dir, "b", true), -EEXIST);
    EXPECT_EQ(disk_rename(dir, "a", dir, "c", true), 0);
    EXPECT_EQ(disk_rename(dir, "a", dir, "d", true), -ENOENT);
    disk_set_hook(NULL, NULL);
    EXPECT_EQ(fstatat(dir, "c", &st, 0), 0);
    EXPECT(st.st_ino == before.st_ino && st.st_nlink == 1);
    EXPECT_EQ(faccessat(dir, "a", F_OK, 0), -1);
    close(dir);
}

TEST("disk: errors are those of the system call")
{
    int dir = open_fresh("errors");
    int fd = disk_create(dir, "a", 0600), other = disk_create(dir, "b", 0600);
    EXPECT(fd >= 0 && other >= 0);
    close(other);
    EXPECT_EQ(symlinkat("a", dir, "link"), 0);
    EXPECT_EQ(disk_create(dir, "a", 0600), -EEXIST);
    EXPECT_EQ(disk_create(dir, "none/a", 0600), -ENOENT);
    EXPECT_EQ(disk_open_rw(dir, "link", 0600), -ELOOP);
    EXPECT_EQ(disk_rename(dir, "a", dir, "b", true), -EEXIST);
    EXPECT_EQ(disk_rename(dir, "a", dir, "c", true), 0);
    EXPECT_EQ(disk_rename(dir, "c", dir, "b", false), 0);
    EXPECT_EQ(disk_unlink(dir, "c"), -ENOENT);
    EXPECT_EQ(disk_rmdir(dir, "b"), -ENOTDIR);
    EXPECT_EQ(disk_datasync(-1), -EBADF);
    EXPECT_EQ(disk_pwrite(fd, "", 0, 0), 0);
    close(fd);
    int full = open("/dev/full", O_WRONLY);
    EXPECT_EQ(disk_pwrite(full, "x", 1, 0), -ENOSPC);
    close(full);
    close(dir);
}
