/* SPDX-License-Identifier: Apache-2.0
 *
 * `tidegate spec`: each file DIR/NAME_spec.lua runs in a VM of its own, in which the
 * script was loaded; scripts/tidegate/spec.lua does what is to be done there.
 */
#include "base/mem.h"
#include "command/command.h"
#include "command/errand.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SUFFIX "_spec.lua"

static int is_spec(const struct dirent *e)
{
    size_t n = strlen(e->d_name), m = strlen(SUFFIX);
    return n > m && e->d_name[0] != '.' && strcmp(e->d_name + n - m, SUFFIX) == 0;
}

/* Adds one file's result to the sum. */
static void run_file(const char *script, const char *path, const char *stores,
                     struct command_result *sum)
{
    const char *arguments[] = {path, stores};
    struct errand e = {.module = "tidegate.spec",
                       .script = script,
                       .arguments = arguments,
                       .n = sizeof arguments / sizeof arguments[0]};
    printf("%s\n", path);
    fflush(stdout);
    struct command_result r = errand_run(&e);
    sum->passed += r.passed;
    sum->failed += r.failed;
    sum->code |= r.code;
}

static int run_folder(const char *script, const char *dir, const char *stores,
                      struct command_result *sum)
{
    struct dirent **found;
    int n = scandir(dir, &found, is_spec, alphasort);
    for (int i = 0; i < n; i++) {
        char *path = xasprintf("%s/%s", dir, found[i]->d_name);
        run_file(script, path, stores, sum);
        free(path);
        free(found[i]);
    }
    if (n >= 0)
        free(found);
    return n;
}

int spec_policies(char **arguments)
{
    struct command_result sum = {.code = 0};
    struct stat st;
    bool real = arguments[2] != NULL;
    if (real && strcmp(arguments[2], "--real-stores") != 0)
        return 2;
    const char *stores = real ? "real" : "";
    if (errands_start() != 0)
        return 1;
    if (stat(arguments[1], &st) == 0 && S_ISREG(st.st_mode)) {
        run_file(arguments[0], arguments[1], stores, &sum);
    } else if (run_folder(arguments[0], arguments[1], stores, &sum) <= 0) {
        fprintf(stderr, "tidegate: no file *%s in %s\n", SUFFIX, arguments[1]);
        sum.code = 1;
    }
    errands_stop();
    printf("%u passed, %u failed\n", sum.passed, sum.failed);
    return sum.code;
}
