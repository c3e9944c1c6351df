/* SPDX-License-Identifier: Apache-2.0
 *
 * The other end of the control socket: asks the running server and prints its answer,
 * for people or, with json, as it came. Each blocks and returns the exit code.
 */
#ifndef COMMAND_ASK_H
#define COMMAND_ASK_H

#include <stdbool.h>

int ask_reload(void);
int ask_status(bool json);
int ask_tasks(bool json);
/* wait: until nothing that began before can change a store. */
int ask_readonly(bool on, bool wait);
/* delay_ms: how long it goes on accepting once it has said that it is not ready. wait:
 * until the server has gone, with its progress on stdout. */
int ask_drain(unsigned delay_ms, bool wait);
/* "reopen" and NULL, or "level" and its name. */
int ask_log(const char *what, const char *level);

#endif
