/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_BLOCK 8192

struct arena_block {
    struct arena_block *next;
    _Alignas(16) char bytes[];
};

static void *must(void *p, size_t n)
{
    if (!p) {
        fprintf(stderr, "tidegate: out of memory (%zu bytes asked)\n", n);
        abort();
    }
    return p;
}

void *xalloc(size_t n)
{
    return must(calloc(1, n ? n : 1), n);
}

void *xrealloc(void *p, size_t n)
{
    return must(realloc(p, n ? n : 1), n);
}

char *xmemdup(const void *p, size_t n)
{
    char *copy = must(malloc(n + 1), n);
    if (n)
        memcpy(copy, p, n);
    copy[n] = '\0';
    return copy;
}

char *xstrdup(const char *s)
{
    return xmemdup(s, strlen(s));
}

char *xasprintf(const char *format, ...)
{
    char *text;
    va_list ap;
    va_start(ap, format);
    int n = vasprintf(&text, format, ap);
    va_end(ap);
    return must(n < 0 ? NULL : text, 0);
}

void arena_init(struct arena *a)
{
    a->blocks = NULL;
    a->base = a->first;
    a->used = 0;
    a->size = sizeof a->first;
}

void arena_reset(struct arena *a)
{
    while (a->blocks) {
        struct arena_block *b = a->blocks;
        a->blocks = b->next;
        free(b);
    }
    arena_init(a);
}

void *arena_alloc(struct arena *a, size_t n)
{
    n = (n + 15) & ~(size_t)15;
    if (a->size - a->used < n) {
        size_t size = n > ARENA_BLOCK ? n : ARENA_BLOCK;
        struct arena_block *b = must(malloc(sizeof *b + size), size);
        b->next = a->blocks;
        a->blocks = b;
        a->base = b->bytes;
        a->used = 0;
        a->size = size;
    }
    void *p = a->base + a->used;
    a->used += n;
    return memset(p, 0, n);
}

char *arena_copy(struct arena *a, const void *p, size_t n)
{
    char *copy = arena_alloc(a, n + 1);
    if (n)
        memcpy(copy, p, n);
    return copy;
}

char *arena_printf(struct arena *a, const char *format, ...)
{
    char *text;
    va_list ap;
    va_start(ap, format);
    int n = vasprintf(&text, format, ap);
    va_end(ap);
    must(n < 0 ? NULL : text, 0);
    char *copy = arena_copy(a, text, (size_t)n);
    free(text);
    return copy;
}
