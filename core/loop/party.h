/* SPDX-License-Identifier: Apache-2.0
 *
 * A party: somebody whose connections, requests and bytes are counted; a client address,
 * a listener, a user. One table for the process, so that all workers count alike.
 *
 * Memory is bounded however many there are: those in use are as many as connections and
 * requests, and of the others the table remembers PARTIES_IDLE, the latest used ones. One
 * that is forgotten begins anew with a full bucket; to be forgotten early takes an
 * attacker as many addresses as the table has places.
 *
 * Any thread. The table has shards, each with a leaf lock that is held for a look-up;
 * what a party counts is atomic.
 */
#ifndef LOOP_PARTY_H
#define LOOP_PARTY_H

#include "base/base.h"
#include "base/list.h"
#include "loop/meter.h"

#define PARTIES_IDLE 16384
#define PARTY_NAME_MAX 256

struct party {
    struct party *next; /* of its bucket */
    struct list idle;   /* in its shard's list while nobody refers to it */
    uint64_t hash;
    unsigned refs;
    atomic_uint connections;
    struct meter requests, up, down;
    _Atomic uint64_t told; /* clock_now() when the log last heard of it; 0: never */
    uint32_t name_n;
    char name[];
};

/* The party of that name, at most PARTY_NAME_MAX bytes, with a reference. Never NULL. */
struct party *party_get(struct span name);
struct party *party_ref(struct party *p);
/* Accepts NULL. */
void party_put(struct party *p);

/* Counts one more connection unless there are `most` already (0: no bound). */
bool party_enter(struct party *p, unsigned most);
void party_leave(struct party *p);
/* Whether the log may hear of it now: once a second. */
bool party_may_tell(struct party *p, uint64_t now);

/* What names the party of a client: "1.2.3.4" of "1.2.3.4:80", and of an IPv6 address the
 * network of 64 bits, "1:2:3:4::/64", since whoever has one address there has them all.
 * Empty for what is no address ("unix"): nobody is counted then. */
struct span party_address(const char *peer, char room[PARTY_NAME_MAX]);
/* The same of an address without a port. */
struct span party_network(struct span address, char room[PARTY_NAME_MAX]);

/* How many are in the table. */
size_t parties_known(void);
/* Forgets all that nobody refers to; at the end, and in specs. */
void parties_forget(void);

#endif
