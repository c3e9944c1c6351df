/* SPDX-License-Identifier: Apache-2.0
 *
 * A source and a sink over bytes in memory.
 */
#ifndef STREAM_MEMORY_H
#define STREAM_MEMORY_H

#include "stream/sink.h"
#include "stream/source.h"

/* A source over n bytes at p. release(arg) runs at close and gives p back; NULL when the
 * bytes outlive the source. Windows are supported. Returns an owned source. */
struct source *memory_source_new(const void *p, size_t n, void (*release)(void *),
                                 void *arg);

/* Collects up to limit bytes; one more fails the push with E_TOO_LARGE. Grows as bytes
 * come, so a limit costs nothing. The bytes are freed with the sink. */
struct memory_sink {
    struct sink sink;
    uint8_t *p;
    size_t n, cap, limit;
};
void memory_sink_init(struct memory_sink *k, size_t limit);
void memory_sink_fini(struct memory_sink *k);

#endif
