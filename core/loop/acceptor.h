/* SPDX-License-Identifier: Apache-2.0
 *
 * Listening sockets. They live on the main thread's base; each accepted socket is handed
 * to `take` there. At the descriptor limit accepting pauses for a moment again and again
 * (and says so in the log, at most once a minute), so that clients wait instead of
 * failing.
 */
#ifndef LOOP_ACCEPTOR_H
#define LOOP_ACCEPTOR_H

#include <stdbool.h>

#include "loop/worker.h"

struct acceptor;

/* address: "127.0.0.1:5000", "[::]:5000", ":5000" (every address, IPv6 and IPv4),
 * "unix:/path/to.sock" (a stale socket file is replaced, a live one is not), or one of
 * loop/handed.h. Port 0 picks one. Addresses are numbers, never looked up. take(arg, fd,
 * peer) takes the non-blocking fd; peer is only lent; it may not close the acceptor.
 * Returns 0 and an owned acceptor, or -errno / E_INVALID for an address nobody can read.
 */
int acceptor_open(struct worker *main_worker, const char *address,
                  void (*take)(void *arg, int fd, const char *peer), void *arg,
                  struct acceptor **out);
/* Whether the address has one of these forms. */
bool acceptor_reads(const char *address);
/* The same as acceptor_open for a "unix:/path" whose file nobody but the owner may connect to (0600). */
int acceptor_open_private(struct worker *main_worker, const char *address,
                          void (*take)(void *arg, int fd, const char *peer), void *arg,
                          struct acceptor **out);
/* The address really bound, in the same form: port 0 is filled in. Borrowed. */
const char *acceptor_address(const struct acceptor *a);
/* Closes the listening socket, removes a unix socket's file. Accepts NULL. */
void acceptor_close(struct acceptor *a);

#endif
