/* SPDX-License-Identifier: Apache-2.0
 *
 * Cases that are wrong on purpose, one for each kind of fault that the specs rely on being
 * told about. `--list` leaves them out; harness_spec.lua runs every one and wants it to
 * fail, so that a harness which stopped looking fails, too.
 */
#include "spec/unit/unit.h"

#include "base/clock.h"
#include "loop/loop.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

static void *volatile escape; /* what the compiler must not see through */

TEST("fault: a descriptor stays open")
{
    EXPECT(open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0);
}

static void *sleep_on(void *arg)
{
    (void)arg;
    for (;;)
        pause();
    return NULL;
}

TEST("fault: a thread runs on")
{
    pthread_t id;
    EXPECT_EQ(pthread_create(&id, NULL, sleep_on, NULL), 0);
}

static void never(struct timer *t)
{
    (void)t;
}

TEST("fault: a timer stays on its worker")
{
    struct worker *w = worker_new("spec");
    struct timer t;
    timer_init(&t, w, never);
    timer_set(&t, clock_now() + NS_PER_S);
    worker_free(w);
}

static void nothing(struct call *c)
{
    (void)c;
}

TEST("fault: a call stays in its worker's queue")
{
    struct worker *w = worker_new("spec");
    struct call c = {.fn = nothing};
    worker_post(w, &c);
    worker_free(w);
}

TEST("fault: memory is lost")
{
    escape = malloc(100);
    EXPECT(escape);
    escape = NULL;
}

TEST("fault: a freed byte is read")
{
    escape = calloc(1, 100);
    EXPECT(escape);
    const char *p = escape;
    free(escape);
    EXPECT_EQ(p[50], 0);
}

TEST("fault: a number overflows")
{
    volatile int n = INT32_MAX;
    n = n + 1; /* cppcheck-suppress integerOverflow */
    EXPECT(n < 0);
}

static uint64_t shared;

static void *count(void *arg)
{
    (void)arg;
    for (int i = 0; i < 1000; i++)
        shared++;
    return NULL;
}

TEST("fault: two threads write one place")
{
    pthread_t ids[2];
    for (size_t i = 0; i < 2; i++)
        EXPECT_EQ(pthread_create(&ids[i], NULL, count, NULL), 0);
    for (size_t i = 0; i < 2; i++)
        pthread_join(ids[i], NULL);
    EXPECT(shared > 0);
}
