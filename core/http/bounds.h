/* SPDX-License-Identifier: Apache-2.0
 *
 * What the clients of a listener may take of the gateway. Whoever is past a bound is told
 * so and nothing of theirs is lost: a connection gets 503, a request 429 with the time to
 * wait, a body 413, and bytes that come or go too fast wait. The counts are those of
 * parties (loop/party.h), which all workers and all generations share.
 *
 * A connection is counted by its peer's address, for it has no other one yet when it is
 * taken; a request by the client's, which a trusted proxy may have named.
 */
#ifndef HTTP_BOUNDS_H
#define HTTP_BOUNDS_H

#include "loop/party.h"

struct exchange;
struct front;

struct shares {           /* 0 bounds nothing */
    unsigned connections; /* at once */
    struct rate requests;
    struct rate up, down; /* bytes of bodies, from clients and to them */
};

struct bounds {
    struct shares all;     /* of the listener */
    struct shares address; /* of each client address */
    uint64_t body;         /* bytes of one request's; 0: no bound */
};

/* How many connections the whole process may have; 0: no bound. Any thread. */
void bounds_set_connections(unsigned most);
/* Counts a connection that came in by f. Returns the party of its address, counted, for
 * http_server_take or bounds_dismiss; or NULL: it is one too many, and nothing was
 * counted. */
struct party *bounds_admit(struct front *f, const char *peer);
/* Takes guest; accepts NULL. */
void bounds_dismiss(struct front *f, struct party *guest);
/* What a connection is told that is one too many; one that expects TLS, nothing. Takes
 * fd. */
void bounds_turn_away(const struct front *f, int fd);

/* Before a handler hears of a request: false if it must not, and then it is answered. The
 * bytes of its bodies are charged from here on. */
bool bounds_let_in(struct exchange *x);

#endif
