/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/journal.h"

#include "base/log.h"
#include "base/metrics.h"
#include "loop/disk.h"
#include "loop/job.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define BATCH_MAX ((size_t)256 << 10) /* bytes of one write */
#define TRIES 10                      /* to lock the file before it is moved away again */

struct journal {
    struct journal *next; /* in the table */
    atomic_uint refs;     /* the last one goes under the table's lock */
    char *path;
    int fd; /* the batch's; -1: to be opened */
    struct lane *lane;
    pthread_mutex_t lock; /* for all that follows */
    struct journal_entry *first, **last;
    bool running;
};

struct batch {
    struct job job;
    struct journal *journal;
};

static struct {
    pthread_mutex_t lock;
    struct journal *first;
} table = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* -- the file ---------------------------------------------------------------------- */

/* The name of a new file must survive, too. */
static int sync_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? xmemdup(path, (size_t)(slash - path) + 1) : xstrdup(".");
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = fd < 0 ? -errno : disk_syncdir(fd);
    if (fd >= 0)
        close(fd);
    free(folder);
    return rc;
}

static int open_file(struct journal *j)
{
    int rc = log_make_folder(j->path);
    int fd = rc ? rc : disk_open_rw(AT_FDCWD, j->path, 0640);
    if (fd < 0)
        return fd;
    rc = sync_folder(j->path);
    if (rc) {
        close(fd);
        return rc;
    }
    j->fd = fd;
    return 0;
}

static void close_file(struct journal *j)
{
    if (j->fd >= 0)
        close(j->fd); /* and unlocks it */
    j->fd = -1;
}

static bool is_moved(const struct journal *j)
{
    struct stat mine, named;
    return fstat(j->fd, &mine) != 0 || stat(j->path, &named) != 0 ||
           mine.st_ino != named.st_ino || mine.st_dev != named.st_dev;
}

/* Opens and locks the file that has the name now. */
static int lock_file(struct journal *j)
{
    for (int i = 0; i < TRIES; i++) {
        int rc = j->fd < 0 ? open_file(j) : 0;
        if (rc)
            return rc;
        if (TEMP_FAILURE_RETRY(flock(j->fd, LOCK_EX)) != 0)
            return -errno;
        if (!is_moved(j))
            return 0;
        close_file(j);
    }
    return -EAGAIN;
}

/* Whether the last line has no end: whoever wrote it died. */
static bool is_torn(int fd, uint64_t size)
{
    char last = '\n';
    return size > 0 && pread(fd, &last, 1, (off_t)size - 1) == 1 && last != '\n';
}

/* Appends n bytes; p[-1] is a line feed, for an end that is torn. */
static int append(struct journal *j, const char *p, size_t n)
{
    struct stat st;
    int rc = lock_file(j);
    if (rc)
        return rc;
    if (fstat(j->fd, &st) != 0) {
        rc = -errno;
        goto out;
    }
    uint64_t size = (uint64_t)st.st_size;
    bool torn = is_torn(j->fd, size);
    rc = disk_pwrite(j->fd, p - torn, n + torn, size);
    if (rc == 0)
        rc = disk_datasync(j->fd);
    if (rc)
        disk_truncate(j->fd, size);
out:
    flock(j->fd, LOCK_UN);
    return rc;
}

/* -- batches ----------------------------------------------------------------------- */

/* Up to BATCH_MAX bytes of entries, at least one; NULL: none wait, and the batch is over.
 */
static struct journal_entry *take(struct journal *j, size_t *n)
{
    pthread_mutex_lock(&j->lock);
    struct journal_entry *all = j->first, **end = &j->first;
    *n = 0;
    while (*end && (*n == 0 || *n + (*end)->line.n <= BATCH_MAX)) {
        *n += (*end)->line.n;
        end = &(*end)->next;
    }
    j->first = *end;
    *end = NULL;
    if (!j->first)
        j->last = &j->first;
    j->running = all != NULL;
    pthread_mutex_unlock(&j->lock);
    return all;
}

