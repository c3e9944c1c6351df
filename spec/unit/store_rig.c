/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/unit/store_rig.h"

#include "backends/fs/fs.h"
#include "backends/mem/mem.h"

#include <stdio.h>

struct batch {
    struct call call;
    struct worker *worker;
    struct op *ops;
    size_t n, left;
    bool cancel;
    unsigned rounds;
    struct call later;
};

static struct batch *running;

static void add_kinds(void)
{
    if (kinds_at(0))
        return;
    kinds_add(&fs_kind);
    kinds_add(&mem_kind);
}

static void begin(struct rig *r, const char *kind, const struct store_option *options)
{
    size_t n = 0;
    char *why = NULL;
    while (options[n].name)
        n++;
    if (store_get(kind, options, n, &r->store, &why) != 0 || store_begin_all(&why) != 0)
        unit_fail(__FILE__, __LINE__, "%s: %s", kind, why);
}

void rig_open(struct rig *r, const char *kind, const struct store_option *options)
{
    add_kinds();
    EXPECT_EQ(pool_start(4), 0);
    r->root = NULL;
    r->worker = worker_new("spec");
    EXPECT(r->worker);
    begin(r, kind, options);
    for (; options->name; options++)
        if (strcmp(options->name, "root") == 0)
            r->root = xstrdup(options->value);
}

void rig_reopen(struct rig *r)
{
    struct store_option options[] = {{"reserve", "0"}, {"root", r->root}, {NULL, NULL}};
    rig_settle(r);
    store_unref(r->store);
    begin(r, "fs", options);
}

void rig_close(struct rig *r)
{
    rig_settle(r);
    store_unref(r->store);
    pool_stop();
    worker_free(r->worker);
    free(r->root);
}

void rig_case(const char *kind, void (*fn)(struct rig *))
{
    struct rig r;
    char *root = xasprintf("%s/store", unit_tmpdir());
    const char *durability = strcmp(kind, "fs async") == 0 ? "async" : "sync";
    struct store_option fs[] = {
        {"root", root}, {"reserve", "0"}, {"durability", durability}, {NULL, NULL}};
    struct store_option mem[] = {{"name", "spec"}, {NULL, NULL}};
    bool is_mem = strcmp(kind, "mem") == 0;
    rig_open(&r, is_mem ? "mem" : "fs", is_mem ? mem : fs);
    fn(&r);
    rig_close(&r);
    free(root);
}

static void one_done(struct op *op)
{
    (void)op;
    if (--running->left == 0)
        worker_stop(running->worker);
}

static void cancel_later(struct call *c)
{
    struct batch *b = CONTAINER(c, struct batch, later);
    if (b->left == 0)
        return;
    if (b->rounds--)
        worker_defer(b->worker, c);
    else
        op_cancel(b->ops);
}

static void start_all(struct call *c)
{
    struct batch *b = CONTAINER(c, struct batch, call);
    for (size_t i = 0; i < b->n; i++) {
        b->ops[i].done = one_done;
        op_start(&b->ops[i]);
    }
    if (b->cancel && b->rounds) {
        b->rounds--;
        worker_defer(b->worker, &b->later);
    } else if (b->cancel) {
        op_cancel(b->ops);
    }
}

static void run(struct rig *r, struct batch *b)
{
    b->call.fn = start_all;
    b->later.fn = cancel_later;
    b->worker = r->worker;
    b->left = b->n;
    running = b;
    worker_defer(r->worker, &b->call);
    worker_run(r->worker);
    EXPECT_EQ(b->left, 0);
}

void rig_run_all(struct rig *r, struct op *ops, size_t n)
{
    struct batch b = {.ops = ops, .n = n};
    run(r, &b);
}

int rig_run(struct rig *r, struct op *op)
{
    rig_run_all(r, op, 1);
    return op->rc;
}

int rig_run_cancelled(struct rig *r, struct op *op, unsigned rounds)
{
    struct batch b = {.ops = op, .n = 1, .cancel = true, .rounds = rounds};
    run(r, &b);
    return op->rc;
}

struct settle {
    struct call call;
    struct worker *worker;
};

