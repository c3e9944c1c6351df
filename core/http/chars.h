/* SPDX-License-Identifier: Apache-2.0
 *
 * What each byte may be part of, as one table of bits; shared by the pure parsers of this
 * room.
 */
#ifndef HTTP_CHARS_H
#define HTTP_CHARS_H

#include <stdbool.h>
#include <stdint.h>

enum {
    CHAR_TOKEN = 1, /* RFC 9110, 5.6.2 */
    CHAR_VALUE = 2, /* header values: anything but control characters; HTAB may */
    CHAR_TARGET =
        4,         /* request targets: visible ASCII but '#' (a fragment is never sent) */
    CHAR_HOST = 8, /* Host: RFC 3986, 3.2 without user information and commas */
    CHAR_DIGIT = 16,
};

extern const uint8_t http_chars[256];

static inline bool http_char_is(char c, unsigned kinds)
{
    return http_chars[(unsigned char)c] & kinds;
}

#endif
