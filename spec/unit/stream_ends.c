/* SPDX-License-Identifier: Apache-2.0
 *
 * The ends that the room brings along: memory, files, the hash observer; and the pool of
 * buffers between them.
 */
#include "loop/disk.h"
#include "spec/unit/stream_toy.h"
#include "spec/unit/unit.h"
#include "stream/file.h"
#include "stream/hash.h"
#include "stream/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct worker *w;
static struct lane *lane;
static struct pipe pipe_of_case;
static struct source *from;
static struct sink *to, *observer;
static int dir;

static void on_done(struct pipe *p)
{
    worker_stop(p->worker);
}

static void begin(struct call *c)
{
    (void)c;
    pipe_init(&pipe_of_case, from, to, on_done);
    if (observer)
        pipe_observe(&pipe_of_case, observer);
    pipe_start(&pipe_of_case);
}

static int run(void)
{
    toy_run(w, begin);
    return pipe_of_case.rc;
}

static void start(void)
{
    dir = open(unit_tmpdir(), O_RDONLY | O_DIRECTORY);
    w = worker_new("spec");
    EXPECT_EQ(pool_start(2), 0);
    lane = lane_new("disk", 2);
    bufpool_start(0, BUF_SIZE);
    observer = NULL;
}

static void stop(void)
{
    bufpool_stop();
    pool_stop();
    lane_free(lane);
    worker_free(w);
    close(dir);
}

static int new_file(const char *name, uint64_t n)
{
    int fd = disk_open_rw(dir, name, 0600);
    EXPECT_EQ(disk_truncate(fd, 0), 0);
    EXPECT_EQ(disk_pwrite(fd, toy_pattern(), n, 0), 0);
    return fd;
}

static const struct {
    uint64_t offset, n;
    int rc;
} windows[] = {{0, 1000, 0},
               {0, 0, 0},
               {1000, 0, 0},
               {999, 1, 0},
               {250, 500, 0},
               {0, 1001, E_RANGE},
               {1001, 0, E_RANGE},
               {500, 501, E_RANGE},
               {UINT64_MAX, 1, E_RANGE},
               {1, UINT64_MAX, E_RANGE}};

/* Every window in turn on one source, which is read again after each end. */
static void check_windows(struct source *s)
{
    struct memory_sink k;
    from = s;
    for (size_t i = 0; i < sizeof windows / sizeof windows[0]; i++) {
        EXPECT_EQ(source_window(s, windows[i].offset, windows[i].n), windows[i].rc);
        if (windows[i].rc != 0)
            continue;
        EXPECT_EQ(s->size, windows[i].n);
        memory_sink_init(&k, 2000);
        to = &k.sink;
        EXPECT_EQ(run(), 0);
        EXPECT_EQ(k.n, windows[i].n);
        EXPECT(k.n == 0 || memcmp(k.p, toy_pattern() + windows[i].offset, k.n) == 0);
        memory_sink_fini(&k);
    }
    source_close(s);
}

static int releases;

static void on_release(void *arg)
{
    releases++;
    free(arg);
}

TEST("memory: a source gives its windows and gives its bytes back")
{
    void *copy = xmemdup(toy_pattern(), 1000);
    start();
    check_windows(memory_source_new(copy, 1000, on_release, copy));
    EXPECT_EQ(releases, 1);
    stop();
}

TEST("memory: a sink takes as much as its limit")
{
    static const struct {
        size_t n, limit;
        int rc;
    } rows[] = {{0, 0, 0},
                {1, 0, E_TOO_LARGE},
                {1, 1, 0},
                {5000, 5000, 0},
                {5001, 5000, E_TOO_LARGE},
                {700000, 700000, 0},
                {700000, SIZE_MAX, 0},
                {700001, 700000, E_TOO_LARGE}};
    start();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct toy_source s;
        struct memory_sink k;
        toy_source_init(&s, rows[i].n, false, false, TOY_AT_ONCE, 1);
        s.most = rows[i].n / 7;
        memory_sink_init(&k, rows[i].limit);
        from = &s.source;
        to = &k.sink;
        EXPECT_EQ(run(), rows[i].rc);
        EXPECT(k.n <= rows[i].limit && k.n == k.sink.moved);
        EXPECT(k.cap <= rows[i].limit || k.cap == 4096);
        EXPECT(k.n == 0 || memcmp(k.p, toy_pattern(), k.n) == 0);
        sink_close(to);
        memory_sink_fini(&k);
    }
    stop();
}

