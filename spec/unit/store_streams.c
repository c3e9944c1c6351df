/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/unit/store_rig.h"

#include <stdio.h>

#define BIG (3 << 20)

static uint8_t *pattern(size_t n, unsigned salt)
{
    uint8_t *p = xalloc(n);
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)(i * 31 + (i >> 8) + salt);
    return p;
}

static int open_window(struct rig *r, const char *key, uint64_t offset, uint64_t n,
                       struct source **out)
{
    struct op op;
    op_init(&op, r->store, OP_open, NULL);
    op.key = key;
    op.offset = offset;
    op.n = n;
    int rc = rig_run(r, &op);
    *out = op.source;
    op_fini(&op);
    return rc;
}

static void put_bytes(struct rig *r, const char *key, const void *p, size_t n)
{
    struct op op;
    op_init(&op, r->store, OP_put, NULL);
    op.key = key;
    op.in = (struct span){p, n};
    EXPECT_EQ(rig_run(r, &op), 0);
    op_fini(&op);
}

CONTRACT(windows, "open gives any window and refuses an offset behind the end")
{
    static const struct {
        uint64_t offset, n;
        int rc;
        size_t got;
    } cases[] = {{0, SIZE_UNKNOWN, 0, 100},
                 {32, SIZE_UNKNOWN, 0, 68},
                 {64, 10, 0, 10},
                 {99, SIZE_UNKNOWN, 0, 1},
                 {99, 50, 0, 1},
                 {100, SIZE_UNKNOWN, 0, 0},
                 {100, 5, 0, 0},
                 {50, 0, 0, 0},
                 {101, 1, E_RANGE, 0},
                 {UINT64_MAX, 1, E_RANGE, 0}};
    uint8_t *bytes = pattern(100, 0), got[128];
    put_bytes(r, "k", bytes, 100);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct source *s;
        EXPECT_EQ(open_window(r, "k", cases[i].offset, cases[i].n, &s), cases[i].rc);
        if (cases[i].rc)
            continue;
        EXPECT_EQ(s->size, cases[i].got);
        EXPECT_EQ(rig_drain(r, s, got, sizeof got), cases[i].got);
        EXPECT(memcmp(got, bytes + cases[i].offset, cases[i].got) == 0);
        rig_close_source(r, s);
    }
    free(bytes);
}

CONTRACT(create_streams, "a created object is invisible until it is finished")
{
    struct sink *k;
    struct source *s;
    uint8_t *bytes = pattern(BIG, 1), *got = xalloc(BIG);
    EXPECT_EQ(rig_put(r, "old", "old"), 0);
    EXPECT_EQ(rig_create(r, "old", false, &k), 0);
    for (size_t at = 0; at < BIG; at += 1 << 18)
        EXPECT_EQ(rig_push(r, k, bytes + at, 1 << 18), 0);
    rig_expect(r, "old", "old");
    EXPECT_EQ(open_window(r, "old", 0, SIZE_UNKNOWN, &s), 0);
    EXPECT_EQ(rig_finish(r, k), 0);
    rig_close_sink(r, k);
    EXPECT_EQ(rig_drain(r, s, got, BIG), 3);
    EXPECT(memcmp(got, "old", 3) == 0);
    rig_close_source(r, s);
    EXPECT_EQ(open_window(r, "old", 0, SIZE_UNKNOWN, &s), 0);
    EXPECT_EQ(rig_drain(r, s, got, BIG), BIG);
    EXPECT(memcmp(got, bytes, BIG) == 0);
    rig_close_source(r, s);
    free(bytes);
    free(got);
}

CONTRACT(create_abort, "an aborted, closed or empty stream leaves what it should")
{
    struct sink *k;
    EXPECT_EQ(rig_create(r, "aborted", false, &k), 0);
    EXPECT_EQ(rig_push(r, k, "x", 1), 0);
    EXPECT_EQ(rig_abort(r, k), 0);
    rig_close_sink(r, k);
    EXPECT_EQ(rig_create(r, "closed", false, &k), 0);
    EXPECT_EQ(rig_push(r, k, "x", 1), 0);
    rig_close_sink(r, k);
    EXPECT_EQ(rig_create(r, "empty", false, &k), 0);
    EXPECT_EQ(rig_finish(r, k), 0);
    rig_close_sink(r, k);
    rig_expect_list(r, "", false, "empty");
    rig_expect(r, "empty", "");
}

CONTRACT(create_absent, "if_absent of a stream is decided when it is finished")
{
    struct sink *first, *second;
    EXPECT_EQ(rig_create(r, "k", true, &first), 0);
    EXPECT_EQ(rig_create(r, "k", true, &second), 0);
    EXPECT_EQ(rig_push(r, first, "first", 5), 0);
    EXPECT_EQ(rig_push(r, second, "second", 6), 0);
    EXPECT_EQ(rig_finish(r, second), 0);
    EXPECT_EQ(rig_finish(r, first), E_EXISTS);
    EXPECT_EQ(rig_abort(r, first), 0);
    rig_close_sink(r, first);
    rig_close_sink(r, second);
    rig_expect(r, "k", "second");
}

