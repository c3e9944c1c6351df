/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/unit/unit.h"

#include "base/clock.h"
#include "lua/shared.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define SIZE ((size_t)64 << 10)

static char room[SHARED_VALUE_MAX];

static struct shared_value text_of(const char *text)
{
    return (struct shared_value){.kind = SHARED_STRING, .text = span_of(text)};
}

static int set(struct shared *d, const char *key, const char *text, uint64_t ttl)
{
    struct shared_value v = text_of(text);
    return shared_write(d, span_of(key), &v, ttl, false);
}

static bool has(struct shared *d, const char *key, const char *text)
{
    struct shared_value v;
    EXPECT_EQ(shared_read(d, span_of(key), &v, room), 0);
    return text ? v.kind == SHARED_STRING && span_is(v.text, text)
                : v.kind == SHARED_NONE;
}

TEST("lua shared: values are set, replaced, added to and deleted")
{
    struct shared *d = shared_get("a", SIZE);
    struct shared_value v = {.kind = SHARED_BOOLEAN, .number = 1};
    double sum;
    EXPECT(has(d, "k", NULL));
    EXPECT_EQ(set(d, "k", "one", 0), 0);
    EXPECT(has(d, "k", "one"));
    EXPECT_EQ(set(d, "k", "", 0), 0);
    EXPECT(has(d, "k", ""));
    EXPECT_EQ(shared_write(d, span_of("k"), &v, 0, true), E_EXISTS);
    EXPECT_EQ(shared_write(d, span_of("b"), &v, 0, true), 0);
    EXPECT_EQ(shared_read(d, span_of("b"), &v, room), 0);
    EXPECT(v.kind == SHARED_BOOLEAN && v.number == 1);
    EXPECT_EQ(shared_add(d, span_of("b"), 1, 0, 0, &sum), E_INVALID);
    EXPECT_EQ(shared_add(d, span_of("n"), 2, 40, 0, &sum), 0);
    EXPECT(sum == 42);
    EXPECT_EQ(shared_add(d, span_of("n"), -0.5, 40, 0, &sum), 0);
    EXPECT(sum == 41.5);
    EXPECT(shared_delete(d, span_of("n")) && !shared_delete(d, span_of("n")));
    EXPECT(shared_delete(d, span_of("k")) && shared_delete(d, span_of("b")));
    EXPECT_EQ(shared_used(d), 0);
    shared_put(d);
}

TEST("lua shared: what has expired is not there")
{
    struct shared *d = shared_get("a", SIZE);
    double sum;
    EXPECT_EQ(set(d, "gone", "x", 1), 0);
    EXPECT_EQ(set(d, "later", "x", 3600 * NS_PER_S), 0);
    EXPECT_EQ(shared_add(d, span_of("n"), 1, 0, 1, &sum), 0);
    while (clock_now() % 1000 == 999) /* one ns has passed in any case */
        ;
    EXPECT(has(d, "gone", NULL));
    EXPECT(has(d, "later", "x"));
    EXPECT_EQ(shared_add(d, span_of("n"), 1, 0, 0, &sum), 0);
    EXPECT(sum == 1);
    shared_put(d);
}

TEST("lua shared: memory is bounded, and what was used last stays")
{
    struct shared *d = shared_get("a", SIZE);
    char key[32];
    size_t there = 0;
    EXPECT_EQ(set(d, "kept", "kept", 0), 0);
    for (int i = 0; i < 20000; i++) {
        snprintf(key, sizeof key, "key-%d", i);
        EXPECT_EQ(set(d, key, "0123456789", 0), 0);
        EXPECT(shared_used(d) <= SIZE);
        EXPECT(has(d, "kept", "kept"));
    }
    for (int i = 0; i < 20000; i++) {
        snprintf(key, sizeof key, "key-%d", i);
        there += !has(d, key, NULL);
    }
    EXPECT(there > 300 && there < 20000);
    EXPECT(has(d, "key-19999", "0123456789"));
    shared_put(shared_get("a", SIZE / 4));
    EXPECT(shared_used(d) <= SIZE / 4);
    shared_put(d);
}

TEST("lua shared: keys and values have bounds")
{
    struct shared *d = shared_get("a", 1 << 20);
    static char big[SHARED_VALUE_MAX + 1];
    struct shared_value v = {.kind = SHARED_STRING, .text = {big, sizeof big}};
    EXPECT_EQ(shared_write(d, span_of("k"), &v, 0, false), E_TOO_LARGE);
    v.text.n--;
    EXPECT_EQ(shared_write(d, span_of("k"), &v, 0, false), 0);
    EXPECT_EQ(shared_read(d, span_of("k"), &v, room), 0);
    EXPECT_EQ(v.text.n, SHARED_VALUE_MAX);
    EXPECT_EQ(shared_write(d, (struct span){big, SHARED_KEY_MAX + 1}, &v, 0, false),
              E_INVALID);
    struct shared *small = shared_get("b", SIZE);
    EXPECT_EQ(shared_write(small, span_of("k"), &v, 0, false), E_TOO_LARGE);
    shared_put(small);
    shared_put(d);
}

TEST("lua shared: one dictionary a name, as long as somebody holds it")
{
    struct shared *a = shared_get("a", SIZE), *b = shared_get("b", SIZE);
    EXPECT(a != b);
    EXPECT_EQ(set(a, "k", "x", 0), 0);
    EXPECT(shared_get("a", SIZE) == a);
    shared_put(a);
    EXPECT(has(a, "k", "x"));
    shared_put(a);
    a = shared_get("a", SIZE);
    EXPECT(has(a, "k", NULL));
    shared_put(a);
    shared_put(b);
}

static void *count(void *arg)
{
    double sum;
    char key[8];
    for (unsigned i = 0; i < 20000; i++) {
        snprintf(key, sizeof key, "%u", i % 16);
        shared_add(arg, span_of(key), 1, 0, 0, &sum);
    }
    return NULL;
}

TEST("lua shared: threads that add at once lose nothing")
{
    struct shared *d = shared_get("a", SIZE);
    pthread_t threads[4];
    double total = 0, sum;
    char key[8];
    for (size_t i = 0; i < 4; i++)
        EXPECT_EQ(pthread_create(&threads[i], NULL, count, d), 0);
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    for (unsigned i = 0; i < 16; i++) {
        snprintf(key, sizeof key, "%u", i);
        EXPECT_EQ(shared_add(d, span_of(key), 0, 0, 0, &sum), 0);
        total += sum;
    }
    EXPECT_EQ(total, 80000);
    shared_put(d);
}
