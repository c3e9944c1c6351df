/* SPDX-License-Identifier: Apache-2.0
 *
 * Group commit. Changes queue their directories; a batch takes all that wait, syncs each
 * distinct directory once and answers everybody. Batches of a store never overlap, so
 * what comes during one shares the next: N changes in one directory cost two syncs, not
 * N.
 *
 * A new directory is itself a name that must survive. Whoever makes one may not be the
 * first to rely on it: another change can find it, finish and be acknowledged while the
 * maker is still at work. So each mkdir notes its parent in `made` before anybody can be
 * acknowledged in it (the batch takes `made` after its commits, and mkdir and note happen
 * under one lock), and every batch syncs what is noted.
 */
#include "backends/fs/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define MADE_MAX (sizeof((struct commits *)0)->made / sizeof(int))

struct batch {
    struct job job;
    struct fs *fs;
};

/* A directory to sync, and for whom; commit NULL: for all. */
struct place {
    dev_t dev;
    ino_t ino;
    int fd;
    struct commit *commit;
};

void commits_init(struct commits *q)
{
    pthread_mutex_init(&q->lock, NULL);
    pthread_mutex_init(&q->made_lock, NULL);
    q->first = q->last = NULL;
    q->running = false;
    q->n_made = 0;
}

void commits_fini(struct commits *q)
{
    for (size_t i = 0; i < q->n_made; i++)
        close(q->made[i]);
    pthread_mutex_destroy(&q->lock);
    pthread_mutex_destroy(&q->made_lock);
}

void commit_dir(struct commit *c, int dir)
{
    assert(c->n_dirs < sizeof c->dirs / sizeof c->dirs[0]);
    c->dirs[c->n_dirs++] = dir;
}

void commit_drop(struct commit *c)
{
    while (c->n_dirs)
        close(c->dirs[--c->n_dirs]);
}

/* Under made_lock. */
static int note_made(struct commits *q, int dir)
{
    int fd = q->n_made < MADE_MAX ? fcntl(dir, F_DUPFD_CLOEXEC, 0) : -1;
    if (fd < 0)
        return disk_syncdir(dir);
    q->made[q->n_made++] = fd;
    return 0;
}

int commit_mkdir(struct fs *fs, int dir, const char *name)
{
    struct commits *q = &fs->commits;
    pthread_mutex_lock(&q->made_lock);
    int rc = disk_mkdir(dir, name, 0755);
    if (rc == 0 && fs->sync)
        rc = note_made(q, dir);
    pthread_mutex_unlock(&q->made_lock);
    return rc;
}

static int by_inode(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    if (x->dev != y->dev)
        return x->dev < y->dev ? -1 : 1;
    return x->ino < y->ino ? -1 : x->ino > y->ino;
}

static void add_place(struct place *places, size_t *n, int fd, struct commit *c)
{
    struct stat st;
    places[*n] = (struct place){0, 0, fd, c};
    if (fstat(fd, &st) == 0) {
        places[*n].dev = st.st_dev;
        places[*n].ino = st.st_ino;
    }
    ++*n;
}

/* Every directory of the batch, with the noted ones, which are taken. */
static struct place *gather(struct commits *q, struct commit *all, size_t *n)
{
    size_t most = MADE_MAX;
    for (struct commit *c = all; c; c = c->next)
        most += c->n_dirs;
    struct place *places = xalloc(most * sizeof *places);
    *n = 0;
    for (struct commit *c = all; c; c = c->next)
        for (size_t i = 0; i < c->n_dirs; i++)
            add_place(places, n, c->dirs[i], c);
    pthread_mutex_lock(&q->made_lock);
    for (size_t i = 0; i < q->n_made; i++)
        add_place(places, n, q->made[i], NULL);
    q->n_made = 0;
    pthread_mutex_unlock(&q->made_lock);
    return places;
}

/* A noted directory that cannot be synced fails the whole batch, since nobody knows who
 * is in it, and stays noted, since others will be. */
static void answer(struct commits *q, struct place *p, struct commit *all, int rc)
{
    if (p->commit) {
        p->commit->rc = rc ? rc : p->commit->rc;
        return;
    }
    for (struct commit *c = all; rc && c; c = c->next)
        c->rc = rc;
    pthread_mutex_lock(&q->made_lock);
    if (rc && q->n_made < MADE_MAX)
        q->made[q->n_made++] = p->fd;
    else
        close(p->fd);
    pthread_mutex_unlock(&q->made_lock);
}

static void sync_all(struct commits *q, struct commit *all)
{
    size_t n;
    struct place *places = gather(q, all, &n);
    int rc = 0;
    qsort(places, n, sizeof *places, by_inode);
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || by_inode(&places[i], &places[i - 1]) != 0)
            rc = disk_syncdir(places[i].fd);
        answer(q, &places[i], all, rc);
    }
    free(places);
}

static struct commit *take_all(struct commits *q)
{
    pthread_mutex_lock(&q->lock);
    struct commit *all = q->first;
    q->first = q->last = NULL;
    q->running = all != NULL;
    pthread_mutex_unlock(&q->lock);
    return all;
}

static void batch_work(struct job *job)
{
    struct commits *q = &CONTAINER(job, struct batch, job)->fs->commits;
    struct commit *all;
    while ((all = take_all(q)) != NULL) {
        sync_all(q, all);
        while (all) {
            struct commit *c = all;
            all = c->next;
            commit_drop(c);
            worker_post(c->worker, &c->call);
        }
    }
}

static void batch_done(struct job *job)
{
    struct batch *b = CONTAINER(job, struct batch, job);
    store_unref(&b->fs->store);
    free(b);
}

static void run_done(struct call *call)
{
    struct commit *c = CONTAINER(call, struct commit, call);
    c->done(c);
}

void commit_start(struct fs *fs, struct commit *c, void (*done)(struct commit *))
{
    struct commits *q = &fs->commits;
    c->next = NULL;
    c->rc = 0;
    c->done = done;
    c->worker = worker_self();
    c->call.fn = run_done;
    if (!fs->sync) {
        commit_drop(c);
        worker_defer(c->worker, &c->call);
        return;
    }
    pthread_mutex_lock(&q->lock);
    if (q->last)
        q->last->next = c;
    else
        q->first = c;
    q->last = c;
    bool idle = !q->running;
    q->running = true;
    pthread_mutex_unlock(&q->lock);
    if (idle) {
        struct batch *b = xalloc(sizeof *b);
        b->fs = fs;
        store_ref(&fs->store);
        b->job.work = batch_work;
        b->job.done = batch_done;
        job_submit(fs->sync_lane, &b->job);
    }
}
