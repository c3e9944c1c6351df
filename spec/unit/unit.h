/* SPDX-License-Identifier: Apache-2.0
 *
 * The C unit cases. TEST("area: what it does") { … } makes a case; EXPECT and EXPECT_EQ
 * end it with a message when they do not hold. Each case runs in a process of its own
 * (unit_spec.lua asks `build/unit --list` and runs every name), so it may start threads
 * and must leave none: a case that ends with more threads or open descriptors than it
 * began with fails.
 */
#ifndef UNIT_H
#define UNIT_H

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct unit_case {
    const char *name;
    void (*run)(void);
    struct unit_case *next;
};

void unit_add(struct unit_case *c);
void unit_fail(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4), noreturn));

/* A fresh empty folder, removed after the case. */
const char *unit_tmpdir(void);
/* The seed of this run (UNIT_SEED, or 1), and the next pseudo-random number from it. */
uint64_t unit_seed(void);
uint64_t unit_random(void);
/* A place of n bytes that ends right before an unreadable page; never freed. */
char *unit_guarded(const void *p, size_t n);

#define UNIT_GLUE2(a, b) a##b
#define UNIT_GLUE(a, b) UNIT_GLUE2(a, b)

#define TEST(title)                                                                      \
    UNIT_TEST(title, UNIT_GLUE(unit_run_, __LINE__), UNIT_GLUE(unit_add_, __LINE__))
#define UNIT_TEST(title, fn, adder)                                                      \
    static void fn(void);                                                                \
    __attribute__((constructor)) static void adder(void)                                 \
    {                                                                                    \
        static struct unit_case c = {title, fn, NULL};                                   \
        unit_add(&c);                                                                    \
    }                                                                                    \
    static void fn(void)

#define EXPECT(condition)                                                                \
    do {                                                                                 \
        if (!(condition))                                                                \
            unit_fail(__FILE__, __LINE__, "expected %s", #condition);                    \
    } while (0)

#define EXPECT_EQ(got, want)                                                             \
    do {                                                                                 \
        int64_t unit_got = (int64_t)(got), unit_want = (int64_t)(want);                  \
        if (unit_got != unit_want)                                                       \
            unit_fail(__FILE__, __LINE__, "%s is %" PRId64 ", expected %" PRId64, #got,  \
                      unit_got, unit_want);                                              \
    } while (0)

#define EXPECT_STR(got, want)                                                            \
    do {                                                                                 \
        const char *unit_got = (got), *unit_want = (want);                               \
        if (!unit_got || strcmp(unit_got, unit_want) != 0)                               \
            unit_fail(__FILE__, __LINE__, "%s is \"%s\", expected \"%s\"", #got,         \
                      unit_got ? unit_got : "(null)", unit_want);                        \
    } while (0)

#endif
