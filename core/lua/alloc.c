/* SPDX-License-Identifier: Apache-2.0 */
#include "lua/alloc.h"
#include "base/base.h"

#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define SMALL_MAX ((size_t)0)
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SMALL_MAX ((size_t)0)
#endif
#endif
#ifndef SMALL_MAX
#define SMALL_MAX ((size_t)ALLOC_CLASSES * ALLOC_STEP)
#endif

#define SLAB_SIZE 16384 /* and alignment: an object's slab is found by its address */
/* The rest is room for malloc's own words, so that aligned slabs can be neighbours. */
#define SLAB_USABLE (SLAB_SIZE - 64)

struct slab {
    struct list link; /* in room; in no list while full */
    void *free;       /* objects given back, each with the link to the next */
    size_t fresh;     /* where those begin that were never used */
    size_t live;      /* objects in use */
    size_t size;      /* of one object */
};

/* The first object's place: aligned like malloc's. */
#define SLAB_HEAD ((sizeof(struct slab) + ALLOC_STEP - 1) / ALLOC_STEP * ALLOC_STEP)

static size_t class_of(size_t n)
{
    return (n - 1) / ALLOC_STEP;
}

void alloc_init(struct alloc *a, size_t limit)
{
    a->used = 0;
    a->limit = limit;
    for (size_t i = 0; i < ALLOC_CLASSES; i++)
        list_init(&a->room[i]);
}

static void slab_free(struct alloc *a, struct slab *s)
{
    list_remove(&s->link);
    free(s);
    a->used -= SLAB_SIZE;
}

void alloc_fini(struct alloc *a)
{
    for (size_t i = 0; i < ALLOC_CLASSES; i++)
        while (!list_empty(&a->room[i])) {
            struct slab *s = CONTAINER(a->room[i].next, struct slab, link);
            assert(s->live == 0);
            slab_free(a, s);
        }
    assert(a->used == 0);
}

static struct slab *slab_new(struct alloc *a, size_t class, bool force)
{
    void *p;
    if (!force && (a->used > a->limit || a->limit - a->used < SLAB_SIZE))
        return NULL;
    if (posix_memalign(&p, SLAB_SIZE, SLAB_USABLE) != 0)
        return NULL;
    struct slab *s = p;
    *s = (struct slab){.fresh = SLAB_HEAD, .size = (class + 1) * ALLOC_STEP};
    list_init(&s->link);
    list_append(&a->room[class], &s->link);
    a->used += SLAB_SIZE;
    return s;
}

static bool is_full(const struct slab *s)
{
    return !s->free && s->fresh + s->size > SLAB_USABLE;
}

static void *get_small(struct alloc *a, size_t n, bool force)
{
    size_t class = class_of(n);
    struct list *room = &a->room[class];
    struct slab *s = list_empty(room) ? slab_new(a, class, force)
                                      : CONTAINER(room->next, struct slab, link);
    if (!s)
        return NULL;
    void *p = s->free;
    if (p) {
        memcpy(&s->free, p, sizeof s->free);
    } else {
        p = (char *)s + s->fresh;
        s->fresh += s->size;
    }
    s->live++;
    if (is_full(s))
        list_remove(&s->link);
    return p;
}

/* The last slab with room stays, even empty: what comes and goes shall not make and
 * unmake a slab each time. */
static void put_small(struct alloc *a, void *p, size_t n)
{
    struct slab *s = (struct slab *)((uintptr_t)p & ~(uintptr_t)(SLAB_SIZE - 1));
    struct list *room = &a->room[class_of(n)];
    bool was_full = is_full(s);
    memcpy(p, &s->free, sizeof s->free);
    s->free = p;
    s->live--;
    if (was_full)
        list_append(room, &s->link);
    if (s->live == 0 && room->next != room->prev)
        slab_free(a, s);
}

static void put(struct alloc *a, void *p, size_t n)
{
    if (n == 0)
        return;
    if (n <= SMALL_MAX) {
        put_small(a, p, n);
    } else {
        free(p);
        a->used -= n;
    }
}

static void *get(struct alloc *a, size_t n, bool force)
{
    if (n <= SMALL_MAX)
        return get_small(a, n, force);
    if (!force && (a->used > a->limit || a->limit - a->used < n))
        return NULL;
    void *p = malloc(n);
    if (p)
        a->used += n;
    return p;
}

/* Both sizes are large. The kernel may move the pages instead of copying the bytes. */
static void *resize_large(struct alloc *a, void *p, size_t had, size_t want)
{
    if (want > had && (a->used > a->limit || a->limit - a->used < want - had))
        return NULL;
    void *q = realloc(p, want);
    if (q)
        a->used += want - had;
    return q;
}

void *alloc_change(struct alloc *a, void *p, size_t had, size_t want)
{
    if (!p)
        had = 0;
    if (want == 0) {
        put(a, p, had);
        return NULL;
    }
    if (had == 0)
        return get(a, want, false);
    if (had > SMALL_MAX && want > SMALL_MAX)
        return resize_large(a, p, had, want);
    if (had <= SMALL_MAX && want <= SMALL_MAX && class_of(had) == class_of(want))
        return p;
    void *q = get(a, want, want < had);
    if (!q)
        return NULL;
    memcpy(q, p, had < want ? had : want);
    put(a, p, had);
    return q;
}
