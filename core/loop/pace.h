/* SPDX-License-Identifier: Apache-2.0
 *
 * The pace of a connection: what its bytes cost, and to whom they are charged. While
 * somebody's bucket is empty the connection does not read, or does not write; it waits,
 * nothing fails. Bytes go in slices of a twentieth of a second, so that those who share
 * a bucket have turns. One worker's.
 */
#ifndef LOOP_PACE_H
#define LOOP_PACE_H

#include "loop/party.h"
#include "loop/timer.h"

#define PACE_PAYERS 3

struct payer {
    struct party *party;  /* counted by whoever made it a payer */
    struct rate up, down; /* bytes; up: from the client */
};

struct pace {
    struct payer payers[PACE_PAYERS];
    unsigned n;
    struct timer timer;
    bool holds_up, holds_down;   /* it waits */
    void (*free)(struct pace *); /* some can move again, in the direction that waited */
};

/* Nobody pays yet. */
void pace_init(struct pace *p, struct worker *w, void (*free)(struct pace *));
/* Nothing is held back from here on, and `free` is not called. */
void pace_fini(struct pace *p);
/* Does nothing for rates that bound nothing, or when there are too many. True if it took
 * the reference. */
bool pace_add(struct pace *p, struct party *party, const struct rate *up,
              const struct rate *down);
/* How many of n bytes may move now. 0: none, and `free` follows. */
size_t pace_room(struct pace *p, bool up, size_t n);
/* n bytes have moved. */
void pace_moved(struct pace *p, bool up, size_t n);

#endif
