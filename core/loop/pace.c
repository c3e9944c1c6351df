/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/pace.h"

#include "base/clock.h"

#define TURNS 20       /* slices of a second */
#define SLICE_MIN 4096 /* bytes; less is not worth a system call */
#define WAIT_MIN_NS NS_PER_MS

static void on_time(struct timer *t)
{
    struct pace *p = CONTAINER(t, struct pace, timer);
    p->free(p);
}

void pace_init(struct pace *p, struct worker *w, void (*free)(struct pace *))
{
    p->n = 0;
    p->holds_up = p->holds_down = false;
    p->free = free;
    timer_init(&p->timer, w, on_time);
}

void pace_fini(struct pace *p)
{
    timer_fini(&p->timer);
    for (unsigned i = 0; i < p->n; i++)
        party_put(p->payers[i].party);
    p->n = 0;
    p->holds_up = p->holds_down = false;
}

bool pace_add(struct pace *p, struct party *party, const struct rate *up,
              const struct rate *down)
{
    if (p->n == PACE_PAYERS || (up->per_s <= 0 && down->per_s <= 0))
        return false;
    p->payers[p->n++] = (struct payer){party, *up, *down};
    return true;
}

size_t pace_room(struct pace *p, bool up, size_t n)
{
    uint64_t now = worker_now(p->timer.worker), wait = 0;
    bool *holds = up ? &p->holds_up : &p->holds_down;
    for (unsigned i = 0; i < p->n; i++) {
        struct payer *who = &p->payers[i];
        const struct rate *r = up ? &who->up : &who->down;
        uint64_t w = meter_wait(up ? &who->party->up : &who->party->down, r, now);
        wait = w > wait ? w : wait;
        size_t slice = r->per_s > 0 ? (size_t)(r->per_s / TURNS) : n;
        slice = slice > SLICE_MIN ? slice : SLICE_MIN;
        n = n < slice ? n : slice;
    }
    *holds = wait > 0;
    if (wait == 0)
        return n;
    uint64_t due = now + (wait > WAIT_MIN_NS ? wait : WAIT_MIN_NS);
    if (!p->timer.due || due < p->timer.due) /* the other direction may wait, too */
        timer_set(&p->timer, due);
    return 0;
}

void pace_moved(struct pace *p, bool up, size_t n)
{
    uint64_t now = worker_now(p->timer.worker);
    for (unsigned i = 0; i < p->n; i++) {
        struct payer *who = &p->payers[i];
        meter_charge(up ? &who->party->up : &who->party->down, up ? &who->up : &who->down,
                     now, (double)n);
    }
}
