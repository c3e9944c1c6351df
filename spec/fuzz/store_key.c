/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as a key and as a prefix of keys, beside the same rules written down in
 * another way. Every beginning of a key is a prefix.
 */
#include "store/key.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* "/key/", where every segment stands between two slashes. */
struct framed {
    char text[KEY_MAX + 3];
    size_t n;
};

static bool frame(struct framed *f, const uint8_t *data, size_t n)
{
    if (n > KEY_MAX)
        return false;
    f->text[0] = '/';
    memcpy(f->text + 1, data, n);
    f->text[n + 1] = '/';
    f->text[n + 2] = '\0';
    f->n = n + 2;
    for (size_t i = 0; i < n; i++)
        if (data[i] < ' ' || data[i] == 127)
            return false;
    return true;
}

static bool too_long(const struct framed *f)
{
    size_t run = 0, longest = 0;
    for (size_t i = 0; i < f->n; i++) {
        run = f->text[i] == '/' ? 0 : run + 1;
        longest = run > longest ? run : longest;
    }
    return longest > 255;
}

static bool is_key(const uint8_t *data, size_t n)
{
    struct framed f;
    return frame(&f, data, n) && !too_long(&f) && !strstr(f.text, "//") &&
           !strstr(f.text, "/./") && !strstr(f.text, "/../") &&
           strncmp(f.text, "/" KEY_PRIVATE "/", strlen(KEY_PRIVATE) + 2) != 0;
}

/* The last segment is open: whatever it is, one more letter makes a good one of it. Where
 * there is no room for it, it stands for the last one. */
static bool is_prefix(const uint8_t *data, size_t n)
{
    uint8_t longer[KEY_MAX + 1];
    struct framed f;
    const uint8_t *slash = memrchr(data, '/', n);
    size_t open = slash ? n - (size_t)(slash + 1 - data) : n;
    if (open > 255 || !frame(&f, data, n))
        return false;
    if (open == 0 && n == KEY_MAX)
        return is_key(data, n - 1);
    bool full = open == 255 || n == KEY_MAX;
    memcpy(longer, data, n);
    longer[n - full] = 'x';
    return is_key(longer, n + !full);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct span key = {(const char *)data, n};
    assert((key_check(key) == 0) == is_key(data, n));
    assert((key_check_prefix(key) == 0) == is_prefix(data, n));
    if (key_check(key) != 0)
        return 0;
    for (size_t cut = 0; cut <= n; cut += 1 + n / 64)
        assert(key_check_prefix((struct span){key.p, cut}) == 0);
    return 0;
}
