/* SPDX-License-Identifier: Apache-2.0
 *
 * Two halves: one is filled under the lock, the other one is written without it, and when
 * that is done they change places. The thread sleeps while both are empty, and after
 * being woken by a line that may wait it gathers for a moment first.
 *
 * A pipe is written by at most PIPE_BUF bytes after poll() has found room for them, which
 * then does not block; so also a thread whose reader sleeps sees that it is to end.
 */
#include "base/writer.h"

#include "base/clock.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define GATHER_NS (5 * NS_PER_MS)
#define END_NS (2 * NS_PER_S) /* for the last lines */
#define POLL_MS 100

struct half {
    char *p;
    size_t n;
    uint64_t lines;
};

struct writer {
    pthread_mutex_t lock;
    pthread_cond_t wake, done;
    pthread_t thread;
    struct half halves[2];
    int filling;                     /* which half */
    bool asleep, gathering, writing; /* what the thread does */
    bool urgent, reopen, ending;     /* what it is asked to do */
    int next_fd;                     /* to go on with next_path; -1: none */
    char *next_path;
    uint64_t lost, told;
    void (*tell)(uint64_t n);
    char *path; /* NULL: the descriptor is somebody else's */
    int fd;
    bool plain;   /* a regular file */
    uint64_t end; /* clock_now() when it gives up; 0: not asked to end */
};

int writer_open(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0640);
    return fd < 0 ? -errno : fd;
}

