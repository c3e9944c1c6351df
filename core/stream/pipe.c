/* SPDX-License-Identifier: Apache-2.0
 *
 * Everything is decided in `step`, which runs from the run queue alone. Whoever answers
 * (source, sink, observer, pool), inside a call of ours or later, only notes the answer
 * and asks for another step; so nothing recurses, and an answer may come from anywhere.
 */
#include "stream/pipe.h"

#include "base/metrics.h"

#include "base/clock.h"

#include <string.h>

/* Steps made in one go when everybody answers at once; then others have their turn. */
#define STEPS_MAX 16
#define PATIENCE_NS (10 * NS_PER_S)

enum { FLOW, FINISH, ABORT, DONE };

static void ask_step(struct pipe *p)
{
    if (p->running)
        p->again = true;
    else if (!p->step.queued)
        worker_defer(p->worker, &p->step);
}

static void fail(struct pipe *p, int rc)
{
    if (p->rc == 0)
        p->rc = rc;
}

/* Nobody will fill the chunk that waits for bytes. */
static void end_source(struct pipe *p)
{
    struct chunk *c = &p->chunks[p->filled % PIPE_CHUNKS];
    p->ended = true;
    if (p->filled - p->freed < PIPE_CHUNKS) {
        bufpool_put(c->data);
        c->data = NULL;
    }
}

/* n bytes came from a pull, or the end. Of a chunk that is too much nobody sees a byte.
 */
static void took(struct pipe *p, size_t n)
{
    bool more = p->taken == p->source->size;
    p->taken += n;
    p->awaited = false;
    if (n == 0)
        end_source(p);
    else if (more)
        fail(p, E_CORRUPT);
    else if (p->taken > p->limit)
        fail(p, E_TOO_LARGE);
    else
        p->chunks[p->filled++ % PIPE_CHUNKS].n = n;
}

static void on_source(struct source *s, ssize_t n)
{
    struct pipe *p = s->puller;
    CHECK(p, PIPE_MAGIC);
    assert(p->pulling);
    p->pulling = false;
    if (n < 0)
        fail(p, (int)n);
    else if (p->awaiting)
        p->awaited = true;
    else
        took(p, (size_t)n);
    p->awaiting = false;
    ask_step(p);
}

static void on_impatience(struct timer *t)
{
    struct pipe *p = CONTAINER(t, struct pipe, admission);
    CHECK(p, PIPE_MAGIC);
    if (!p->waiting)
        return;
    fail(p, E_BUSY);
    ask_step(p);
}

static bool has_lent(const struct pipe_lane *lane)
{
    return lane->busy || lane->passed < lane->next;
}

static void on_sink(struct sink *k, int rc)
{
    struct pipe_lane *lane = k->pusher;
    struct pipe *p = lane->pipe;
    CHECK(p, PIPE_MAGIC);
    assert(has_lent(lane));
    if (rc < 0)
        fail(p, rc);
    if (!lane->busy)
        lane->passed++;
    else if (p->asking && lane == p->lanes) {
        p->asking = false;
        p->easy = rc == 0;
    } else if (p->state == FLOW)
        p->ended = true; /* spliced */
    else if (rc == 0 || p->state == ABORT)
        p->ending++;
    lane->busy = false;
    ask_step(p);
}

static void on_buffer(struct buf_wait *w)
{
    struct pipe *p = CONTAINER(w, struct pipe, wait);
    CHECK(p, PIPE_MAGIC);
    p->waiting = false;
    timer_clear(&p->admission);
    p->chunks[p->filled % PIPE_CHUNKS].data = w->data;
    ask_step(p);
}

/* The first lane that is there: a pipe may have no sink. */
static size_t first_lane(const struct pipe *p)
{
    return p->lanes[0].sink ? 0 : 1;
}

static bool may_push(const struct pipe *p, const struct pipe_lane *lane)
{
    size_t depth = lane->sink->ops->depth ? lane->sink->ops->depth : 1;
    return p->rc == 0 && !lane->busy && lane->next < p->filled &&
           lane->next - lane->passed < depth;
}