TEST("file: a source gives its windows, cached or not")
{
    start();
    check_windows(file_source_new(new_file("body", 1000), 1000, lane));
    int fd = open("/proc/self/maps", O_RDONLY); /* refuses RWF_NOWAIT */
    char want[100];
    EXPECT_EQ(pread(fd, want, sizeof want, 0), sizeof want);
    struct memory_sink k;
    memory_sink_init(&k, sizeof want);
    from = file_source_new(fd, sizeof want, lane);
    to = &k.sink;
    EXPECT_EQ(run(), 0);
    EXPECT(k.n == sizeof want && memcmp(k.p, want, 10) == 0);
    memory_sink_fini(&k);
    source_close(from);
    stop();
}

TEST("file: a source that ends early is corrupt, one that cannot be read says so")
{
    struct memory_sink k;
    start();
    memory_sink_init(&k, 2000);
    from = file_source_new(new_file("short", 999), 1000, lane);
    to = &k.sink;
    EXPECT_EQ(run(), E_CORRUPT);
    EXPECT_EQ(k.n, 999);
    memory_sink_fini(&k);
    source_close(from);
    int fd = openat(dir, "short", O_WRONLY);
    memory_sink_init(&k, 2000);
    from = file_source_new(fd, 1000, lane);
    EXPECT_EQ(run(), E_IO);
    memory_sink_fini(&k);
    source_close(from);
    stop();
}

static const struct sink_ops plain_file = {.name = "file", .push = file_sink_push};

struct counts {
    uint64_t reserved, written_back;
    int fail_write, fail_reserve;
};

static int on_disk(void *arg, const char *op, int d, const char *path, const char *other,
                   int fd, uint64_t offset, uint64_t n)
{
    struct counts *c = arg;
    (void)d;
    (void)path;
    (void)other;
    (void)fd;
    if (strcmp(op, "writeback") == 0) {
        EXPECT_EQ(offset, 100 + c->written_back);
        c->written_back += n;
    }
    return strcmp(op, "pwrite") == 0 && c->fail_write-- == 0 ? -ENOSPC : 0;
}

static int on_reserve(void *arg, uint64_t n)
{
    struct counts *c = arg;
    EXPECT(!worker_self());
    c->reserved += n;
    return c->fail_reserve-- == 0 ? E_NO_SPACE : 0;
}

TEST("file: a sink writes from its offset on, reserves and starts write-back in strides")
{
    const uint64_t mib = 1 << 20, total = 20 * mib;
    uint8_t *big = malloc(total), *got = malloc(total);
    for (uint64_t i = 0; i < total; i += mib)
        memcpy(big + i, toy_pattern() + i / mib, mib);
    start();
    for (int fault = 0; fault < 3; fault++) {
        struct counts c = {.fail_write = fault == 1 ? 5 : -1,
                           .fail_reserve = fault == 2 ? 1 : -1};
        struct file_sink k;
        int fd = new_file("out", 200);
        disk_set_hook(on_disk, &c);
        file_sink_init(&k, &plain_file, fd, 100, lane);
        k.reserve = on_reserve;
        k.reserve_arg = &c;
        from = memory_source_new(big, total, NULL, NULL);
        to = &k.sink;
        EXPECT_EQ(run(), fault ? E_NO_SPACE : 0);
        disk_set_hook(NULL, NULL);
        uint64_t stored = fault == 0   ? total
                          : fault == 1 ? 5 * BUF_SIZE
                                       : 8 * mib; /* the second stride is refused */
        EXPECT_EQ(pipe_of_case.stored, stored);
        EXPECT_EQ(k.offset, 100 + stored);
        EXPECT_EQ(c.reserved, fault == 0 ? 24 * mib : fault == 1 ? 8 * mib : 16 * mib);
        EXPECT_EQ(c.written_back, fault == 0 ? 16 * mib : fault == 1 ? 0 : 8 * mib);
        EXPECT_EQ(pread(fd, got, stored, 100), stored);
        EXPECT(memcmp(got, big, stored) == 0);
        source_close(from);
        close(fd);
    }
    free(big);
    free(got);
    stop();
}

