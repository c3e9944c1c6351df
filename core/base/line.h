/* SPDX-License-Identifier: Apache-2.0
 *
 * One line of a log in the making: fields of a name and a value, as logfmt or as a JSON
 * object, in memory that the caller lends. No value can start a new line, forge a field
 * or move a terminal's cursor: control characters and those that reorder text are
 * escaped, what is no UTF-8 becomes U+FFFD. What does not fit is cut, never the closing. Pure.
 */
#ifndef BASE_LINE_H
#define BASE_LINE_H

#include "base/span.h"

#define LINE_VALUE_MAX 4096 /* bytes of one value, before escaping grows it */

struct line {
    char *p; /* lent */
    size_t n, cap;
    bool json;
    bool cut; /* something did not fit */
};

/* cap: at least 64 bytes. */
void line_begin(struct line *l, char *p, size_t cap, bool json);
/* Names are [a-z0-9_.]+, at most 47 bytes; other characters become '_'. */
void line_text(struct line *l, const char *name, struct span value);
void line_number(struct line *l, const char *name, uint64_t n);
void line_flag(struct line *l, const char *name, bool value);
/* As decimal milliseconds, "12.345". */
void line_ms(struct line *l, const char *name, uint64_t ns);
/* Bytes as they are, for formats of other programs. */
void line_raw(struct line *l, struct span bytes);
/* The same escaped as inside a JSON string, without the quotes. */
void line_escaped(struct line *l, struct span value);
/* Closes it with a line feed and returns all of it. */
struct span line_end(struct line *l);

/* How many bytes the character of UTF-8 at p has (RFC 3629: no surrogates, no overlong
 * forms), with its code; 0 when there is none. n: at least 1. */
size_t utf8_char(const char *p, size_t n, uint32_t *code);

#endif
