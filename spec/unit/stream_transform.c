/* SPDX-License-Identifier: Apache-2.0
 *
 * A toy transform proves that a source over a source may change the length and map
 * windows: what is stored is blocks of 16 bytes with a header of 4 before each, which
 * holds the block's number; what it gives is the bytes without the headers.
 */
#include "spec/unit/stream_toy.h"
#include "spec/unit/unit.h"
#include "stream/memory.h"

#include <string.h>

#define PLAIN 16
#define HEADER 4
#define STORED (HEADER + PLAIN)

struct unblock {
    struct source source;
    struct source *inner; /* borrowed */
    uint64_t whole;       /* plain bytes in all */
    uint64_t left;        /* plain bytes still to give */
    uint32_t number;      /* of the next block */
    size_t skip;          /* plain bytes of the next block that nobody asked for */
    uint8_t block[STORED];
    size_t have; /* bytes of it that came */
    size_t at;   /* the next plain byte to give, counted within the block */
    uint8_t *buf;
    size_t cap;
    bool wanted, pulling, going, ended;
    int rc;
};

static uint64_t stored_size(uint64_t plain)
{
    return plain + (plain + PLAIN - 1) / PLAIN * HEADER;
}

static bool is_whole(const struct unblock *u)
{
    return u->have == STORED || (u->ended && u->have > HEADER);
}

static void give(struct unblock *u)
{
    size_t n = u->have - u->at;
    n = n < u->cap ? n : u->cap;
    n = n < u->left ? n : (size_t)u->left;
    memcpy(u->buf, u->block + u->at, n);
    u->at += n;
    u->left -= n;
    if (u->at == u->have)
        u->have = u->at = 0;
    source_answer(&u->source, (ssize_t)n);
}

/* The header of a block that is whole; the bytes nobody asked for are passed. */
static void open_block(struct unblock *u)
{
    uint32_t number;
    memcpy(&number, u->block, HEADER);
    if (number != u->number++)
        u->rc = E_CORRUPT;
    u->at = HEADER + u->skip;
    u->skip = 0;
}

static void go(struct unblock *u)
{
    if (u->going) /* an answer from inside a pull: the loop below goes on */
        return;
    u->going = true;
    while (u->wanted && !u->pulling) {
        if (u->at == 0 && is_whole(u))
            open_block(u);
        if (u->rc == 0 && u->left && !u->at && u->ended)
            u->rc = E_CORRUPT;
        if (u->rc != 0 || u->left == 0 || u->at) {
            u->wanted = false;
            if (u->rc != 0 || u->left == 0)
                source_answer(&u->source, u->rc);
            else
                give(u);
        } else {
            u->pulling = true;
            source_pull(u->inner, u->block + u->have, STORED - u->have);
        }
    }
    u->going = false;
}

static void on_inner(struct source *inner, ssize_t n)
{
    struct unblock *u = inner->puller;
    u->pulling = false;
    if (n > 0)
        u->have += (size_t)n;
    else if (n == 0)
        u->ended = true;
    else
        u->rc = (int)n;
    go(u);
}

static void unblock_pull(struct source *s, uint8_t *buf, size_t cap)
{
    struct unblock *u = CONTAINER(s, struct unblock, source);
    u->buf = buf;
    u->cap = cap;
    u->wanted = true;
    go(u);
}

static int unblock_window(struct source *s, uint64_t offset, uint64_t n)
{
    struct unblock *u = CONTAINER(s, struct unblock, source);
    if (offset > u->whole || n > u->whole - offset)
        return E_RANGE;
    uint64_t first = offset / PLAIN, end = (offset + n + PLAIN - 1) / PLAIN;
    uint64_t from = first * STORED, to = end * STORED;
    uint64_t all = stored_size(u->whole);
    from = n ? from : 0;
    to = n ? (to < all ? to : all) : 0;
    int rc = source_window(u->inner, from, to - from);
    if (rc != 0)
        return rc;
    u->number = (uint32_t)first;
    u->skip = (size_t)(offset % PLAIN);
    u->left = s->size = n;
    u->have = u->at = 0;
    u->ended = false;
    return 0;
}

