/* SPDX-License-Identifier: Apache-2.0
 *
 * Crash states of whole objects: small ones, streams, copies, two at once.
 */
#include "spec/unit/crash_rig.h"

#define LINK "repositories/a/_layers/link"

CRASH_TEST(put_new, "a small object in new directories")
{
    crash_put(c, LINK, "sha256:0123");
    crash_put(c, "repositories/a/_layers/other", "sha256:4567");
}

CRASH_TEST(put_again, "a small object that replaces another")
{
    crash_put(c, LINK, "sha256:0123");
    crash_put(c, LINK, "sha256:4567");
    crash_put(c, LINK, "");
    crash_put(c, LINK, "sha256:89ab");
}

CRASH_TEST(put_absent, "if_absent and put_if")
{
    struct object object;
    struct op op;
    size_t change = crash_starts(c, LINK, "first");
    EXPECT_EQ(rig_put_if_absent(&c->rig, LINK, "first"), 0);
    crash_acked(c, change);
    EXPECT_EQ(rig_put_if_absent(&c->rig, LINK, "refused"), E_EXISTS);
    EXPECT_EQ(rig_stat(&c->rig, LINK, &object), 0);
    change = crash_starts(c, LINK, "second");
    op_init(&op, c->rig.store, OP_put_if, NULL);
    op.key = LINK;
    op.in = span_of("second");
    op.version = object.etag;
    EXPECT_EQ(rig_run(&c->rig, &op), 0);
    crash_acked(c, change);
    op_fini(&op);
}

CRASH_TEST(described, "an object with a type")
{
    struct op op;
    size_t change = crash_starts(c, LINK, "described");
    c->values[change].type = "text/plain";
    op_init(&op, c->rig.store, OP_put, NULL);
    op.key = LINK;
    op.in = span_of("described");
    op.type = "text/plain";
    EXPECT_EQ(rig_run(&c->rig, &op), 0);
    crash_acked(c, change);
    op_fini(&op);
    change = crash_starts(c, "copies/1", "described");
    c->values[change].type = "text/plain";
    EXPECT_EQ(rig_two(&c->rig, OP_copy, LINK, "copies/1"), 0);
    crash_acked(c, change);
}

/* Pushes the text in two halves. */
static struct sink *push_halves(struct crash *c, const char *key, const char *text)
{
    struct sink *k;
    size_t n = strlen(text) / 2;
    EXPECT_EQ(rig_create(&c->rig, key, false, &k), 0);
    EXPECT_EQ(rig_push(&c->rig, k, text, n), 0);
    EXPECT_EQ(rig_push(&c->rig, k, text + n, strlen(text) - n), 0);
    return k;
}

CRASH_TEST(create, "a blob that is streamed to its key")
{
    static const char *const texts[] = {"the first layer of an image", "the same again"};
    for (int i = 0; i < 2; i++) {
        size_t change = crash_starts(c, "blobs/ab/abcd/data", texts[i]);
        struct sink *k = push_halves(c, "blobs/ab/abcd/data", texts[i]);
        EXPECT_EQ(rig_finish(&c->rig, k), 0);
        crash_acked(c, change);
        rig_close_sink(&c->rig, k);
        crash_put(c, LINK, "sha256:abcd");
    }
}

CRASH_TEST(create_abort, "a blob whose client left")
{
    crash_put(c, "blobs/ab/abcd/data", "whole");
    struct sink *k = push_halves(c, "blobs/ab/abcd/data", "never to be seen");
    EXPECT_EQ(rig_abort(&c->rig, k), 0);
    rig_close_sink(&c->rig, k);
}

CRASH_TEST(commit, "a blob that gets its name when its bytes are known")
{
    struct op op;
    size_t change = crash_starts(c, "blobs/cd/cdef/data", "named after hashing");
    struct sink *k = push_halves(c, NULL, "named after hashing");
    EXPECT_EQ(rig_finish(&c->rig, k), 0);
    op_init(&op, c->rig.store, OP_commit, NULL);
    op.key = "blobs/cd/cdef/data";
    op.sink = k;
    EXPECT_EQ(rig_run(&c->rig, &op), 0);
    crash_acked(c, change);
    op_fini(&op);
    rig_close_sink(&c->rig, k);
    crash_put(c, LINK, "sha256:cdef");
}

CRASH_TEST(concat, "parts that become one object")
{
    static const char *const parts[] = {"parts/1", "parts/2"};
    struct op op;
    crash_put(c, parts[0], "one and ");
    crash_put(c, parts[1], "two");
    size_t change = crash_starts(c, "whole/both", "one and two");
    op_init(&op, c->rig.store, OP_concat, NULL);
    op.keys = parts;
    op.n_keys = 2;
    op.to = "whole/both";
    EXPECT_EQ(rig_run(&c->rig, &op), 0);
    crash_acked(c, change);
    op_fini(&op);
    crash_remove_prefix(c, "parts/", parts, 2);
}

/* One after the other the two changes get as far as their names; then the first sync of
 * a directory, which the second one's batch has to repeat. */
struct turns {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int created, renamed, synced;
};

static void take_turns(void *arg, const char *op, bool done)
{
    struct turns *t = arg;
    pthread_mutex_lock(&t->lock);
    t->renamed += done && strcmp(op, "rename") == 0;
    if (!done && strcmp(op, "create") == 0 && t->created++ == 1)
        while (t->synced == 0)
            pthread_cond_wait(&t->changed, &t->lock);
    if (strcmp(op, "syncdir") == 0 && t->synced++ == 0) {
        pthread_cond_broadcast(&t->changed);
        while (t->renamed < 2)
            pthread_cond_wait(&t->changed, &t->lock);
    }
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
}

CRASH_TEST(two, "two objects at once in one new directory")
{
    static const char *const keys[] = {"d/e/1", "d/e/2"};
    struct turns turns = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0, 0};
    struct op ops[2];
    size_t changes[2];
    c->log.gate_arg = &turns;
    c->log.gate = take_turns;
    for (size_t i = 0; i < 2; i++) {
        changes[i] = crash_starts(c, keys[i], "together");
        op_init(&ops[i], c->rig.store, OP_put, NULL);
        ops[i].key = keys[i];
        ops[i].in = span_of("together");
    }
    rig_run_all(&c->rig, ops, 2);
    c->log.gate = NULL;
    for (size_t i = 0; i < 2; i++) {
        EXPECT_EQ(ops[i].rc, 0);
        crash_acked(c, changes[i]);
        op_fini(&ops[i]);
    }
}
