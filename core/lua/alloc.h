/* SPDX-License-Identifier: Apache-2.0
 *
 * The memory of one VM. Lua says the size of what it gives back, so small objects need no
 * header: each size class has its own slabs and a free list in each slab, and a slab that
 * is empty goes back to the system. What is larger comes from malloc. Counted is what is
 * taken from the system, so the cap bounds the process and not only what Lua believes it
 * uses. Under AddressSanitizer everything is large, so that it sees every object.
 *
 * Belongs to one thread, like its VM.
 */
#ifndef LUA_ALLOC_H
#define LUA_ALLOC_H

#include "base/list.h"

#include <stddef.h>

#define ALLOC_CLASSES 32 /* the sizes of small objects */
#define ALLOC_STEP 16    /* bytes between two of them */

struct alloc {
    size_t used, limit; /* bytes taken from the system, and how many may be */
    struct list room[ALLOC_CLASSES]; /* slabs of each class that are not full */
};

void alloc_init(struct alloc *a, size_t limit);
/* Everything must have been given back. */
void alloc_fini(struct alloc *a);
/* What lua_Alloc asks for. NULL past the limit; freeing and shrinking pass it. */
void *alloc_change(struct alloc *a, void *p, size_t had, size_t want);

#endif