static void feed_lanes(struct pipe *p)
{
    for (size_t i = first_lane(p); i < p->n_lanes; i++) {
        struct pipe_lane *lane = &p->lanes[i];
        while (may_push(p, lane)) {
            const struct chunk *c = &p->chunks[lane->next++ % PIPE_CHUNKS];
            sink_push(lane->sink, c->data, c->n);
        }
    }
}

static void free_chunks(struct pipe *p)
{
    uint64_t passed = p->filled;
    for (size_t i = first_lane(p); i < p->n_lanes; i++)
        if (p->lanes[i].passed < passed)
            passed = p->lanes[i].passed;
    for (; p->freed < passed; p->freed++) {
        struct chunk *c = &p->chunks[p->freed % PIPE_CHUNKS];
        bufpool_put(c->data);
        c->data = NULL;
    }
}

/* One byte past the limit is asked for and no more: it tells "just enough" from "too
 * much". */
static size_t pull_size(const struct pipe *p)
{
    uint64_t left = p->limit - p->taken;
    size_t most = p->easy ? SINK_EASY : BUF_SIZE;
    return left < most ? (size_t)left + 1 : most;
}

/* While buffers are scarce: whether one would be given back soon if it were taken now. */
static bool is_brief(struct pipe *p)
{
    struct pipe_lane *lane = &p->lanes[0];
    if (p->filled > p->freed)
        return false;
    if (p->easy || !lane->sink || !lane->sink->ops->await)
        return true;
    lane->busy = p->asking = true;
    sink_await(lane->sink);
    return p->easy;
}

static void wait_for_buffer(struct pipe *p)
{
    p->waiting = true;
    if (p->taken == 0)
        timer_set(&p->admission, worker_now(p->worker) + p->patience);
}

/* Pulls into the next chunk, for which a buffer is taken as late as can be: after the
 * source has said that it has something. When it has given all that it announced, only
 * the end is left to hear, and for that no buffer is needed. */
static void fill_chunk(struct pipe *p)
{
    struct chunk *c = &p->chunks[p->filled % PIPE_CHUNKS];
    bool tail = p->taken == p->source->size;
    if (p->ended || p->pulling || p->waiting ||
        (!tail && p->filled - p->freed == PIPE_CHUNKS))
        return;
    if (!tail && !c->data && bufpool_is_scarce() && !is_brief(p))
        return;
    if (!tail && !c->data && !p->awaited && p->source->ops->await) {
        p->pulling = p->awaiting = true;
        source_await(p->source);
        return;
    }
    if (!tail && !c->data && !(c->data = bufpool_get(&p->wait))) {
        wait_for_buffer(p);
        return;
    }
    size_t n = tail ? 1 : pull_size(p);
    p->pulling = true;
    p->easy = false;
    source_pull(p->source, tail ? &p->tail : c->data, n);
}

/* Asks everybody who holds something of ours to give it back; once. */
static void cancel_all(struct pipe *p)
{
    if (p->stopping)
        return;
    p->stopping = true;
    if (p->waiting && bufpool_cancel(&p->wait))
        p->waiting = false;
    if (p->pulling)
        source_cancel(p->source);
    for (size_t i = first_lane(p); i < p->n_lanes; i++)
        if (has_lent(&p->lanes[i]))
            sink_cancel(p->lanes[i].sink);
}

/* Whether nothing is lent out and, if all is well, everything has arrived. */
static bool has_flowed(const struct pipe *p)
{
    bool quiet = !p->pulling && !p->waiting;
    for (size_t i = first_lane(p); i < p->n_lanes; i++)
        quiet &= !has_lent(&p->lanes[i]);
    return quiet && (p->rc != 0 || (p->ended && p->freed == p->filled));
}

static void flow(struct pipe *p)
{
    if (p->rc == 0 && !p->spliced) {
        feed_lanes(p);
        free_chunks(p);
        if (p->rc == 0)
            fill_chunk(p);
    }
    if (p->rc != 0)
        cancel_all(p);
    if (!has_flowed(p))
        return;
    for (size_t i = 0; i < PIPE_CHUNKS; i++) {
        bufpool_put(p->chunks[i].data);
        p->chunks[i].data = NULL;
    }
    p->state = FINISH;
    p->ending = 1;
    p->again = true;
}

