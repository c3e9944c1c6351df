/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/disk.h"
#include "spec/unit/stream_toy.h"
#include "spec/unit/unit.h"
#include "stream/file.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define SINKS (1 + PIPE_OBSERVERS)

/* One pipe between toys; the sink is number 0. */
static struct {
    struct worker *worker;
    struct pipe pipe;
    struct toy_source source;
    struct source *from; /* that one, or another */
    struct toy_sink sinks[SINKS];
    size_t n_sinks; /* the sink counts, even when it is left out */
    bool no_sink;
    uint64_t limit, patience;
    int dones;
    int events, cancel_at; /* the toys' calls so far; the one that cancels */
    bool committing;       /* the sink's finish had begun at the cancel */
} it;

static void on_done(struct pipe *p)
{
    EXPECT(worker_self() == it.worker);
    EXPECT_EQ(it.dones++, 0);
    pipe_cancel(p, E_CANCELLED); /* harmless */
    worker_stop(it.worker);
}

static void on_event(void)
{
    if (it.events++ != it.cancel_at)
        return;
    it.committing = it.sinks[0].finishes > 0;
    pipe_cancel(&it.pipe, E_TIMEOUT);
    pipe_cancel(&it.pipe, E_CANCELLED); /* the first word counts */
}

static void begin(struct call *c)
{
    (void)c;
    pipe_init(&it.pipe, it.from, it.no_sink ? NULL : &it.sinks[0].sink, on_done);
    it.pipe.limit = it.limit;
    it.pipe.patience = it.patience ? it.patience : it.pipe.patience;
    for (size_t i = 1; i < it.n_sinks; i++)
        pipe_observe(&it.pipe, &it.sinks[i].sink);
    pipe_start(&it.pipe);
    EXPECT_EQ(it.dones, 0);
}

static void set_up(uint64_t total, enum toy_pace source, enum toy_pace sink,
                   size_t n_sinks)
{
    bool known = unit_random() % 2, awaits = unit_random() % 2;
    toy_source_init(&it.source, total, known, awaits, source, unit_random());
    for (size_t i = 0; i < n_sinks; i++) {
        toy_sink_init(&it.sinks[i], false, sink, unit_random());
        if (unit_random() % 2)
            toy_sink_deepen(&it.sinks[i]);
    }
    it.from = &it.source.source;
    it.n_sinks = n_sinks;
    it.no_sink = false;
    it.limit = SIZE_UNKNOWN;
    it.patience = 0;
    it.dones = it.events = 0;
    it.cancel_at = TOY_NO_STEP;
    it.committing = false;
}

/* Whatever happened, each sink saw one end and gave back what it had. */
static void check_ends(void)
{
    EXPECT_EQ(it.dones, 1);
    EXPECT_EQ(bufpool_used(NULL), 0);
    EXPECT(!it.source.answer.due);
    for (size_t i = it.no_sink; i < it.n_sinks; i++) {
        struct toy_sink *k = &it.sinks[i];
        EXPECT(k->doing == TOY_IDLE);
        bool finished = k->finishes && !k->finish_rc;
        EXPECT_EQ(k->aborts, !finished);
        EXPECT(i > 0 || finished == (it.pipe.rc == 0));
    }
    if (!it.no_sink)
        EXPECT_EQ(it.pipe.stored, it.sinks[0].sink.moved);
}

static void run(void)
{
    toy_event = on_event;
    toy_run(it.worker, begin);
    check_ends();
}

static void start(void)
{
    it.worker = worker_new("spec");
    bufpool_start(0, BUF_SIZE);
}

static void stop(void)
{
    bufpool_stop();
    worker_free(it.worker);
}

static const uint64_t sizes[] = {
    0, 1, 1000, BUF_SIZE - 1, BUF_SIZE, BUF_SIZE + 1, 3 * BUF_SIZE, 4 * BUF_SIZE + 17};
#define SIZES (sizeof sizes / sizeof sizes[0])

/* Half of the runs take odd pieces; a large body does not come byte by byte. */
static size_t some_piece(uint64_t total)
{
    return unit_random() % 2 ? 0 : 1 + (size_t)(total / 20 + unit_random() % 1000);
}

