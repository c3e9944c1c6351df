/* SPDX-License-Identifier: Apache-2.0
 *
 * `tidegate verify` and `tidegate usage`: read the options; scripts/tidegate/chores.lua does
 * the rest. Stores are begun for reading only.
 */
#include "command/command.h"
#include "command/errand.h"

#include <string.h>
#include <unistd.h>

/* What scripts/tidegate/chores.lua takes, in its order. */
enum { NAME, JSON, TERMINAL, RATE, FROM, N_ARGUMENTS };

/* How many words the option took; 0: it is none of this command's. */
static int take(const char **out, char **words, bool is_long)
{
    if (strcmp(words[0], "--json") == 0) {
        out[JSON] = "json";
        return 1;
    }
    if (!words[1] || !is_long)
        return 0;
    if (strcmp(words[0], "--rate") == 0)
        out[RATE] = words[1];
    else if (strcmp(words[0], "--from") == 0)
        out[FROM] = words[1];
    else
        return 0;
    return 2;
}

static int run(const char *name, char **arguments, bool is_long)
{
    const char *out[N_ARGUMENTS] = {name, "", isatty(2) ? "terminal" : "", "", ""};
    for (char **a = arguments + 1; *a;) {
        int n = take(out, a, is_long);
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
                       .reads = true,
                       .stops = true};
    int code = errand_run(&e).code;
    errands_stop();
    return code;
}

int verify_stores(char **arguments)
{
    return run("verify", arguments, true);
}

int tell_usage(char **arguments)
{
    return run("usage", arguments, false);
}
