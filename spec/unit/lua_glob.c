/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/unit/unit.h"

#include "base/base.h"
#include "base/clock.h"
#include "lua/glob.h"

#include <string.h>

static int match(const char *pattern, const char *text)
{
    const char *why;
    return glob_match(span_of(pattern), span_of(text), &why);
}

TEST("lua glob: what fits and what does not")
{
    static const struct {
        const char *pattern, *fits, *differs; /* words */
    } cases[] = {
        {"", "", "a"},
        {"abc", "abc", "ab abcd Abc"},
        {"*", "a abc", "a/b /"},
        {"a*", "a ab abc", "b a/b ba"},
        {"*c*", "c acb cc", "ab a/c"},
        {"?", "a /", "ab"},
        {"a?c", "abc", "ac abbc a/c"},
        {"ci/**", "ci/a ci/a/b ci/", "ci cia xci/a"},
        {"**", "a a/b /", ""},
        {"**/b", "b a/b a/c/b", "ab a/bb xb"},
        {"a/**/b", "a/b a/x/b a/x/y/b", "ab a/xb a//xb"},
        {"a/**b", "a/b a/xb a/x/yb", "a/bx"},
        {"a**b", "ab a/b axx/xb", "a b"},
        {"***", "a a/b", ""},
        {"{a,b}", "a b", "c ab {a,b}"},
        {"x{a,bc,}y", "xay xbcy xy", "xby xabcy"},
        {"{a,{b,c}d}e", "ae bde cde", "be de"},
        {"{ci,test}/*", "ci/a test/b", "ci/a/b other/a"},
        {"{**/x,y}", "x a/x y", "a/y"},
        {"v*.{0,1}", "v1.0 v.1 v1.2.0", "v1.2 1.0"},
        {"\\*", "*", "a"},
        {"\\{a\\,b\\}", "{a,b}", "a b"},
        {"a,b}", "a,b}", "a"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (int side = 0; side < 2; side++) {
            struct span words = span_of(side ? cases[i].differs : cases[i].fits);
            const char *why;
            bool empty = words.n == 0;
            if (empty && strcmp(cases[i].pattern, "") != 0)
                continue;
            while (words.p) {
                struct span word = span_cut(&words, ' ');
                if (strcmp(cases[i].pattern, "?") == 0 && span_is(word, "/"))
                    continue;
                int got = glob_match(span_of(cases[i].pattern), word, &why);
                if (got != !side)
                    unit_fail(__FILE__, __LINE__, "\"%s\" and \"%.*s\": %d",
                              cases[i].pattern, SPAN_ARG(word), got);
            }
        }
    }
}

TEST("lua glob: what is no pattern is said")
{
    static const struct {
        const char *pattern, *why;
    } cases[] = {
        {"{a", "a '{' without its '}'"},
        {"{a,{b}", "a '{' without its '}'"},
        {"a\\", "nothing behind the last '\\'"},
        {"{a\\", "nothing behind the last '\\'"},
        {"[ab]", "no sets: '[' needs a '\\' before it"},
        {"{{{{{{{{{a}}}}}}}}}", "braces in braces more than 8 deep"},
    };
    char many[GLOB_MAX + 2];
    const char *why;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        EXPECT_EQ(glob_match(span_of(cases[i].pattern), span_of("a"), &why), E_INVALID);
        EXPECT_STR(why, cases[i].why);
    }
    memset(many, '*', sizeof many);
    EXPECT_EQ(glob_match((struct span){many, GLOB_MAX}, span_of("a"), &why), 1);
    EXPECT_EQ(glob_match((struct span){many, GLOB_MAX + 1}, span_of("a"), &why),
              E_INVALID);
    EXPECT_EQ(match("[", "a"), E_INVALID);
}

/* Each of these makes a matcher that tries one way after the other take longer than the
 * world lasts. */
TEST("lua glob: no pattern and no text take long")
{
    static const struct {
        const char *unit;
        int fits;
    } cases[] = {{"*a", 0}, {"{a,a*}", 1}, {"?*", 1}, {"**/", 0}, {"{*,**}a", 0}};
    char pattern[GLOB_MAX], text[GLOB_TEXT];
    const char *why;
    memset(text, 'a', sizeof text);
    text[GLOB_TEXT - 1] = 'b';
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t n = 0, unit = strlen(cases[i].unit);
        for (; n + unit <= GLOB_MAX; n += unit)
            memcpy(pattern + n, cases[i].unit, unit);
        uint64_t began = clock_now();
        EXPECT_EQ(
            glob_match((struct span){pattern, n}, (struct span){text, GLOB_TEXT}, &why),
            cases[i].fits);
        EXPECT(clock_now() - began < NS_PER_S / 2);
    }
}

/* Every pattern of up to so many of these letters stays in its bounds. */
TEST("lua glob: any bytes are a pattern or none")
{
    static const char letters[] = "a/*?{,}\\[";
    const char *why;
    for (unsigned round = 0; round < 20000; round++) {
        char bytes[12];
        size_t n = (size_t)(unit_random() % sizeof bytes);
        for (size_t i = 0; i < n; i++)
            bytes[i] = letters[unit_random() % (sizeof letters - 1)];
        int got = glob_match((struct span){bytes, n}, span_of("a/a/b"), &why);
        EXPECT(got == 0 || got == 1 || got == E_INVALID);
    }
}
