/* SPDX-License-Identifier: Apache-2.0
 *
 * A front: what one listener says about the connections that come in by it. Made whole
 * while a script loads, never changed afterwards, counted: a reload gives the listener
 * another one, and connections keep the one that they came in by. Any thread.
 */
#ifndef HTTP_FRONT_H
#define HTTP_FRONT_H

#include "http/bounds.h"
#include "http/forwarded.h"
#include "loop/tls.h"

#include <stdatomic.h>

/* One entry of `listen`, as the script wrote it; plain data, owned. */
struct front_options {
    char *address;           /* to listen on */
    struct tls_options *tls; /* NULL: plain */
    struct net_range *trust; /* proxies in front that are believed */
    size_t n_trust;
    bool proxy; /* their connections begin with a PROXY header */
    enum forwarded forwarded;
    struct bounds bounds;
    /* what else a listener may say about itself goes here, and into struct front */
};
void front_options_fini(struct front_options *o);

struct front {
    atomic_size_t refs;
    char *address; /* bound: the port is filled in; "" until the listener is open */
    struct tls_context *tls; /* NULL: plain */
    struct net_range *trust;
    size_t n_trust;
    bool proxy;
    enum forwarded forwarded;
    struct bounds bounds;
    struct party *party; /* all that come in by this address; NULL until it is open */
};

/* Borrows the options; tickets may be NULL. Returns 0 and a front with one reference, or E_INVALID with *why
 * an owned text. Blocks: it reads files. */
int front_new(const struct front_options *o, struct tickets *tickets, struct front **out,
              char **why);
/* Before any connection has it. */
void front_name(struct front *f, const char *address);
struct front *front_ref(struct front *f);
/* Accepts NULL. */
void front_unref(struct front *f);

#endif
