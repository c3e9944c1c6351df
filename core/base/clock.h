/* SPDX-License-Identifier: Apache-2.0
 *
 * Time, in nanoseconds. Deadlines use the monotonic clock, what people read uses the wall
 * clock.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#define NS_PER_US UINT64_C(1000)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)

/* Monotonic, from an arbitrary start; never 0. */
uint64_t clock_now(void);
/* Since 1970-01-01 UTC. */
uint64_t clock_wall(void);

#define HTTP_DATE_SIZE 30
/* "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110, 5.6.7) with its NUL. */
void clock_http_date(time_t t, char out[HTTP_DATE_SIZE]);

#define RFC3339_SIZE 32
/* "2026-11-22T01:35:17.123Z" with its NUL; wall_ns since 1970. */
void clock_rfc3339(uint64_t wall_ns, char out[RFC3339_SIZE]);

#endif
