/* SPDX-License-Identifier: Apache-2.0
 *
 * The service manager's watchdog: WATCHDOG=1 says that the main thread and every worker
 * have come by. A round asks all workers at once, twice as often as it is expected; as
 * long as one of them owes its answer there is no other round, so a worker that is stuck
 * is silence, and the manager ends the process.
 */
#include "base/clock.h"
#include "base/log.h"
#include "serve/notify.h"
#include "serve/serving.h"

#include <stdlib.h>

struct pulse {
    struct serving *serving;
    struct timer timer;
    uint64_t every; /* ns */
    size_t missing; /* answers of this round */
    size_t skipped; /* rounds that could not begin since the last one that did */
};

static void on_pulse(struct call *call)
{
    struct crew *c = CONTAINER(call, struct crew, pulse);
    worker_post(c->serving->main, &c->pulsed);
}

static void on_pulsed(struct call *call)
{
    struct serving *s = CONTAINER(call, struct crew, pulsed)->serving;
    if (--s->pulse->missing)
        return;
    notify_say(s->notify, "WATCHDOG=1");
    serving_end(s);
}

static void on_timer(struct timer *t)
{
    struct pulse *p = CONTAINER(t, struct pulse, timer);
    struct serving *s = p->serving;
    if (s->drained == s->n_crews)
        return;
    timer_set(t, worker_now(s->main) + p->every);
    if (p->missing) {
        if (p->skipped++ == 0)
            log_msg(LOG_WARN, "a worker is late, so the watchdog hears nothing");
        return;
    }
    p->skipped = 0;
    p->missing = s->n_crews;
    for (size_t i = 0; i < s->n_crews; i++)
        worker_post(s->crews[i].worker, &s->crews[i].pulse);
}

void pulse_init(struct serving *s)
{
    struct pulse *p = s->pulse = xalloc(sizeof *p);
    p->serving = s;
    p->every = s->notify ? notify_watchdog() / 2 : 0;
    timer_init(&p->timer, s->main, on_timer);
    for (size_t i = 0; i < s->n_crews; i++) {
        s->crews[i].pulse.fn = on_pulse;
        s->crews[i].pulsed.fn = on_pulsed;
    }
    if (p->every)
        on_timer(&p->timer);
}

bool pulse_runs(const struct serving *s)
{
    return s->pulse && s->pulse->missing > 0;
}

void pulse_fini(struct serving *s)
{
    if (!s->pulse)
        return;
    timer_fini(&s->pulse->timer);
    free(s->pulse);
}
