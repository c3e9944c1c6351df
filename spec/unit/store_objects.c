/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/unit/store_rig.h"

#include "base/clock.h"
#include "store/key.h"

#include <stdio.h>

CONTRACT(empty_root, "an empty store lists nothing")
{
    rig_expect_list(r, "", true, "");
    rig_expect_list(r, "", false, "");
    rig_expect_list(r, "nothing/here/", true, "");
}

CONTRACT(valid_keys, "takes every valid key")
{
    static const char *const keys[] = {
        "a",
        "2",
        "aa",
        "a.a",
        "0-9/abcdefg",
        "abcdefg/z.75",
        "abc/1.2.3.4.5-6_zyx/123.z/4",
        "docker/docker-registry",
        "123.abc",
        "abc./abc",
        ".abc",
        "a--b",
        "a-.b",
        "_.abc",
        "Docker/docker-registry",
        "Abc/Cba",
        "with blank/and\"quote/\\",
        "...",
        "\xc3\xa4\xff",
        "sub/.tidegate",
    };
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        EXPECT_EQ(rig_put(r, keys[i], keys[i]), 0);
        rig_expect(r, keys[i], keys[i]);
    }
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        EXPECT_EQ(rig_remove(r, keys[i]), 0);
    rig_expect_list(r, "", true, "");
}

CONTRACT_BULK(long_keys, "takes the longest key and segment and no longer one")
{
    char key[KEY_MAX + 2], segment[300];
    for (size_t i = 0; i < KEY_MAX; i++)
        key[i] = i % 2 ? '/' : 'd';
    key[KEY_MAX - 1] = 'e';
    key[KEY_MAX] = '\0';
    EXPECT_EQ(rig_put(r, key, "deep"), 0);
    rig_expect(r, key, "deep");
    char *names = rig_list(r, "", false, NULL, 0);
    EXPECT_STR(names, key);
    free(names);
    rig_expect_list(r, "", true, "d/");
    EXPECT_EQ(rig_remove(r, key), 0);
    rig_expect_list(r, "", true, "");
    key[KEY_MAX] = 'x';
    key[KEY_MAX + 1] = '\0';
    EXPECT_EQ(rig_put(r, key, ""), E_INVALID);
    memset(segment, 's', sizeof segment);
    segment[255] = '\0';
    EXPECT_EQ(rig_put(r, segment, "wide"), 0);
    rig_expect(r, segment, "wide");
    segment[255] = 's';
    segment[256] = '\0';
    EXPECT_EQ(rig_put(r, segment, ""), E_INVALID);
}

CONTRACT(invalid_keys, "refuses every invalid key in every verb")
{
    static const char *const keys[] = {
        "",
        "/",
        "/a",
        "a/",
        "//bcd",
        "a//b",
        ".",
        "..",
        "a/..",
        "../a",
        "a/../b",
        "a/./b",
        "a\nb",
        "a\x7f",
        "\x01",
        "./a",
        ".tidegate",
        ".tidegate/format",
        ".tidegate/tmp/x",
    };
    static const enum store_verb verbs[] = {OP_stat,   OP_open,   OP_read,   OP_create,
                                            OP_append, OP_put,    OP_put_if, OP_copy,
                                            OP_move,   OP_remove, OP_touch,  OP_expire};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        for (size_t v = 0; v < sizeof verbs / sizeof verbs[0]; v++) {
            struct op op;
            op_init(&op, r->store, verbs[v], NULL);
            op.key = keys[i];
            op.to = "fine";
            op.version = "";
            EXPECT_EQ(rig_run(r, &op), E_INVALID);
            op_fini(&op);
        }
        EXPECT_EQ(rig_two(r, OP_move, "fine", keys[i]), E_INVALID);
        EXPECT_EQ(rig_two(r, OP_copy, "fine", keys[i]), E_INVALID);
    }
}

