/* SPDX-License-Identifier: Apache-2.0 */
#include "lua/pattern_item.h"

#include <string.h>

/* The classes of the C locale, by their letter. Of bytes from 128 on there is none. */
static const uint64_t classes[26][4] = {
#define CLASS(letter, low, high) [letter - 'a'] = {UINT64_C(low), UINT64_C(high), 0, 0}
    CLASS('a', 0, 0x07fffffe07fffffe),
    CLASS('c', 0xffffffff, 0x8000000000000000),
    CLASS('d', 0x03ff000000000000, 0),
    CLASS('g', 0xfffffffe00000000, 0x7fffffffffffffff),
    CLASS('l', 0, 0x07fffffe00000000),
    CLASS('p', 0xfc00fffe00000000, 0x78000001f8000001),
    CLASS('s', 0x100003e00, 0),
    CLASS('u', 0, 0x07fffffe),
    CLASS('w', 0x03ff000000000000, 0x07fffffe07fffffe),
    CLASS('x', 0x03ff000000000000, 0x0000007e0000007e),
    CLASS('z', 1, 0),
#undef CLASS
};

/* The class that a letter behind '%' names, or NULL: then it stands for itself. Capitals
 * mean all that is not in the class. */
static const uint64_t *class_of(uint8_t letter, bool *flip)
{
    uint8_t lower = letter | 32;
    if (lower < 'a' || lower > 'z')
        return NULL;
    const uint64_t *bits = classes[lower - 'a'];
    *flip = lower != letter;
    return bits[0] | bits[1] ? bits : NULL;
}

static void set_add(uint64_t *bits, uint8_t c)
{
    bits[c >> 6] |= UINT64_C(1) << (c & 63);
}

static void set_add_range(uint64_t *bits, uint8_t from, uint8_t to)
{
    for (int word = from >> 6; word <= to >> 6 && from <= to; word++) {
        uint64_t mask = UINT64_MAX;
        if (word == from >> 6)
            mask &= UINT64_MAX << (from & 63);
        if (word == to >> 6)
            mask &= UINT64_MAX >> (63 - (to & 63));
        bits[word] |= mask;
    }
}

static void set_add_class(uint64_t *bits, uint8_t letter)
{
    bool flip;
    const uint64_t *more = class_of(letter, &flip);
    if (!more) {
        set_add(bits, letter);
        return;
    }
    for (int i = 0; i < 4; i++)
        bits[i] |= flip ? ~more[i] : more[i];
}

/* The ']' that ends the set whose members begin at p: neither the first of them nor
 * behind a '%'. NULL: there is none. */
static const uint8_t *set_end(const uint8_t *p, const uint8_t *end)
{
    const uint8_t *first = p;
    while (p < end && (*p != ']' || p == first))
        p += *p == '%' && end - p > 1 ? 2 : 1;
    return p < end ? p : NULL;
}

/* The second end of a range is taken as it is, even a '%'. */
static void set_fill(uint64_t *bits, const uint8_t *p, const uint8_t *end)
{
    memset(bits, 0, 4 * sizeof *bits);
    while (p < end) {
        if (*p == '%') {
            set_add_class(bits, p[1]);
            p += 2;
        } else if (end - p > 2 && p[1] == '-') {
            set_add_range(bits, p[0], p[2]);
            p += 3;
        } else {
            set_add(bits, *p);
            p++;
        }
    }
}

static const uint8_t *end_of(const struct pattern *p)
{
    return (const uint8_t *)p->text.p + p->text.n;
}

/* The set whose '[' is at at, read unless it is remembered. NULL: it has no end. */
static const struct pattern_set *set_at(struct pattern *p, const uint8_t *at)
{
    for (size_t i = 0; i < PATTERN_SETS && i < p->n_sets; i++)
        if (p->sets[i].at == at)
            return &p->sets[i];
    const uint8_t *members = at + 1;
    bool flip = members < end_of(p) && *members == '^';
    members += flip;
    const uint8_t *end = set_end(members, end_of(p));
    if (!end)
        return NULL;
    struct pattern_set *set = &p->sets[p->n_sets++ % PATTERN_SETS];
    set->at = at;
    set->end = end + 1;
    set->flip = flip;
    set_fill(set->bits, members, end);
    p->left -= (end - at) / 4;
    return set;
}

int item_read_set(struct pattern *p, const uint8_t *at, struct item *out)
{
    const struct pattern_set *set = set_at(p, at);
    if (!set)
        return pattern_fault(p, "malformed pattern (missing ']')");
    *out = (struct item){ITEM_SET, 0, set->flip, set->bits, set->end};
    return 0;
}

int item_read(struct pattern *p, const uint8_t *at, struct item *out)
{
    out->byte = *at;
    out->end = at + 1;
    out->kind = ITEM_BYTE;
    if (*at == '.') {
        out->kind = ITEM_ANY;
    } else if (*at == '[') {
        return item_read_set(p, at, out);
    } else if (*at == '%') {
        if (at + 1 == end_of(p))
            return pattern_fault(p, "malformed pattern (ends with '%')");
        out->byte = at[1];
        out->end = at + 2;
        out->bits = class_of(at[1], &out->flip);
        if (out->bits)
            out->kind = ITEM_SET;
    }
    return 0;
}
