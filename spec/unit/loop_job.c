/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "loop/loop.h"
#include "spec/unit/unit.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>

#define TASKS 200

struct task {
    struct job job;
    int number;
};

static struct task tasks[TASKS];
static struct worker *home;
static struct lane *lane;
static atomic_int running, most, worked;
static int finished, started[TASKS];

static void count_work(struct job *j)
{
    int now = atomic_fetch_add(&running, 1) + 1, seen = atomic_load(&most);
    EXPECT(!worker_self());
    while (seen < now && !atomic_compare_exchange_weak(&most, &seen, now))
        continue;
    started[atomic_fetch_add(&worked, 1)] = CONTAINER(j, struct task, job)->number;
    atomic_fetch_sub(&running, 1);
}

static void count_done(struct job *j)
{
    (void)j;
    EXPECT(worker_self() == home);
    if (++finished == TASKS) {
        lane_free(lane); /* allowed as soon as the last done has begun */
        worker_stop(home);
    }
}

static void submit_all(struct call *c)
{
    (void)c;
    for (int i = 0; i < TASKS; i++) {
        tasks[i] = (struct task){{.work = count_work, .done = count_done}, i};
        job_submit(lane, &tasks[i].job);
    }
}

TEST("job: a lane runs no more than its limit at once and every job comes home")
{
    struct call c = {.fn = submit_all};
    for (unsigned limit = 1; limit <= 4; limit++) {
        EXPECT_EQ(pool_start(4), 0);
        home = worker_new("spec");
        lane = lane_new("spec", limit);
        finished = 0;
        worked = 0;
        most = 0;
        worker_defer(home, &c);
        worker_run(home);
        EXPECT_EQ(worked, TASKS);
        EXPECT(most >= 1 && most <= (int)limit);
        for (int i = 0; limit == 1 && i < TASKS; i++)
            EXPECT_EQ(started[i], i); /* oldest first */
        worker_free(home);
        pool_stop();
    }
}

#define STRANDS 3
#define LINKS 40 /* jobs of a strand */

struct link {
    struct job job;
    struct rope *rope;
    int number;
};

struct rope {
    struct strand strand;
    struct link links[LINKS];
    atomic_int worked; /* jobs that ran; none begins before the last one has ended */
    int home;
};

static struct rope *ropes[STRANDS];
static int ropes_left;
static bool holds; /* the first job of each waits until all others had their chance */
static sem_t held;

static void link_work(struct job *j)
{
    struct link *l = CONTAINER(j, struct link, job);
    EXPECT_EQ(atomic_load(&l->rope->worked), l->number);
    if (holds && l->number == 0)
        sem_wait(&held);
    atomic_fetch_add(&l->rope->worked, 1);
}

static void let_go(struct job *j)
{
    (void)j;
    for (int k = 0; k < STRANDS; k++)
        sem_post(&held);
}

static void link_done(struct job *j)
{
    struct rope *r = CONTAINER(j, struct link, job)->rope;
    EXPECT(worker_self() == home);
    if (++r->home < LINKS)
        return;
    EXPECT_EQ(r->worked, LINKS);
    free(r); /* allowed as soon as the last done has begun */
    if (--ropes_left == 0)
        worker_stop(home);
}

static void submit_ropes(struct call *c)
{
    static struct job last = {.work = let_go};
    (void)c;
    for (int i = 0; i < LINKS; i++) {
        for (int k = 0; k < STRANDS; k++) {
            struct link *l = &ropes[k]->links[i];
            *l = (struct link){{.work = link_work, .done = link_done}, ropes[k], i};
            strand_submit(&ropes[k]->strand, lane, &l->job);
        }
    }
    if (holds)
        job_submit(lane, &last);
}

TEST("job: a strand runs its jobs one at a time and in order, beside other strands")
{
    struct call c = {.fn = submit_ropes};
    sem_init(&held, 0, 0);
    for (unsigned limit = 1; limit <= 4; limit++) {
        EXPECT_EQ(pool_start(4), 0);
        home = worker_new("spec");
        lane = lane_new("spec", limit);
        ropes_left = STRANDS;
        holds = limit > STRANDS;
        for (int k = 0; k < STRANDS; k++)
            ropes[k] = xalloc(sizeof *ropes[k]);
        worker_defer(home, &c);
        worker_run(home);
        worker_free(home);
        pool_stop();
        lane_free(lane);
    }
    sem_destroy(&held);
}

