/* SPDX-License-Identifier: Apache-2.0
 *
 * Several workers, many pipes, eight buffers: files written and hashed at the same time,
 * read back, some cancelled on the way.
 */
#include "loop/disk.h"
#include "spec/unit/stream_toy.h"
#include "spec/unit/unit.h"
#include "stream/file.h"
#include "stream/hash.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define WORKERS 3
#define TRIPS 24 /* a worker, all at once */

struct trip {
    struct call call;
    struct pipe pipe;
    struct toy_source source;
    struct toy_sink sink;
    struct hash_observer hash;
    struct file_sink file;
    struct source *back;
    struct team *team;
    uint64_t size;
    int fd, rounds; /* until the cancel; TOY_NO_STEP: none */
};

struct team { /* of trips on one worker */
    struct worker *worker;
    struct trip trips[TRIPS];
    struct call call;
    int left;
};

static struct team teams[WORKERS];
static struct lane *lane;
static atomic_int whole, cut;

static void trip_over(struct trip *t)
{
    close(t->fd);
    if (--t->team->left == 0)
        worker_stop(t->team->worker);
}

static void on_read(struct pipe *p)
{
    struct trip *t = CONTAINER(p, struct trip, pipe);
    EXPECT(p->rc == 0 && p->taken == t->size && t->sink.sink.moved == t->size);
    source_close(t->back);
    atomic_fetch_add(&whole, 1);
    trip_over(t);
}

static void on_written(struct pipe *p)
{
    struct trip *t = CONTAINER(p, struct trip, pipe);
    EXPECT(worker_self() == t->team->worker);
    if (p->rc == E_CANCELLED) {
        atomic_fetch_add(&cut, 1);
        trip_over(t);
        return;
    }
    EXPECT_EQ(p->rc, 0);
    EXPECT_EQ(p->stored, t->size);
    t->back = file_source_new(dup(t->fd), t->size, lane);
    pipe_init(&t->pipe, t->back, &t->sink.sink, on_read);
    pipe_observe(&t->pipe, &t->hash.sink); /* still expects the same digest */
    digest_init(&t->hash.digest, DIGEST_SHA256);
    pipe_start(&t->pipe);
}

static void maybe_cancel(struct call *c)
{
    struct trip *t = CONTAINER(c, struct trip, call);
    if (t->rounds-- > 0)
        worker_defer(t->team->worker, c);
    else if (!t->back)
        pipe_cancel(&t->pipe, E_CANCELLED);
}

static void trip_start(struct trip *t)
{
    pipe_init(&t->pipe, &t->source.source, &t->file.sink, on_written);
    pipe_observe(&t->pipe, &t->hash.sink);
    pipe_start(&t->pipe);
    if (t->rounds != TOY_NO_STEP)
        worker_defer(t->team->worker, &t->call);
}

static void team_start(struct call *c)
{
    struct team *team = CONTAINER(c, struct team, call);
    for (int i = 0; i < TRIPS; i++)
        trip_start(&team->trips[i]);
}

static void trip_init(struct trip *t, struct team *team, int dir)
{
    static const struct sink_ops ops = {.name = "file", .push = file_sink_push};
    char name[32];
    struct digest d;
    snprintf(name, sizeof name, "%p", (void *)t);
    t->call = (struct call){.fn = maybe_cancel};
    t->team = team;
    t->size = unit_random() % (TOY_PATTERN_SIZE / 2);
    t->rounds = unit_random() % 4 ? TOY_NO_STEP : (int)(unit_random() % 200);
    t->fd = disk_open_rw(dir, name, 0600);
    toy_source_init(&t->source, t->size, unit_random() % 2, unit_random() % 2, TOY_EITHER,
                    unit_random());
    t->source.most = unit_random() % 2 ? 0 : 60000;
    toy_sink_init(&t->sink, false, TOY_EITHER, unit_random());
    hash_observer_init(&t->hash, DIGEST_SHA256);
    t->hash.expects = true;
    digest_init(&d, DIGEST_SHA256);
    digest_update(&d, toy_pattern(), t->size);
    digest_final(&d, t->hash.expected);
    file_sink_init(&t->file, &ops, t->fd, 0, lane);
}

TEST("stress: many pipes on several workers share eight buffers")
{
    int dir = open(unit_tmpdir(), O_RDONLY | O_DIRECTORY);
    bufpool_start(0, 2 * BUF_SIZE);
    EXPECT_EQ(pool_start(3), 0);
    lane = lane_new("disk", 2);
    for (int i = 0; i < WORKERS; i++) {
        struct team *team = &teams[i];
        team->worker = worker_new("spec");
        team->call = (struct call){.fn = team_start};
        team->left = TRIPS;
        for (int k = 0; k < TRIPS; k++)
            trip_init(&team->trips[k], team, dir);
        worker_defer(team->worker, &team->call);
    }
    for (int i = 0; i < WORKERS; i++)
        EXPECT_EQ(worker_start(teams[i].worker, NULL, NULL, NULL), 0);
    for (int i = 0; i < WORKERS; i++)
        worker_join(teams[i].worker);
    EXPECT_EQ(whole + cut, WORKERS * TRIPS);
    EXPECT(whole > 0 && cut > 0);
    EXPECT_EQ(bufpool_used(NULL), 0);
    pool_stop();
    bufpool_stop();
    lane_free(lane);
    for (int i = 0; i < WORKERS; i++)
        worker_free(teams[i].worker);
    close(dir);
}
