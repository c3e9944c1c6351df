/* SPDX-License-Identifier: Apache-2.0
 *
 * Commands that work inside a gateway's script without serving it (lua/command.h): one
 * worker, on the main thread, and the pool. For this room only.
 */
#ifndef COMMAND_ERRAND_H
#define COMMAND_ERRAND_H

#include "lua/command.h"

#include <stdbool.h>

struct errand {
    const char *module; /* "tidegate.explain" */
    const char *script;
    const char *const *arguments;
    size_t n;
    bool reads; /* the stores are begun for reading only */
    bool stops; /* SIGINT and SIGTERM cancel it, so that it can say how far it came */
};

/* What every errand of the process needs. 0, or an exit code; why is then on stderr. */
int errands_start(void);
void errands_stop(void);
/* Runs one to its end; between start and stop. The exit code 1 and why on stderr if it
 * could not begin. Blocks. */
struct command_result errand_run(const struct errand *e);

#endif
