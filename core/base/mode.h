/* SPDX-License-Identifier: Apache-2.0
 *
 * What an operator has switched on while the program runs. Process-wide: it outlives a
 * reload, and ends with the process. Any thread; a look costs a relaxed load.
 */
#ifndef BASE_MODE_H
#define BASE_MODE_H

#include <stdbool.h>
#include <stdint.h>

enum mode {
    MODE_READONLY, /* what begins from now on changes nothing in any store */
    MODE_DRAINING, /* it is about to stop: no new work should be sent here */
    MODES
};

/* Harmless when it is so already. */
void mode_set(enum mode m, bool on);
bool mode_is(enum mode m);
/* Since when, clock_wall(); 0: it is off. */
uint64_t mode_since(enum mode m);

#endif
