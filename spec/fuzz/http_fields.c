/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as a Range, an If-None-Match and a date; the first line is the size of what the
 * ranges are of. Ranges lie inside and hold no more bytes than the whole; written out
 * again, ranges and dates mean the same; a tag is found where it stands.
 */
#include "base/clock.h"
#include "base/mem.h"
#include "http/fields.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_same(const struct http_range *ranges, int n, uint64_t size)
{
    struct http_range again[HTTP_RANGES_MAX];
    char text[HTTP_RANGES_MAX * 48];
    size_t used = (size_t)snprintf(text, sizeof text, "bytes=");
    for (int i = 0; i < n; i++)
        used +=
            (size_t)snprintf(text + used, sizeof text - used, "%" PRIu64 "-%" PRIu64 ",",
                             ranges[i].offset, ranges[i].offset + ranges[i].n - 1);
    struct span value = {text, used};
    assert(http_ranges(&value, size, again) == n);
    assert(memcmp(ranges, again, (size_t)n * sizeof *again) == 0);
}

static void check_ranges(struct span value, uint64_t size)
{
    struct http_range ranges[HTTP_RANGES_MAX];
    int n = http_ranges(&value, size, ranges);
    uint64_t left = size;
    assert(n == E_RANGE || (n >= 0 && n <= HTTP_RANGES_MAX));
    for (int i = 0; i < n; i++) {
        assert(ranges[i].n > 0 && ranges[i].n <= left);
        assert(ranges[i].offset < size && ranges[i].n <= size - ranges[i].offset);
        left -= ranges[i].n;
    }
    if (n > 0)
        check_same(ranges, n, size);
}

/* The input as a list says something; as a tag in a list of two it is found. */
static void check_tags(struct span value)
{
    struct span tag = SPAN_LIT("\"a,b\"");
    bool possible =
        memchr(value.p, '*', value.n) || memmem(value.p, value.n, tag.p, tag.n);
    assert(!http_etag_matches(value, tag) || possible);
    if (memchr(value.p, '"', value.n) || memchr(value.p, '\0', value.n))
        return;
    char *list = xasprintf("W/\"%.*s.\" , \"%.*s\"", SPAN_ARG(value), SPAN_ARG(value));
    size_t all = 2 * value.n + 10;
    struct span last = {list + all - value.n - 2, value.n + 2};
    assert(http_etag_matches((struct span){list, all}, last));
    free(list);
}

static void check_date(struct span value)
{
    char text[HTTP_DATE_SIZE];
    time_t t, again;
    if (http_date_parse(value, &t) != 0)
        return;
    clock_http_date(t, text);
    assert(http_date_parse(span_of(text), &again) == 0 && again == t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct span value = {(const char *)data, n}, line = span_cut(&value, '\n');
    uint64_t size;
    if (!value.p || span_u64(line, &size) != 0)
        return 0;
    check_ranges(value, size);
    check_tags(value);
    check_date(value);
    return 0;
}