CONTRACT(invalid_inputs, "refuses inputs that are not what a verb needs")
{
    struct op op;
    static const char *const prefixes[] = {"", "a", "a//", "/", ".tidegate/", "../"};
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        op_init(&op, r->store, OP_remove_prefix, NULL);
        op.key = prefixes[i];
        EXPECT_EQ(rig_run(r, &op), E_INVALID);
        op_fini(&op);
    }
    static const struct {
        const char *meta;
        size_t n;
    } metas[] = {{"a", 1}, {"a\0", 2}, {"\0b\0", 3}, {"a\0b", 3}, {NULL, 3}};
    for (size_t i = 0; i < sizeof metas / sizeof metas[0]; i++) {
        op_init(&op, r->store, OP_put, NULL);
        op.key = "k";
        op.meta = metas[i].meta;
        op.meta_n = metas[i].n;
        EXPECT_EQ(rig_run(r, &op), E_INVALID);
        op_fini(&op);
    }
    op_init(&op, r->store, OP_concat, NULL);
    op.to = "k";
    EXPECT_EQ(rig_run(r, &op), E_INVALID);
    op_fini(&op);
    op_init(&op, r->store, OP_url, NULL);
    op.key = "k";
    op.method = "GET";
    EXPECT_EQ(rig_run(r, &op), E_UNSUPPORTED);
    op_fini(&op);
}

CONTRACT(write_read, "reads back what was put, whatever the bytes")
{
    static const char *const texts[] = {"", "a", "\n", "\xff\xfe\x80", "text\r\n\t"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        EXPECT_EQ(rig_put(r, "dir/object", texts[i]), 0);
        rig_expect(r, "dir/object", texts[i]);
    }
    char bytes[256];
    struct op op;
    for (int i = 0; i < 256; i++)
        bytes[i] = (char)i;
    op_init(&op, r->store, OP_put, NULL);
    op.key = "all";
    op.in = (struct span){bytes, sizeof bytes};
    EXPECT_EQ(rig_run(r, &op), 0);
    EXPECT_EQ(op.object.size, 256);
    op_fini(&op);
    op_init(&op, r->store, OP_read, NULL);
    op.key = "all";
    op.limit = 256;
    EXPECT_EQ(rig_run(r, &op), 0);
    EXPECT(op.out_n == 256 && memcmp(op.out, bytes, 256) == 0);
    op_fini(&op);
    op_init(&op, r->store, OP_read, NULL);
    op.key = "all";
    op.limit = 255;
    EXPECT_EQ(rig_run(r, &op), E_TOO_LARGE);
    op_fini(&op);
}

CONTRACT(truncates, "a smaller object replaces a larger one whole")
{
    EXPECT_EQ(rig_put(r, "k", "a long text that goes away"), 0);
    EXPECT_EQ(rig_put(r, "k", "short"), 0);
    rig_expect(r, "k", "short");
    for (int i = 0; i < 10; i++)
        EXPECT_EQ(rig_put(r, "k", "again"), 0);
    rig_expect(r, "k", "again");
}

CONTRACT(absent, "says NOT_FOUND for what is absent")
{
    struct object object;
    struct sink *k;
    uint64_t size;
    bool removed;
    static const char *const keys[] = {"none", "no/such/object", "dir", "file/below"};
    EXPECT_EQ(rig_put(r, "dir/object", "x"), 0);
    EXPECT_EQ(rig_put(r, "file", "x"), 0);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        rig_expect(r, keys[i], NULL);
        EXPECT_EQ(rig_stat(r, keys[i], &object), E_NOT_FOUND);
        EXPECT_EQ(rig_remove(r, keys[i]), E_NOT_FOUND);
        EXPECT_EQ(rig_touch(r, keys[i]), E_NOT_FOUND);
        EXPECT_EQ(rig_append(r, keys[i], 64, &k, &size), E_NOT_FOUND);
        EXPECT_EQ(rig_two(r, OP_move, keys[i], "to"), E_NOT_FOUND);
        EXPECT_EQ(rig_two(r, OP_copy, keys[i], "to"), E_NOT_FOUND);
        EXPECT_EQ(rig_expire(r, keys[i], UINT64_MAX, &removed), 0);
        EXPECT(!removed);
    }
    rig_expect(r, "to", NULL);
}

