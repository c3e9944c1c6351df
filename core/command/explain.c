/* SPDX-License-Identifier: Apache-2.0
 *
 * `tidegate explain`: reads the options; scripts/tidegate/explain.lua does the rest.
 */
#include "base/mem.h"
#include "command/command.h"
#include "command/errand.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BODY_MAX ((size_t)64 << 20) /* bytes */

/* What scripts/tidegate/explain.lua takes, in its order. */
enum { JSON, METHOD, PATH, USER, GROUPS, HEADERS, BODY, N_ARGUMENTS };

struct wish {
    const char *arguments[N_ARGUMENTS];
    char *groups, *headers, *body; /* owned */
};

static void add_line(char **text, const char *line)
{
    char *longer = xasprintf("%s%s\n", *text, line);
    free(*text);
    *text = longer;
}

/* The whole file as text, NULL with the reason on stderr. */
static char *read_body(const char *path)
{
    FILE *f = fopen(path, "rbe");
    char *text = f ? xalloc(BODY_MAX + 1) : NULL;
    size_t n = f ? fread(text, 1, BODY_MAX + 1, f) : 0;
    bool good = f && !ferror(f) && n <= BODY_MAX && !memchr(text, '\0', n);
    if (!good)
        fprintf(stderr, "tidegate: %s: %s\n", path,
                !f || ferror(f) ? strerror(errno)
                                : "a body here is text of at most 64 MiB");
    if (f)
        fclose(f);
    if (good) {
        text[n] = '\0';
        return text;
    }
    free(text);
    return NULL;
}

/* One option, and what stands behind it. How many words it took; 0: it is none; -1: it
 * cannot be done, which was said. */
static int take(struct wish *w, char **words)
{
    const char *value = words[1];
    if (strcmp(words[0], "--json") == 0) {
        w->arguments[JSON] = "json";
        return 1;
    }
    if (!value)
        return 0;
    if (strcmp(words[0], "--user") == 0)
        w->arguments[USER] = value;
    else if (strcmp(words[0], "--group") == 0)
        add_line(&w->groups, value);
    else if (strcmp(words[0], "--header") == 0 && strchr(value, ':'))
        add_line(&w->headers, value);
    else if (strcmp(words[0], "--body") == 0 && !w->body)
        return (w->body = read_body(value)) ? 2 : -1;
    else
        return 0;
    return 2;
}

static int take_all(struct wish *w, char **arguments)
{
    w->arguments[METHOD] = arguments[1];
    w->arguments[PATH] = arguments[2];
    if (arguments[2][0] != '/')
        return 2;
    for (char **a = arguments + 3; *a;) {
        int n = take(w, a);
        if (n <= 0)
            return n == 0 ? 2 : 1;
        a += n;
    }
    w->arguments[GROUPS] = w->groups;
    w->arguments[HEADERS] = w->headers;
    w->arguments[BODY] = w->body;
    return 0;
}

int explain_request(char **arguments)
{
    struct wish w = {
        .arguments = {"", "", "", "", "", "", NULL},
        .groups = xstrdup(""),
        .headers = xstrdup(""),
    };
    int code = take_all(&w, arguments);
    if (code == 0)
        code = errands_start();
    if (code == 0) {
        struct errand e = {
            .module = "tidegate.explain",
            .script = arguments[0],
            .arguments = w.arguments,
            .n = w.body ? N_ARGUMENTS : N_ARGUMENTS - 1,
            .reads = true,
        };
        code = errand_run(&e).code;
        errands_stop();
    }
    free(w.groups);
    free(w.headers);
    free(w.body);
    return code;
}