static void stop_now(struct call *c)
{
    worker_stop(CONTAINER(c, struct settle, call)->worker);
}

/* The pool is drained and started again; then one round takes what it sent home. */
void rig_settle(struct rig *r)
{
    struct settle s = {{.fn = stop_now}, r->worker};
    pool_stop();
    worker_defer(r->worker, &s.call);
    worker_run(r->worker);
    EXPECT_EQ(pool_start(4), 0);
}

enum ask { PUSH, FINISH, ABORT, CLOSE };

struct stream_call {
    struct call call;
    struct worker *worker;
    enum ask ask;
    struct sink *sink;
    struct source *source;
    void *p;
    size_t n;
    ssize_t rc;
};

static void sink_answered(struct sink *k, int rc)
{
    struct stream_call *c = k->pusher;
    c->rc = rc;
    worker_stop(c->worker);
}

static void source_answered(struct source *s, ssize_t rc)
{
    struct stream_call *c = s->puller;
    c->rc = rc;
    worker_stop(c->worker);
}

static void ask_stream(struct call *call)
{
    struct stream_call *c = CONTAINER(call, struct stream_call, call);
    if (c->source && c->ask == PUSH) {
        c->source->answer = source_answered;
        c->source->puller = c;
        source_pull(c->source, c->p, c->n);
        return;
    }
    if (c->ask == CLOSE) {
        sink_close(c->sink);
        source_close(c->source);
        worker_stop(c->worker);
        return;
    }
    c->sink->answer = sink_answered;
    c->sink->pusher = c;
    if (c->ask == PUSH)
        sink_push(c->sink, c->p, c->n);
    else if (c->ask == FINISH)
        sink_finish(c->sink);
    else
        sink_abort(c->sink);
}

static ssize_t stream(struct rig *r, struct stream_call c)
{
    c.call.fn = ask_stream;
    c.worker = r->worker;
    worker_defer(r->worker, &c.call);
    worker_run(r->worker);
    return c.rc;
}

int rig_push(struct rig *r, struct sink *k, const void *p, size_t n)
{
    struct stream_call c = {.ask = PUSH, .sink = k, .p = (void *)p, .n = n};
    return (int)stream(r, c);
}

int rig_finish(struct rig *r, struct sink *k)
{
    return (int)stream(r, (struct stream_call){.ask = FINISH, .sink = k});
}

int rig_abort(struct rig *r, struct sink *k)
{
    return (int)stream(r, (struct stream_call){.ask = ABORT, .sink = k});
}

void rig_close_sink(struct rig *r, struct sink *k)
{
    stream(r, (struct stream_call){.ask = CLOSE, .sink = k});
}

void rig_close_source(struct rig *r, struct source *s)
{
    stream(r, (struct stream_call){.ask = CLOSE, .source = s});
}

ssize_t rig_drain(struct rig *r, struct source *s, void *p, size_t cap)
{
    size_t at = 0;
    while (at < cap) {
        struct stream_call c = {
            .ask = PUSH, .source = s, .p = (char *)p + at, .n = cap - at};
        ssize_t n = stream(r, c);
        if (n < 0)
            return n;
        if (n == 0)
            break;
        at += (size_t)n;
    }
    return (ssize_t)at;
}

static void prepare(struct rig *r, struct op *op, enum store_verb verb, const char *key)
{
    op_init(op, r->store, verb, one_done);
    op->key = key;
}

static int run_and_drop(struct rig *r, struct op *op)
{
    int rc = rig_run(r, op);
    op_fini(op);
    return rc;
}

int rig_put(struct rig *r, const char *key, const char *text)
{
    struct op op;
    prepare(r, &op, OP_put, key);
    op.in = span_of(text);
    return run_and_drop(r, &op);
}

int rig_put_if_absent(struct rig *r, const char *key, const char *text)
{
    struct op op;
    prepare(r, &op, OP_put, key);
    op.in = span_of(text);
    op.if_absent = true;
    return run_and_drop(r, &op);
}

int rig_remove(struct rig *r, const char *key)
{
    struct op op;
    prepare(r, &op, OP_remove, key);
    return run_and_drop(r, &op);
}

