/* SPDX-License-Identifier: Apache-2.0
 *
 * What the service manager hears of us: the protocol of sd_notify(3), datagrams of
 * VARIABLE=value lines to the socket that NOTIFY_SOCKET names. Without that variable
 * nothing is said. Main thread.
 */
#ifndef SERVE_NOTIFY_H
#define SERVE_NOTIFY_H

#include <stdint.h>

struct notify;

/* Returns an owned one, or NULL: nobody listens. What is wrong with the variable is said
 * in the log. */
struct notify *notify_new(void);
/* Sends lines; waits a second at most. All of these accept NULL. */
void notify_say(struct notify *n, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void notify_free(struct notify *n);

/* How often WATCHDOG=1 is expected at least, in ns; 0: never. */
uint64_t notify_watchdog(void);

#endif
