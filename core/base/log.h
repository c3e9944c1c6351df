/* SPDX-License-Identifier: Apache-2.0
 *
 * The log: one line per event, either logfmt (default) or JSON. Values are escaped
 * (line.h): no byte that a client sent can start a new line or forge a field.
 * Thread-safe. Never log a credential, a signed URL or an Authorization header.
 *
 * Before log_start and after log_stop a line is written by its own thread with a single
 * write(2). In between, writers (writer.h) do it, and nobody waits: one for the log, one
 * for the access log if that has a file of its own.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/span.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* What is written about requests: nothing, lines of the log at LOG_INFO, or lines of a
 * file. */
enum log_access { LOG_ACCESS_OFF, LOG_ACCESS_LOG, LOG_ACCESS_JSON, LOG_ACCESS_COMBINED };

struct log_config {
    enum log_level level;
    bool json;
    char *file; /* owned; NULL: stderr */
    enum log_access access;
    char *access_file; /* owned; of the last two */
};

/* Files that were opened for a configuration and are not in use yet. */
struct log_files {
    int log, access;
};

struct log_field {
    const char *name; /* [a-z0-9_.]+ ; others are replaced by '_' */
    struct span value;
};

/* Sets what passes and how it looks, and where lines go while no writer runs (default 2,
 * stderr). Lines of other threads that are under way may still follow the old setting. */
void log_setup(int fd, enum log_level least, bool json);
bool log_on(enum log_level level);
/* What passes until the next log_setup. */
void log_set_level(enum log_level least);
enum log_access log_access(void);

/* Where a file of that name lies that belongs to this gateway: an absolute path as it is,
 * others in LOGS_DIRECTORY, or in the folder .tidegate of TIDEGATE_DATA (./data when that
 * is not set). Returns an owned path. */
char *log_place(const char *name);
/* Makes the folders that a path lies in. 0 or -errno. Blocks. */
int log_make_folder(const char *path);

/* Opens what c names, so that log_use cannot fail. Blocks. 0, or -errno and *why is an
 * owned sentence. */
int log_files_open(const struct log_config *c, struct log_files *out, char **why);
void log_files_close(const struct log_config *c, struct log_files *files);
/* From now on lines go where c says; takes the files. The first time it starts the
 * writers' threads. Main thread. 0 or -errno. */
int log_use(const struct log_config *c, struct log_files *files);
/* Writes what waits, for a few seconds at most, and ends the threads. */
void log_stop(void);
/* Opens the files anew, which somebody has moved away. Never waits. */
void log_reopen(void);
/* Waits until what was said is written, at most so many ms. */
void log_flush(unsigned ms);
/* Lines that were lost so far: of the log, or of the access log's own file. */
uint64_t log_lost(bool access);

/* "debug" "info" "warn" "error" to a level; 0 or E_INVALID. */
int log_level_parse(struct span name, enum log_level *out);

/* A line with n fields; msg is for people and short. At most 8 KiB are written; of a
 * longer value the end is cut and marked, what has no room at all is left out. */
void log_fields(enum log_level level, const char *msg, const struct log_field *fields,
                size_t n);

/* A line without fields. */
void log_msg(enum log_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The whole line of one request, made by line.h: to the log if log_access() says so,
 * which then has its time, level and message, or to the file. */
void log_request(struct span line);

#define LOG_LINE_MAX 8192 /* bytes */

struct line;
/* Begins a line as log_fields does. */
void log_begin(struct line *l, char room[LOG_LINE_MAX], enum log_level level,
               const char *msg);

#define LOG_FIELDS(level, msg, ...)                                                      \
    log_fields((level), (msg), (const struct log_field[]){__VA_ARGS__},                  \
               sizeof((const struct log_field[]){__VA_ARGS__}) /                         \
                   sizeof(struct log_field))

#endif
