/* SPDX-License-Identifier: Apache-2.0
 *
 * The other end of the control socket: asks the running server and prints its answer,
 * for people or, with json, as it came. Each blocks and returns the exit code.
 */
#ifndef ASK_H
#define ASK_H

#include <stdbool.h>

int ask_reload(void);
int ask_status(bool json);
int ask_tasks(bool json);

#endif