static int commit(struct rig *r, struct sink *k, const char *key, bool if_absent)
{
    struct op op;
    op_init(&op, r->store, OP_commit, NULL);
    op.sink = k;
    op.key = key;
    op.if_absent = if_absent;
    int rc = rig_run(r, &op);
    EXPECT(rc || (op.object.size == 5 && op.object.etag[0]));
    op_fini(&op);
    return rc;
}

CONTRACT(commit_call, "a stream without a name gets it by commit, once")
{
    struct sink *k;
    EXPECT_EQ(rig_put(r, "taken", "mine"), 0);
    EXPECT_EQ(rig_create(r, NULL, false, &k), 0);
    EXPECT_EQ(rig_push(r, k, "bytes", 5), 0);
    EXPECT_EQ(commit(r, k, "early", false), E_INVALID);
    EXPECT_EQ(rig_finish(r, k), 0);
    rig_expect_list(r, "", false, "taken");
    EXPECT_EQ(commit(r, k, "taken", true), E_EXISTS);
    EXPECT_EQ(commit(r, k, "d/named", true), 0);
    EXPECT_EQ(commit(r, k, "again", false), E_INVALID);
    rig_close_sink(r, k);
    rig_expect(r, "d/named", "bytes");
    rig_expect_list(r, "", false, "d/named taken");
    EXPECT_EQ(rig_create(r, NULL, false, &k), 0);
    EXPECT_EQ(rig_push(r, k, "x", 1), 0);
    EXPECT_EQ(rig_finish(r, k), 0);
    rig_close_sink(r, k);
    rig_expect_list(r, "", false, "d/named taken");
}

CONTRACT(append_small, "append continues at the end, in many streams")
{
    struct sink *k;
    uint64_t size;
    EXPECT_EQ(rig_append_text(r, "d/u", 0, "one,"), 0);
    EXPECT_EQ(rig_append_text(r, "d/u", 4, "two,"), 0);
    EXPECT_EQ(rig_append_text(r, "d/u", 8, "three"), 0);
    rig_expect(r, "d/u", "one,two,three");
    static const uint64_t wrong[] = {0, 4, 12, 14, UINT64_MAX};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        EXPECT_EQ(rig_append(r, "d/u", wrong[i], &k, &size), E_RANGE);
        EXPECT_EQ(size, 13);
    }
    rig_expect(r, "d/u", "one,two,three");
}

CONTRACT(append_empty, "an empty stream and an empty object can be appended to")
{
    EXPECT_EQ(rig_append_text(r, "stream", 0, ""), 0);
    rig_expect(r, "stream", "");
    EXPECT_EQ(rig_append_text(r, "stream", 0, "x"), 0);
    rig_expect(r, "stream", "x");
    EXPECT_EQ(rig_put(r, "content", ""), 0);
    EXPECT_EQ(rig_append_text(r, "content", 0, "y"), 0);
    rig_expect(r, "content", "y");
}

CONTRACT(append_busy, "of two appenders the second is told BUSY; a move waits its turn")
{
    struct sink *first, *second;
    uint64_t size;
    EXPECT_EQ(rig_append(r, "u", 0, &first, &size), 0);
    EXPECT_EQ(rig_append(r, "u", 0, &second, &size), E_BUSY);
    EXPECT_EQ(rig_push(r, first, "abc", 3), 0);
    EXPECT_EQ(rig_two(r, OP_move, "u", "blob"), E_BUSY);
    EXPECT_EQ(rig_abort(r, first), 0);
    rig_close_sink(r, first);
    rig_expect(r, "u", "abc");
    EXPECT_EQ(rig_append(r, "u", 0, &second, &size), E_RANGE);
    EXPECT_EQ(size, 3);
    EXPECT_EQ(rig_append_text(r, "u", 3, "def"), 0);
    EXPECT_EQ(rig_two(r, OP_move, "u", "blob"), 0);
    rig_expect(r, "blob", "abcdef");
}

CONTRACT(append_race, "of many appenders at one offset exactly one begins")
{
    enum { N = 16 };
    struct op ops[N];
    struct sink *won = NULL;
    for (int i = 0; i < N; i++) {
        op_init(&ops[i], r->store, OP_append, NULL);
        ops[i].key = "new/dir/u";
    }
    rig_run_all(r, ops, N);
    for (int i = 0; i < N; i++) {
        EXPECT(ops[i].rc == E_BUSY || (ops[i].rc == 0 && !won));
        if (ops[i].rc == 0)
            won = ops[i].sink;
        op_fini(&ops[i]);
    }
    EXPECT(won);
    rig_close_sink(r, won);
}

