/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/unit/store_rig.h"

#include "backends/fs/fs.h"
#include "backends/mem/mem.h"
#include "base/clock.h"

#define OPTIONS(...) ((const struct store_option[]){__VA_ARGS__, {NULL, NULL}})

TEST("store: one kind with the same options is one store")
{
    struct store *a, *b, *c;
    char *why = NULL;
    kinds_add(&mem_kind);
    const struct store_option *options = OPTIONS({"name", "x"}, {"limit", "10"});
    const struct store_option *turned = OPTIONS({"limit", "10"}, {"name", "x"});
    EXPECT_EQ(store_get("mem", options, 2, &a, &why), 0);
    EXPECT_EQ(store_get("mem", turned, 2, &b, &why), 0);
    EXPECT_EQ(store_get("mem", options, 1, &c, &why), 0);
    EXPECT(a == b && a != c);
    EXPECT_EQ(a->refs, 2);
    EXPECT_STR(a->id, "mem:x");
    EXPECT_EQ(store_begin_all(&why), 0);
    EXPECT(a->begun && c->begun);
    store_unref(a);
    store_unref(b);
    store_unref(c);
    store_unref(NULL);
}

TEST("store: unknown kinds and bad options are refused with a reason")
{
    static const struct {
        const char *kind, *name, *value, *why;
    } cases[] = {
        {"tape", "name", "x", "there is no kind of store \"tape\""},
        {"mem", "colour", "x", "mem has no option \"colour\""},
        {"mem", "limit", "much", "limit cannot be \"much\""},
        {"mem", "fail", "put:WRONG:1", "fail cannot be \"put:WRONG:1\""},
        {"mem", "fail", "put:IO", "fail cannot be \"put:IO\""},
        {"fs", "durability", "sync", "fs needs a root"},
        {"fs", "root", "", "fs needs a root"},
    };
    kinds_add(&mem_kind);
    kinds_add(&fs_kind);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct store *s;
        char *why = NULL;
        struct store_option o = {cases[i].name, cases[i].value};
        EXPECT_EQ(store_get(cases[i].kind, &o, 1, &s, &why), E_INVALID);
        EXPECT_STR(why, cases[i].why);
        free(why);
    }
    const struct store_option *twice = OPTIONS({"name", "x"}, {"name", "y"});
    struct store *s;
    char *why = NULL;
    EXPECT_EQ(store_get("mem", twice, 2, &s, &why), E_INVALID);
    EXPECT_STR(why, "option \"name\" is given twice");
    free(why);
}

TEST("store: an operation on a store that has not begun is told BUSY")
{
    struct rig r;
    rig_open(&r, "mem", OPTIONS({"name", "a"}));
    r.store->begun = false;
    EXPECT_EQ(rig_put(&r, "k", "x"), E_BUSY);
    r.store->begun = true;
    EXPECT_EQ(rig_put(&r, "k", "x"), 0);
    rig_close(&r);
}

TEST("store mem: keeps its limit and gives the room back")
{
    struct rig r;
    struct sink *k;
    rig_open(&r, "mem", OPTIONS({"limit", "10"}));
    EXPECT_EQ(rig_put(&r, "a", "12345"), 0);
    EXPECT_EQ(rig_put(&r, "b", "123456"), E_NO_SPACE);
    rig_expect(&r, "b", NULL);
    EXPECT_EQ(rig_put(&r, "a", "1234567890"), 0);
    EXPECT_EQ(rig_two(&r, OP_copy, "a", "b"), E_NO_SPACE);
    EXPECT_EQ(rig_two(&r, OP_move, "a", "b"), 0);
    EXPECT_EQ(rig_create(&r, "c", false, &k), 0);
    EXPECT_EQ(rig_push(&r, k, "12345678901", 11), E_NO_SPACE);
    EXPECT_EQ(rig_abort(&r, k), 0);
    rig_close_sink(&r, k);
    EXPECT_EQ(rig_remove(&r, "b"), 0);
    EXPECT_EQ(rig_put(&r, "c", "1234567890"), 0);
    rig_close(&r);
}

TEST("store mem: fails as often as it was told")
{
    struct rig r;
    struct sink *k;
    rig_open(&r, "mem", OPTIONS({"fail", "put:IO:2"}));
    EXPECT_EQ(rig_put(&r, "a", "x"), E_IO);
    EXPECT_EQ(rig_put(&r, "a", "x"), E_IO);
    rig_expect(&r, "a", NULL);
    EXPECT_EQ(rig_put(&r, "a", "x"), 0);
    rig_close(&r);
    rig_open(&r, "mem", OPTIONS({"fail", "finish:NO_SPACE:1"}));
    EXPECT_EQ(rig_create(&r, "a", false, &k), 0);
    EXPECT_EQ(rig_finish(&r, k), E_NO_SPACE);
    rig_close_sink(&r, k);
    rig_expect(&r, "a", NULL);
    rig_close(&r);
}

TEST("store mem: stale listings omit the newest writes, reads do not")
{
    struct rig r;
    rig_open(&r, "mem", OPTIONS({"stale", "2"}));
    EXPECT_EQ(rig_put(&r, "a", "x"), 0);
    EXPECT_EQ(rig_put(&r, "b", "x"), 0);
    EXPECT_EQ(rig_put(&r, "c", "x"), 0);
    rig_expect_list(&r, "", false, "a");
    rig_expect(&r, "c", "x");
    rig_close(&r);
}

TEST("store mem: a delay takes its time and can be cancelled")
{
    struct rig r;
    struct op op;
    rig_open(&r, "mem", OPTIONS({"delay", "20000000"}));
    uint64_t start = clock_now();
    EXPECT_EQ(rig_put(&r, "a", "x"), 0);
    EXPECT(clock_now() - start >= 19 * NS_PER_MS);
    rig_close(&r);
    rig_open(&r, "mem", OPTIONS({"delay", "3600000000000"}));
    op_init(&op, r.store, OP_put, NULL);
    op.key = "a";
    EXPECT_EQ(rig_run_cancelled(&r, &op, 0), E_CANCELLED);
    op_fini(&op);
    rig_close(&r);
}

static struct op early;

static void ask_again(struct call *c)
{
    (void)c;
    op_start(&early);
}

static void early_done(struct op *op)
{
    static struct call again = {.fn = ask_again};
    if (op->rc == E_BUSY)
        worker_defer(op->worker, &again);
    else
        worker_stop(op->worker);
}

TEST("store: an operation may start while its store begins")
{
    struct call first = {.fn = ask_again};
    struct worker *w = worker_new("spec");
    struct store *s;
    char *why = NULL;
    kinds_add(&mem_kind);
    EXPECT_EQ(store_get("mem", OPTIONS({"name", "early"}), 1, &s, &why), 0);
    op_init(&early, s, OP_stat, early_done);
    early.key = "absent";
    worker_post(w, &first);
    EXPECT_EQ(worker_start(w, NULL, NULL, NULL), 0);
    EXPECT_EQ(store_begin_all(&why), 0);
    worker_join(w);
    EXPECT_EQ(early.rc, E_NOT_FOUND);
    op_fini(&early);
    store_unref(s);
    worker_free(w);
}
