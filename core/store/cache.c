/* SPDX-License-Identifier: Apache-2.0 */
#include "store/cache.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define SHARDS 16
#define BUCKETS 256 /* of a shard */

struct content {
    atomic_uint refs; /* the cache's own among them */
    struct content *next;
    struct list link;
    uint64_t hash;
    const struct store *store;
    struct object object;
    size_t cost;
    char *key; /* behind the bytes */
    uint8_t bytes[];
};

struct shard {
    pthread_mutex_t lock; /* guards all of it, but not contents that are lent */
    struct list used;     /* the least recently used first */
    size_t bytes;
    struct content *buckets[BUCKETS];
};

static struct {
    size_t most; /* bytes of a shard */
    atomic_uint_fast64_t removals;
    pthread_mutex_t common_lock;
    char *common; /* how all keys begin that were ever kept; NULL: none was */
    struct shard shards[SHARDS];
} cache;

/* FNV-1a */
static uint64_t hash_of(const struct store *s, const char *key)
{
    uint64_t h = UINT64_C(14695981039346656037) ^ (uintptr_t)s;
    for (; *key; key++)
        h = (h ^ (unsigned char)*key) * UINT64_C(1099511628211);
    return h ^ h >> 32;
}

static struct shard *shard_of(uint64_t hash)
{
    return &cache.shards[hash % SHARDS];
}

static struct content **bucket_of(struct shard *shard, uint64_t hash)
{
    return &shard->buckets[hash / SHARDS % BUCKETS];
}

void cache_start(size_t bytes)
{
    assert(cache.most == 0);
    cache.most = bytes / SHARDS;
    pthread_mutex_init(&cache.common_lock, NULL);
    for (size_t i = 0; i < SHARDS; i++) {
        pthread_mutex_init(&cache.shards[i].lock, NULL);
        list_init(&cache.shards[i].used);
    }
}

void content_put(void *arg)
{
    struct content *c = arg;
    if (c && atomic_fetch_sub(&c->refs, 1) == 1)
        free(c);
}

/* Under the shard's lock. */
static void take_out(struct shard *shard, struct content *c)
{
    struct content **at = bucket_of(shard, c->hash);
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    list_remove(&c->link);
    shard->bytes -= c->cost;
    content_put(c);
}

static struct content *look_up(struct shard *shard, uint64_t hash, const struct store *s,
                               const char *key)
{
    struct content *c = *bucket_of(shard, hash);
    while (c && !(c->hash == hash && c->store == s && strcmp(c->key, key) == 0))
        c = c->next;
    return c;
}

struct content *cache_get(const struct store *s, const char *key)
{
    if (cache.most == 0)
        return NULL;
    uint64_t hash = hash_of(s, key);
    struct shard *shard = shard_of(hash);
    pthread_mutex_lock(&shard->lock);
    struct content *c = look_up(shard, hash, s, key);
    if (c) {
        atomic_fetch_add(&c->refs, 1);
        list_remove(&c->link);
        list_append(&shard->used, &c->link);
    }
    pthread_mutex_unlock(&shard->lock);
    return c;
}

uint64_t cache_removals(void)
{
    return atomic_load(&cache.removals);
}

/* Shortens `common` to what key begins with, too. */
static void note_common(const char *key)
{
    pthread_mutex_lock(&cache.common_lock);
    if (!cache.common) {
        cache.common = xstrdup(key);
    } else {
        size_t n = 0;
        while (cache.common[n] && cache.common[n] == key[n])
            n++;
        cache.common[n] = '\0';
    }
    pthread_mutex_unlock(&cache.common_lock);
}

static struct content *content_new(const struct store *s, const char *key,
                                   const struct object *object, const void *p, size_t n)
{
    size_t key_n = strlen(key) + 1;
    struct content *c = xalloc(sizeof *c + n + key_n);
    atomic_init(&c->refs, 2);
    list_init(&c->link);
    c->hash = hash_of(s, key);
    c->store = s;
    c->object = *object;
    c->cost = sizeof *c + n + key_n;
    c->key = memcpy(c->bytes + n, key, key_n);
    if (n)
        memcpy(c->bytes, p, n);
    return c;
}

struct content *cache_add(const struct store *s, const char *key,
                          const struct object *object, const void *p, size_t n,
                          uint64_t removals)
{
    if (cache.most == 0 || n > CACHE_CONTENT_MAX || object->type || object->meta ||
        n > cache.most / 2)
        return NULL;
    struct content *c = content_new(s, key, object, p, n);
    struct shard *shard = shard_of(c->hash);
    note_common(key);
    pthread_mutex_lock(&shard->lock);
    struct content *old = look_up(shard, c->hash, s, key);
    if (old)
        take_out(shard, old);
    struct content **bucket = bucket_of(shard, c->hash);
    c->next = *bucket;
    *bucket = c;
    list_append(&shard->used, &c->link);
    shard->bytes += c->cost;
    while (shard->bytes > cache.most && shard->used.next != &c->link)
        take_out(shard, CONTAINER(shard->used.next, struct content, link));
    /* whoever removes counts first and forgets then, under this lock */
    if (removals != cache_removals())
        take_out(shard, c);
    pthread_mutex_unlock(&shard->lock);
    return c;
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* Prefixes are removed often (each upload ends with one), and seldom where contents
 * are. */
static bool may_hold(const char *prefix)
{
    pthread_mutex_lock(&cache.common_lock);
    const char *common = cache.common;
    bool may = common && (begins(common, prefix) || begins(prefix, common));
    pthread_mutex_unlock(&cache.common_lock);
    return may;
}

/* Forgets what is of the store and begins with the prefix; every shard is looked at. */
static void sweep(const struct store *s, const char *prefix)
{
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *shard = &cache.shards[i];
        pthread_mutex_lock(&shard->lock);
        for (struct list *l = shard->used.next, *next; l != &shard->used; l = next) {
            struct content *c = CONTAINER(l, struct content, link);
            next = l->next;
            if (c->store == s && begins(c->key, prefix))
                take_out(shard, c);
        }
        pthread_mutex_unlock(&shard->lock);
    }
}

void cache_forget(const struct store *s, const char *key, bool prefix)
{
    if (cache.most == 0)
        return;
    atomic_fetch_add(&cache.removals, 1);
    if (prefix) {
        if (may_hold(key))
            sweep(s, key);
        return;
    }
    uint64_t hash = hash_of(s, key);
    struct shard *shard = shard_of(hash);
    pthread_mutex_lock(&shard->lock);
    struct content *c = look_up(shard, hash, s, key);
    if (c)
        take_out(shard, c);
    pthread_mutex_unlock(&shard->lock);
}

void cache_forget_store(const struct store *s)
{
    if (cache.most)
        sweep(s, "");
}

void cache_stop(void)
{
    if (cache.most == 0)
        return;
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *shard = &cache.shards[i];
        while (!list_empty(&shard->used))
            take_out(shard, CONTAINER(shard->used.next, struct content, link));
    }
    free(cache.common);
    cache.common = NULL;
    cache.most = 0;
}

void content_describe(const struct content *c, struct object *out)
{
    *out = c->object;
}

const uint8_t *content_bytes(const struct content *c)
{
    return c->bytes;
}
