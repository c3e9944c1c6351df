/* SPDX-License-Identifier: Apache-2.0
 *
 * The life of an operation: what it may ask is checked here, once for all kinds, and its
 * end always comes by the run queue.
 */
#include "base/metrics.h"
#include "store/cache.h"
#include "store/key.h"
#include "store/store.h"
#include "stream/memory.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define TYPE_MAX 255

static const char *const verb_names[] = {
#define X(name) #name,
    STORE_VERBS(X)
#undef X
};

enum {
    NEEDS_KEY = 1,
    MAY_HAVE_KEY = 2,
    NEEDS_TO = 4,
    NEEDS_KEYS = 8,
    NEEDS_PREFIX = 16, /* ends with '/' */
    NEEDS_SINK = 32,
    NEEDS_VERSION = 64,
    NEEDS_METHOD = 128,
    LISTS = 256,
    CHANGES = 512,
};

static const unsigned needs[OP_VERBS] = {
    [OP_stat] = NEEDS_KEY,
    [OP_open] = NEEDS_KEY,
    [OP_read] = NEEDS_KEY,
    [OP_create] = MAY_HAVE_KEY | CHANGES,
    [OP_commit] = NEEDS_KEY | NEEDS_SINK | CHANGES,
    [OP_append] = NEEDS_KEY | CHANGES,
    [OP_put] = NEEDS_KEY | CHANGES,
    [OP_put_if] = NEEDS_KEY | NEEDS_VERSION | CHANGES,
    [OP_list] = LISTS,
    [OP_copy] = NEEDS_KEY | NEEDS_TO | CHANGES,
    [OP_move] = NEEDS_KEY | NEEDS_TO | CHANGES,
    [OP_concat] = NEEDS_KEYS | NEEDS_TO | CHANGES,
    [OP_remove] = NEEDS_KEY | CHANGES,
    [OP_remove_prefix] = NEEDS_PREFIX | CHANGES,
    [OP_touch] = NEEDS_KEY | CHANGES,
    [OP_expire] = NEEDS_KEY | CHANGES,
    [OP_url] = NEEDS_KEY | NEEDS_METHOD,
};

static bool is_key(const char *key)
{
    return key && key_check(span_of(key)) == 0;
}

static bool is_prefix(const char *prefix)
{
    return prefix && key_check_prefix(span_of(prefix)) == 0;
}

static bool ends_with_slash(const char *s)
{
    size_t n = strlen(s);
    return n && s[n - 1] == '/';
}

static bool is_type(const char *type)
{
    size_t n = 0;
    for (; n <= TYPE_MAX && type[n]; n++)
        if ((unsigned char)type[n] < 0x20 || type[n] == 0x7f)
            return false;
    return n <= TYPE_MAX;
}

/* "name\0value\0…": an even number of strings, names not empty. */
static bool is_meta(const char *meta, size_t n)
{
    size_t strings = 0;
    if (n > STORE_META_MAX || (n && (!meta || meta[n - 1] != '\0')))
        return false;
    for (size_t at = 0; at < n; strings++) {
        size_t size = strlen(meta + at);
        if (size == 0 && strings % 2 == 0)
            return false;
        at += size + 1;
    }
    return strings % 2 == 0;
}

static bool is_method(const char *method)
{
    return method && (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0 ||
                      strcmp(method, "PUT") == 0);
}

static bool keys_ok(const struct op *op)
{
    for (size_t i = 0; i < op->n_keys; i++)
        if (!is_key(op->keys[i]))
            return false;
    return op->n_keys > 0;
}

static int check_inputs(const struct op *op)
{
    unsigned need = needs[op->verb];
    bool ok =
        !((need & NEEDS_KEY) && !is_key(op->key)) &&
        !((need & MAY_HAVE_KEY) && op->key && !is_key(op->key)) &&
        !((need & NEEDS_TO) && !is_key(op->to)) &&
        !((need & NEEDS_KEYS) && !keys_ok(op)) &&
        !((need & NEEDS_PREFIX) && !(is_prefix(op->key) && ends_with_slash(op->key))) &&
        !((need & NEEDS_SINK) && !op->sink) &&
        !((need & NEEDS_VERSION) && !op->version) &&
        !((need & NEEDS_METHOD) && !is_method(op->method)) &&
        !((need & LISTS) && !is_prefix(op->key)) && !(op->type && !is_type(op->type)) &&
        is_meta(op->meta, op->meta_n);
    return ok ? 0 : E_INVALID;
}

void op_init(struct op *op, struct store *store, enum store_verb verb,
             void (*done)(struct op *))
{
    CHECK(store, STORE_MAGIC);
    assert(verb < OP_VERBS);
    memset(op, 0, sizeof *op);
    op->magic = OP_MAGIC;
    op->verb = verb;
    op->store = store;
    op->done = done;
    op->n = SIZE_UNKNOWN;
}