CONTRACT(append_large, "a large object grows by parts")
{
    uint8_t *bytes = pattern(BIG, 2), *got = xalloc(BIG);
    struct source *s;
    for (size_t at = 0; at < BIG; at += 1 << 20) {
        struct sink *k;
        uint64_t size;
        EXPECT_EQ(rig_append(r, "u", at, &k, &size), 0);
        EXPECT_EQ(rig_push(r, k, bytes + at, 1 << 20), 0);
        EXPECT_EQ(k->moved, 1 << 20);
        EXPECT_EQ(rig_finish(r, k), 0);
        rig_close_sink(r, k);
    }
    EXPECT_EQ(open_window(r, "u", 0, SIZE_UNKNOWN, &s), 0);
    EXPECT_EQ(rig_drain(r, s, got, BIG), BIG);
    EXPECT(memcmp(bytes, got, BIG) == 0);
    rig_close_source(r, s);
    free(bytes);
    free(got);
}

CONTRACT(reads_at_once, "ten readers at random offsets each get their bytes")
{
    enum { N = 10 };
    uint8_t *bytes = pattern(BIG, 3), *got = xalloc(BIG);
    struct source *s[N];
    uint64_t at[N];
    put_bytes(r, "k", bytes, BIG);
    for (int i = 0; i < N; i++) {
        at[i] = unit_random() % BIG;
        EXPECT_EQ(open_window(r, "k", at[i], SIZE_UNKNOWN, &s[i]), 0);
    }
    EXPECT_EQ(rig_remove(r, "k"), 0);
    for (int i = 0; i < N; i++) {
        EXPECT_EQ(rig_drain(r, s[i], got, BIG), (int64_t)(BIG - at[i]));
        EXPECT(memcmp(got, bytes + at[i], BIG - at[i]) == 0);
        rig_close_source(r, s[i]);
    }
    free(bytes);
    free(got);
}

CONTRACT(streams_at_once, "32 streams side by side keep their bytes apart")
{
    enum { N = 32, SIZE = 64 << 10 };
    struct sink *k[N];
    char key[16];
    uint8_t *got = xalloc(SIZE);
    for (int i = 0; i < N; i++) {
        snprintf(key, sizeof key, "d/%d", i);
        EXPECT_EQ(rig_create(r, key, false, &k[i]), 0);
    }
    for (int half = 0; half < 2; half++)
        for (int i = 0; i < N; i++) {
            uint8_t *bytes = pattern(SIZE, (unsigned)i);
            EXPECT_EQ(rig_push(r, k[i], bytes + half * SIZE / 2, SIZE / 2), 0);
            free(bytes);
        }
    for (int i = 0; i < N; i++) {
        struct source *s;
        uint8_t *bytes = pattern(SIZE, (unsigned)i);
        EXPECT_EQ(rig_finish(r, k[i]), 0);
        rig_close_sink(r, k[i]);
        snprintf(key, sizeof key, "d/%d", i);
        EXPECT_EQ(open_window(r, key, 0, SIZE_UNKNOWN, &s), 0);
        EXPECT_EQ(rig_drain(r, s, got, SIZE), SIZE);
        EXPECT(memcmp(bytes, got, SIZE) == 0);
        rig_close_source(r, s);
        free(bytes);
    }
    free(got);
}

static void end_cancelled(struct rig *r, struct op *op, bool by_key)
{
    EXPECT(op->rc == 0 || op->rc == E_CANCELLED);
    EXPECT(op->rc == 0 || (!op->source && !op->sink));
    if (by_key)
        rig_expect(r, "new", op->rc ? NULL : "bytes");
    if (op->source)
        rig_close_source(r, op->source);
    if (op->sink)
        rig_close_sink(r, op->sink);
    op_fini(op);
}

CONTRACT(cancel, "a cancelled operation ends once, whole or not at all")
{
    static const enum store_verb verbs[] = {OP_stat,   OP_open,  OP_read, OP_create,
                                            OP_append, OP_put,   OP_list, OP_touch,
                                            OP_copy,   OP_expire};
    EXPECT_EQ(rig_put(r, "old", "bytes"), 0);
    for (unsigned rounds = 0; rounds < 6; rounds++) {
        for (size_t v = 0; v < sizeof verbs / sizeof verbs[0]; v++) {
            struct op op;
            bool writes = verbs[v] == OP_put || verbs[v] == OP_copy;
            op_init(&op, r->store, verbs[v], NULL);
            op.key = verbs[v] == OP_put ? "new" : verbs[v] == OP_list ? "" : "old";
            op.to = "new";
            op.in = span_of("bytes");
            op.limit = 100;
            op.offset = verbs[v] == OP_append ? 5 : 0;
            rig_run_cancelled(r, &op, rounds);
            end_cancelled(r, &op, writes);
            if (writes)
                rig_remove(r, "new");
        }
    }
    rig_expect_list(r, "", false, "old");
    rig_expect(r, "old", "bytes");
}
