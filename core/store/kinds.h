/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of kinds. main registers what is built in; nothing else knows them all.
 */
#ifndef STORE_KINDS_H
#define STORE_KINDS_H

#include "store/store.h"

/* Adds a kind, before any store_get. Borrowed for good; at most 16. */
void kinds_add(const struct store_kind *kind);
/* NULL when there is none of that name. */
const struct store_kind *kinds_find(const char *name);
/* The i-th, or NULL behind the last. */
const struct store_kind *kinds_at(size_t i);

#endif
