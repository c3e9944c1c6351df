/* SPDX-License-Identifier: Apache-2.0
 *
 * A command of the program whose work is written in Lua, such as `tidegate explain`. A
 * module of scripts/tidegate prepares a VM, the operator's script is loaded in it, and
 * what the module then declares runs as one task, beside no request. There is no network
 * listener, and none of the script's timers and jobs run.
 */
#ifndef LUA_COMMAND_H
#define LUA_COMMAND_H

#include <stddef.h>

struct command;
struct worker;

/* What the task returned; all zero but the code, 1, when it died. */
struct command_result {
    int code; /* 0 or 1 */
    unsigned passed, failed;
};

/* Requires the module, runs the script, calls the module's load(). The arguments are
 * what core.arguments() gives; they are copied. Blocks; on w's thread. 0 and an owned
 * command, or E_INVALID with *why an owned "file:line: message". */
int command_load(const char *module, const char *script, const char *const *arguments,
                 size_t n, struct worker *w, struct command **out, char **why);
/* Starts the task. Stores must have begun. over(arg, result) is called once, from the run
 * queue, when nothing of the VM runs any more; it may free the command. */
void command_start(struct command *c, void (*over)(void *arg, struct command_result r),
                   void *arg);
/* Cancels the task and what it has begun: over follows soon. On the worker's thread. */
void command_stop(struct command *c);
/* Nothing may run in it. Accepts NULL. */
void command_free(struct command *c);

#endif