/* The window that was asked for, of n bytes in all. */
static void lend_content(struct op *op, struct content *c)
{
    uint64_t size = op->object.size, left = size - op->offset;
    op->source = memory_source_new(content_bytes(c), (size_t)size, content_put, c);
    if (op->offset || op->n < left)
        source_window(op->source, op->offset, op->n < left ? op->n : left);
}

bool op_keep(struct op *op, const void *p, size_t n)
{
    assert(op->verb == OP_open && op->immutable && n == op->object.size);
    struct content *c = cache_add(op->store, op->key, &op->object, p, n, op->removals);
    if (c)
        lend_content(op, c);
    return c != NULL;
}

/* Answers an open from memory. */
static bool open_kept(struct op *op)
{
    struct content *c = cache_get(op->store, op->key);
    op->removals = cache_removals();
    metric_count(c ? METRIC_cache_hits_total : METRIC_cache_misses_total, 1);
    if (!c)
        return false;
    content_describe(c, &op->object);
    if (op->offset > op->object.size) {
        content_put(c);
        op_complete(op, E_RANGE);
        return true;
    }
    lend_content(op, c);
    op_complete(op, 0);
    return true;
}

/* What is gone, or may be, is not to be had from memory. */
static void forget_removed(const struct op *op)
{
    if (op->verb == OP_remove || op->verb == OP_expire || op->verb == OP_move)
        cache_forget(op->store, op->key, false);
    else if (op->verb == OP_remove_prefix)
        cache_forget(op->store, op->key, true);
}

static struct metric_family *operations;

static void make_family(void)
{
    static const struct metric_spec spec = {
        .name = "tidegate_store_operations_total",
        .help = "Operations of stores that are over, by kind of store and result.",
        .kind = METRIC_COUNTER,
        .labels = {"kind", "operation", "result"},
        .n_labels = 3,
        .most = 1000,
    };
    metrics_family(&spec, &operations);
}

static void count(const struct op *op)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_family);
    struct span values[] = {span_of(op->store->kind->name), span_of(verb_names[op->verb]),
                            op->rc ? span_of(err_name(op->rc)) : SPAN_LIT("ok")};
    metric_add(metrics_get(operations, values), 1);
}

bool op_try(struct op *op)
{
    CHECK(op, OP_MAGIC);
    CHECK(op->store, STORE_MAGIC);
    assert(!op->running);
    op->running = op->starting = true;
    op->worker = worker_self();
    if (op->verb == OP_list) {
        op->key = op->key ? op->key : "";
        op->after = op->after ? op->after : "";
        if (op->limit == 0 || op->limit > STORE_LIST_MAX)
            op->limit = STORE_LIST_MAX;
    }
    int rc = check_inputs(op);
    if (rc == 0 && !op->store->begun)
        rc = E_BUSY;
    if (rc == 0 && op->store->read_only && (needs[op->verb] & CHANGES))
        rc = E_DENIED;
    if (rc)
        op_complete(op, rc);
    else if (!op->immutable || op->verb != OP_open || !open_kept(op))
        op->store->kind->start(op);
    op->running = !op->settled;
    op->starting = false;
    if (op->settled && op->rc != E_INVALID)
        forget_removed(op);
    if (op->settled)
        count(op);
    return op->settled;
}

void op_start(struct op *op)
{
    if (!op_try(op))
        return;
    op->running = true;
    op_complete(op, op->rc);
}

void op_cancel(struct op *op)
{
    CHECK(op, OP_MAGIC);
    if (!op->running || op_is_cancelled(op))
        return;
    __atomic_store_n(&op->cancelled, true, __ATOMIC_RELAXED);
    if (op->store->kind->cancel)
        op->store->kind->cancel(op);
}

bool op_is_cancelled(const struct op *op)
{
    return __atomic_load_n(&op->cancelled, __ATOMIC_RELAXED);
}

static void run_done(struct call *call)
{
    struct op *op = CONTAINER(call, struct op, job.call);
    CHECK(op, OP_MAGIC);
    assert(op->running);
    op->running = false;
    if (op->rc != E_INVALID)
        forget_removed(op);
    if (!op->settled)
        count(op);
    op->done(op);
}

void op_complete(struct op *op, int rc)
{
    CHECK(op, OP_MAGIC);
    op->rc = rc;
    if (op->starting) {
        op->settled = true;
        return;
    }
    op->job.call.fn = run_done;
    worker_defer(op->worker, &op->job.call);
}

void op_post(struct op *op, int rc)
{
    CHECK(op, OP_MAGIC);
    op->rc = rc;
    op->job.call.fn = run_done;
    worker_post(op->worker, &op->job.call);
}

void op_fini(struct op *op)
{
    CHECK(op, OP_MAGIC);
    assert(!op->running);
    for (size_t i = 0; i < op->n_entries; i++)
        free(op->entries[i].name);
    free(op->entries);
    free(op->out);
    free(op->object.type);
    free(op->object.meta);
    POISON(op);
}

const char *op_name(const struct op *op)
{
    return verb_names[op->verb];
}
