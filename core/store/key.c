/* SPDX-License-Identifier: Apache-2.0 */
#include "store/key.h"

#define SEGMENT_MAX 255

static bool segment_ok(struct span s, bool complete)
{
    if (s.n > SEGMENT_MAX || (complete && s.n == 0))
        return false;
    if (complete && (span_is(s, ".") || span_is(s, "..")))
        return false;
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
            return false;
    return true;
}

/* The last segment of a prefix is incomplete: it may be empty, or a beginning such as
 * "..", which ".. " could follow. */
static int check(struct span key, bool prefix)
{
    struct span rest = key;
    if (key.n > KEY_MAX)
        return E_INVALID;
    for (size_t i = 0;; i++) {
        struct span segment = span_cut(&rest, '/');
        bool last = rest.p == NULL;
        if (!segment_ok(segment, !(last && prefix)))
            return E_INVALID;
        if (i == 0 && !(last && prefix) && span_is(segment, KEY_PRIVATE))
            return E_INVALID;
        if (last)
            return 0;
    }
}

int key_check(struct span key)
{
    return check(key, false);
}

int key_check_prefix(struct span prefix)
{
    return check(prefix, true);
}