static int write_all(struct journal *j, const struct journal_entry *all, size_t n)
{
    char *text = xalloc(n + 1), *p = text + 1;
    text[0] = '\n';
    for (const struct journal_entry *e = all; e; e = e->next) {
        memcpy(p, e->line.p, e->line.n);
        p += e->line.n;
    }
    int rc = append(j, text + 1, n);
    free(text);
    return rc;
}

static void batch_work(struct job *job)
{
    struct journal *j = CONTAINER(job, struct batch, job)->journal;
    struct journal_entry *all;
    size_t n;
    while ((all = take(j, &n))) {
        int rc = write_all(j, all, n);
        if (rc)
            LOG_FIELDS(LOG_ERROR, "the audit log cannot be written",
                       {"path", span_of(j->path)}, {"error", span_of(err_text(rc))});
        while (all) {
            struct journal_entry *e = all;
            all = e->next;
            e->rc = rc;
            metric_count(rc ? METRIC_audit_failures_total : METRIC_audit_records_total,
                         1);
            worker_post(e->worker, &e->call);
        }
    }
}

static void batch_done(struct job *job)
{
    struct batch *b = CONTAINER(job, struct batch, job);
    journal_put(b->journal);
    free(b);
}

static void run_done(struct call *c)
{
    struct journal_entry *e = CONTAINER(c, struct journal_entry, call);
    e->done(e);
}

void journal_add(struct journal *j, struct journal_entry *e)
{
    assert(e->line.n > 0 && e->line.n <= JOURNAL_LINE_MAX);
    e->next = NULL;
    e->worker = worker_self();
    e->call = (struct call){.fn = run_done};
    pthread_mutex_lock(&j->lock);
    *j->last = e;
    j->last = &e->next;
    bool idle = !j->running;
    j->running = true;
    pthread_mutex_unlock(&j->lock);
    if (!idle)
        return;
    struct batch *b = xalloc(sizeof *b);
    b->journal = j;
    j->refs++;
    b->job.work = batch_work;
    b->job.done = batch_done;
    job_submit(j->lane, &b->job);
}

/* -- the table --------------------------------------------------------------------- */

static void destroy(struct journal *j)
{
    close_file(j);
    lane_free(j->lane);
    pthread_mutex_destroy(&j->lock);
    free(j->path);
    free(j);
}

static struct journal *journal_new(const char *path)
{
    struct journal *j = xalloc(sizeof *j);
    j->path = xstrdup(path);
    j->fd = -1;
    j->refs = 1;
    j->last = &j->first;
    j->lane = lane_new("audit", 1);
    pthread_mutex_init(&j->lock, NULL);
    return j;
}

/* Under the table's lock. */
static struct journal *find(const char *path)
{
    struct journal *j = table.first;
    while (j && strcmp(j->path, path) != 0)
        j = j->next;
    if (j)
        j->refs++;
    return j;
}

/* Opens it first, for that blocks; if another thread was faster, its own is taken. */
int journal_get(const char *path, struct journal **out, char **why)
{
    pthread_mutex_lock(&table.lock);
    struct journal *j = find(path);
    pthread_mutex_unlock(&table.lock);
    if (j) {
        *out = j;
        return 0;
    }
    struct journal *mine = journal_new(path);
    int rc = open_file(mine);
    if (rc) {
        *why = xasprintf("cannot open the audit log %s: %s", path, err_text(rc));
        destroy(mine);
        return rc;
    }
    pthread_mutex_lock(&table.lock);
    j = find(path);
    if (!j) {
        mine->next = table.first;
        table.first = mine;
    }
    pthread_mutex_unlock(&table.lock);
    if (j)
        destroy(mine);
    *out = j ? j : mine;
    return 0;
}

void journal_put(struct journal *j)
{
    if (!j)
        return;
    pthread_mutex_lock(&table.lock);
    bool last = --j->refs == 0;
    struct journal **at = &table.first;
    while (last && *at != j)
        at = &(*at)->next;
    if (last)
        *at = j->next;
    pthread_mutex_unlock(&table.lock);
    if (last)
        destroy(j);
}
