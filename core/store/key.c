/* SPDX-License-Identifier: Apache-2.0 */
#include "store/key.h"

#define SEGMENT_MAX 255

/* A segment that is complete: one that is followed by another, or the last of a key. */
static bool segment_ok(struct span s, bool first)
{
    if (s.n == 0 || s.n > SEGMENT_MAX)
        return false;
    if (s.p[0] != '.')
        return true;
    return !span_is(s, ".") && !span_is(s, "..") && !(first && span_is(s, KEY_PRIVATE));
}

/* The last segment of a prefix is incomplete: it may be empty, or a beginning such as
 * "..", which ".. " could follow. */
static int check(struct span key, bool prefix)
{
    size_t from = 0;
    if (key.n > KEY_MAX)
        return E_INVALID;
    for (size_t i = 0; i < key.n; i++) {
        unsigned char c = (unsigned char)key.p[i];
        if (c < 0x20 || c == 0x7f)
            return E_INVALID;
        if (c != '/')
            continue;
        if (!segment_ok((struct span){key.p + from, i - from}, from == 0))
            return E_INVALID;
        from = i + 1;
    }
    struct span last = {key.p + from, key.n - from};
    return (prefix ? last.n <= SEGMENT_MAX : segment_ok(last, from == 0)) ? 0 : E_INVALID;
}

int key_check(struct span key)
{
    return check(key, false);
}

int key_check_prefix(struct span prefix)
{
    return check(prefix, true);
}
