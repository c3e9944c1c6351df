/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/unit/store_rig.h"

#include "base/clock.h"
#include "store/key.h"

#include <stdio.h>

CONTRACT(move_call, "move renames, replaces its target and leaves no source")
{
    struct object before, after;
    EXPECT_EQ(rig_put(r, "from/x", "a 32 byte object"), 0);
    EXPECT_EQ(rig_put(r, "to/y", "a 64 byte object that is longer"), 0);
    EXPECT_EQ(rig_stat(r, "from/x", &before), 0);
    EXPECT_EQ(rig_two(r, OP_move, "from/x", "to/y"), 0);
    EXPECT_EQ(rig_stat(r, "to/y", &after), 0);
    EXPECT(after.modified > before.modified);
    rig_expect(r, "to/y", "a 32 byte object");
    rig_expect(r, "from/x", NULL);
    rig_expect_list(r, "", true, "to/");
    EXPECT_EQ(rig_two(r, OP_move, "to/y", "new/deep/z"), 0);
    rig_expect_list(r, "", false, "new/deep/z");
}

CONTRACT(move_missing, "a move of nothing leaves the target untouched")
{
    EXPECT_EQ(rig_put(r, "to", "stays"), 0);
    EXPECT_EQ(rig_two(r, OP_move, "none", "to"), E_NOT_FOUND);
    rig_expect(r, "to", "stays");
    EXPECT_EQ(rig_two(r, OP_move, "to", "to"), 0);
    rig_expect(r, "to", "stays");
}

CONTRACT(copy_call, "copy keeps its source and replaces its target")
{
    EXPECT_EQ(rig_put(r, "a", "bytes"), 0);
    EXPECT_EQ(rig_put(r, "b/c", "older and longer"), 0);
    EXPECT_EQ(rig_two(r, OP_copy, "a", "b/c"), 0);
    EXPECT_EQ(rig_two(r, OP_copy, "a", "a"), 0);
    rig_expect(r, "a", "bytes");
    rig_expect(r, "b/c", "bytes");
    EXPECT_EQ(rig_two(r, OP_copy, "none", "b/c"), E_NOT_FOUND);
    rig_expect(r, "b/c", "bytes");
}

static int concat(struct rig *r, const char *const *keys, size_t n, const char *to)
{
    struct op op;
    op_init(&op, r->store, OP_concat, NULL);
    op.keys = keys;
    op.n_keys = n;
    op.to = to;
    int rc = rig_run(r, &op);
    op_fini(&op);
    return rc;
}

CONTRACT(concat_call, "concat joins parts in order and keeps them")
{
    static const char *const parts[] = {"p/2", "p/1", "p/empty", "p/2"};
    static const char *const some[] = {"p/1", "none"};
    EXPECT_EQ(rig_put(r, "p/1", "one"), 0);
    EXPECT_EQ(rig_put(r, "p/2", "two,"), 0);
    EXPECT_EQ(rig_put(r, "p/empty", ""), 0);
    EXPECT_EQ(concat(r, parts, 4, "whole"), 0);
    rig_expect(r, "whole", "two,onetwo,");
    rig_expect(r, "p/1", "one");
    EXPECT_EQ(concat(r, some, 2, "whole"), E_NOT_FOUND);
    rig_expect(r, "whole", "two,onetwo,");
    EXPECT_EQ(concat(r, parts, 2, "p/1"), 0);
    rig_expect(r, "p/1", "two,one");
}

static uint64_t remove_prefix(struct rig *r, const char *prefix)
{
    struct op op;
    op_init(&op, r->store, OP_remove_prefix, NULL);
    op.key = prefix;
    EXPECT_EQ(rig_run(r, &op), 0);
    uint64_t count = op.count;
    op_fini(&op);
    return count;
}

