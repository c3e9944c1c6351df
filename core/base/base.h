/* SPDX-License-Identifier: Apache-2.0
 *
 * base: the ground floor. Errors, memory, spans, lists, clocks and the log; what every
 * other room may use.  Needs libc only and includes nothing of the project.
 *
 *   err.h    the one table of error codes        span.h   text that came from a wire
 *   mem.h    allocation, arenas, magic numbers   list.h   intrusive lists
 *   clock.h  monotonic and wall time             log.h    the log
 *   net.h    addresses and ranges of them
 *   mode.h   what an operator has switched on
 *   line.h   one line of it, escaped             writer.h files that get lines, by a thread
 *   metrics.h  what is counted                version.h  of the program
 */
#ifndef BASE_BASE_H
#define BASE_BASE_H

#include "base/err.h"
#include "base/mem.h"
#include "base/span.h"

#endif
