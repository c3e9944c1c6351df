/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/line.h"
#include "base/mem.h"
#include "base/writer.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const level_names[] = {"debug", "info", "warn", "error"};

static struct {
    atomic_int fd; /* without a writer */
    _Atomic(enum log_level) least;
    atomic_bool json;
    _Atomic(enum log_access) access;
    _Atomic(struct writer *) log, requests; /* NULL: none runs */
} sink = {.fd = 2, .least = LOG_INFO};

void log_setup(int fd, enum log_level least, bool json)
{
    sink.fd = fd;
    sink.least = least;
    sink.json = json;
}

void log_set_level(enum log_level least)
{
    sink.least = least;
}

bool log_on(enum log_level level)
{
    return level >= atomic_load_explicit(&sink.least, memory_order_relaxed);
}

enum log_access log_access(void)
{
    return atomic_load_explicit(&sink.access, memory_order_relaxed);
}

int log_level_parse(struct span name, enum log_level *out)
{
    for (size_t i = 0; i < sizeof level_names / sizeof level_names[0]; i++) {
        if (span_is(name, level_names[i])) {
            *out = (enum log_level)i;
            return 0;
        }
    }
    return E_INVALID;
}

/* -- lines ------------------------------------------------------------------------- */

static void put(struct span line, bool soon)
{
    struct writer *w = sink.log;
    if (w) {
        writer_put(w, line, soon);
        return;
    }
    ssize_t ignored = write(sink.fd, line.p, line.n);
    (void)ignored; /* a log that cannot be written has nobody to tell */
}

void log_begin(struct line *l, char room[LOG_LINE_MAX], enum log_level level,
               const char *msg)
{
    char when[RFC3339_SIZE];
    line_begin(l, room, LOG_LINE_MAX, sink.json);
    clock_rfc3339(clock_wall(), when);
    line_text(l, "time", span_of(when));
    line_text(l, "level", span_of(level_names[level]));
    line_text(l, "msg", span_of(msg));
}

void log_fields(enum log_level level, const char *msg, const struct log_field *fields,
                size_t n)
{
    if (!log_on(level))
        return;
    struct line l;
    char room[LOG_LINE_MAX];
    log_begin(&l, room, level, msg);
    for (size_t i = 0; i < n; i++)
        line_text(&l, fields[i].name, fields[i].value);
    put(line_end(&l), true);
}

void log_msg(enum log_level level, const char *format, ...)
{
    char text[1024];
    va_list ap;
    if (!log_on(level))
        return;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    log_fields(level, text, NULL, 0);
}

void log_request(struct span line)
{
    struct writer *w = sink.requests;
    if (log_access() == LOG_ACCESS_LOG)
        put(line, false);
    else if (w)
        writer_put(w, line, false);
}

/* -- files ------------------------------------------------------------------------- */

char *log_place(const char *name)
{
    const char *logs = getenv("LOGS_DIRECTORY");
    const char *data = getenv("TIDEGATE_DATA");
    if (*name == '/')
        return xstrdup(name);
    if (logs && *logs) /* systemd separates several by colons */
        return xasprintf("%.*s/%s", (int)strcspn(logs, ":"), logs, name);
    return xasprintf("%s/.tidegate/%s", data && *data ? data : "./data", name);
}

int log_make_folder(const char *path)
{
    char folder[PATH_MAX];
    size_t n = strlen(path);
    if (n >= sizeof folder)
        return -ENAMETOOLONG;
    memcpy(folder, path, n + 1);
    for (char *p = folder + 1; (p = strchr(p, '/')); *p++ = '/') {
        *p = '\0';
        if (mkdir(folder, 0755) != 0 && errno != EEXIST)
            return -errno;
    }
    return 0;
}

static int open_one(const char *path, int *fd, char **why)
{
    int rc = log_make_folder(path);
    if (rc == 0)
        rc = writer_open(path);
    if (rc < 0) {
        *why = xasprintf("cannot open the log %s: %s", path, err_text(rc));
        return rc;
    }
    *fd = rc;
    return 0;
}

int log_files_open(const struct log_config *c, struct log_files *out, char **why)
{
    struct log_files files = {2, -1};
    int rc = c->file ? open_one(c->file, &files.log, why) : 0;
    if (rc == 0 && c->access_file)
        rc = open_one(c->access_file, &files.access, why);
    if (rc)
        log_files_close(c, &files);
    else
        *out = files;
    return rc;
}

void log_files_close(const struct log_config *c, struct log_files *files)
{
    if (c->file && files->log > 2)
        close(files->log);
    if (files->access >= 0)
        close(files->access);
    *files = (struct log_files){-1, -1};
}

static void tell_lost(const char *msg, uint64_t n)
{
    char lines[24];
    snprintf(lines, sizeof lines, "%" PRIu64, n);
    LOG_FIELDS(LOG_ERROR, msg, {"lines", span_of(lines)});
}

static void lost_log(uint64_t n)
{
    tell_lost("lines of the log were lost", n);
}

static void lost_requests(uint64_t n)
{
    tell_lost("lines of the access log were lost", n);
}

static int move(_Atomic(struct writer *) *at, const char *path, int fd,
                void (*lost)(uint64_t n))
{
    struct writer *w = *at;
    if (w) {
        writer_move(w, path, fd);
        return 0;
    }
    int rc = writer_new(path, fd, lost, &w);
    if (rc == 0)
        *at = w;
    return rc;
}

int log_use(const struct log_config *c, struct log_files *files)
{
    int rc = move(&sink.log, c->file, files->log, lost_log);
    if (rc == 0 && c->access_file)
        rc = move(&sink.requests, c->access_file, files->access, lost_requests);
    *files = (struct log_files){-1, -1};
    log_setup(2, c->level, c->json);
    sink.access = c->access;
    return rc;
}

void log_stop(void)
{
    struct writer *log = sink.log, *requests = sink.requests;
    sink.access = LOG_ACCESS_OFF;
    sink.requests = NULL;
    writer_free(requests);
    sink.log = NULL;
    writer_free(log);
}

void log_reopen(void)
{
    if (sink.log)
        writer_reopen(sink.log);
    if (sink.requests)
        writer_reopen(sink.requests);
}

void log_flush(unsigned ms)
{
    if (sink.log)
        writer_flush(sink.log, ms);
    if (sink.requests)
        writer_flush(sink.requests, ms);
}

uint64_t log_lost(bool access)
{
    struct writer *w = access ? sink.requests : sink.log;
    return w ? writer_lost(w) : 0;
}
