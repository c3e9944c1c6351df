/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as a pattern and a subject (the first byte of the input says how long the
 * pattern is): matches and captures stay inside, and no more than the budget is spent.
 */
#include "lua/pattern.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define FUZZ_STEPS 20000 /* so that bombs end soon */

static void check_captures(struct pattern *p)
{
    struct span c;
    const char *begin = p->subject.p, *end = begin + p->subject.n;
    assert(p->begin <= p->end && p->end <= p->subject.n);
    assert(p->n_captures <= PATTERN_CAPTURES);
    for (size_t i = 0; i < p->n_captures; i++) {
        if (pattern_capture(p, i, &c) != 0) {
            assert(p->fault);
            continue;
        }
        assert(c.p >= begin && c.p <= end);
        assert(c.n == CAPTURE_POSITION || c.n <= (size_t)(end - c.p));
    }
    assert(pattern_capture(p, p->n_captures + 1, &c) == E_INVALID);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct pattern p;
    if (n == 0)
        return 0;
    size_t text_n = data[0] / 2 < n - 1 ? data[0] / 2 : n - 1, subject_n = n - 1 - text_n;
    /* blocks of their own, so that one byte too far is seen */
    char *text = malloc(text_n + 1), *subject = malloc(subject_n + 1);
    assert(text && subject);
    char *text_at = memcpy(text + 1, data + 1, text_n);
    char *subject_at = memcpy(subject + 1, data + 1 + text_n, subject_n);
    pattern_init(&p, (struct span){text_at, text_n}, (struct span){subject_at, subject_n},
                 data[0] & 1);
    p.left = FUZZ_STEPS;
    int rc = 1;
    for (size_t from = 0; rc == 1 && from <= subject_n;) {
        rc = pattern_search(&p, from);
        assert(rc == 1 || rc == 0 || rc == E_TIMEOUT || (rc == E_INVALID && p.fault));
        assert(p.left >= -2 - (int64_t)n);
        if (rc != 1)
            break;
        assert(p.begin >= from && (!p.anchored || p.begin == from));
        check_captures(&p);
        from = p.end > p.begin ? p.end : p.end + 1;
    }
    free(text);
    free(subject);
    return 0;
}
