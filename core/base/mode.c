/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mode.h"

#include "base/clock.h"

#include <stdatomic.h>

static _Atomic uint64_t since[MODES];

void mode_set(enum mode m, bool on)
{
    uint64_t off = 0;
    if (on)
        atomic_compare_exchange_strong(&since[m], &off, clock_wall());
    else
        since[m] = 0;
}

bool mode_is(enum mode m)
{
    return mode_since(m) != 0;
}

uint64_t mode_since(enum mode m)
{
    return atomic_load_explicit(&since[m], memory_order_relaxed);
}
