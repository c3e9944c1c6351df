/* SPDX-License-Identifier: Apache-2.0
 *
 * Each log is read from its oldest file to the newest. A change is shown when its second
 * record is met; until then its first one waits in a table of OPEN_MAX, from which the
 * oldest goes, as cut off, when there is no room. What is no record is counted: a line
 * that a crash has torn, or one that somebody has damaged.
 */
#include "command/command.h"

#include "base/base.h"
#include "lua/gate.h"

#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_BYTES (64 * 1024) /* longer ones are no records */
#define OPEN_MAX 4096
#define FILES_MAX 10000
#define RECORD_FORMAT 1 /* the version of records that this program knows */

struct reader {
    struct span repository, tag; /* tag.p NULL: all of them */
    bool json, newer;
    size_t shown, damaged;
    const char *path;       /* of the file that is read */
    json_t *open[OPEN_MAX]; /* begun, the oldest at `first` */
    size_t first, n_open;
};

struct log_file {
    char *path;
    char began[40]; /* the time of its first record */
};

static const char *text(const json_t *o, const char *name)
{
    const char *value = json_string_value(json_object_get(o, name));
    return value ? value : "";
}

/* -- showing ----------------------------------------------------------------------- */

/* A digest as people compare them: the algorithm and twelve digits. */
static void print_digest(const char *digest)
{
    const char *colon = strchr(digest, ':');
    if (!*digest)
        printf("nothing");
    else if (colon)
        printf("%.*s", (int)(colon - digest) + 13, digest);
    else
        printf("%.24s", digest);
}

/* Terminals take more than letters; whoever has written to the file may have meant one. */
static void print_plain(const char *s)
{
    for (; *s; s++)
        putchar((unsigned char)*s < 0x20 || *s == 0x7f ? '?' : *s);
}

static void print_record(const json_t *r, const char *outcome)
{
    const char *tag = text(r, "tag"), *user = text(r, "user"), *rule = text(r, "rule");
    const char *blob = text(r, "blob");
    print_plain(text(r, "time"));
    printf("  ");
    print_plain(text(r, "repository"));
    printf("%s", *tag ? ":" : "");
    print_plain(tag);
    printf("  ");
    print_plain(text(r, "action"));
    printf("  ");
    if (*blob) {
        printf("blob ");
        print_digest(blob);
    } else {
        print_digest(text(r, "old"));
        printf(" -> ");
        print_digest(text(r, "new"));
    }
    printf("  by ");
    print_plain(*user ? user : "anonymous");
    printf(" from ");
    print_plain(text(r, "address"));
    if (*rule) {
        printf(", ");
        print_plain(rule);
    }
    printf("%s%s\n", *outcome ? "  " : "", outcome);
}

static void show(struct reader *h, json_t *r, const char *outcome)
{
    h->shown++;
    if (!h->json) {
        print_record(r, outcome);
        return;
    }
    if (*outcome)
        json_object_set_new(r, "outcome", json_string(outcome));
    json_dumpf(r, stdout, JSON_COMPACT);
    putchar('\n');
}

/* -- pairing ----------------------------------------------------------------------- */

static bool concerns(const struct reader *h, const json_t *r)
{
    return span_is(h->repository, text(r, "repository")) &&
           (!h->tag.p || span_is(h->tag, text(r, "tag")));
}

/* Takes the oldest that is open. */
static void cut_off(struct reader *h)
{
    json_t *r = h->open[h->first];
    h->first = (h->first + 1) % OPEN_MAX;
    h->n_open--;
    if (r)
        show(h, r, "CUT OFF: it may have happened");
    json_decref(r);
}

static void begin(struct reader *h, json_t *r)
{
    if (h->n_open == OPEN_MAX)
        cut_off(h);
    h->open[(h->first + h->n_open++) % OPEN_MAX] = json_incref(r);
}

/* Forgets the first record of a change. */
static void end(struct reader *h, const json_t *r)
{
    const char *change = text(r, "change");
    for (size_t i = h->n_open; i-- > 0;) {
        json_t **at = &h->open[(h->first + i) % OPEN_MAX];
        if (!*at || strcmp(text(*at, "change"), change) != 0)
            continue;
        json_decref(*at);
        *at = NULL;
        break;
    }
    while (h->n_open && !h->open[h->first]) {
        h->first = (h->first + 1) % OPEN_MAX;
        h->n_open--;
    }
}

/* A record of a later version may say what is not known here. Told once for a file. */
static bool is_newer(struct reader *h, const json_t *r)
{
    const json_t *version = json_object_get(r, "_format");
    if (!version || json_integer_value(version) == RECORD_FORMAT)
        return false;
    if (!h->newer)
        fprintf(stderr,
                "tidegate: %s: version %lld is newer than this program knows (%d)\n",
                h->path, (long long)json_integer_value(version), RECORD_FORMAT);
    h->newer = true;
    return true;
}

