/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/fs/snapshot.h"

#include "base/clock.h"
#include "base/mem.h"

#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>

#define SNAPSHOT_MAGIC 0x5A95407U
#define SETTLED_NS (2 * NS_PER_S)
#define TEXT_FIRST ((size_t)64 << 10)
#define XFS_MAGIC 0x58465342 /* linux/magic.h lacks it */

struct snapshot {
    struct list link; /* among those kept, or in no list */
    unsigned magic;
    unsigned users; /* references, and one for being kept; under the lock */
    struct stat of; /* the directory when it was scanned */
    char *text;     /* the names, a NUL behind each */
    size_t text_n, text_cap;
    uint32_t *at; /* of each name in text, in order */
    size_t n;
};

void snapshots_init(struct snapshots *all)
{
    *all = (struct snapshots){.bytes = 0};
    pthread_mutex_init(&all->lock, NULL);
    list_init(&all->kept);
}

static void snapshot_free(struct snapshot *s)
{
    POISON(s);
    free(s->text);
    free(s->at);
    free(s);
}

static size_t size_of(const struct snapshot *s)
{
    return s->text_cap + s->n * sizeof *s->at;
}

static void unref(struct snapshot *s)
{
    if (--s->users == 0)
        snapshot_free(s);
}

/* Under the lock. */
static void forget(struct snapshots *all, struct snapshot *s)
{
    list_remove(&s->link);
    all->bytes -= size_of(s);
    unref(s);
}

void snapshots_fini(struct snapshots *all)
{
    while (!list_empty(&all->kept))
        forget(all, CONTAINER(all->kept.next, struct snapshot, link));
    pthread_mutex_destroy(&all->lock);
}

static bool same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool same_place(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static bool same_state(const struct stat *a, const struct stat *b)
{
    return same_time(a->st_mtim, b->st_mtim) && same_time(a->st_ctim, b->st_ctim);
}

struct snapshot *snapshot_find(struct snapshots *all, int fd)
{
    struct snapshot *found = NULL;
    struct stat now;
    if (fstat(fd, &now) != 0)
        return NULL;
    pthread_mutex_lock(&all->lock);
    for (struct list *l = all->kept.next; !found && l != &all->kept; l = l->next) {
        found = CONTAINER(l, struct snapshot, link);
        CHECK(found, SNAPSHOT_MAGIC);
        if (!same_place(&found->of, &now))
            found = NULL;
    }
    if (found && !same_state(&found->of, &now)) {
        forget(all, found);
        found = NULL;
    }
    if (found) {
        list_remove(&found->link);
        list_append(&all->kept, &found->link);
        found->users++;
    }
    pthread_mutex_unlock(&all->lock);
    return found;
}

void snapshot_drop(struct snapshots *all, struct snapshot *s)
{
    CHECK(s, SNAPSHOT_MAGIC);
    pthread_mutex_lock(&all->lock);
    unref(s);
    pthread_mutex_unlock(&all->lock);
}

size_t snapshot_count(const struct snapshot *s)
{
    return s->n;
}

const char *snapshot_name(const struct snapshot *s, size_t i)
{
    return s->text + s->at[i];
}

size_t snapshot_seek(const struct snapshot *s, const char *name)
{
    size_t low = 0, high = s->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(snapshot_name(s, middle), name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Whether a change by anybody shows in fstat at once. */
static bool is_local(int fd)
{
    struct statfs v;
    if (fstatfs(fd, &v) != 0)
        return false;
    switch ((uint32_t)v.f_type) {
    case EXT4_SUPER_MAGIC:
    case XFS_MAGIC:
    case BTRFS_SUPER_MAGIC:
    case F2FS_SUPER_MAGIC:
    case TMPFS_MAGIC:
        return true;
    default:
        return false;
    }
}

static bool is_settled(struct timespec t, uint64_t now)
{
    uint64_t at = (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
    return at < now && now - at >= SETTLED_NS;
}

void snapshot_begin(struct snapshot_maker *m, int fd, uint64_t now)
{
    struct stat st;
    m->s = NULL;
    if (fstat(fd, &st) != 0 || !is_settled(st.st_mtim, now) ||
        !is_settled(st.st_ctim, now) || !is_local(fd))
        return;
    struct snapshot *s = xalloc(sizeof *s);
    list_init(&s->link);
    s->magic = SNAPSHOT_MAGIC;
    s->users = 1;
    s->of = st;
    m->s = s;
}

static void give_up(struct snapshot_maker *m)
{
    snapshot_free(m->s);
    m->s = NULL;
}

void snapshot_add(struct snapshot_maker *m, const char *name, size_t n)
{
    struct snapshot *s = m->s;
    if (!s)
        return;
    size_t need = s->text_n + n + 1, at = (s->n + 1) * sizeof *s->at;
    if (need + at > SNAPSHOT_MOST) {
        give_up(m);
        return;
    }
    if (need > s->text_cap) {
        s->text_cap = s->text_cap ? 2 * s->text_cap : TEXT_FIRST;
        s->text = xrealloc(s->text, s->text_cap);
    }
    memcpy(s->text + s->text_n, name, n);
    s->text[s->text_n + n] = '\0';
    s->text_n = need;
    s->n++;
}

static int by_bytes(const void *a, const void *b, void *text)
{
    return strcmp((char *)text + *(const uint32_t *)a,
                  (char *)text + *(const uint32_t *)b);
}

static void sort(struct snapshot *s)
{
    s->text = xrealloc(s->text, s->text_n);
    s->text_cap = s->text_n;
    s->at = xalloc(s->n * sizeof *s->at);
    for (size_t i = 0, at = 0; i < s->n; i++) {
        s->at[i] = (uint32_t)at;
        at += strlen(s->text + at) + 1;
    }
    qsort_r(s->at, s->n, sizeof *s->at, by_bytes, s->text);
}

static void keep(struct snapshots *all, struct snapshot *s)
{
    pthread_mutex_lock(&all->lock);
    for (struct list *l = all->kept.next, *next; l != &all->kept; l = next) {
        struct snapshot *old = CONTAINER(l, struct snapshot, link);
        next = l->next;
        if (same_place(&old->of, &s->of))
            forget(all, old);
    }
    all->bytes += size_of(s);
    list_append(&all->kept, &s->link);
    while (all->bytes > SNAPSHOTS_MOST)
        forget(all, CONTAINER(all->kept.next, struct snapshot, link));
    pthread_mutex_unlock(&all->lock);
}

void snapshot_end(struct snapshot_maker *m, struct snapshots *all, int fd, bool complete)
{
    struct stat st;
    if (!m->s)
        return;
    if (!complete || m->s->n < SNAPSHOT_LEAST || fstat(fd, &st) != 0 ||
        !same_state(&m->s->of, &st)) {
        give_up(m);
        return;
    }
    sort(m->s);
    keep(all, m->s);
    m->s = NULL;
}
