/* SPDX-License-Identifier: Apache-2.0 */
#include "base/line.h"

#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>

#define CLOSING 8 /* bytes kept free for the end of the line */

void line_begin(struct line *l, char *p, size_t cap, bool json)
{
    assert(cap >= 64);
    *l = (struct line){.p = p, .cap = cap, .json = json};
    if (json)
        l->p[l->n++] = '{';
}

void line_raw(struct line *l, struct span bytes)
{
    size_t room = l->cap - CLOSING - l->n;
    if (bytes.n > room) {
        l->cut = true;
        bytes.n = room;
    }
    if (bytes.n)
        memcpy(l->p + l->n, bytes.p, bytes.n);
    l->n += bytes.n;
}

static void put(struct line *l, const char *text)
{
    line_raw(l, span_of(text));
}

/* Bytes of a character that begins with this one, and the bits of it that count; 0 for
 * those that begin none. */
static size_t width_of(unsigned char c, uint32_t *bits)
{
    size_t n = c < 0x80   ? 1
               : c < 0xc2 ? 0
               : c < 0xe0 ? 2
               : c < 0xf0 ? 3
               : c < 0xf5 ? 4
                          : 0;
    *bits = n < 2 ? c : c & (0x7fU >> n);
    return n;
}

size_t utf8_char(const char *p, size_t n, uint32_t *code)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    uint32_t c;
    size_t width = width_of((unsigned char)*p, &c);
    if (width == 0 || width > n)
        return 0;
    for (size_t i = 1; i < width; i++) {
        if (((unsigned char)p[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | ((unsigned char)p[i] & 0x3f);
    }
    if (c < least[width] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return 0;
    *code = c;
    return width;
}

/* Would change what a reader sees around it: controls, ends of lines, reordering. */
static bool is_tricky(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x200e || c == 0x200f ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

static void put_char(struct line *l, const char *p, size_t width, uint32_t c)
{
    char hex[8];
    if (c == '"' || c == '\\') {
        line_raw(l, (struct span){(char[]){'\\', (char)c}, 2});
    } else if (c == '\n') {
        put(l, "\\n");
    } else if (is_tricky(c)) {
        snprintf(hex, sizeof hex, "\\u%04x", (unsigned)c);
        put(l, hex);
    } else {
        line_raw(l, (struct span){p, width});
    }
}

void line_escaped(struct line *l, struct span value)
{
    size_t n = value.n < LINE_VALUE_MAX ? value.n : LINE_VALUE_MAX;
    size_t i = 0;
    while (i < n && l->n + 2 * CLOSING < l->cap) {
        uint32_t c;
        size_t width = utf8_char(value.p + i, value.n - i, &c);
        if (width)
            put_char(l, value.p + i, width, c);
        else
            put(l, "\\ufffd");
        i += width ? width : 1;
    }
    if (i < value.n) {
        l->cut = true;
        put(l, "...");
    }
}

static bool is_bare(struct span s)
{
    if (s.n == 0)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c <= ' ' || c >= 0x7f || c == '"' || c == '=' || c == '\\')
            return false;
    }
    return true;
}

static void put_name(struct line *l, const char *name)
{
    char clean[52];
    size_t n = 0;
    if (l->n > (l->json ? 1 : 0))
        clean[n++] = l->json ? ',' : ' ';
    if (l->json)
        clean[n++] = '"';
    for (size_t i = 0; i < 47 && name[i]; i++) {
        char c = name[i];
        bool good =
            (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.';
        clean[n++] = good ? c : '_';
    }
    line_raw(l, (struct span){clean, n});
    put(l, l->json ? "\":" : "=");
}

/* A field is whole or absent: one that does not fit begins nothing. */
static bool fits(struct line *l, size_t n)
{
    if (l->n + n + 80 < l->cap)
        return true;
    l->cut = true;
    return false;
}

void line_text(struct line *l, const char *name, struct span value)
{
    if (!fits(l, 0))
        return;
    put_name(l, name);
    if (!l->json && is_bare(value) && value.n <= LINE_VALUE_MAX && fits(l, value.n)) {
        line_raw(l, value);
        return;
    }
    put(l, "\"");
    line_escaped(l, value);
    l->p[l->n++] = '"';
}

void line_number(struct line *l, const char *name, uint64_t n)
{
    char text[24];
    if (!fits(l, sizeof text))
        return;
    snprintf(text, sizeof text, "%" PRIu64, n);
    put_name(l, name);
    put(l, text);
}

void line_flag(struct line *l, const char *name, bool value)
{
    if (!fits(l, 8))
        return;
    put_name(l, name);
    put(l, value ? "true" : "false");
}

void line_ms(struct line *l, const char *name, uint64_t ns)
{
    char text[32];
    uint64_t us = ns / 1000;
    if (!fits(l, sizeof text))
        return;
    snprintf(text, sizeof text, "%" PRIu64 ".%03u", us / 1000, (unsigned)(us % 1000));
    put_name(l, name);
    put(l, text);
}

struct span line_end(struct line *l)
{
    if (l->json)
        l->p[l->n++] = '}';
    l->p[l->n++] = '\n';
    return (struct span){l->p, l->n};
}
