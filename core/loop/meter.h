/* SPDX-License-Identifier: Apache-2.0
 *
 * A token bucket in one number: the time until which what was taken is paid for. It fills
 * by the clock alone, so one that nobody uses needs no care. (The generic cell rate
 * algorithm of ITU-T I.371, which says the same the other way round.) Any thread; a take
 * is one compare-and-swap.
 */
#ifndef LOOP_METER_H
#define LOOP_METER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct rate {
    double per_s; /* units that come each second; 0: no bound */
    double burst; /* that may be taken at once after a rest; at least one */
};

struct meter {
    _Atomic uint64_t paid; /* clock_now() ns; 0: never used */
};

/* Takes n units, at most a burst, if they are there. 0, or in how many ns they will be;
 * then nothing was taken. `now` is clock_now(). */
uint64_t meter_take(struct meter *m, const struct rate *r, uint64_t now, double n);
/* n units were used, whether they were there or not. */
void meter_charge(struct meter *m, const struct rate *r, uint64_t now, double n);
/* In how many ns there will be one unit; 0: now. */
uint64_t meter_wait(const struct meter *m, const struct rate *r, uint64_t now);

#endif