/* Observers have the turns 1 to n_lanes - 1, the sink the last one. */
static struct pipe_lane *lane_of_turn(struct pipe *p)
{
    return &p->lanes[p->ending == p->n_lanes ? 0 : p->ending];
}

static void end_lanes(struct pipe *p)
{
    if (p->ending == p->n_lanes && !p->lanes[0].sink)
        p->ending++;
    if (p->ending > p->n_lanes) {
        p->state = DONE;
        return;
    }
    struct pipe_lane *lane = lane_of_turn(p);
    if (lane->busy)
        return;
    if (p->rc != 0)
        p->state = ABORT;
    lane->busy = true;
    if (p->state == ABORT)
        sink_abort(lane->sink);
    else
        sink_finish(lane->sink);
}

static void step(struct call *c)
{
    struct pipe *p = CONTAINER(c, struct pipe, step);
    CHECK(p, PIPE_MAGIC);
    p->running = true;
    p->again = true;
    for (int i = 0; i < STEPS_MAX && p->again && p->state != DONE; i++) {
        p->again = false;
        if (p->state == FLOW)
            flow(p);
        else
            end_lanes(p);
    }
    p->running = false;
    if (p->state != DONE) {
        if (p->again)
            ask_step(p);
        return;
    }
    timer_fini(&p->admission);
    metric_count(METRIC_pipes_open, -1);
    metric_count(p->rc ? METRIC_pipes_failed_total : METRIC_pipes_finished_total, 1);
    if (p->lanes[0].sink)
        p->stored = p->lanes[0].sink->moved;
    if (p->spliced)
        p->taken = p->stored;
    p->done(p);
}

static void add_lane(struct pipe *p, struct sink *sink)
{
    assert(p->n_lanes < 1 + PIPE_OBSERVERS);
    p->lanes[p->n_lanes] = (struct pipe_lane){.pipe = p, .sink = sink};
    if (sink) {
        sink->answer = on_sink;
        sink->pusher = &p->lanes[p->n_lanes];
    }
    p->n_lanes++;
}

void pipe_init(struct pipe *p, struct source *source, struct sink *sink,
               void (*done)(struct pipe *))
{
    memset(p, 0, sizeof *p);
    p->magic = PIPE_MAGIC;
    p->worker = worker_self();
    assert(p->worker);
    p->source = source;
    p->limit = SIZE_UNKNOWN;
    p->patience = PATIENCE_NS;
    timer_init(&p->admission, p->worker, on_impatience);
    p->done = done;
    p->step.fn = step;
    p->wait.ready = on_buffer;
    source->answer = on_source;
    source->puller = p;
    add_lane(p, sink);
}

void pipe_observe(struct pipe *p, struct sink *observer)
{
    CHECK(p, PIPE_MAGIC);
    add_lane(p, observer);
}

/* Lets the sink take the file itself, where everything allows it. */
static void try_splice(struct pipe *p)
{
    struct sink *sink = p->lanes[0].sink;
    uint64_t offset, n;
    int fd;
    if (p->n_lanes > 1 || !sink || !sink->ops->splice ||
        source_file(p->source, &fd, &offset, &n) != 0 || n == 0 || n > p->limit)
        return;
    p->spliced = true;
    p->lanes[0].busy = true;
    sink_splice(sink, fd, offset, n);
}

void pipe_start(struct pipe *p)
{
    CHECK(p, PIPE_MAGIC);
    metric_count(METRIC_pipes_open, 1);
    if (p->source->size != SIZE_UNKNOWN && p->source->size > p->limit)
        fail(p, E_TOO_LARGE);
    if (p->rc == 0)
        try_splice(p);
    ask_step(p);
}

void pipe_cancel(struct pipe *p, int rc)
{
    CHECK(p, PIPE_MAGIC);
    assert(rc < 0);
    bool committing = p->state == FINISH && p->ending == p->n_lanes && p->lanes[0].busy;
    if (p->state == DONE || committing || p->ending > p->n_lanes)
        return;
    fail(p, rc);
    ask_step(p);
}
