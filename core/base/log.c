/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include "base/clock.h"
#include "base/err.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_BYTES 8192
#define FIELD_MAX_BYTES 4096 /* of one value, before escaping grows it */

static const char *const level_names[] = {"debug", "info", "warn", "error"};

static struct {
    atomic_int fd;
    _Atomic(enum log_level) least;
    atomic_bool json;
} sink = {2, LOG_INFO, false};

struct line {
    bool json; /* as it was when the line began */
    size_t n;
    char text[LINE_MAX_BYTES];
};

void log_setup(int fd, enum log_level least, bool json)
{
    sink.fd = fd;
    sink.least = least;
    sink.json = json;
}

bool log_on(enum log_level level)
{
    return level >= atomic_load_explicit(&sink.least, memory_order_relaxed);
}

int log_level_parse(struct span name, enum log_level *out)
{
    for (size_t i = 0; i < sizeof level_names / sizeof level_names[0]; i++) {
        if (span_is(name, level_names[i])) {
            *out = (enum log_level)i;
            return 0;
        }
    }
    return E_INVALID;
}

/* Appends, leaving room for the closing of a line; what does not fit is dropped. */
static void put(struct line *l, const char *p, size_t n)
{
    size_t room = sizeof l->text - 8 - l->n;
    n = n < room ? n : room;
    memcpy(l->text + l->n, p, n);
    l->n += n;
}

static void put_text(struct line *l, const char *s)
{
    put(l, s, strlen(s));
}

static void put_escaped(struct line *l, struct span s)
{
    size_t n = s.n < FIELD_MAX_BYTES ? s.n : FIELD_MAX_BYTES;
    for (size_t i = 0; i < n && l->n < sizeof l->text - 16; i++) {
        unsigned char c = (unsigned char)s.p[i];
        char hex[8];
        if (c == '"' || c == '\\') {
            put(l, (char[]){'\\', (char)c}, 2);
        } else if (c == '\n') {
            put(l, "\\n", 2);
        } else if (c < 0x20 || c == 0x7f || c >= 0x80) {
            snprintf(hex, sizeof hex, "\\u%04x", c);
            put(l, hex, 6);
        } else {
            put(l, (const char *)&s.p[i], 1);
        }
    }
    if (n < s.n)
        put_text(l, "...");
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

static void put_field(struct line *l, const char *name, struct span value)
{
    char clean[48];
    size_t n = 0;
    for (; n < sizeof clean - 1 && *name; name++)
        clean[n++] =
            strchr("abcdefghijklmnopqrstuvwxyz0123456789_.", *name) ? *name : '_';
    clean[n] = '\0';
    bool quote = l->json || !is_bare(value);
    if (l->n)
        put_text(l, l->json ? "," : " ");
    put_text(l, l->json ? "\"" : "");
    put_text(l, clean);
    put_text(l, l->json ? "\":" : "=");
    if (quote) {
        put_text(l, "\"");
        put_escaped(l, value);
        put_text(l, "\"");
    } else {
        put_escaped(l, value);
    }
}

void log_fields(enum log_level level, const char *msg, const struct log_field *fields,
                size_t n)
{
    if (!log_on(level))
        return;
    struct line l;
    char when[RFC3339_SIZE];
    l.json = sink.json;
    l.n = 0;
    clock_rfc3339(clock_wall(), when);
    put_field(&l, "time", span_of(when));
    put_field(&l, "level", span_of(level_names[level]));
    put_field(&l, "msg", span_of(msg));
    for (size_t i = 0; i < n; i++)
        put_field(&l, fields[i].name, fields[i].value);
    if (l.json) {
        memmove(l.text + 1, l.text, l.n);
        l.text[0] = '{';
        l.n++;
        l.text[l.n++] = '}';
    }
    l.text[l.n++] = '\n';
    ssize_t ignored = write(sink.fd, l.text, l.n);
    (void)ignored; /* a log that cannot be written has nobody to tell */
}

void log_msg(enum log_level level, const char *format, ...)
{
    char text[1024];
    va_list ap;
    if (!log_on(level))
        return;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    log_fields(level, text, NULL, 0);
}
