/* SPDX-License-Identifier: Apache-2.0 */
#include "http/front.h"

#include "base/mem.h"

#include <stdlib.h>

void front_options_fini(struct front_options *o)
{
    free(o->address);
    o->address = NULL;
}

int front_new(const struct front_options *o, struct front **out, char **why)
{
    struct front *f = xalloc(sizeof *f);
    (void)o;
    (void)why;
    atomic_init(&f->refs, 1);
    f->address = xstrdup("");
    *out = f;
    return 0;
}

void front_name(struct front *f, const char *address)
{
    free(f->address);
    f->address = xstrdup(address);
}

struct front *front_ref(struct front *f)
{
    atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
    return f;
}

void front_unref(struct front *f)
{
    if (!f || atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) > 1)
        return;
    free(f->address);
    free(f);
}