static void use(struct writer *w, int fd)
{
    struct stat st;
    w->fd = fd;
    w->plain = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

/* What the thread was asked to write to from now on. On failure path is NULL. */
struct change {
    char *path;
    int fd;
};

/* Under the lock. */
static struct change take_change(struct writer *w)
{
    struct change c = {w->next_path, w->next_fd};
    if (c.fd < 0 && w->reopen && w->path)
        c.path = xstrdup(w->path);
    w->next_path = NULL;
    w->next_fd = -1;
    w->reopen = false;
    return c;
}

/* Outside of the lock; only this thread looks at path and fd. */
static void apply(struct writer *w, struct change c)
{
    if (c.fd < 0 && c.path)
        c.fd = writer_open(c.path);
    if (c.fd < 0) {
        free(c.path);
        return;
    }
    if (w->path)
        close(w->fd);
    free(w->path);
    w->path = c.path;
    use(w, c.fd);
}

static bool is_over(struct writer *w)
{
    pthread_mutex_lock(&w->lock);
    uint64_t end = w->end;
    pthread_mutex_unlock(&w->lock);
    return end && clock_now() > end;
}

/* How many of the n bytes to write at once: whole lines if possible. */
static size_t piece(const struct writer *w, const char *p, size_t n)
{
    if (w->plain || n <= PIPE_BUF)
        return n;
    const char *end = memrchr(p, '\n', PIPE_BUF);
    return end ? (size_t)(end - p) + 1 : PIPE_BUF;
}

/* True when a write will not block, or will tell what is wrong. */
static bool has_room(struct writer *w)
{
    struct pollfd p = {.fd = w->fd, .events = POLLOUT};
    while (!w->plain && poll(&p, 1, POLL_MS) <= 0)
        if (is_over(w))
            return false;
    return true;
}

static size_t count_lines(const char *p, size_t n)
{
    size_t lines = 0;
    const char *end = p + n;
    while (p < end && (p = memchr(p, '\n', (size_t)(end - p)))) {
        lines++;
        p++;
    }
    return lines;
}

/* Returns how many lines were lost. */
static uint64_t write_all(struct writer *w, const char *p, size_t n)
{
    while (n > 0) {
        if (!has_room(w))
            break;
        ssize_t put = write(w->fd, p, piece(w, p, n));
        if (put < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (put < 0)
            break;
        p += put;
        n -= (size_t)put;
    }
    return count_lines(p, n);
}

/* Under the lock. */
static void gather(struct writer *w)
{
    uint64_t due = clock_now() + GATHER_NS;
    struct timespec until = {(time_t)(due / NS_PER_S), (long)(due % NS_PER_S)};
    w->gathering = true;
    while (!w->urgent && !w->ending &&
           pthread_cond_timedwait(&w->wake, &w->lock, &until) == 0)
        ;
    w->gathering = false;
}

/* Under the lock: sleeps until there is something to do. False: it is the end. */
static bool await(struct writer *w)
{
    while (w->halves[w->filling].n == 0 && !w->ending && w->next_fd < 0 && !w->reopen) {
        w->asleep = true;
        pthread_cond_wait(&w->wake, &w->lock);
    }
    w->asleep = false;
    gather(w);
    w->urgent = false;
    return w->halves[w->filling].n > 0 || !w->ending;
}

static void *thread_main(void *arg)
{
    struct writer *w = arg;
    pthread_setname_np(pthread_self(), "log");
    pthread_mutex_lock(&w->lock);
    while (await(w)) {
        struct half *h = &w->halves[w->filling];
        struct change change = take_change(w);
        w->filling = !w->filling;
        w->writing = true;
        pthread_mutex_unlock(&w->lock);
        apply(w, change);
        uint64_t lost = write_all(w, h->p, h->n);
        bool wrote = h->n > 0 && lost < h->lines;
        h->n = 0;
        h->lines = 0;
        pthread_mutex_lock(&w->lock);
        w->lost += lost;
        w->writing = false;
        uint64_t news = wrote ? w->lost - w->told : 0;
        w->told += news;
        if (news && w->tell) {
            pthread_mutex_unlock(&w->lock);
            w->tell(news);
            pthread_mutex_lock(&w->lock);
        }
        pthread_cond_broadcast(&w->done);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

static int start(struct writer *w)
{
    pthread_condattr_t monotonic;
    sigset_t all, old;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->wake, &monotonic);
    pthread_cond_init(&w->done, &monotonic);
    pthread_condattr_destroy(&monotonic);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int error = pthread_create(&w->thread, NULL, thread_main, w);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return -error;
}

static void destroy(struct writer *w)
{
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->wake);
    pthread_cond_destroy(&w->done);
    if (w->path)
        close(w->fd);
    if (w->next_path)
        close(w->next_fd);
    free(w->path);
    free(w->next_path);
    free(w->halves[0].p);
    free(w->halves[1].p);
    free(w);
}

int writer_new(const char *path, int fd, void (*lost)(uint64_t n), struct writer **out)
{
    struct writer *w = xalloc(sizeof *w);
    w->tell = lost;
    w->path = path ? xstrdup(path) : NULL;
    w->next_fd = -1;
    w->halves[0].p = xalloc(WRITER_ROOM); /* large: pages come when they are touched */
    w->halves[1].p = xalloc(WRITER_ROOM);
    use(w, fd);
    int rc = start(w);
    if (rc)
        destroy(w);
    else
        *out = w;
    return rc;
}

void writer_move(struct writer *w, const char *path, int fd)
{
    pthread_mutex_lock(&w->lock);
    if (w->next_path)
        close(w->next_fd);
    free(w->next_path);
    w->next_path = path ? xstrdup(path) : NULL;
    w->next_fd = fd;
    pthread_mutex_unlock(&w->lock);
    pthread_cond_signal(&w->wake);
}

bool writer_put(struct writer *w, struct span line, bool soon)
{
    pthread_mutex_lock(&w->lock);
    struct half *h = &w->halves[w->filling];
    bool fits = line.n <= WRITER_ROOM - h->n;
    if (fits) {
        memcpy(h->p + h->n, line.p, line.n);
        h->n += line.n;
        h->lines++;
    } else {
        w->lost++;
    }
    w->urgent |= soon || h->n > WRITER_ROOM / 2;
    bool wake = w->asleep || (w->gathering && w->urgent);
    w->asleep = false;
    pthread_mutex_unlock(&w->lock);
    if (wake)
        pthread_cond_signal(&w->wake);
    return fits;
}

void writer_reopen(struct writer *w)
{
    pthread_mutex_lock(&w->lock);
    w->reopen = true;
    pthread_mutex_unlock(&w->lock);
    pthread_cond_signal(&w->wake);
}

void writer_flush(struct writer *w, unsigned ms)
{
    uint64_t due = clock_now() + ms * NS_PER_MS;
    struct timespec until = {(time_t)(due / NS_PER_S), (long)(due % NS_PER_S)};
    int rc = 0;
    pthread_mutex_lock(&w->lock);
    w->urgent = true;
    pthread_cond_signal(&w->wake);
    while (rc == 0 && (w->writing || w->halves[w->filling].n > 0))
        rc = pthread_cond_timedwait(&w->done, &w->lock, &until);
    pthread_mutex_unlock(&w->lock);
}

uint64_t writer_lost(struct writer *w)
{
    pthread_mutex_lock(&w->lock);
    uint64_t lost = w->lost;
    pthread_mutex_unlock(&w->lock);
    return lost;
}

void writer_free(struct writer *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    w->ending = true;
    w->end = clock_now() + END_NS;
    pthread_mutex_unlock(&w->lock);
    pthread_cond_signal(&w->wake);
    pthread_join(w->thread, NULL);
    destroy(w);
}