static void unblock_cancel(struct source *s)
{
    struct unblock *u = CONTAINER(s, struct unblock, source);
    if (u->pulling)
        source_cancel(u->inner);
}

static void unblock_init(struct unblock *u, struct source *inner, uint64_t plain)
{
    static const struct source_ops ops = {.name = "unblock",
                                          .pull = unblock_pull,
                                          .window = unblock_window,
                                          .cancel = unblock_cancel};
    *u = (struct unblock){.inner = inner, .whole = plain, .left = plain};
    source_init(&u->source, &ops, plain);
    inner->answer = on_inner;
    inner->puller = u;
}

/* What the transform undoes; returns the stored size. */
static size_t block_up(uint8_t *out, size_t plain)
{
    size_t n = 0;
    for (uint32_t number = 0; number * PLAIN < plain; number++) {
        size_t left = plain - number * PLAIN, piece = left < PLAIN ? left : PLAIN;
        memcpy(out + n, &number, HEADER);
        memcpy(out + n + HEADER, toy_pattern() + number * PLAIN, piece);
        n += HEADER + piece;
    }
    return n;
}

static struct worker *w;
static struct pipe pump;
static struct unblock transform;
static struct sink *to;

static void on_done(struct pipe *p)
{
    worker_stop(p->worker);
}

static void begin(struct call *c)
{
    (void)c;
    pipe_init(&pump, &transform.source, to, on_done);
    pipe_start(&pump);
}

static uint8_t stored[STORED * 40];

TEST("transform: maps every window of every size to what is stored")
{
    static const size_t sizes[] = {0, 1, 15, 16, 17, 32, 47, 48};
    w = worker_new("spec");
    bufpool_start(0, 0);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        size_t plain = sizes[i], n = block_up(stored, plain);
        EXPECT_EQ(n, stored_size(plain));
        struct source *inner = memory_source_new(stored, n, NULL, NULL);
        unblock_init(&transform, inner, plain);
        EXPECT_EQ(source_window(&transform.source, 0, plain + 1), E_RANGE);
        for (size_t offset = 0; offset <= plain; offset++) {
            for (size_t length = 0; length <= plain - offset; length++) {
                struct memory_sink k;
                memory_sink_init(&k, length);
                to = &k.sink;
                EXPECT_EQ(source_window(&transform.source, offset, length), 0);
                toy_run(w, begin);
                EXPECT_EQ(pump.rc, 0);
                EXPECT_EQ(k.n, length);
                EXPECT(!k.n || memcmp(k.p, toy_pattern() + offset, k.n) == 0);
                memory_sink_fini(&k);
            }
        }
        source_close(inner);
    }
    bufpool_stop();
    worker_free(w);
}

TEST("transform: works over a source of any pace and passes on what fails")
{
    enum { WELL, DAMAGED, SHORT, FAILING, FAULTS };
    w = worker_new("spec");
    bufpool_start(0, 0);
    for (int round = 0; round < FAULTS * TOY_PACES * 20; round++) {
        int fault = round % FAULTS;
        enum toy_pace pace = (enum toy_pace)(round / FAULTS % TOY_PACES);
        struct toy_source inner;
        struct toy_sink sink;
        size_t n = block_up(stored, 500);
        stored[20 * (round % 25)] ^= fault == DAMAGED;
        toy_source_init(&inner, fault == SHORT ? n - 21 : n, false, false, pace,
                        unit_random());
        inner.bytes = stored;
        inner.most = 1 + unit_random() % 40;
        inner.fail_at = fault == FAILING ? round % 9 : TOY_NO_STEP;
        toy_sink_init(&sink, false, TOY_EITHER, unit_random());
        unblock_init(&transform, &inner.source, 500);
        to = &sink.sink;
        toy_run(w, begin);
        EXPECT_EQ(pump.rc, fault == WELL ? 0 : fault == FAILING ? E_IO : E_CORRUPT);
        EXPECT_EQ(sink.finishes, fault == WELL);
        EXPECT(fault != WELL || sink.sink.moved == 500);
    }
    bufpool_stop();
    worker_free(w);
}
