/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/mem.h"
#include "loop/loop.h"
#include "spec/unit/unit.h"

#include <pthread.h>
#include <string.h>

struct note {
    struct call call;
    struct worker *worker;
    int again; /* how often it queues itself once more */
    char letter;
};

static char heard[64];
static size_t heard_n;

static void hear(char letter)
{
    if (heard_n < sizeof heard - 1)
        heard[heard_n++] = letter;
}

static void take_note(struct call *c)
{
    struct note *n = CONTAINER(c, struct note, call);
    hear(n->letter);
    if (n->again-- > 0)
        worker_defer(n->worker, &n->call);
}

static void note_init(struct note *n, struct worker *w, char letter, int again)
{
    *n = (struct note){{.fn = take_note}, w, again, letter};
}

static void run_until_idle(struct worker *w)
{
    worker_stop(w);
    worker_run(w);
}

TEST("loop: the run queue is fair, oldest first")
{
    struct worker *w = worker_new("spec");
    struct note a, b, c;
    note_init(&a, w, 'a', 2);
    note_init(&b, w, 'b', 1);
    note_init(&c, w, 'c', 0);
    worker_defer(w, &a.call);
    worker_defer(w, &b.call);
    worker_defer(w, &c.call);
    run_until_idle(w);
    EXPECT_STR(heard, "abcaba");
    worker_free(w);
}

static struct note victim;

static void undefer_victim(struct call *c)
{
    (void)c;
    hear('u');
    worker_undefer(victim.worker, &victim.call);
    worker_undefer(victim.worker, &victim.call);
}

TEST("loop: a call is taken back before and during its round")
{
    struct worker *w = worker_new("spec");
    struct call undo = {.fn = undefer_victim};
    struct note a, b;
    note_init(&victim, w, 'v', 0);
    note_init(&a, w, 'a', 0);
    note_init(&b, w, 'b', 0);
    worker_undefer(w, &a.call); /* in no queue: harmless */
    worker_defer(w, &a.call);
    worker_undefer(w, &a.call);
    worker_defer(w, &undo);
    worker_defer(w, &victim.call); /* the last of its round */
    run_until_idle(w);
    EXPECT_STR(heard, "u");
    worker_defer(w, &b.call); /* the queue's end was mended */
    worker_defer(w, &victim.call);
    run_until_idle(w);
    EXPECT_STR(heard, "ubv");
    worker_free(w);
}

#define POSTERS 4
#define POSTS 2000

struct parcel {
    struct call call;
    int from, number;
};

static struct worker *post_office;
static struct parcel parcels[POSTERS][POSTS];
static int arrived[POSTERS];

static void take_parcel(struct call *c)
{
    struct parcel *p = CONTAINER(c, struct parcel, call);
    EXPECT(worker_self() == post_office);
    EXPECT_EQ(p->number, arrived[p->from]);
    arrived[p->from]++;
}

static void *post_all(void *arg)
{
    int from = (int)(intptr_t)arg;
    for (int i = 0; i < POSTS; i++) {
        parcels[from][i] = (struct parcel){{.fn = take_parcel}, from, i};
        worker_post(post_office, &parcels[from][i].call);
    }
    return NULL;
}

static void mark(void *arg)
{
    hear(*(const char *)arg == 'x' && heard_n == 0 ? 's' : 't');
}

TEST("loop: posts of several threads arrive once, in each thread's order")
{
    pthread_t threads[POSTERS];
    char x[] = "x";
    post_office = worker_new("spec-worker-name");
    EXPECT_EQ(worker_start(post_office, mark, mark, x), 0);
    for (intptr_t i = 0; i < POSTERS; i++)
        pthread_create(&threads[i], NULL, post_all, (void *)i);
    for (int i = 0; i < POSTERS; i++)
        pthread_join(threads[i], NULL);
    worker_stop(post_office); /* what was posted before is still delivered */
    worker_join(post_office);
    for (int i = 0; i < POSTERS; i++)
        EXPECT_EQ(arrived[i], POSTS);
    EXPECT_STR(heard, "st");
    worker_free(post_office);
}

static uint64_t now_seen[2];

static void see_now(struct call *c)
{
    struct worker *w = worker_self();
    (void)c;
    now_seen[0] = worker_now(w);
    while (clock_now() == now_seen[0])
        continue;
    now_seen[1] = worker_now(w);
}

TEST("loop: now stands still within a round, and slots keep what is put there")
{
    struct worker *w = worker_new("spec");
    struct call c = {.fn = see_now};
    worker_defer(w, &c);
    run_until_idle(w);
    uint64_t first = now_seen[0];
    EXPECT(first && now_seen[1] == first);
    worker_defer(w, &c);
    run_until_idle(w);
    EXPECT(now_seen[0] > first);
    EXPECT(worker_get(w, WORKER_SLOT_VM) == NULL);
    worker_set(w, WORKER_SLOT_VM, &c);
    EXPECT(worker_get(w, WORKER_SLOT_VM) == &c && !worker_get(w, WORKER_SLOT_HTTP));
    worker_load_add(w, 3);
    worker_load_add(w, -1);
    EXPECT_EQ(worker_load(w), 2);
    worker_free(w);
}

static struct timer timers[4];

static void on_fire(struct timer *t)
{
    hear((char)('0' + (t - timers)));
    timer_fini(t);
    if (t == &timers[3])
        worker_stop(t->worker);
}

TEST("loop: timers fire in order, move both ways and can be cleared")
{
    struct worker *w = worker_new("spec");
    uint64_t now = clock_now();
    for (int i = 0; i < 4; i++)
        timer_init(&timers[i], w, on_fire);
    timer_set(&timers[0], now + 900 * NS_PER_S); /* moved earlier */
    timer_set(&timers[0], now + 10 * NS_PER_MS);
    timer_set(&timers[1], now + 5 * NS_PER_MS); /* moved later */
    timer_set(&timers[1], now + 20 * NS_PER_MS);
    timer_set(&timers[2], now + NS_PER_MS);
    timer_clear(&timers[2]);
    timer_set(&timers[3], now + 30 * NS_PER_MS);
    worker_run(w);
    EXPECT(clock_now() >= now + 30 * NS_PER_MS);
    EXPECT_STR(heard, "013");
    timer_init(&timers[3], w, on_fire);
    timer_set(&timers[3], 0); /* long past: the next round */
    worker_run(w);
    EXPECT_STR(heard, "0133");
    timer_fini(&timers[2]);
    worker_free(w);
}
