/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/unit/store_rig.h"

#include <stdio.h>

static void put_all(struct rig *r, const char *const *keys, size_t n)
{
    for (size_t i = 0; i < n; i++)
        EXPECT_EQ(rig_put(r, keys[i], "x"), 0);
}

CONTRACT(list_order, "lists in byte order of whole keys")
{
    static const char *const keys[] = {"ab",    "a/b",   "a-b", "a.b",      "a0",
                                       "a/b-c", "a/a/z", "B",   "\xc3\xa4", "a/b.d"};
    put_all(r, keys, sizeof keys / sizeof keys[0]);
    rig_expect_list(r, "", false, "B a-b a.b a/a/z a/b a/b-c a/b.d a0 ab \xc3\xa4");
    rig_expect_list(r, "", true, "B a-b a.b a/ a0 ab \xc3\xa4");
    rig_expect_list(r, "a", true, "a-b a.b a/ a0 ab");
    rig_expect_list(r, "a/", true, "a/a/ a/b a/b-c a/b.d");
    rig_expect_list(r, "a/b", true, "a/b a/b-c a/b.d");
    rig_expect_list(r, "a/b", false, "a/b a/b-c a/b.d");
    rig_expect_list(r, "a/a", true, "a/a/");
    rig_expect_list(r, "a/a", false, "a/a/z");
    rig_expect_list(r, "a/b/", false, "");
    rig_expect_list(r, "z", false, "");
}

CONTRACT(list_pages, "pages of every size add up to the whole, more is exact")
{
    static const char *const keys[] = {"a",   "a-b",     "ab/1", "ab/2/3", "ab/2/4/5",
                                       "abc", "b/a/a/a", "b/b",  "c"};
    enum { N = sizeof keys / sizeof keys[0] };
    put_all(r, keys, N);
    for (int delimiter = 0; delimiter < 2; delimiter++) {
        char *whole = rig_list(r, "", delimiter, NULL, 0);
        for (uint64_t limit = 1; limit <= N + 1; limit++) {
            char *after = xstrdup(""), *all = xstrdup("");
            bool more = true;
            while (more) {
                char *page = rig_list(r, "", delimiter, after, limit);
                size_t n = strlen(page);
                more = n > 4 && strcmp(page + n - 4, " ...") == 0;
                if (more)
                    page[n - 4] = '\0';
                char *last = strrchr(page, ' ');
                char *longer = xasprintf("%s%s%s", all, *all ? " " : "", page);
                free(after);
                after = xstrdup(last ? last + 1 : page);
                free(all);
                all = longer;
                free(page);
            }
            EXPECT_STR(all, whole);
            free(all);
            free(after);
        }
        free(whole);
    }
}

CONTRACT(list_after, "after may be any text, between names or inside a folder")
{
    static const char *const keys[] = {"a/1", "a/2", "b", "c/1"};
    static const struct {
        const char *prefix, *after;
        bool delimiter;
        const char *names;
    } cases[] = {
        {"", "a", false, "a/1 a/2 b c/1"},
        {"", "a/", false, "a/1 a/2 b c/1"},
        {"", "a/1", false, "a/2 b c/1"},
        {"", "a/15", false, "a/2 b c/1"},
        {"", "a/2/x", false, "b c/1"},
        {"", "a0", false, "b c/1"},
        {"", "z", false, ""},
        {"", "a", true, "a/ b c/"},
        {"", "a/", true, "b c/"},
        {"", "a/1", true, "b c/"},
        {"", "b", true, "c/"},
        {"", "c", true, "c/"},
        {"a/", "a/1", true, "a/2"},
        {"a/", "a/2", true, ""},
        {"a/", "", true, "a/1 a/2"},
        {"b", "a/1", true, "b"},
    };
    put_all(r, keys, 4);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *got = rig_list(r, cases[i].prefix, cases[i].delimiter, cases[i].after, 0);
        EXPECT_STR(got, cases[i].names);
        free(got);
    }
}

