/* SPDX-License-Identifier: Apache-2.0
 *
 * The log: one line per event, either logfmt (default) or JSON, written with a single
 * write(2) so that lines of several threads never mix. Values are escaped: no byte that a
 * client sent can start a new line or forge a field. Thread-safe. May wait as long as the
 * descriptor does. Never log a credential, a signed URL or an Authorization header.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/span.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

struct log_field {
    const char *name; /* [a-z0-9_.]+ ; others are replaced by '_' */
    struct span value;
};

/* Sets where lines go (default 2, stderr) and what passes. Lines of other threads that
 * are under way may still follow the old setting. */
void log_setup(int fd, enum log_level least, bool json);
bool log_on(enum log_level level);

/* "debug" "info" "warn" "error" to a level; 0 or E_INVALID. */
int log_level_parse(struct span name, enum log_level *out);

/* A line with n fields; msg is for people and short. At most 8 KiB are written, the rest
 * of the longest value is cut and marked. */
void log_fields(enum log_level level, const char *msg, const struct log_field *fields,
                size_t n);

/* A line without fields. */
void log_msg(enum log_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#define LOG_FIELDS(level, msg, ...)                                                      \
    log_fields((level), (msg), (const struct log_field[]){__VA_ARGS__},                  \
               sizeof((const struct log_field[]){__VA_ARGS__}) /                         \
                   sizeof(struct log_field))

#endif
