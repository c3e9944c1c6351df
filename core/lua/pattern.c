/* SPDX-License-Identifier: Apache-2.0
 *
 * A search keeps a trail of the choices it made. Where it gets stuck, the newest frame
 * of the trail is asked for its next choice and dropped when it has none; what a frame
 * did to the captures is undone then. The usual way, a function that calls itself for
 * the rest of the pattern, would leave the depth to the C stack.
 *
 * The pattern is read as it is matched, because a fault counts only where matching gets
 * there.
 */
#include "lua/pattern_item.h"

#include <string.h>

enum frame_kind {
    FRAME_OPENED, /* the newest capture */
    FRAME_CLOSED, /* capture number `capture` */
    FRAME_OPTION, /* x? took a byte: go on at s without it */
    FRAME_GREEDY, /* x* and x+ took all up to s: give back down to low */
    FRAME_LAZY,   /* x- took all up to s: take one more; p is the item */
};

struct frame {
    enum frame_kind kind;
    uint32_t capture;
    const uint8_t *p, *s, *low;
};

struct search {
    struct pattern *of;
    const uint8_t *p, *p_end; /* where it stands, and the ends */
    const uint8_t *s, *s_begin, *s_end;
    size_t depth;
    struct frame trail[PATTERN_NESTING];
};

/* What became of a step; faults are negative. */
enum { NONE, FOUND, STUCK, ON };

/* Goes on with one more frame on the trail. */
static int push(struct search *m, struct frame f)
{
    if (m->depth == PATTERN_NESTING)
        return pattern_fault(m->of, "pattern too complex");
    m->trail[m->depth++] = f;
    return ON;
}

static int open_capture(struct search *m)
{
    struct pattern *of = m->of;
    bool position = m->p + 1 < m->p_end && m->p[1] == ')';
    if (of->n_captures == PATTERN_CAPTURES)
        return pattern_fault(of, "too many captures");
    of->captures[of->n_captures++] =
        (struct span){(const char *)m->s, position ? CAPTURE_POSITION : CAPTURE_OPEN};
    m->p += position ? 2 : 1;
    return push(m, (struct frame){.kind = FRAME_OPENED});
}

static int close_capture(struct search *m)
{
    struct pattern *of = m->of;
    size_t i = of->n_captures;
    while (i > 0 && of->captures[i - 1].n != CAPTURE_OPEN)
        i--;
    if (i == 0)
        return pattern_fault(of, "invalid pattern capture");
    struct span *c = &of->captures[i - 1];
    c->n = (size_t)((const char *)m->s - c->p);
    m->p++;
    return push(m, (struct frame){.kind = FRAME_CLOSED, .capture = (uint32_t)(i - 1)});
}

/* %1: what the capture matched, once more. A position matches nothing. */
static int match_capture(struct search *m)
{
    struct pattern *of = m->of;
    size_t i = (size_t)m->p[1] - '1';
    if (m->p[1] == '0' || i >= of->n_captures || of->captures[i].n == CAPTURE_OPEN)
        return pattern_fault(of, "invalid capture index");
    struct span c = of->captures[i];
    if (c.n > (size_t)(m->s_end - m->s))
        return STUCK;
    of->left -= (int64_t)(c.n / 16);
    if (memcmp(m->s, c.p, c.n) != 0)
        return STUCK;
    m->s += c.n;
    m->p += 2;
    return ON;
}

/* %bxy: from an x to the y that balances it. */
static int match_balance(struct search *m)
{
    if (m->p_end - m->p < 4)
        return pattern_fault(m->of, "unbalanced pattern");
    uint8_t opens = m->p[2], closes = m->p[3];
    if (m->s == m->s_end || *m->s != opens)
        return STUCK;
    size_t level = 1;
    for (const uint8_t *s = m->s + 1; s < m->s_end; s++) {
        m->of->left--;
        if (*s == closes && --level == 0) {
            m->s = s + 1;
            m->p += 4;
            return ON;
        }
        if (*s == opens && opens != closes)
            level++;
    }
    return STUCK;
}

/* %f[set]: between a byte outside of the set and one inside; both ends of the subject
 * count as NUL. */
static int match_frontier(struct search *m)
{
    struct item it;
    if (m->p_end - m->p < 3 || m->p[2] != '[')
        return pattern_fault(m->of, "missing '[' after '%f' in pattern");
    int rc = item_read_set(m->of, m->p + 2, &it);
    if (rc != 0)
        return rc;
    uint8_t before = m->s == m->s_begin ? 0 : m->s[-1];
    uint8_t behind = m->s == m->s_end ? 0 : *m->s;
    if (item_has(&it, before) || !item_has(&it, behind))
        return STUCK;
    m->p = it.end;
    return ON;
}

/* x* and x+: all that there are, to begin with. */
static int match_greedy(struct search *m, const struct item *it)
{
    const uint8_t *low = m->s;
    m->s = item_run(it, m->s, m->s_end);
    if (it->kind != ITEM_ANY)
        m->of->left -= m->s - low;
    if (*it->end == '+' && low++ == m->s)
        return STUCK;
    m->p = it->end + 1;
    return push(m, (struct frame){FRAME_GREEDY, 0, m->p, m->s, low});
}

