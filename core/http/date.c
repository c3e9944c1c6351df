/* SPDX-License-Identifier: Apache-2.0
 *
 * The three date forms of RFC 9110, 5.6.7, matched against patterns. strptime would obey
 * the locale and accept blanks and signs where none belong.
 */
#include "http/fields.h"

#include "http/chars.h"

#include <string.h>

static bool digits(struct span *s, size_t n, int *out)
{
    int v = 0;
    if (s->n < n)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!http_char_is(s->p[i], CHAR_DIGIT))
            return false;
        v = v * 10 + (s->p[i] - '0');
    }
    *out = v;
    s->p += n;
    s->n -= n;
    return true;
}

static bool one_of(struct span *s, const char *const *names, int n_names, int *out)
{
    for (int i = 0; i < n_names; i++) {
        if (span_starts(*s, names[i])) {
            size_t n = strlen(names[i]);
            s->p += n;
            s->n -= n;
            *out = i;
            return true;
        }
    }
    return false;
}

/* %a Sun  %A Sunday  %b Nov  %d 06  %e " 6"  %Y 1994  %y 94  %H %M %S; the rest stands
 * for itself. */
static bool field(struct span *s, char kind, struct tm *tm)
{
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char *const long_days[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                            "Thursday", "Friday", "Saturday"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    switch (kind) {
    case 'a':
        return one_of(s, days, 7, &tm->tm_wday);
    case 'A':
        return one_of(s, long_days, 7, &tm->tm_wday);
    case 'b':
        return one_of(s, months, 12, &tm->tm_mon);
    case 'd':
        return digits(s, 2, &tm->tm_mday);
    case 'e':
        if (span_starts(*s, " ")) {
            *s = (struct span){s->p + 1, s->n - 1};
            return digits(s, 1, &tm->tm_mday);
        }
        return digits(s, 2, &tm->tm_mday);
    case 'Y':
    case 'y':
        if (!digits(s, kind == 'Y' ? 4 : 2, &tm->tm_year))
            return false;
        /* two digits: 1970 to 2069, as POSIX has it */
        tm->tm_year += kind == 'Y' ? -1900 : tm->tm_year < 70 ? 100 : 0;
        return true;
    case 'H':
        return digits(s, 2, &tm->tm_hour) && tm->tm_hour < 24;
    case 'M':
        return digits(s, 2, &tm->tm_min) && tm->tm_min < 60;
    default:
        return digits(s, 2, &tm->tm_sec) && tm->tm_sec <= 60;
    }
}

static bool match(struct span s, const char *pattern, struct tm *tm)
{
    for (; *pattern; pattern++) {
        if (*pattern == '%') {
            if (!field(&s, *++pattern, tm))
                return false;
        } else {
            if (s.n == 0 || *s.p != *pattern)
                return false;
            s.p++;
            s.n--;
        }
    }
    return s.n == 0;
}

int http_date_parse(struct span s, time_t *out)
{
    static const char *const forms[] = {
        "%a, %d %b %Y %H:%M:%S GMT",
        "%A, %d-%b-%y %H:%M:%S GMT",
        "%a %b %e %H:%M:%S %Y",
    };
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        struct tm tm = {0};
        if (!match(s, forms[i], &tm))
            continue;
        int day = tm.tm_mday;
        time_t t = timegm(&tm); /* moves 31 Feb into March */
        if (day == 0 || tm.tm_mday != day)
            return E_INVALID;
        *out = t;
        return 0;
    }
    return E_INVALID;
}
