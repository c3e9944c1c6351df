/* SPDX-License-Identifier: Apache-2.0
 *
 * `tidegate verify`, `usage`, `trash` and `restore`: read the options;
 * scripts/tidegate/chores.lua does the rest. Stores are begun for reading only, unless something
 * is to be restored.
 */
#include "command/command.h"
#include "command/errand.h"

#include <string.h>
#include <unistd.h>

/* What scripts/tidegate/chores.lua takes, in its order. */
enum { NAME, JSON, TERMINAL, RATE, FROM, REPO, WHAT, AT, FORCE, BY, N_ARGUMENTS };

enum { VERIFY = 1, TELL = 2, LIST = 4, RESTORE = 8 };

static const struct option {
    const char *word;
    int at;      /* where it stands among those */
    bool is_set; /* alone, without a value behind it */
    unsigned of; /* the commands that take it */
} options[] = {
    {"--json", JSON, true, VERIFY | TELL | LIST | RESTORE},
    {"--rate", RATE, false, VERIFY},
    {"--from", FROM, false, VERIFY},
    {"--by", BY, false, TELL},
    {"--repo", REPO, false, LIST},
    {"--at", AT, false, RESTORE},
    {"--force", FORCE, true, RESTORE},
};

/* How many words the option took; 0: it is none of this command's. */
static int take(const char **out, char **words, unsigned of)
{
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        const struct option *o = &options[i];
        if (strcmp(words[0], o->word) != 0 || !(o->of & of) || (!o->is_set && !words[1]))
            continue;
        out[o->at] = o->is_set ? o->word : words[1];
        return o->is_set ? 1 : 2;
    }
    return 0;
}

static int run(const char *name, char **arguments, unsigned of)
{
    const char *out[N_ARGUMENTS];
    char **a = arguments + 1;
    for (size_t i = 0; i < N_ARGUMENTS; i++)
        out[i] = "";
    out[NAME] = name;
    out[TERMINAL] = isatty(2) ? "terminal" : "";
    if (of == RESTORE)
        out[WHAT] = *a++;
    while (*a) {
        int n = take(out, a, of);
        if (n == 0)
            return 2;
        a += n;
    }
    if (errands_start() != 0)
        return 1;
    struct errand e = {.module = "tidegate.chores",
                       .script = arguments[0],
                       .arguments = out,
                       .n = N_ARGUMENTS,
                       .reads = of != RESTORE,
                       .stops = true};
    int code = errand_run(&e).code;
    errands_stop();
    return code;
}

int verify_stores(char **arguments)
{
    return run("verify", arguments, VERIFY);
}

int tell_usage(char **arguments)
{
    return run("usage", arguments, TELL);
}

int list_trash(char **arguments)
{
    return run("trash", arguments, LIST);
}

int restore_deleted(char **arguments)
{
    return run("restore", arguments, RESTORE);
}