int rig_touch(struct rig *r, const char *key)
{
    struct op op;
    prepare(r, &op, OP_touch, key);
    return run_and_drop(r, &op);
}

int rig_two(struct rig *r, enum store_verb verb, const char *key, const char *to)
{
    struct op op;
    prepare(r, &op, verb, key);
    op.to = to;
    return run_and_drop(r, &op);
}

int rig_move_sized(struct rig *r, const char *key, const char *to, uint64_t size)
{
    struct op op;
    prepare(r, &op, OP_move, key);
    op.to = to;
    op.n = size;
    return run_and_drop(r, &op);
}

int rig_stat(struct rig *r, const char *key, struct object *out)
{
    struct op op;
    prepare(r, &op, OP_stat, key);
    int rc = rig_run(r, &op);
    *out = op.object;
    out->type = out->meta = NULL;
    op_fini(&op);
    return rc;
}

int rig_create(struct rig *r, const char *key, bool if_absent, struct sink **out)
{
    struct op op;
    prepare(r, &op, OP_create, key);
    op.if_absent = if_absent;
    int rc = rig_run(r, &op);
    *out = op.sink;
    op_fini(&op);
    return rc;
}

int rig_append(struct rig *r, const char *key, uint64_t offset, struct sink **out,
               uint64_t *size)
{
    struct op op;
    prepare(r, &op, OP_append, key);
    op.offset = offset;
    int rc = rig_run(r, &op);
    *out = op.sink;
    *size = op.object.size;
    op_fini(&op);
    return rc;
}

int rig_append_text(struct rig *r, const char *key, uint64_t offset, const char *text)
{
    struct sink *k;
    uint64_t size;
    int rc = rig_append(r, key, offset, &k, &size);
    if (rc)
        return rc;
    if (*text)
        rc = rig_push(r, k, text, strlen(text));
    if (rc == 0)
        rc = rig_finish(r, k);
    rig_close_sink(r, k);
    return rc;
}

int rig_expire(struct rig *r, const char *key, uint64_t before, bool *removed)
{
    struct op op;
    prepare(r, &op, OP_expire, key);
    op.before = before;
    int rc = rig_run(r, &op);
    *removed = op.removed;
    op_fini(&op);
    return rc;
}

void rig_expect(struct rig *r, const char *key, const char *text)
{
    struct op op;
    prepare(r, &op, OP_read, key);
    op.limit = 1 << 20;
    int rc = rig_run(r, &op);
    if (rc != (text ? 0 : E_NOT_FOUND))
        unit_fail(__FILE__, __LINE__, "read of %s: %s", key, err_name(rc));
    if (text && (op.out_n != strlen(text) || memcmp(op.out, text, op.out_n) != 0))
        unit_fail(__FILE__, __LINE__, "%s holds \"%.*s\", not \"%s\"", key, (int)op.out_n,
                  (const char *)op.out, text);
    op_fini(&op);
}

char *rig_list(struct rig *r, const char *prefix, bool delimiter, const char *after,
               uint64_t limit)
{
    struct op op;
    prepare(r, &op, OP_list, prefix);
    op.delimiter = delimiter;
    op.after = after;
    op.limit = limit;
    EXPECT_EQ(rig_run(r, &op), 0);
    char *text = xstrdup("");
    for (size_t i = 0; i < op.n_entries; i++) {
        char *longer = xasprintf("%s%s%s", text, i ? " " : "", op.entries[i].name);
        free(text);
        text = longer;
        size_t n = strlen(op.entries[i].name);
        EXPECT_EQ(op.entries[i].prefix, op.entries[i].name[n - 1] == '/');
    }
    if (op.more) {
        char *longer = xasprintf("%s ...", text);
        free(text);
        text = longer;
    }
    op_fini(&op);
    return text;
}

void rig_expect_list(struct rig *r, const char *prefix, bool delimiter, const char *names)
{
    char *got = rig_list(r, prefix, delimiter, NULL, 0);
    EXPECT_STR(got, names);
    free(got);
}
