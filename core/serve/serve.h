/* SPDX-License-Identifier: Apache-2.0
 *
 * serve: the running gateway, on the main thread: stores, pool, workers, listeners, signals; from
 * the first look at the script to the last connection. Rests on lua.
 *
 *   serving.h     what the files of this room share, and nobody else
 *   control.h     the control socket, by which people ask and tell it things
 *   notify.h      what a service manager hears of it
 *   privileges.h  who it is
 *   meters.h      what it counts of the process
 */
#ifndef SERVE_SERVE_H
#define SERVE_SERVE_H

/* user: who to become before the script is read, or NULL: then it is what the script says,
 * if anything. Serves until SIGTERM or SIGINT has drained every connection (a second one ends them at
 * once). Blocks. Returns the exit code: 0 drained, 1 could not start; the reason is on
 * stderr. */
int serve(const char *script, const char *user);

#endif
