/* SPDX-License-Identifier: Apache-2.0 */
#include "lua/glob.h"

#include "base/err.h"

#include <string.h>

/* What a place in the pattern is. The places are in the order of the pattern; those of an
 * alternative end with a JUMP behind its brace. At most two of them a byte. */
enum kind { BYTE, ANY, STAR, STARS, DIRS, FORK, JUMP, END };

struct place {
    enum kind kind;
    unsigned char byte; /* of BYTE */
    unsigned short to;  /* of FORK (or the next one) and JUMP */
};

#define PLACES (2 * GLOB_MAX + 1)
#define SETS "no sets: '[' needs a '\\' before it"

struct glob {
    struct place places[PLACES];
    unsigned n;
    struct span rest; /* of the pattern */
    unsigned depth;
    bool at_start; /* of a segment */
    const char *why;
};

static struct place *add(struct glob *g, enum kind kind)
{
    struct place *p = &g->places[g->n++];
    *p = (struct place){.kind = kind};
    return p;
}

static char take(struct glob *g)
{
    g->rest.n--;
    return *g->rest.p++;
}

static bool next_is(const struct glob *g, char c)
{
    return g->rest.n > 0 && *g->rest.p == c;
}

static void parse(struct glob *g);

/* Behind the '{'. Each alternative: a FORK to the next one, its places, a JUMP to the
 * end. The JUMPs are chained by `to` until the end is known. */
static void parse_braces(struct glob *g)
{
    unsigned short last = 0; /* JUMP; 0 is none, there is a FORK before it */
    bool start = g->at_start;
    char c;
    if (++g->depth > GLOB_DEPTH)
        g->why = "braces in braces more than 8 deep";
    do {
        unsigned short fork = (unsigned short)g->n;
        add(g, FORK);
        g->at_start = start;
        parse(g);
        if (g->rest.n == 0)
            g->why = g->why ? g->why : "a '{' without its '}'";
        if (g->why)
            return;
        add(g, JUMP)->to = last;
        last = (unsigned short)(g->n - 1);
        c = take(g);
        /* of the last alternative there is no other way */
        g->places[fork].to = (unsigned short)(c == ',' ? g->n : fork + 1u);
    } while (c == ',');
    for (unsigned short next; last; last = next) {
        next = g->places[last].to;
        g->places[last].to = (unsigned short)g->n;
    }
    g->at_start = false;
    g->depth--;
}

static void parse_stars(struct glob *g)
{
    if (!next_is(g, '*')) {
        add(g, STAR);
    } else {
        while (next_is(g, '*'))
            take(g);
        bool dirs = g->at_start && next_is(g, '/');
        add(g, dirs ? DIRS : STARS);
        if (dirs)
            take(g);
        g->at_start = dirs;
        return;
    }
    g->at_start = false;
}

/* Up to the end, or to what ends an alternative. */
static void parse(struct glob *g)
{
    while (g->rest.n > 0 && !g->why) {
        if (g->depth && (next_is(g, ',') || next_is(g, '}')))
            return;
        char c = take(g);
        if (c == '{') {
            parse_braces(g);
            continue;
        }
        if (c == '*') {
            parse_stars(g);
            continue;
        }
        if (c == '[')
            g->why = SETS;
        if (c == '\\' && g->rest.n == 0)
            g->why = "nothing behind the last '\\'";
        if (g->why)
            return;
        enum kind kind = c == '?' ? ANY : BYTE;
        g->at_start = c == '/';
        add(g, kind)->byte = (unsigned char)(c == '\\' ? take(g) : c);
    }
}

/* Where one may stand after the bytes so far. */
struct set {
    bool has[PLACES];
};

/* One may stand at `at`; so one may stand where no byte is needed to come to. FORKs and
 * JUMPs lead forward only. */
static void enter(const struct glob *g, struct set *s, unsigned at)
{
    while (!s->has[at]) {
        const struct place *p = &g->places[at];
        s->has[at] = true;
        switch (p->kind) {
        case FORK:
            enter(g, s, p->to);
            at++;
            break;
        case JUMP:
            at = p->to;
            break;
        case STAR:
        case STARS:
        case DIRS:
            at++;
            break;
        default:
            return;
        }
    }
}

static void step(const struct glob *g, struct set *next, unsigned at, unsigned char c)
{
    const struct place *p = &g->places[at];
    switch (p->kind) {
    case BYTE:
        if (c == p->byte)
            enter(g, next, at + 1);
        break;
    case ANY:
        if (c != '/')
            enter(g, next, at + 1);
        break;
    case STAR:
        if (c != '/')
            enter(g, next, at);
        break;
    case STARS:
        enter(g, next, at);
        break;
    case DIRS: /* to stand here is to be at the start of a segment, or within it */
        next->has[at] = true;
        if (c == '/')
            enter(g, next, at + 1);
        break;
    default:
        break;
    }
}

int glob_match(struct span pattern, struct span text, const char **why)
{
    struct glob g; /* six kilobytes: only what is used is set */
    struct set sets[2];
    unsigned at = 0;
    size_t i = 0;
    g.rest = pattern;
    g.n = g.depth = 0;
    g.at_start = true;
    g.why = NULL;
    if (pattern.n > GLOB_MAX || text.n > GLOB_TEXT)
        g.why = text.n > GLOB_TEXT ? "a text has at most 4096 bytes"
                                   : "a pattern has at most 256 bytes";
    else
        parse(&g);
    if (g.why) {
        *why = g.why;
        return E_INVALID;
    }
    add(&g, END);
    /* before the first wildcard there is one way only */
    for (; i < text.n && g.places[at].kind == BYTE; at++, i++)
        if ((unsigned char)text.p[i] != g.places[at].byte)
            return 0;
    if (g.places[at].kind == STARS && g.places[at + 1].kind == END)
        return 1;
    struct set *now = &sets[0], *next = &sets[1];
    memset(now, 0, g.n * sizeof now->has[0]);
    enter(&g, now, at);
    for (; i < text.n; i++) {
        memset(next, 0, g.n * sizeof next->has[0]);
        for (at = 0; at < g.n; at++)
            if (now->has[at])
                step(&g, next, at, (unsigned char)text.p[i]);
        struct set *swap = now;
        now = next;
        next = swap;
    }
    return now->has[g.n - 1];
}
