/* SPDX-License-Identifier: Apache-2.0
 *
 * A writer: a file or descriptor that gets whole lines, by a thread of its own, so that
 * nobody who has something to say waits for a slow disk or a full pipe. What it cannot
 * take it drops and counts, and says how much was lost once it writes again.
 *
 * Lines wait in memory of WRITER_ROOM bytes at most, of which only what was used at once
 * is ever touched. Thread-safe; one leaf lock, not held while it writes. At the end, and
 * by writer_flush, what waits is written, for a bounded time.
 */
#ifndef BASE_WRITER_H
#define BASE_WRITER_H

#include "base/span.h"

#define WRITER_ROOM                                                                      \
    ((size_t)1 << 20) /* bytes of lines that wait, and as many under way */

struct writer;

/* Opens or makes (mode 0640) a file for a writer. Blocks. A descriptor or -errno. */
int writer_open(const char *path);
/* Lines go to fd: it is the writer's if it came from writer_open(path), or the caller's,
 * if path is NULL, as stderr. lost(n) is called on the writer's thread when it has
 * written again after n lines were lost; it may use the writer. 0 and an owned writer, or
 * -errno; then fd is closed if it is not the caller's. */
int writer_new(const char *path, int fd, void (*lost)(uint64_t n), struct writer **out);
/* What is put from now on goes there, under the same rules. Lines that wait may, too.
 * Never waits. */
void writer_move(struct writer *w, const char *path, int fd);
/* Copies the line, which ends with its line feed. `soon`: somebody may be looking;
 * otherwise it may wait some ms for others, so that many lines cost one call of the
 * system. Never waits. False: there was no room. */
bool writer_put(struct writer *w, struct span line, bool soon);
/* The file is opened anew before the next line, for whoever has moved it away. If it
 * cannot be, the old one stays in use. Never waits. */
void writer_reopen(struct writer *w);
/* Waits until what was put is written, at most so many ms. */
void writer_flush(struct writer *w, unsigned ms);
/* The lines that were lost so far. */
uint64_t writer_lost(struct writer *w);
/* Writes what waits, for two seconds at most. Accepts NULL. */
void writer_free(struct writer *w);

#endif
