/* SPDX-License-Identifier: Apache-2.0 */
#include "http/front.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

void front_options_fini(struct front_options *o)
{
    struct tls_options *tls = o->tls;
    for (size_t i = 0; tls && i < tls->n_pairs; i++) {
        free(tls->pairs[i].cert);
        free(tls->pairs[i].key);
    }
    if (tls) {
        free(tls->pairs);
        free(tls->client);
    }
    free(tls);
    free(o->trust);
    free(o->address);
    *o = (struct front_options){.address = NULL};
}

int front_new(const struct front_options *o, struct tickets *tickets, struct front **out,
              char **why)
{
    struct front *f = xalloc(sizeof *f);
    atomic_init(&f->refs, 1);
    f->address = xstrdup("");
    f->bounds = o->bounds;
    f->n_trust = o->n_trust;
    f->trust = xalloc((o->n_trust + 1) * sizeof *f->trust);
    if (o->n_trust)
        memcpy(f->trust, o->trust, o->n_trust * sizeof *f->trust);
    f->proxy = o->proxy;
    f->forwarded = o->forwarded;
    int rc = o->tls ? tls_context_new(o->tls, tickets, &f->tls, why) : 0;
    if (rc) {
        char *fault = *why;
        *why = xasprintf("listen %s: %s", o->address, fault);
        free(fault);
        front_unref(f);
        return rc;
    }
    *out = f;
    return 0;
}

void front_name(struct front *f, const char *address)
{
    free(f->address);
    f->address = xstrdup(address);
    party_put(f->party);
    char *name = xasprintf("listener %.*s", PARTY_NAME_MAX - 16, address);
    f->party = party_get(span_of(name));
    free(name);
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
    tls_context_unref(f->tls);
    party_put(f->party);
    free(f->trust);
    free(f->address);
    free(f);
}
