/* SPDX-License-Identifier: Apache-2.0
 *
 * Lua's patterns (reference manual of Lua 5.1, 5.4.1; of LuaJIT also %f and %g), matched
 * within a budget of steps: no pattern and no text can hold a worker. What a step is
 * varies, but none takes more than some nanoseconds, and the budget grows with the
 * subject so that work linear in it always fits.
 *
 * Faults are found as LuaJIT finds them: when matching gets there, with its words. One
 * thing differs: a NUL in a pattern is a byte like any other and not the pattern's end.
 *
 * Pure: no Lua, no allocation, no recursion. A search takes 7 KiB of stack.
 */
#ifndef LUA_PATTERN_H
#define LUA_PATTERN_H

#include "base/base.h"

#define PATTERN_CAPTURES 32 /* of one pattern */
#define PATTERN_NESTING 199 /* open captures and repetitions, as in LuaJIT */
#define PATTERN_SETS 8      /* remembered */

/* Steps that every search may take, and those for each byte of the subject. */
#define PATTERN_STEPS 1000000
#define PATTERN_STEPS_BYTE 16

/* In place of a capture's length: "()", whose place is what counts, and one that the
 * pattern never closed. */
#define CAPTURE_POSITION (SIZE_MAX - 1)
#define CAPTURE_OPEN SIZE_MAX

struct pattern_set {
    const uint8_t *at, *end; /* in the pattern */
    bool flip;               /* it was a [^set] */
    uint64_t bits[4];
};

/* A pattern, its subject and the last match. Both texts are borrowed. */
struct pattern {
    struct span text, subject;
    bool anchored;
    int64_t left;      /* steps; below zero when they are spent */
    const char *fault; /* what E_INVALID means */

    size_t begin, end; /* of the match, in the subject */
    size_t n_captures;
    struct span captures[PATTERN_CAPTURES];

    size_t n_sets; /* that were read so far */
    struct pattern_set sets[PATTERN_SETS];
};

/* How many steps a subject of n bytes gets. */
int64_t pattern_budget(size_t n);

/* The budget is for all searches with p together. A '^' in front ties the match to the
 * place where a search begins, unless anchors is false (as in gmatch, where it is a
 * character). */
void pattern_init(struct pattern *p, struct span text, struct span subject, bool anchors);

/* Looks for the first match at or after from, at most subject.n. 1: found; 0: there is
 * none; E_INVALID: p->fault; E_TIMEOUT: the budget is spent. */
int pattern_search(struct pattern *p, size_t from);

/* Capture i, from 0; the whole match as 0 when the pattern has none. 0; or E_INVALID and
 * p->fault. */
int pattern_capture(struct pattern *p, size_t i, struct span *out);

/* Whether any byte of the text has a meaning of its own. */
bool pattern_is_special(struct span text);

#endif