TEST("pipe: moves every byte between ends of any pace, with up to four observers")
{
    start();
    for (size_t i = 0; i < SIZES; i++) {
        for (int mix = 0; mix < TOY_PACES * TOY_PACES; mix++) {
            for (size_t sinks = 1; sinks <= SINKS; sinks++) {
                set_up(sizes[i], mix / TOY_PACES, mix % TOY_PACES, sinks);
                it.source.most = some_piece(sizes[i]);
                it.no_sink = unit_random() % 8 == 0;
                run();
                EXPECT_EQ(it.pipe.rc, 0);
                EXPECT_EQ(it.pipe.taken, sizes[i]);
                for (size_t k = it.no_sink; k < sinks; k++)
                    EXPECT_EQ(it.sinks[k].sink.moved, sizes[i]);
            }
        }
    }
    stop();
}

TEST("pipe: a failing source fails it at every pull")
{
    start();
    for (int mix = 0; mix < TOY_PACES * TOY_PACES; mix++) {
        for (int at = 0; at < 8; at++) {
            set_up(8 * 100, mix / TOY_PACES, mix % TOY_PACES, 3);
            it.source.most = 100;
            it.source.fail_at = at;
            run();
            EXPECT_EQ(it.pipe.rc, E_IO);
            EXPECT_EQ(it.pipe.taken, it.source.at);
        }
    }
    stop();
}

TEST("pipe: a failing sink or observer fails it at every push and at the finish")
{
    start();
    for (int mix = 0; mix < TOY_PACES * TOY_PACES; mix++) {
        for (size_t who = 0; who < SINKS; who++) {
            for (int at = 0; at < 6; at++) {
                set_up(5 * BUF_SIZE / 2, mix / TOY_PACES, mix % TOY_PACES, SINKS);
                it.source.most = BUF_SIZE / 2;
                bool pushes = at < 5; /* at least so many pushes */
                if (pushes)
                    it.sinks[who].fail_at = at;
                else
                    it.sinks[who].finish_rc = E_MISMATCH;
                run();
                EXPECT_EQ(it.pipe.rc, pushes ? E_NO_SPACE : E_MISMATCH);
                EXPECT_EQ(it.sinks[0].finishes, !pushes && who == 0);
            }
        }
    }
    stop();
}

TEST("pipe: observers finish in the order added, and the first that disagrees is heard")
{
    start();
    set_up(5000, TOY_EITHER, TOY_EITHER, SINKS);
    it.sinks[2].finish_rc = E_MISMATCH;
    it.sinks[3].finish_rc = E_CORRUPT;
    run();
    EXPECT_EQ(it.pipe.rc, E_MISMATCH);
    EXPECT(it.sinks[1].finishes && it.sinks[2].finishes);
    EXPECT(!it.sinks[3].finishes && !it.sinks[4].finishes && !it.sinks[0].finishes);
    stop();
}

TEST("pipe: a deep sink that fails is heard when all it was lent is back")
{
    start();
    for (int seed = 0; seed < 16; seed++) {
        for (int at = 0; at < PIPE_CHUNKS; at++) {
            set_up(PIPE_CHUNKS * BUF_SIZE, TOY_AT_ONCE, TOY_LATER, 3);
            toy_sink_deepen(&it.sinks[1]);
            it.sinks[1].fail_at = at;
            it.sinks[2].fail_at = at;
            run();
            EXPECT_EQ(it.pipe.rc, E_NO_SPACE);
            EXPECT_EQ(it.sinks[1].sink.moved, (uint64_t)at * BUF_SIZE);
        }
    }
    stop();
}

TEST("pipe: can be cancelled at every step, but not once the sink is finishing")
{
    start();
    for (int mix = 0; mix < TOY_PACES * TOY_PACES; mix++) {
        for (int at = 0; at == 0 || it.events > at - 1; at++) {
            set_up(600, mix / TOY_PACES, mix % TOY_PACES, 3);
            it.source.most = 200;
            it.cancel_at = at;
            run();
            if (it.events > at)
                EXPECT_EQ(it.pipe.rc, it.committing ? 0 : E_TIMEOUT);
            else
                EXPECT_EQ(it.pipe.rc, 0);
        }
        EXPECT(it.cancel_at > 10); /* pulls, pushes and finishes were all hit */
    }
    stop();
}

