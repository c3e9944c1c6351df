/* SPDX-License-Identifier: Apache-2.0
 *
 * The running gateway: stores, pool, workers, listeners, signals; from the first look at
 * the script to the last connection. Used by main.c alone.
 */
#ifndef SERVE_H
#define SERVE_H

/* user: who to become before the script is read, or NULL: then it is what the script says,
 * if anything. Serves until SIGTERM or SIGINT has drained every connection (a second one ends them at
 * once). Blocks. Returns the exit code: 0 drained, 1 could not start; the reason is on
 * stderr. */
int serve(const char *script, const char *user);

#endif
