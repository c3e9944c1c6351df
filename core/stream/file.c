/* SPDX-License-Identifier: Apache-2.0 */
#include "stream/file.h"

#include "loop/disk.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#define STRIDE (UINT64_C(8) << 20) /* between reservations and between write-backs */

struct file_source {
    struct source source;
    int fd;
    bool hops;        /* the file system cannot read without waiting: always a job */
    uint64_t whole;   /* size of the file */
    uint64_t at, end; /* the window's rest */
    struct lane *lane;
    uint8_t *buf; /* of the pull under way */
    size_t cap;
    ssize_t got;
    struct job job;
};

/* An error of the system in the words of the store. */
static int fold(int rc)
{
    return rc < 0 && rc >= -4095 ? err_from_errno(-rc) : rc;
}

static void read_answer(struct file_source *f, ssize_t got)
{
    if (got == 0)
        got = E_CORRUPT;
    if (got > 0)
        f->at += (uint64_t)got;
    source_answer(&f->source, got);
}

static void read_work(struct job *j)
{
    struct file_source *f = CONTAINER(j, struct file_source, job);
    f->got = TEMP_FAILURE_RETRY(pread(f->fd, f->buf, f->cap, (off_t)f->at));
    if (f->got < 0)
        f->got = fold(-errno);
}

static void read_done(struct job *j)
{
    struct file_source *f = CONTAINER(j, struct file_source, job);
    read_answer(f, f->got);
}

static void file_pull(struct source *s, uint8_t *buf, size_t cap)
{
    struct file_source *f = CONTAINER(s, struct file_source, source);
    f->buf = buf;
    f->cap = f->end - f->at < cap ? (size_t)(f->end - f->at) : cap;
    if (f->cap == 0) {
        source_answer(s, 0);
        return;
    }
    if (!f->hops) {
        struct iovec iov = {buf, f->cap};
        ssize_t got = preadv2(f->fd, &iov, 1, (off_t)f->at, RWF_NOWAIT);
        if (got >= 0) {
            read_answer(f, got);
            return;
        }
        f->hops = errno == EOPNOTSUPP;
    }
    job_submit(f->lane, &f->job); /* says it again if it was an error */
}

static int file_window(struct source *s, uint64_t offset, uint64_t n)
{
    struct file_source *f = CONTAINER(s, struct file_source, source);
    if (offset > f->whole || n > f->whole - offset)
        return E_RANGE;
    f->at = offset;
    f->end = offset + n;
    s->size = n;
    return 0;
}

static int file_file(struct source *s, int *fd, uint64_t *offset, uint64_t *n)
{
    struct file_source *f = CONTAINER(s, struct file_source, source);
    *fd = f->fd;
    *offset = f->at;
    *n = f->end - f->at;
    return 0;
}

static void file_close(struct source *s)
{
    struct file_source *f = CONTAINER(s, struct file_source, source);
    close(f->fd);
    free(f);
}

static const struct source_ops file_source_ops = {.name = "file",
                                                  .pull = file_pull,
                                                  .window = file_window,
                                                  .file = file_file,
                                                  .close = file_close};

struct source *file_source_new(int fd, uint64_t size, struct lane *lane)
{
    struct file_source *f = xalloc(sizeof *f);
    source_init(&f->source, &file_source_ops, size);
    f->fd = fd;
    f->whole = f->end = size;
    f->lane = lane;
    f->job = (struct job){.work = read_work, .done = read_done};
    return &f->source;
}

/* On the pool; the sink stands still meanwhile. */
static int write_piece(struct file_sink *k)
{
    uint64_t end = k->offset + k->n;
    int rc = 0;
    for (; rc == 0 && k->reserve && k->reserved < end; k->reserved += STRIDE)
        rc = k->reserve(k->reserve_arg, STRIDE);
    if (rc == 0)
        rc = disk_pwrite(k->fd, k->p, k->n, k->offset);
    if (rc == 0 && end - k->flushed >= STRIDE) {
        /* only a hint: a real fault shows at the sync that commits */
        disk_writeback(k->fd, k->flushed, end - k->flushed);
        k->flushed = end;
    }
    return rc;
}

static void write_work(struct job *j)
{
    struct file_sink *k = CONTAINER(j, struct file_sink, job);
    k->rc = fold(write_piece(k));
}

static void write_done(struct job *j)
{
    struct file_sink *k = CONTAINER(j, struct file_sink, job);
    if (k->rc == 0) {
        k->offset += k->n;
        k->sink.moved += k->n;
    }
    sink_answer(&k->sink, k->rc);
}

void file_sink_init(struct file_sink *k, const struct sink_ops *ops, int fd,
                    uint64_t offset, struct lane *lane)
{
    *k = (struct file_sink){.fd = fd,
                            .offset = offset,
                            .lane = lane,
                            .reserved = offset,
                            .flushed = offset,
                            .job = {.work = write_work, .done = write_done}};
    sink_init(&k->sink, ops);
}

void file_sink_push(struct sink *s, const uint8_t *p, size_t n)
{
    struct file_sink *k = CONTAINER(s, struct file_sink, sink);
    k->p = p;
    k->n = n;
    job_submit(k->lane, &k->job);
}
