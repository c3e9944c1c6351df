/* SPDX-License-Identifier: Apache-2.0
 *
 * The items of a pattern: what matches one byte. Of what is read only sets are
 * remembered: they are long and met again at every place of the subject. Pure.
 */
#ifndef LUA_PATTERN_ITEM_H
#define LUA_PATTERN_ITEM_H

#include "lua/pattern.h"

enum item_kind { ITEM_BYTE, ITEM_ANY, ITEM_SET };

struct item {
    enum item_kind kind;
    uint8_t byte;
    bool flip; /* all bytes that are not in the set */
    const uint64_t *bits;
    const uint8_t *end; /* behind it, in the pattern */
};

/* Reads the item at at, which is inside the pattern. out is good until the next one is
 * read. 0, or E_INVALID and p->fault. */
int item_read(struct pattern *p, const uint8_t *at, struct item *out);
/* The same for a set, whose '[' is at at. */
int item_read_set(struct pattern *p, const uint8_t *at, struct item *out);

/* Says what E_INVALID means, which is returned. */
static inline int pattern_fault(struct pattern *p, const char *what)
{
    p->fault = what;
    return E_INVALID;
}

static inline bool in_bits(const uint64_t *bits, uint8_t c)
{
    return bits[c >> 6] >> (c & 63) & 1;
}

static inline bool item_has(const struct item *it, uint8_t c)
{
    if (it->kind == ITEM_BYTE)
        return c == it->byte;
    return it->kind == ITEM_ANY || in_bits(it->bits, c) != it->flip;
}

/* The end of the run of bytes that match. */
static inline const uint8_t *item_run(const struct item *it, const uint8_t *s,
                                      const uint8_t *end)
{
    if (it->kind == ITEM_ANY)
        return end;
    if (it->kind == ITEM_BYTE) {
        while (s < end && *s == it->byte)
            s++;
        return s;
    }
    while (s < end && in_bits(it->bits, *s) != it->flip)
        s++;
    return s;
}

#endif
