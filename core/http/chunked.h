/* SPDX-License-Identifier: Apache-2.0
 *
 * The chunked transfer coding (RFC 9112, 7.1), decoded byte by byte where it must be and
 * in runs where it can. Pure; the decoder is 32 bytes and is fed any split of the stream.
 * A decoder that gave a fault must not be fed again.
 */
#ifndef HTTP_CHUNKED_H
#define HTTP_CHUNKED_H

#include "http/parse.h"

struct chunked {
    unsigned state;
    unsigned digits;    /* of the size line so far */
    uint64_t left;      /* of the chunk's data */
    uint32_t extension; /* bytes of it */
    uint32_t trailers;  /* bytes of them */
    bool done;
};

void chunked_init(struct chunked *c);
/* Reads at most n bytes at in; *used of them were understood. Data, if any, is a run
 * inside `in`: *data, *data_n. Returns 0 or a fault. One call gives at most one run: call
 * again with the rest until *used == n or c->done. Bytes behind the end of the body are
 * not used. */
int chunked_decode(struct chunked *c, const char *in, size_t n, size_t *used,
                   const char **data, size_t *data_n);

/* How many bytes of data come next, so that they can be read to where they belong without
 * a copy: take at most that many from the stream and say how many they were. */
uint64_t chunked_run(const struct chunked *c);
void chunked_took(struct chunked *c, uint64_t n);

#endif