CONTRACT(tree, "a key is an object or a directory, never both")
{
    struct sink *k;
    uint64_t size;
    EXPECT_EQ(rig_put(r, "a", "1"), 0);
    EXPECT_EQ(rig_put(r, "b/c", "2"), 0);
    EXPECT_EQ(rig_put(r, "a/b", "x"), E_INVALID);
    EXPECT_EQ(rig_put(r, "a/b/c", "x"), E_INVALID);
    EXPECT_EQ(rig_put(r, "b", "x"), E_INVALID);
    EXPECT_EQ(rig_put_if_absent(r, "b", "x"), E_INVALID);
    EXPECT_EQ(rig_two(r, OP_move, "a", "b"), E_INVALID);
    EXPECT_EQ(rig_two(r, OP_copy, "b/c", "a/x"), E_INVALID);
    EXPECT_EQ(rig_append(r, "b", 0, &k, &size), E_INVALID);
    EXPECT_EQ(rig_append(r, "a/x", 0, &k, &size), E_INVALID);
    rig_expect_list(r, "", false, "a b/c");
    EXPECT_EQ(rig_remove(r, "b/c"), 0);
    EXPECT_EQ(rig_put(r, "b", "now"), 0);
    rig_expect(r, "b", "now");
}

CONTRACT(stat_call, "stat says size, a later time and another etag after a rewrite")
{
    struct object first, second, third;
    uint64_t before = clock_wall();
    EXPECT_EQ(rig_put(r, "k", "12345"), 0);
    EXPECT_EQ(rig_stat(r, "k", &first), 0);
    EXPECT_EQ(rig_put(r, "k", "67890"), 0);
    EXPECT_EQ(rig_stat(r, "k", &second), 0);
    EXPECT_EQ(rig_stat(r, "k", &third), 0);
    EXPECT_EQ(first.size, 5);
    EXPECT(first.modified >= before && first.modified <= clock_wall());
    EXPECT(second.modified > first.modified);
    EXPECT(first.etag[0] && strcmp(first.etag, second.etag) != 0);
    EXPECT_STR(third.etag, second.etag);
}

CONTRACT(description, "keeps type and metadata, through copy and move")
{
    static const char meta[] = "name\0value\0empty\0";
    static const char *const keys[] = {"k", "copied", "moved"};
    struct op op;
    op_init(&op, r->store, OP_put, NULL);
    op.key = "k";
    op.in = span_of("x");
    op.type = "text/plain";
    op.meta = meta;
    op.meta_n = sizeof meta;
    EXPECT_EQ(rig_run(r, &op), 0);
    op_fini(&op);
    for (size_t i = 0; i < 3; i++) {
        if (i)
            EXPECT_EQ(rig_two(r, i == 1 ? OP_copy : OP_move, keys[i - 1], keys[i]), 0);
        op_init(&op, r->store, OP_stat, NULL);
        op.key = keys[i];
        EXPECT_EQ(rig_run(r, &op), 0);
        EXPECT_STR(op.object.type, "text/plain");
        EXPECT(op.object.meta_n == sizeof meta &&
               memcmp(op.object.meta, meta, sizeof meta) == 0);
        op_fini(&op);
    }
    EXPECT_EQ(rig_put(r, "moved", "plain"), 0);
    op_init(&op, r->store, OP_stat, NULL);
    op.key = "moved";
    EXPECT_EQ(rig_run(r, &op), 0);
    EXPECT(!op.object.type && !op.object.meta);
    op_fini(&op);
}

