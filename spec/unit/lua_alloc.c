/* SPDX-License-Identifier: Apache-2.0 */
#include "lua/alloc.h"
#include "spec/unit/unit.h"

#include <string.h>

#define N 4000
#define LIMIT ((size_t)4 << 20)

static size_t next(uint64_t *seed, size_t below)
{
    *seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (size_t)(*seed >> 33) % below;
}

static bool is_filled(const uint8_t *p, size_t n, uint8_t with)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != with)
            return false;
    return true;
}

TEST("lua: memory of any size keeps its bytes while others come and go")
{
    static struct {
        uint8_t *p;
        size_t n;
    } at[N];
    struct alloc a;
    uint64_t seed = 7;
    alloc_init(&a, SIZE_MAX);
    for (size_t turn = 0; turn < 20 * N; turn++) {
        size_t i = next(&seed, N), want = next(&seed, 4) ? next(&seed, 700) : 0;
        size_t keeps = want < at[i].n ? want : at[i].n;
        uint8_t *p = alloc_change(&a, at[i].p, at[i].n, want);
        EXPECT((p != NULL) == (want != 0));
        EXPECT((uintptr_t)p % ALLOC_STEP == 0);
        EXPECT(is_filled(p, keeps, (uint8_t)i));
        if (p)
            memset(p, (int)(uint8_t)i, want);
        at[i].p = p;
        at[i].n = want;
    }
    for (size_t i = 0; i < N; i++)
        alloc_change(&a, at[i].p, at[i].n, 0);
    EXPECT(a.used <= (size_t)ALLOC_CLASSES * 16384);
    alloc_fini(&a);
    EXPECT_EQ(a.used, 0);
}

TEST("lua: memory is refused past the limit, and shrinking never is")
{
    static void *at[LIMIT / ALLOC_STEP];
    struct alloc a;
    size_t n = 0;
    alloc_init(&a, LIMIT);
    void *large = alloc_change(&a, NULL, 0, LIMIT / 2);
    EXPECT(large != NULL);
    EXPECT(alloc_change(&a, NULL, 0, LIMIT / 2 + 1) == NULL);
    EXPECT(alloc_change(&a, large, LIMIT / 2, LIMIT + 1) == NULL);
    while ((at[n] = alloc_change(&a, NULL, 0, 64)))
        n++;
    EXPECT(a.used <= LIMIT && a.used > LIMIT - 16384);
    large = alloc_change(&a, large, LIMIT / 2, 100);
    EXPECT(large != NULL);
    for (size_t i = 0; i < n; i++)
        alloc_change(&a, at[i], 64, 0);
    alloc_change(&a, large, 100, 0);
    alloc_fini(&a);
}

TEST("lua: what small objects leave behind can become a large one")
{
    static void *at[1000];
    struct alloc a;
    alloc_init(&a, LIMIT);
    for (size_t size = 16; size <= 512; size += 16) {
        for (size_t i = 0; i < 1000; i++)
            EXPECT((at[i] = alloc_change(&a, NULL, 0, size)) != NULL);
        for (size_t i = 0; i < 1000; i++)
            alloc_change(&a, at[i], size, 0);
    }
    void *large = alloc_change(&a, NULL, 0, LIMIT / 4 * 3);
    EXPECT(large != NULL);
    alloc_change(&a, large, LIMIT / 4 * 3, 0);
    alloc_fini(&a);
}
