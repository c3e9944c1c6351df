/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/meter.h"

#include "base/clock.h"

#define COST_MAX 1e18 /* ns; 31 years, so that sums stay in 64 bits */

/* The time that n units take to come. */
static uint64_t cost(const struct rate *r, double n)
{
    double ns = n * 1e9 / r->per_s;
    return ns < COST_MAX ? (uint64_t)ns : (uint64_t)COST_MAX;
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

uint64_t meter_take(struct meter *m, const struct rate *r, uint64_t now, double n)
{
    if (r->per_s <= 0)
        return 0;
    uint64_t price = cost(r, n), depth = cost(r, n > r->burst ? n : r->burst);
    uint64_t paid = atomic_load_explicit(&m->paid, memory_order_relaxed), next;
    do {
        next = later(paid, now) + price;
        if (next - now > depth)
            return next - now - depth;
    } while (!atomic_compare_exchange_weak(&m->paid, &paid, next));
    return 0;
}

void meter_charge(struct meter *m, const struct rate *r, uint64_t now, double n)
{
    if (r->per_s <= 0)
        return;
    uint64_t price = cost(r, n);
    uint64_t paid = atomic_load_explicit(&m->paid, memory_order_relaxed), next;
    do
        next = later(paid, now) + price;
    while (!atomic_compare_exchange_weak(&m->paid, &paid, next));
}

uint64_t meter_wait(const struct meter *m, const struct rate *r, uint64_t now)
{
    if (r->per_s <= 0)
        return 0;
    uint64_t paid = atomic_load_explicit(&m->paid, memory_order_relaxed);
    uint64_t depth = cost(r, r->burst), one = cost(r, 1);
    uint64_t due = later(paid, now) + one;
    return due - now > depth ? due - now - depth : 0;
}
