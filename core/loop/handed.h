/* SPDX-License-Identifier: Apache-2.0
 *
 * Listening sockets that a service manager has opened for this process (sd_listen_fds(3)):
 * LISTEN_FDS of them, from descriptor 3 on, if LISTEN_PID is ours; LISTEN_FDNAMES gives
 * them names, between colons. Nothing but the environment is read, so any thread may ask.
 * They stay open as long as the process lives: what a listener takes is a copy.
 */
#ifndef LOOP_HANDED_H
#define LOOP_HANDED_H

#include "base/span.h"

/* Is the address "systemd" (any of them), "systemd:NAME" (one called so), or one of these
 * and "#I", the I-th of them from 1 on? */
bool handed_is(const char *address);
/* How many sockets the address means; 0 for another kind of address. */
size_t handed_count(const char *address);
/* An owned copy of the descriptor, close-on-exec and non-blocking. E_NOT_FOUND when there is
 * no such socket, E_INVALID when it is none that listens for streams, or -errno. */
int handed_open(const char *address);

#endif