/* Cancels when everything has come to a stand. */
static int rounds_left;

static void cancel_in_time(struct call *c)
{
    if (rounds_left-- > 0)
        worker_defer(it.worker, c);
    else
        pipe_cancel(&it.pipe, E_CANCELLED);
}

static void run_and_cancel(void)
{
    struct call c = {.fn = cancel_in_time};
    rounds_left = 100;
    worker_defer(it.worker, &c);
    run();
    EXPECT_EQ(it.pipe.rc, E_CANCELLED);
}

TEST("pipe: a cancel frees it from a source, sink or observer that never answers")
{
    start();
    for (int who = 0; who < 3; who++) {
        for (int seed = 0; seed < 8; seed++) {
            set_up(BUF_SIZE * 4, who == 0 ? TOY_NEVER : TOY_EITHER, TOY_EITHER, 2);
            if (who)
                it.sinks[who - 1].answer.pace = TOY_NEVER;
            run_and_cancel();
            EXPECT_EQ(it.source.cancels, who == 0);
            EXPECT_EQ(it.sinks[0].cancels, who == 1);
            EXPECT_EQ(it.sinks[1].cancels, who == 2);
        }
    }
    stop();
}

TEST("pipe: lends all that is there to a deep sink, and one chunk to another")
{
    start();
    set_up(PIPE_CHUNKS * BUF_SIZE, TOY_AT_ONCE, TOY_NEVER, 3);
    for (size_t i = 0; i < 3; i++)
        toy_sink_init(&it.sinks[i], false, TOY_NEVER, unit_random());
    toy_sink_deepen(&it.sinks[2]);
    run_and_cancel();
    EXPECT_EQ(it.sinks[0].most_lent, 1);
    EXPECT_EQ(it.sinks[1].most_lent, 1);
    EXPECT_EQ(it.sinks[2].most_lent, PIPE_CHUNKS);
    for (size_t i = 0; i < 3; i++)
        EXPECT_EQ(it.sinks[i].cancels, 1);
    stop();
}

TEST("pipe: the limit is exact, and nobody sees what exceeds it")
{
    static const uint64_t limits[] = {0, 1, 100, BUF_SIZE - 1, BUF_SIZE, BUF_SIZE + 1};
    start();
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        for (int over = -1; over <= 1; over++) {
            for (int mix = 0; mix < 8; mix++) {
                uint64_t total = limits[i] + (uint64_t)(int64_t)over;
                if (limits[i] == 0 && over < 0)
                    continue;
                set_up(total, TOY_EITHER, TOY_EITHER, 3);
                it.limit = limits[i];
                it.source.most = some_piece(total);
                run();
                EXPECT_EQ(it.pipe.rc, over > 0 ? E_TOO_LARGE : 0);
                EXPECT(it.pipe.taken <= total);
                for (int k = 0; k < 3; k++)
                    EXPECT(it.sinks[k].at <= limits[i]);
                if (over > 0 && it.source.source.size != SIZE_UNKNOWN)
                    EXPECT_EQ(it.source.pulls, 0); /* known beforehand */
            }
        }
    }
    stop();
}

TEST("pipe: a source that gives more than it announced is corrupt")
{
    start();
    for (uint64_t more = 1; more < 3; more++) {
        set_up(100 + more, TOY_EITHER, TOY_EITHER, 2);
        toy_source_init(&it.source, 100 + more, true, false, TOY_EITHER, 1);
        it.source.source.size = 100;
        it.source.most = 1; /* so that a pull ends right at 100 */
        run();
        EXPECT_EQ(it.pipe.rc, E_CORRUPT);
        EXPECT(it.sinks[0].at <= 100);
    }
    stop();
}

