/* SPDX-License-Identifier: Apache-2.0
 *
 * Header fields that the server itself understands. Pure.
 */
#ifndef HTTP_FIELDS_H
#define HTTP_FIELDS_H

#include "http/parse.h"

#include <time.h>

#define HTTP_RANGES_MAX 16

struct http_range {
    uint64_t offset, n;
};

/* Range (RFC 9110, 14.2) against a representation of `size` bytes. Returns the number of
 * satisfiable ranges in the order asked, clamped; 0 when the header is absent, of another
 * unit, malformed, or asks for more than HTTP_RANGES_MAX or for more bytes in all than
 * the whole (answer 200); E_RANGE when none is satisfiable (416). A well-formed single
 * range whose last is before its first counts as unsatisfiable. */
int http_ranges(const struct span *value, uint64_t size,
                struct http_range out[HTTP_RANGES_MAX]);

/* If-None-Match: does the list hold this entity tag (weak comparison), or "*"? etag with
 * quotes. */
bool http_etag_matches(struct span list, struct span etag);
/* All three date forms of RFC 9110, 5.6.7. 0 or E_INVALID. */
int http_date_parse(struct span s, time_t *out);

/* Is it a token (RFC 9110, 5.6.2)? */
bool http_is_token(struct span s);
/* May it stand as a header value: no control characters but HTAB, no blanks at the ends?
 */
bool http_is_value(struct span s);
/* The standard phrase, or "Unknown". */
const char *http_phrase(int status);

#endif
