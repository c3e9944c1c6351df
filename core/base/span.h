/* SPDX-License-Identifier: Apache-2.0
 *
 * A span is text that somebody else owns: a piece of a receive buffer, a Lua string. It
 * is not NUL-terminated and may hold any byte, so no function of string.h that looks for
 * a NUL is ever used on one. Pure.
 */
#ifndef BASE_SPAN_H
#define BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
    const char *p;
    size_t n;
};

/* For printf's "%.*s". */
#define SPAN_ARG(s) (int)(s).n, (s).p
#define SPAN_LIT(s) ((struct span){"" s, sizeof(s) - 1})

/* Inline, because the length of a literal is then known to the compiler. */
static inline struct span span_of(const char *text)
{
    return (struct span){text, strlen(text)};
}

static inline bool span_eq(struct span a, struct span b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool span_is(struct span a, const char *text)
{
    return span_eq(a, span_of(text));
}

/* ASCII letters compared without case. */
bool span_eq_nocase(struct span a, struct span b);

static inline bool span_is_nocase(struct span a, const char *text)
{
    struct span b = span_of(text);
    return a.n == b.n && span_eq_nocase(a, b);
}

bool span_starts(struct span a, const char *prefix);
/* Spaces and tabs removed at both ends. */
struct span span_trim(struct span s);
/* Cuts *rest at the first c: returns what stood before it and leaves what follows;
 * without a c returns all and leaves nothing (rest->p is then NULL). */
struct span span_cut(struct span *rest, char c);

/* Decimal digits only, no sign, no blank, 1 to 19 of them, at most INT64_MAX.
 * 0 or E_INVALID. The only number parser for text from a wire. */
int span_u64(struct span s, uint64_t *out);
/* 1 to 16 hexadecimal digits of either case, at most INT64_MAX. 0 or E_INVALID. */
int span_hex64(struct span s, uint64_t *out);

#endif