static struct strand rivals[2];

static void submit_rivals(struct call *c)
{
    (void)c;
    for (int i = 0; i < 6; i++) {
        tasks[i] = (struct task){{.work = count_work, .done = count_done}, i};
        strand_submit(&rivals[i / 3], lane, &tasks[i].job);
    }
    finished = TASKS - 6;
    EXPECT_EQ(pool_start(1), 0);
}

TEST("job: strands that share a lane take turns, job by job")
{
    static const int turns[] = {0, 3, 1, 4, 2, 5};
    struct call c = {.fn = submit_rivals};
    home = worker_new("spec");
    lane = lane_new("spec", 1);
    worker_defer(home, &c);
    worker_run(home);
    for (int i = 0; i < 6; i++)
        EXPECT_EQ(started[i], turns[i]);
    worker_free(home);
    pool_stop();
}

/* Holds its lane until every thread but one has met here: a disk that hangs. */
static pthread_barrier_t gate;

static void hang(struct job *j)
{
    (void)j;
    pthread_barrier_wait(&gate);
}

static void open_gate(struct job *j)
{
    (void)j;
    pthread_barrier_wait(&gate);
    atomic_fetch_add(&worked, 1);
}

TEST("job: a lane that hangs holds only itself")
{
    struct job stuck[3] = {{.work = hang}, {.work = hang}, {.work = hang}};
    struct job key[3] = {{.work = open_gate}, {.work = open_gate}, {.work = open_gate}};
    struct lane *bad = lane_new("bad", 1), *good = lane_new("good", 1);
    pthread_barrier_init(&gate, NULL, 2);
    EXPECT_EQ(pool_start(2), 0);
    for (int i = 0; i < 3; i++)
        job_submit(bad, &stuck[i]);
    for (int i = 0; i < 3; i++)
        job_submit(good, &key[i]); /* each frees one of the hanging */
    pool_stop();                   /* drains */
    EXPECT_EQ(worked, 3);
    lane_free(bad);
    lane_free(good);
    pthread_barrier_destroy(&gate);
}

TEST("job: stopping the pool finishes what was queued, and it can start again")
{
    pool_stop(); /* never started: harmless */
    for (int round = 1; round <= 3; round++) {
        EXPECT_EQ(pool_start(3), 0);
        for (int i = 0; i < TASKS; i++) {
            tasks[i] = (struct task){{.work = count_work}, i};
            job_submit(lane_cpu(), &tasks[i].job);
        }
        pool_stop();
        EXPECT_EQ(worked, TASKS);
        worked = 0;
    }
}

struct late {
    struct job job;
    struct worker *home;
    sem_t submitted;
    bool done;
};

static void outlive_home(struct job *j)
{
    worker_join(CONTAINER(j, struct late, job)->home);
}

static void note_done(struct job *j)
{
    CONTAINER(j, struct late, job)->done = true;
}

static void submit_and_end(struct call *c)
{
    struct late *l = CONTAINER(c, struct late, job.call);
    job_submit(lane_cpu(), &l->job);
    worker_stop(l->home);
    sem_post(&l->submitted);
}

TEST("job: one that outlives its worker's thread comes home when the worker is run again")
{
    struct late l = {
        .job = {.call.fn = submit_and_end, .work = outlive_home, .done = note_done},
        .home = worker_new("spec")};
    sem_init(&l.submitted, 0, 0);
    EXPECT_EQ(pool_start(1), 0);
    worker_post(l.home, &l.job.call);
    EXPECT_EQ(worker_start(l.home, NULL, NULL, NULL), 0);
    sem_wait(&l.submitted);
    pool_stop();
    EXPECT(!l.done);
    worker_stop(l.home);
    worker_run(l.home);
    EXPECT(l.done);
    worker_free(l.home);
    sem_destroy(&l.submitted);
}
