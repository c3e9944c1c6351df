/* SPDX-License-Identifier: Apache-2.0
 *
 * stat, open and read on the worker itself, when the kernel has the path, the inode and the
 * bytes in memory: two hops to the pool cost ten times what the system calls do. Every step
 * is one that says "not in memory" rather than wait; then, and for whatever is unusual (a
 * miss, a description, a symlink), the answer is left to the pool.
 */
#include "backends/fs/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define READ_MAX (64 * 1024) /* bytes; more is copied on the pool */

static int open_cached(int root, const char *key)
{
    struct open_how how = {
        .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS |
                   RESOLVE_CACHED,
    };
    return (int)syscall(SYS_openat2, root, key, &how, sizeof how);
}

/* RESOLVE_CACHED came with Linux 5.12; RWF_NOWAIT is up to each file system. */
bool quick_probe(int fd)
{
    char byte;
    struct iovec iov = {&byte, 1};
    int self = open_cached(fd, ".");
    if (self >= 0)
        close(self);
    bool knows_cached = self >= 0 || errno != EINVAL;
    return knows_cached && (preadv2(fd, &iov, 1, 0, RWF_NOWAIT) >= 0 || errno == EAGAIN);
}

/* The whole small object, or -EAGAIN. */
static int read_cached(int fd, struct op *op)
{
    size_t n = (size_t)op->object.size;
    if (op->object.size > READ_MAX)
        return -EAGAIN;
    uint8_t *p = xalloc(n);
    struct iovec iov = {p, n};
    if (n && preadv2(fd, &iov, 1, 0, RWF_NOWAIT) != (ssize_t)n) {
        free(p);
        return -EAGAIN;
    }
    op->out = p;
    op->out_n = n;
    return 0;
}

/* An open of what never changes and is small: its bytes are kept. */
static bool keep_cached(int fd, struct op *op)
{
    uint8_t bytes[READ_MAX];
    size_t n = (size_t)op->object.size;
    struct iovec iov = {bytes, n};
    if (!op->immutable || op->object.size > sizeof bytes ||
        (n && preadv2(fd, &iov, 1, 0, RWF_NOWAIT) != (ssize_t)n))
        return false;
    return op_keep(op, bytes, n);
}

static int answer(struct fs *fs, struct op *op, int fd, bool *taken)
{
    switch (op->verb) {
    case OP_open:
        if (op->offset > op->object.size)
            return E_RANGE;
        if (!keep_cached(fd, op)) {
            fs_open_source(fs, op, fd);
            *taken = true;
        }
        return op->rc;
    case OP_read:
        return op->object.size > op->limit ? E_TOO_LARGE : read_cached(fd, op);
    default:
        return 0;
    }
}

bool quick_answer(struct fs *fs, struct op *op)
{
    struct stat st;
    if (op->verb != OP_stat && op->verb != OP_open && op->verb != OP_read)
        return false;
    int fd = open_cached(fs->root, op->key);
    if (fd < 0)
        return false;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_mode & FS_DESCRIBED) {
        close(fd);
        return false;
    }
    fs_describe(&st, &op->object);
    bool taken = false;
    int rc = answer(fs, op, fd, &taken);
    if (!taken)
        close(fd);
    if (rc == -EAGAIN)
        return false;
    op_complete(op, rc);
    return true;
}
