/* SPDX-License-Identifier: Apache-2.0
 *
 * stat, open and read: one open file each, from which everything is said, so that an
 * answer never mixes two versions of an object.
 */
#include "backends/fs/fs.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#define DESCRIPTION_MAX 4096

uint64_t fs_mtime(const struct stat *st)
{
    return (uint64_t)st->st_mtim.tv_sec * NS_PER_S + (uint64_t)st->st_mtim.tv_nsec;
}

/* "type\0name\0value\0…", as temp_describe wrote it. An empty type is none. */
static int read_description(int fd, struct object *object)
{
    char text[DESCRIPTION_MAX];
    ssize_t n = fgetxattr(fd, FS_XATTR, text, sizeof text);
    if (n < 0)
        return errno == ENODATA || errno == ENOTSUP || errno == ENOSYS ? 0 : -errno;
    size_t type_n = strnlen(text, (size_t)n);
    if (n == 0 || text[n - 1] != '\0')
        return E_CORRUPT;
    if (type_n)
        object->type = xmemdup(text, type_n);
    object->meta_n = (size_t)n - type_n - 1;
    if (object->meta_n)
        object->meta = xmemdup(text + type_n + 1, object->meta_n);
    return 0;
}

static char *put_hex(char *to, uint64_t v)
{
    int digits = 1;
    while (digits < 16 && v >> (4 * digits))
        digits++;
    for (int i = digits - 1; i >= 0; i--)
        *to++ = "0123456789abcdef"[v >> (4 * i) & 15];
    return to;
}

/* printf's formats took longer than the stat did. */
void fs_describe(const struct stat *st, struct object *object)
{
    char *p = object->etag;
    object->size = (uint64_t)st->st_size;
    object->modified = fs_mtime(st);
    p = put_hex(p, st->st_ino);
    *p++ = '-';
    p = put_hex(p, object->size);
    *p++ = '-';
    *put_hex(p, object->modified) = '\0';
}

int fs_object(int fd, const struct stat *st, struct object *object)
{
    fs_describe(st, object);
    return st->st_mode & FS_DESCRIBED ? read_description(fd, object) : 0;
}

int fs_stat(struct fs_op *o)
{
    struct stat st;
    int fd, rc = path_object(o->fs, o->op->key, O_RDONLY, &fd, &st);
    if (rc)
        return rc;
    rc = fs_object(fd, &st, &o->op->object);
    close(fd);
    return rc;
}

int fs_open(struct fs_op *o)
{
    struct op *op = o->op;
    struct stat st;
    int fd, rc = path_object(o->fs, op->key, O_RDONLY, &fd, &st);
    if (rc)
        return rc;
    rc = fs_object(fd, &st, &op->object);
    if (rc == 0 && op->offset > op->object.size)
        rc = E_RANGE;
    if (rc) {
        close(fd);
        return rc;
    }
    o->fd = fd;
    return 0;
}

void fs_open_source(struct fs *fs, struct op *op, int fd)
{
    uint64_t size = op->object.size, left = size - op->offset;
    op->source = file_source_new(fd, size, fs->lane);
    if (op->offset || op->n < left)
        op->rc = source_window(op->source, op->offset, op->n < left ? op->n : left);
    if (op->rc) {
        source_close(op->source);
        op->source = NULL;
    }
}

void fs_open_finish(struct fs_op *o)
{
    fs_open_source(o->fs, o->op, o->fd);
}

/* Reads exactly n bytes; a file that is shorter by now is E_CORRUPT. */
static int read_all(int fd, uint8_t *p, size_t n)
{
    size_t at = 0;
    while (at < n) {
        ssize_t got = pread(fd, p + at, n - at, (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? -errno : E_CORRUPT;
        at += (size_t)got;
    }
    return 0;
}

int fs_read(struct fs_op *o)
{
    struct op *op = o->op;
    struct stat st;
    int fd, rc = path_object(o->fs, op->key, O_RDONLY, &fd, &st);
    if (rc)
        return rc;
    rc = fs_object(fd, &st, &op->object);
    if (rc == 0 && op->object.size > op->limit)
        rc = E_TOO_LARGE;
    if (rc == 0) {
        op->out_n = (size_t)op->object.size;
        op->out = xalloc(op->out_n);
        rc = read_all(fd, op->out, op->out_n);
    }
    close(fd);
    return rc;
}