CONTRACT_BULK(list_children, "a folder lists exactly its direct children")
{
    char key[32], want[50 * 8] = "";
    for (int i = 0; i < 50; i++) {
        snprintf(key, sizeof key, "d/f%02d", i);
        EXPECT_EQ(rig_put(r, key, "x"), 0);
        snprintf(want + strlen(want), sizeof want - strlen(want), "%s%s", i ? " " : "",
                 key);
    }
    rig_expect_list(r, "d/", true, want);
    rig_expect_list(r, "", true, "d/");
}

CONTRACT(list_facts, "a listing says size and time of objects")
{
    struct object object;
    struct op op;
    EXPECT_EQ(rig_put(r, "a/k", "12345"), 0);
    EXPECT_EQ(rig_stat(r, "a/k", &object), 0);
    op_init(&op, r->store, OP_list, NULL);
    op.key = "a/";
    EXPECT_EQ(rig_run(r, &op), 0);
    EXPECT_EQ(op.n_entries, 1);
    EXPECT_EQ(op.entries[0].size, 5);
    EXPECT_EQ(op.entries[0].modified, object.modified);
    op_fini(&op);
}

/* A page from a directory that is much larger than it. */
CONTRACT_BULK(list_large, "a page of a large folder is its smallest names")
{
    enum { N = 1500 };
    struct op ops[50];
    char keys[50][16];
    for (int i = 0; i < N; i += 50) {
        for (int j = 0; j < 50; j++) {
            op_init(&ops[j], r->store, OP_put, NULL);
            snprintf(keys[j], sizeof keys[j], "d/%05d", (i + j) * 7919 % N);
            ops[j].key = keys[j];
        }
        rig_run_all(r, ops, 50);
        for (int j = 0; j < 50; j++) {
            EXPECT_EQ(ops[j].rc, 0);
            op_fini(&ops[j]);
        }
    }
    char *page = rig_list(r, "d/", true, "d/00749", 3);
    EXPECT_STR(page, "d/00750 d/00751 d/00752 ...");
    free(page);
    op_init(&ops[0], r->store, OP_list, NULL);
    ops[0].key = "d/";
    ops[0].limit = 1000000;
    EXPECT_EQ(rig_run(r, ops), 0);
    EXPECT_EQ(ops[0].n_entries, STORE_LIST_MAX);
    EXPECT(ops[0].more);
    op_fini(&ops[0]);
}

/* Every listing of a random tree against a sorted array of its keys. */
CONTRACT_BULK(list_random, "agrees with a sorted array on random trees")
{
    static const char letters[] = "ab-0";
    char keys[60][12];
    const char *sorted[60];
    size_t n = 0;
    for (int i = 0; i < 60; i++) {
        size_t len = 1 + unit_random() % 8;
        for (size_t j = 0; j < len; j++)
            keys[n][j] =
                j && j + 1 < len && keys[n][j - 1] != '/' && unit_random() % 3 == 0
                    ? '/'
                    : letters[unit_random() % 4];
        keys[n][len] = '\0';
        if (rig_put_if_absent(r, keys[n], "x") == 0)
            n++;
    }
    for (size_t i = 0; i < n; i++) {
        size_t at = i;
        for (; at && strcmp(sorted[at - 1], keys[i]) > 0; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = keys[i];
    }
    static const char *const prefixes[] = {"", "a", "a/", "b-", "0/a"};
    for (size_t p = 0; p < sizeof prefixes / sizeof prefixes[0]; p++) {
        for (size_t from = 0; from < n; from += 3) {
            char want[60 * 12] = "";
            for (size_t i = from + 1; i < n; i++)
                if (strncmp(sorted[i], prefixes[p], strlen(prefixes[p])) == 0) {
                    strcat(want, *want ? " " : "");
                    strcat(want, sorted[i]);
                }
            char *got = rig_list(r, prefixes[p], false, sorted[from], 0);
            EXPECT_STR(got, want);
            free(got);
        }
    }
}