CONTRACT(remove_folder, "remove_prefix removes what is below and no sibling")
{
    static const char *const keys[] = {"a/1",       "a/2/x", "a/2/y/z", "ab",
                                       "asuffix/x", "a-b",   "b/a/1"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        EXPECT_EQ(rig_put(r, keys[i], "x"), 0);
    EXPECT_EQ(remove_prefix(r, "a/2/"), 2);
    rig_expect_list(r, "a", false, "a-b a/1 ab asuffix/x");
    EXPECT_EQ(remove_prefix(r, "a/"), 1);
    EXPECT_EQ(remove_prefix(r, "a/"), 0);
    EXPECT_EQ(remove_prefix(r, "none/at/all/"), 0);
    EXPECT_EQ(remove_prefix(r, "ab/"), 0);
    rig_expect_list(r, "", false, "a-b ab asuffix/x b/a/1");
}

CONTRACT(touch_expire, "expire removes what is older and spares what was touched")
{
    struct object first, second;
    bool removed;
    EXPECT_EQ(rig_put(r, "d/k", "x"), 0);
    EXPECT_EQ(rig_stat(r, "d/k", &first), 0);
    EXPECT_EQ(rig_expire(r, "d/k", first.modified, &removed), 0);
    EXPECT(!removed);
    uint64_t later = clock_wall() + 1;
    EXPECT_EQ(rig_touch(r, "d/k"), 0);
    EXPECT_EQ(rig_stat(r, "d/k", &second), 0);
    EXPECT(second.modified > first.modified);
    EXPECT_EQ(rig_expire(r, "d/k", later, &removed), 0);
    EXPECT(!removed);
    rig_expect(r, "d/k", "x");
    EXPECT_EQ(rig_expire(r, "d/k", clock_wall() + 1, &removed), 0);
    EXPECT(removed);
    rig_expect(r, "d/k", NULL);
    rig_expect_list(r, "", true, "");
    EXPECT_EQ(rig_touch(r, "d/k"), E_NOT_FOUND);
}

CONTRACT(move_sized, "a move of a given size takes no byte that came later")
{
    EXPECT_EQ(rig_put(r, "session", "hash"), 0);
    EXPECT_EQ(rig_put(r, "blob", "good"), 0);
    EXPECT_EQ(rig_append_text(r, "session", 4, "ed"), 0);
    EXPECT_EQ(rig_move_sized(r, "session", "blob", 4), E_RANGE);
    rig_expect(r, "blob", "good");
    rig_expect(r, "session", "hashed");
    EXPECT_EQ(rig_move_sized(r, "session", "blob", 6), 0);
    rig_expect(r, "blob", "hashed");
}

CONTRACT(expire_moved, "a move counts as written: old bytes under a new name are young")
{
    bool removed;
    EXPECT_EQ(rig_put(r, "session", "x"), 0);
    uint64_t before = clock_wall();
    EXPECT_EQ(rig_two(r, OP_move, "session", "blob"), 0);
    EXPECT_EQ(rig_expire(r, "blob", before, &removed), 0);
    EXPECT(!removed);
    rig_expect(r, "blob", "x");
}

CONTRACT_BULK(expire_long, "expire copes with the longest key")
{
    char key[KEY_MAX + 1];
    bool removed;
    for (size_t i = 0; i < KEY_MAX; i++)
        key[i] = i % 128 == 127 ? '/' : (char)('a' + i % 26);
    key[KEY_MAX - 1] = 'z';
    key[KEY_MAX] = '\0';
    EXPECT_EQ(rig_put(r, key, "x"), 0);
    EXPECT_EQ(rig_expire(r, key, clock_wall() + 1, &removed), 0);
    EXPECT(removed);
    rig_expect(r, key, NULL);
}

CONTRACT_BULK(touch_against_expire,
              "a touch that succeeds is never followed by a removal")
{
    enum { N = 32 };
    struct op ops[2 * N];
    char keys[N][16];
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < N; i++) {
            snprintf(keys[i], sizeof keys[i], "k/%d", i);
            EXPECT_EQ(rig_put(r, keys[i], "x"), 0);
        }
        uint64_t before = clock_wall() + 1;
        for (int i = 0; i < N; i++) {
            struct op *first = &ops[2 * i], *second = &ops[2 * i + 1];
            op_init(round % 2 ? first : second, r->store, OP_touch, NULL);
            op_init(round % 2 ? second : first, r->store, OP_expire, NULL);
            first->key = second->key = keys[i];
            first->before = second->before = before;
        }
        rig_run_all(r, ops, 2 * N);
        for (int i = 0; i < N; i++) {
            struct op *touch = &ops[2 * i + !(round % 2)],
                      *expire = &ops[2 * i + round % 2];
            EXPECT_EQ(touch->verb, OP_touch);
            EXPECT_EQ(expire->rc, 0);
            EXPECT_EQ(touch->rc, expire->removed ? E_NOT_FOUND : 0);
            rig_expect(r, keys[i], expire->removed ? NULL : "x");
            op_fini(touch);
            op_fini(expire);
        }
    }
}
