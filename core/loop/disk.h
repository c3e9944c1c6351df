/* SPDX-License-Identifier: Apache-2.0
 *
 * disk: the one seam for changes to files. Every byte, name and sync that the program
 * brings to a disk goes through here, so that a test can fail it (ENOSPC, EIO), record it
 * and replay the states a crash may leave. Reads do not pass here. All of these block:
 * call them from a job.
 *
 * Each returns >= 0 or -errno as the system call of its name would; EINTR is retried.
 * Paths are relative to a directory descriptor; at most PATH_MAX bytes.
 */
#ifndef LOOP_DISK_H
#define LOOP_DISK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Creates a new file for writing (O_EXCL, O_CLOEXEC, no symlink followed). Returns a
 * descriptor. */
int disk_create(int dir, const char *path, mode_t mode);
/* Opens or makes a file that may exist already, for writing at any offset. */
int disk_open_rw(int dir, const char *path, mode_t mode);
/* Writes all n bytes at offset, or fails; a short write is continued. Returns 0 or
 * -errno. */
int disk_pwrite(int fd, const void *p, size_t n, uint64_t offset);
/* Copies up to n bytes of in at `from` to fd at offset inside the kernel, sharing blocks
 * where the file system can. Returns how many, 0 at in's end, or -errno; -EXDEV, -EINVAL,
 * -ENOSYS and -EOPNOTSUPP mean that these two files want a copy by hand. */
ssize_t disk_copy(int in, uint64_t from, int fd, uint64_t offset, uint64_t n);
int disk_truncate(int fd, uint64_t size);
/* Makes a file's bytes durable, with what it takes to read them: not its time. */
int disk_datasync(int fd);
/* The same with its time. */
int disk_sync(int fd);
/* Starts write-back of a range and returns at once; no promise of durability. */
int disk_writeback(int fd, uint64_t offset, uint64_t n);
/* Makes the names in a directory durable. */
int disk_syncdir(int dirfd);
int disk_mkdir(int dir, const char *path, mode_t mode);
int disk_rmdir(int dir, const char *path);
int disk_unlink(int dir, const char *path);
/* keep_target: -EEXIST when the target exists (RENAME_NOREPLACE, or else link and unlink, so
 * then `from` has to be a file). */
int disk_rename(int fromdir, const char *from, int todir, const char *to,
                bool keep_target);
int disk_link(int fromdir, const char *from, int todir, const char *to);
/* Sets the modification time; wall_ns since 1970. */
int disk_set_mtime(int dir, const char *path, uint64_t wall_ns);
int disk_chmod(int fd, mode_t mode);
int disk_setxattr(int fd, const char *name, const void *value, size_t n);

/* For specs. Called before each operation with its name ("pwrite", "rename", …) and
 * paths: 0 lets it happen, a negative code makes it fail with that, and a positive one
 * makes it count as done though it was not, which only a sync can stand. What an
 * operation does not have is NULL, -1 or 0; rename and link give the target's directory
 * in fd, truncate the size in offset, setxattr its name in path. NULL: none.
 * Process-wide; set while nothing runs. */
typedef int (*disk_hook)(void *arg, const char *op, int dir, const char *path,
                         const char *to, int fd, uint64_t offset, uint64_t n);
void disk_set_hook(disk_hook hook, void *arg);
/* Called behind each operation that the hook has let happen, on the same thread, with
 * what it returns and with the hook's arg. NULL: none. */
void disk_set_after(void (*after)(void *arg, ssize_t rc));

#endif
