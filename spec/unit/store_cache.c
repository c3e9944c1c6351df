/* SPDX-License-Identifier: Apache-2.0
 *
 * Contents that never change, in memory: what answers from there, and what must not.
 */
#include "spec/unit/store_tree.h"

#include "backends/fs/fs.h"
#include "store/cache.h"

#include <stdio.h>

#define BUDGET ((size_t)16 << 20)

/* What an immutable open says: the bytes of the window, or the error. */
static int open_window(struct rig *r, const char *key, uint64_t offset, uint64_t n,
                       char text[64])
{
    struct op op;
    op_init(&op, r->store, OP_open, NULL);
    op.key = key;
    op.offset = offset;
    op.n = n;
    op.immutable = true;
    int rc = rig_run(r, &op);
    if (rc == 0) {
        ssize_t got = rig_drain(r, op.source, text, 63);
        EXPECT(got >= 0);
        text[got] = '\0';
        rig_close_source(r, op.source);
    }
    op_fini(&op);
    return rc;
}

static void expect_open(struct rig *r, const char *key, const char *text)
{
    char got[64];
    EXPECT_EQ(open_window(r, key, 0, SIZE_UNKNOWN, got), text ? 0 : E_NOT_FOUND);
    if (text)
        EXPECT_STR(got, text);
}

static bool is_quick(const struct rig *r)
{
    return ((const struct fs *)r->store)->quick;
}

FS_TEST(kept, "what never changes is read once, and in windows of what was read")
{
    char text[64];
    cache_start(BUDGET);
    EXPECT_EQ(rig_put(r, "a/b", "0123456789"), 0);
    expect_open(r, "a/b", "0123456789");
    tree_write(r, "a/b", "behind our back");
    expect_open(r, "a/b", is_quick(r) ? "0123456789" : "behind our back");
    rig_expect(r, "a/b", "behind our back");
    if (is_quick(r)) {
        EXPECT_EQ(open_window(r, "a/b", 2, 3, text), 0);
        EXPECT_STR(text, "234");
        EXPECT_EQ(open_window(r, "a/b", 8, 100, text), 0);
        EXPECT_STR(text, "89");
        EXPECT_EQ(open_window(r, "a/b", 10, 1, text), 0);
        EXPECT_STR(text, "");
        EXPECT_EQ(open_window(r, "a/b", 11, 1, text), E_RANGE);
    }
    EXPECT_EQ(rig_put(r, "empty", ""), 0);
    expect_open(r, "empty", "");
    expect_open(r, "empty", "");
    cache_stop();
}

FS_TEST(gone, "what this process removes is not answered from memory")
{
    bool removed;
    struct op op;
    cache_start(BUDGET);
    for (int way = 0; way < 4; way++) {
        EXPECT_EQ(rig_put(r, "a/b/c", "bytes"), 0);
        expect_open(r, "a/b/c", "bytes");
        expect_open(r, "a/b/c", "bytes");
        if (way == 0) {
            EXPECT_EQ(rig_remove(r, "a/b/c"), 0);
        } else if (way == 1) {
            EXPECT_EQ(rig_expire(r, "a/b/c", UINT64_MAX, &removed), 0);
            EXPECT(removed);
        } else if (way == 2) {
            EXPECT_EQ(rig_two(r, OP_move, "a/b/c", "d"), 0);
        } else {
            op_init(&op, r->store, OP_remove_prefix, NULL);
            op.key = "a/";
            EXPECT_EQ(rig_run(r, &op), 0);
            op_fini(&op);
        }
        expect_open(r, "a/b/c", NULL);
    }
    cache_stop();
}

static struct content *add(const struct store *s, const char *key, size_t n,
                           uint64_t removals)
{
    static uint8_t bytes[CACHE_CONTENT_MAX + 1];
    struct object object = {.size = n, .etag = "v"};
    return cache_add(s, key, &object, bytes, n, removals);
}

static bool is_kept(const struct store *s, const char *key)
{
    struct content *c = cache_get(s, key);
    content_put(c);
    return c != NULL;
}

TEST("store: memory for contents has a bound, and the oldest go first")
{
    const struct store *s = (const struct store *)(uintptr_t)64;
    char key[32];
    size_t kept = 0;
    content_put(add(s, "before the start", 1, 0));
    EXPECT(!is_kept(s, "before the start"));
    cache_start(BUDGET);
    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof key, "k/%d", i);
        content_put(add(s, key, CACHE_CONTENT_MAX, cache_removals()));
        EXPECT(is_kept(s, key));
    }
    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof key, "k/%d", i);
        kept += is_kept(s, key);
    }
    EXPECT(kept > 100 && kept * CACHE_CONTENT_MAX <= BUDGET);
    EXPECT(add(s, "large", CACHE_CONTENT_MAX + 1, cache_removals()) == NULL);
    cache_forget_store(s);
    EXPECT(!is_kept(s, key));
    cache_stop();
}

TEST("store: contents that were removed while they were read are lent but not kept")
{
    const struct store *s = (const struct store *)(uintptr_t)64;
    cache_start(BUDGET);
    content_put(add(s, "a/one", 10, cache_removals()));
    uint64_t before = cache_removals();
    cache_forget(s, "somewhere/else/", true);
    EXPECT(is_kept(s, "a/one"));
    struct content *c = add(s, "a/two", 10, before);
    EXPECT(c != NULL);
    EXPECT(!is_kept(s, "a/two"));
    content_put(c);
    c = cache_get(s, "a/one");
    cache_forget(s, "a/", true);
    EXPECT(!is_kept(s, "a/one"));
    EXPECT_EQ(content_bytes(c)[9], 0);
    content_put(c);
    cache_stop();
}