TEST("hash: agrees with the digest of the whole, in place and on the pool")
{
    static const uint64_t sizes[] = {0, 1, 16383, 16384, 16385, 300000, 1000000};
    start();
    for (size_t i = 0; i < 2 * sizeof sizes / sizeof sizes[0]; i++) {
        uint64_t n = sizes[i / 2];
        bool wrong = i % 2;
        struct hash_observer h;
        struct digest whole;
        digest_init(&whole, DIGEST_SHA256);
        digest_update(&whole, toy_pattern(), n);
        hash_observer_init(&h, DIGEST_SHA256);
        h.expects = true;
        digest_final(&whole, h.expected);
        h.expected[31] ^= wrong;
        from = memory_source_new(toy_pattern(), n, NULL, NULL);
        to = NULL;
        observer = &h.sink;
        EXPECT_EQ(run(), wrong ? E_MISMATCH : 0);
        h.expected[31] ^= wrong;
        EXPECT(memcmp(h.result, h.expected, 32) == 0);
        EXPECT_EQ(digest_length(&h.digest), n); /* the state goes on from here */
        EXPECT_EQ(h.sink.moved, n);
        source_close(from);
    }
    stop();
}

static struct hash_observer busy;
static int answers;

static void on_hashed(struct sink *k, int rc)
{
    EXPECT_EQ(rc, 0);
    if (++answers < HASH_DEPTH)
        return;
    k->answer = NULL;
    worker_stop(w);
}

static void push_many(struct call *c)
{
    static const size_t pieces[HASH_DEPTH] = {200000, 10, 16384, 3};
    const uint8_t *p = toy_pattern();
    (void)c;
    busy.sink.answer = on_hashed;
    for (size_t i = 0; i < HASH_DEPTH; p += pieces[i++])
        sink_push(&busy.sink, p, pieces[i]);
    EXPECT_EQ(answers, 0); /* not even the small ones, which are behind the first */
}

TEST("hash: takes pieces while it is busy, small ones in their place")
{
    uint8_t want[DIGEST_MAX], got[DIGEST_MAX];
    start();
    for (int round = 0; round < 20; round++) {
        struct digest whole;
        digest_init(&whole, DIGEST_SHA256);
        digest_update(&whole, toy_pattern(), 216397);
        digest_final(&whole, want);
        hash_observer_init(&busy, DIGEST_SHA256);
        answers = 0;
        toy_run(w, push_many);
        EXPECT_EQ(busy.sink.moved, 216397);
        digest_final(&busy.digest, got);
        EXPECT(memcmp(got, want, 32) == 0);
    }
    stop();
}

static struct buf_wait waits[4];
static char order[8];
static uint8_t *held[16];

static void on_ready(struct buf_wait *b)
{
    size_t n = strlen(order);
    order[n] = (char)(b->data ? '0' + (b - waits) : 'x');
    bufpool_put(b->data);
}

static void starve(struct call *c)
{
    size_t peak;
    (void)c;
    for (int i = 0; i < 8; i++) {
        held[i] = bufpool_get(&waits[0]);
        EXPECT(held[i] && (uintptr_t)held[i] % 4096 == 0);
        memset(held[i], 1, BUF_SIZE);
    }
    for (int i = 0; i < 4; i++) {
        waits[i].ready = on_ready;
        EXPECT(bufpool_get(&waits[i]) == NULL);
    }
    EXPECT(bufpool_cancel(&waits[1]));  /* still waited */
    bufpool_put(held[0]);               /* on its way to 0 */
    bufpool_put(held[1]);               /* on its way to 2 */
    EXPECT(!bufpool_cancel(&waits[2])); /* too late: 2 hears of it, 3 has the buffer */
    for (int i = 2; i < 8; i++)
        bufpool_put(held[i]);
    EXPECT_EQ(bufpool_used(&peak), 2 * BUF_SIZE);
    EXPECT_EQ(peak, 8 * BUF_SIZE);
    worker_stop(w);
}

TEST("bufpool: lends its budget, lets others wait in order, and takes a wait back")
{
    bufpool_stop(); /* never started: harmless */
    w = worker_new("spec");
    bufpool_start(8 * BUF_SIZE + 1, 3 * BUF_SIZE);
    toy_run(w, starve);
    EXPECT_STR(order, "0x3");
    EXPECT_EQ(bufpool_used(NULL), 0);
    bufpool_stop();
    worker_free(w);
}