static void take(struct reader *h, const char *line, size_t n)
{
    json_t *r = json_loadb(line, n, JSON_REJECT_DUPLICATES, NULL);
    const char *event = text(r, "event");
    if (is_newer(h, r)) {
        /* it is left out, and the exit code says so */
    } else if (!json_is_object(r) || !*event) {
        h->damaged++;
    } else if (concerns(h, r)) {
        if (strcmp(event, "begun") == 0) {
            begin(h, r);
        } else {
            end(h, r);
            show(h, r, strcmp(event, "failed") == 0 ? "FAILED" : "");
        }
    }
    json_decref(r);
}

/* -- files ------------------------------------------------------------------------- */

static void read_lines(struct reader *h, FILE *f)
{
    static char line[LINE_BYTES];
    bool skipping = false;
    while (fgets(line, sizeof line, f)) {
        size_t n = strlen(line);
        bool whole = n > 0 && line[n - 1] == '\n';
        if (whole && !skipping && n > 1)
            take(h, line, n);
        else if (!(whole && n == 1) && !skipping)
            h->damaged++; /* too long, or the torn end */
        skipping = !whole;
    }
}

static int by_begin(const void *a, const void *b)
{
    const struct log_file *x = a, *y = b;
    int d = strcmp(x->began, y->began);
    return d ? d : -strcmp(x->path, y->path);
}

/* The time of the first record; "" when there is none. */
static void find_begin(struct log_file *l)
{
    static char line[LINE_BYTES];
    FILE *f = fopen(l->path, "re");
    l->began[0] = '\0';
    while (f && !l->began[0] && fgets(line, sizeof line, f)) {
        json_t *r = json_loadb(line, strlen(line), 0, NULL);
        snprintf(l->began, sizeof l->began, "%s", text(r, "time"));
        json_decref(r);
    }
    if (f)
        fclose(f);
}

/* Is `name` the log, or what a rotation has made of it: "audit.jsonl.1",
 * "audit.jsonl-20261122"? */
static bool belongs(const char *name, const char *log)
{
    size_t n = strlen(log);
    if (strncmp(name, log, n) != 0)
        return false;
    const char *rest = name + n;
    return *rest == '\0' || ((*rest == '.' || *rest == '-') && rest[1] &&
                             strspn(rest + 1, "0123456789-") == strlen(rest + 1));
}

/* The files of a log, in the order they were written. Returns an owned list. */
static struct log_file *files_of(const char *path, size_t *n)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    char *folder = slash ? xmemdup(path, (size_t)(slash - path) + 1) : xstrdup("./");
    struct log_file *list = NULL;
    const struct dirent *e;
    DIR *d = opendir(folder);
    *n = 0;
    while (d && *n < FILES_MAX && (e = readdir(d))) {
        if (!belongs(e->d_name, name))
            continue;
        list = xrealloc(list, (*n + 1) * sizeof *list);
        list[*n].path = xasprintf("%s%s", folder, e->d_name);
        find_begin(&list[(*n)++]);
    }
    if (d)
        closedir(d);
    free(folder);
    if (list)
        qsort(list, *n, sizeof *list, by_begin);
    return list;
}

static int read_log(struct reader *h, const char *path)
{
    size_t n;
    int rc = 0;
    struct log_file *list = files_of(path, &n);
    if (n == 0) {
        fprintf(stderr, "tidegate: no audit log at %s\n", path);
        rc = 1;
    }
    for (size_t i = 0; i < n; i++) {
        FILE *f = fopen(list[i].path, "re");
        if (f) {
            h->path = list[i].path;
            h->newer = false;
            read_lines(h, f);
            fclose(f);
            rc |= h->newer;
        } else {
            fprintf(stderr, "tidegate: %s: %s\n", list[i].path, strerror(errno));
            rc = 1;
        }
        free(list[i].path);
    }
    free(list);
    return rc;
}

/* Several registries may share one log. */
static bool is_first(const struct gate_config *c, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (strcmp(c->audits[k], c->audits[i]) == 0)
            return false;
    return true;
}

int history(const char *script, const char *what, bool json)
{
    static struct reader h;
    struct gate_config config = {.workers = 0};
    struct span rest = span_of(what);
    char *why = NULL;
    int rc = 0;
    if (gate_look(script, &config, &why) != 0) {
        fprintf(stderr, "tidegate: %s\n", why);
        free(why);
        return 1;
    }
    h = (struct reader){.json = json};
    h.repository = span_cut(&rest, ':');
    h.tag = rest;
    if (config.n_audits == 0) {
        fprintf(stderr, "tidegate: %s names no audit log (gate.audit)\n", script);
        rc = 1;
    }
    for (size_t i = 0; i < config.n_audits; i++)
        if (is_first(&config, i))
            rc |= read_log(&h, config.audits[i]);
    while (h.n_open)
        cut_off(&h);
    if (h.damaged)
        fprintf(stderr, "tidegate: %zu damaged lines were left out\n", h.damaged);
    gate_config_fini(&config);
    return rc;
}
