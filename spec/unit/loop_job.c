/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "loop/loop.h"
#include "spec/unit/unit.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

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