/* One byte, or as many as the sign behind it says. */
static int match_item(struct search *m)
{
    struct item it;
    const uint8_t *item = m->p, *here = m->s;
    int rc = item_read(m->of, item, &it);
    if (rc != 0)
        return rc;
    uint8_t sign = it.end < m->p_end ? *it.end : 0;
    if (sign == '*' || sign == '+')
        return match_greedy(m, &it);
    m->p = it.end + (sign == '?' || sign == '-');
    if (sign == '-')
        return push(m, (struct frame){.kind = FRAME_LAZY, .p = item, .s = here});
    if (here == m->s_end || !item_has(&it, *here))
        return sign == '?' ? ON : STUCK;
    m->s++;
    if (sign == '?')
        return push(m, (struct frame){.kind = FRAME_OPTION, .p = m->p, .s = here});
    return ON;
}

static int advance(struct search *m)
{
    if (m->p == m->p_end)
        return FOUND;
    switch (*m->p) {
    case '(':
        return open_capture(m);
    case ')':
        return close_capture(m);
    case '$':
        if (m->p + 1 == m->p_end)
            return m->s == m->s_end ? FOUND : STUCK;
        break;
    case '%':
        if (m->p + 1 == m->p_end)
            break;
        if (m->p[1] == 'b')
            return match_balance(m);
        if (m->p[1] == 'f')
            return match_frontier(m);
        if (m->p[1] >= '0' && m->p[1] <= '9')
            return match_capture(m);
        break;
    }
    return match_item(m);
}

/* x-: one more, if the next byte is an x. */
static bool take_more(struct search *m, struct frame *f)
{
    struct item it;
    if (f->s == m->s_end || item_read(m->of, f->p, &it) != 0 || !item_has(&it, *f->s))
        return false;
    m->s = ++f->s;
    m->p = it.end + 1;
    return true;
}

static int backtrack(struct search *m)
{
    while (m->depth > 0) {
        struct frame *f = &m->trail[m->depth - 1];
        switch (f->kind) {
        case FRAME_OPENED:
            m->of->n_captures--;
            break;
        case FRAME_CLOSED:
            m->of->captures[f->capture].n = CAPTURE_OPEN;
            break;
        case FRAME_OPTION:
            m->p = f->p;
            m->s = f->s;
            m->depth--;
            return ON;
        case FRAME_GREEDY:
            if (f->s == f->low)
                break;
            m->p = f->p;
            m->s = --f->s;
            return ON;
        case FRAME_LAZY:
            if (!take_more(m, f))
                break;
            return ON;
        }
        m->of->left--;
        m->depth--;
    }
    return NONE;
}

/* Tries the one place s. */
static int match_at(struct search *m, const uint8_t *p, const uint8_t *s)
{
    int rc;
    m->p = p;
    m->s = s;
    m->depth = 0;
    m->of->n_captures = 0;
    do {
        if (m->of->left-- < 0)
            return E_TIMEOUT;
        rc = advance(m);
        if (rc == STUCK)
            rc = backtrack(m);
    } while (rc == ON);
    return rc;
}

int64_t pattern_budget(size_t n)
{
    return PATTERN_STEPS + PATTERN_STEPS_BYTE * (int64_t)n;
}

void pattern_init(struct pattern *p, struct span text, struct span subject, bool anchors)
{
    p->text = text;
    p->subject = subject;
    p->anchored = anchors && text.n > 0 && text.p[0] == '^';
    p->left = pattern_budget(subject.n);
    p->fault = NULL;
    p->n_captures = p->n_sets = 0;
}

int pattern_search(struct pattern *p, size_t from)
{
    struct search m;
    const uint8_t *begin = (const uint8_t *)p->text.p + p->anchored;
    m.of = p;
    m.p_end = (const uint8_t *)p->text.p + p->text.n;
    m.s_begin = (const uint8_t *)p->subject.p;
    m.s_end = m.s_begin + p->subject.n;
    for (const uint8_t *s = m.s_begin + from; s <= m.s_end; s++) {
        int rc = match_at(&m, begin, s);
        if (rc == FOUND) {
            p->begin = (size_t)(s - m.s_begin);
            p->end = (size_t)(m.s - m.s_begin);
        }
        if (rc != NONE || p->anchored)
            return rc;
    }
    return NONE;
}

int pattern_capture(struct pattern *p, size_t i, struct span *out)
{
    if (i == 0 && p->n_captures == 0) {
        *out = (struct span){p->subject.p + p->begin, p->end - p->begin};
        return 0;
    }
    if (i >= p->n_captures)
        return pattern_fault(p, "invalid capture index");
    if (p->captures[i].n == CAPTURE_OPEN)
        return pattern_fault(p, "unfinished capture");
    *out = p->captures[i];
    return 0;
}

bool pattern_is_special(struct span text)
{
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] && strchr("^$*+?.([%-", text.p[i]))
            return true;
    return false;
}
