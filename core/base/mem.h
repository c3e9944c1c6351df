/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory. Small allocations cannot fail: xalloc and friends end the process with a
 * message. Sizes that a peer chooses are checked against a limit before they come here.
 *
 * An arena is a bump allocator for things that die together (one request). It belongs to
 * one thread. Its first block is part of the struct, so a short life allocates nothing.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <assert.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

/* Long-lived structs that travel through void * begin with `unsigned magic`. CHECK proves
 * that the pointer is what it is said to be; POISON makes any later use fail the same
 * check. */
#define CHECK(x, m) assert((x) != NULL && (x)->magic == (m))
#define POISON(x) ((x)->magic = 0xdeadU)

/* The struct of type t whose member m stands at p. */
#define CONTAINER(p, t, m) ((t *)(void *)((char *)(p)-offsetof(t, m)))

/* n zeroed bytes; returns an owned pointer, never NULL. */
void *xalloc(size_t n) __attribute__((malloc, returns_nonnull));
void *xrealloc(void *p, size_t n) __attribute__((returns_nonnull));
/* An owned copy of n bytes with a NUL behind them. */
char *xmemdup(const void *p, size_t n) __attribute__((malloc, returns_nonnull));
char *xstrdup(const char *s) __attribute__((malloc, returns_nonnull));
/* An owned formatted string. */
char *xasprintf(const char *format, ...) __attribute__((format(printf, 1, 2)));

struct arena_block;

struct arena {
    struct arena_block *blocks; /* grown blocks, newest first */
    size_t used;                /* of the block in use */
    size_t size;
    char *base;
    _Alignas(16) char first[2048];
};

void arena_init(struct arena *a);
/* Frees everything; the arena is as after arena_init. */
void arena_reset(struct arena *a);
/* n zeroed bytes, aligned to 16; live until arena_reset. */
void *arena_alloc(struct arena *a, size_t n) __attribute__((returns_nonnull));
/* A copy of n bytes with a NUL behind them. */
char *arena_copy(struct arena *a, const void *p, size_t n)
    __attribute__((returns_nonnull));
char *arena_printf(struct arena *a, const char *format, ...)
    __attribute__((format(printf, 2, 3), returns_nonnull));

#endif