TEST("pipe: a small body uses one buffer, an empty one none, a waiting one none")
{
    size_t peak;
    it.worker = worker_new("spec");
    for (uint64_t total = 0; total < 3; total++) {
        bufpool_start(0, 0);
        set_up(total, TOY_LATER, TOY_LATER, 3);
        toy_source_init(&it.source, total, true, false, TOY_LATER, 1);
        run();
        bufpool_used(&peak);
        EXPECT_EQ(peak, total ? BUF_SIZE : 0);
        bufpool_stop();
    }
    bufpool_start(0, 0);
    set_up(1000, TOY_NEVER, TOY_LATER, 1);
    toy_source_init(&it.source, 1000, true, true, TOY_NEVER, 1);
    run_and_cancel();
    EXPECT_EQ(it.source.awaits, 1);
    bufpool_used(&peak);
    EXPECT_EQ(peak, 0);
    stop();
}

TEST("pipe: a body that gets no buffer in time is told BUSY")
{
    uint8_t *held[8];
    start();
    for (size_t i = 0; i < 8; i++)
        held[i] = bufpool_get(&(struct buf_wait){.data = NULL});
    EXPECT(bufpool_is_scarce());
    set_up(1000, TOY_AT_ONCE, TOY_AT_ONCE, 2);
    it.patience = 1000000;
    toy_run(it.worker, begin);
    EXPECT_EQ(it.pipe.rc, E_BUSY);
    EXPECT_EQ(it.source.pulls, 0);
    EXPECT(it.sinks[0].aborts == 1 && it.sinks[1].aborts == 1);
    for (size_t i = 0; i < 8; i++)
        bufpool_put(held[i]);
    EXPECT(!bufpool_is_scarce());
    set_up(1000, TOY_AT_ONCE, TOY_AT_ONCE, 2);
    run();
    EXPECT_EQ(it.pipe.rc, 0);
    stop();
}

TEST("pipe: splices a file only when nobody looks and the limit allows")
{
    static const struct {
        size_t sinks;
        bool can;
        uint64_t total, limit;
        int fail_at, rc, splices;
    } rows[] = {{1, true, 100000, SIZE_UNKNOWN, TOY_NO_STEP, 0, 1},
                {1, true, 100000, 100000, TOY_NO_STEP, 0, 1},
                {1, true, 100000, 99999, TOY_NO_STEP, E_TOO_LARGE, 0},
                {1, true, 100000, SIZE_UNKNOWN, 0, E_NO_SPACE, 1},
                {1, true, 0, SIZE_UNKNOWN, TOY_NO_STEP, 0, 0},
                {2, true, 100000, SIZE_UNKNOWN, TOY_NO_STEP, 0, 0},
                {1, false, 100000, SIZE_UNKNOWN, TOY_NO_STEP, 0, 0}};
    int dir = open(unit_tmpdir(), O_RDONLY | O_DIRECTORY);
    start();
    EXPECT_EQ(pool_start(1), 0);
    struct lane *lane = lane_new("disk", 1);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (enum toy_pace pace = 0; pace < TOY_PACES; pace++) {
            int fd = disk_open_rw(dir, "body", 0600);
            EXPECT_EQ(disk_truncate(fd, 0), 0);
            EXPECT_EQ(disk_pwrite(fd, toy_pattern(), rows[i].total, 0), 0);
            set_up(0, pace, pace, rows[i].sinks);
            toy_sink_init(&it.sinks[0], rows[i].can, pace, unit_random());
            it.sinks[0].fail_at = rows[i].fail_at;
            it.limit = rows[i].limit;
            it.from = file_source_new(fd, rows[i].total, lane);
            run();
            source_close(it.from);
            EXPECT_EQ(it.pipe.rc, rows[i].rc);
            EXPECT_EQ(it.sinks[0].splices, rows[i].splices);
            EXPECT_EQ(it.pipe.taken, rows[i].rc == E_TOO_LARGE  ? 0
                                     : rows[i].rc == E_NO_SPACE ? rows[i].total / 2
                                                                : rows[i].total);
        }
    }
    pool_stop();
    lane_free(lane);
    stop();
    close(dir);
}