CONTRACT(put_absent, "if_absent: of many writers at once exactly one wins")
{
    enum { N = 24 };
    struct op ops[N];
    char text[N][16];
    int won = -1;
    for (int i = 0; i < N; i++) {
        snprintf(text[i], sizeof text[i], "w%d", i);
        op_init(&ops[i], r->store, OP_put, NULL);
        ops[i].key = "new/dir/k";
        ops[i].in = span_of(text[i]);
        ops[i].if_absent = true;
    }
    rig_run_all(r, ops, N);
    for (int i = 0; i < N; i++) {
        if (ops[i].rc == 0 && won < 0)
            won = i;
        else
            EXPECT_EQ(ops[i].rc, E_EXISTS);
        op_fini(&ops[i]);
    }
    EXPECT(won >= 0);
    rig_expect(r, "new/dir/k", text[won]);
    EXPECT_EQ(rig_put_if_absent(r, "new/dir/k", "late"), E_EXISTS);
    rig_expect(r, "new/dir/k", text[won]);
}

static int put_version(struct rig *r, const char *key, const char *text,
                       const char *version, char etag[80])
{
    struct op op;
    op_init(&op, r->store, OP_put_if, NULL);
    op.key = key;
    op.in = span_of(text);
    op.version = version;
    int rc = rig_run(r, &op);
    if (etag)
        memcpy(etag, op.object.etag, sizeof op.object.etag);
    op_fini(&op);
    return rc;
}

CONTRACT(put_if, "put_if replaces only the version it names")
{
    char first[80], second[80];
    EXPECT_EQ(put_version(r, "t", "x", "nothing", NULL), E_EXISTS);
    rig_expect(r, "t", NULL);
    EXPECT_EQ(put_version(r, "t", "1", "", first), 0);
    EXPECT_EQ(put_version(r, "t", "2", "", NULL), E_EXISTS);
    EXPECT_EQ(put_version(r, "t", "2", first, second), 0);
    EXPECT_EQ(put_version(r, "t", "3", first, NULL), E_EXISTS);
    rig_expect(r, "t", "2");
    EXPECT_EQ(put_version(r, "t", "3", second, NULL), 0);
    rig_expect(r, "t", "3");
}

CONTRACT(put_if_race, "put_if: of many with one version exactly one wins")
{
    enum { N = 16 };
    struct op ops[N];
    char etag[80] = "";
    for (int round = 0; round < 5; round++) {
        int won = 0;
        for (int i = 0; i < N; i++) {
            op_init(&ops[i], r->store, OP_put_if, NULL);
            ops[i].key = "t";
            ops[i].in = span_of("same");
            ops[i].version = etag;
        }
        rig_run_all(r, ops, N);
        for (int i = 0; i < N; i++) {
            won += ops[i].rc == 0;
            EXPECT(ops[i].rc == 0 || ops[i].rc == E_EXISTS);
        }
        EXPECT_EQ(won, 1);
        for (int i = 0; i < N; i++) {
            if (ops[i].rc == 0)
                memcpy(etag, ops[i].object.etag, sizeof etag);
            op_fini(&ops[i]);
        }
    }
}

CONTRACT(remove_call, "remove removes just that object, once")
{
    EXPECT_EQ(rig_put(r, "a/b/c", "1"), 0);
    EXPECT_EQ(rig_put(r, "a/b/cc", "2"), 0);
    EXPECT_EQ(rig_remove(r, "a/b/c"), 0);
    EXPECT_EQ(rig_remove(r, "a/b/c"), E_NOT_FOUND);
    EXPECT_EQ(rig_remove(r, "a/b"), E_NOT_FOUND);
    rig_expect_list(r, "", false, "a/b/cc");
    EXPECT_EQ(rig_remove(r, "a/b/cc"), 0);
    rig_expect_list(r, "", true, "");
    EXPECT_EQ(rig_put(r, "a", "a file where a folder was"), 0);
}
