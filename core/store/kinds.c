/* SPDX-License-Identifier: Apache-2.0 */
#include "store/kinds.h"

#include <string.h>

#define KINDS_MAX 16

static const struct store_kind *kinds[KINDS_MAX];
static size_t n_kinds;

void kinds_add(const struct store_kind *kind)
{
    assert(n_kinds < KINDS_MAX && !kinds_find(kind->name));
    kinds[n_kinds++] = kind;
}

const struct store_kind *kinds_find(const char *name)
{
    for (size_t i = 0; i < n_kinds; i++)
        if (strcmp(kinds[i]->name, name) == 0)
            return kinds[i];
    return NULL;
}

const struct store_kind *kinds_at(size_t i)
{
    return i < n_kinds ? kinds[i] : NULL;
}
